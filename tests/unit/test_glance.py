"""What is let in at a glance is what the long way lets in, row for row; whatever is not plain takes the long way."""

import copy
from datetime import date
from itertools import islice
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.agreement import AgreementState, Delimitation, Facts, SenderAgreement
from broker.domain.batch import Arrival, Place, Plan, plan, unsaid
from broker.domain.case import CaseEvent
from broker.domain.kle import Edition, KleBook, Patterns
from broker.domain.kle_rules import Rule, Rules
from broker.domain.rederive import rederived
from broker.processing.arrivals import Records, closer, decode, look
from broker.store.anew import anew, read
from broker.store.document import load
from broker.store.rows import fresh, plain_row, row, settle_fresh
from broker.stream.framing import Decoder, encode
from broker.stream.glance import glance
from ops.bench.filled import Load
from ops.bench.storm import Storm
from tests.strategies import AUTHORITY, CASES, KLE, events

NOW_MS = 1_800_000_000_000
CREATED = 1_700_000_000_000_000
PLACE = Place("t", "id", 0)
DECODER = Decoder("case_event", lambda _: None)
EDITIONS = (
    Edition(date(2010, 1, 1), dict.fromkeys((*KLE, "27.01.01"), "emne")),
    Edition(date(2023, 11, 15), dict.fromkeys(KLE, "emne")),
)
RULES = (
    Rules(),
    Rules(
        (
            Rule("*", "sbsys", "27.36.*", None, "32.45.04", None, date(2023, 11, 15)),
            Rule(AUTHORITY, "*", "27.01.01", None, "27.35.08", "G01", date(2000, 1, 1)),
        )
    ),
)
OPEN = SenderAgreement(AUTHORITY, "sbsys", 1, AgreementState.FULL, Patterns.of(["N*"]), 4, date(2000, 1, 1))
ALL = Facts(1, {(AUTHORITY, "sbsys"): OPEN}, kle=KleBook(EDITIONS))
WHOLE: dict[str, Any] = {
    "event_id": "00000000-0000-0000-0000-00000000000e",
    "system": "sbsys",
    "authority": AUTHORITY,
    "case_id": CASES[0],
    "registered_at": CREATED,
    "sequence": 1,
    "change": "REGISTERED",
    "removal_reason": None,
    "replaced_by": None,
    "properties": {
        "user_key": "S-1", "title": "Bevilling", "confidential_title": None, "legal_basis": "§ 112",
        "created_at": CREATED, "link": "https://sager.example/1", "local_status": None, "decision": "ja",
    },
    "access": {"sensitivity": "FORTROLIGE_PERSONOPLYSNINGER", "hidden_from_citizen": False},
    "classification": {"kle": "27.36.04", "facet": "G01", "local_code": None},
    "progress": {
        "complete": True,
        "items": [
            {"state": "OPSTAAET", "effective_from": CREATED - 9, "effective_to": CREATED},
            {"state": "OPLYST", "effective_from": CREATED, "effective_to": None},
        ],
    },
    "parties": {
        "complete": True,
        "items": [
            {"item_id": "a", "role": "SECONDARY", "id_type": "CVR", "id": "55133018", "removed": False},
            {"item_id": "b", "role": "PRIMARY", "id_type": "CPR", "id": "0101011234", "removed": False},
            {"item_id": "c", "role": "PRIMARY", "id_type": "ECPR", "id": "A1", "name": "Navn", "removed": False},
        ],
    },
    "actors": {"complete": True, "items": [{"item_id": "a", "role": "HANDLER", "id": "x", "removed": False}]},
    "journal": {
        "complete": True,
        "items": [
            {
                "item_id": "a", "kind": "DOCUMENT", "title": "Brev", "registered_at": CREATED,
                "sensitivity": "FOELSOMME_PERSONOPLYSNINGER", "link": "https://sager.example/d/1", "removed": False,
            }
        ],
    },
    "security_profile": {
        "complete": True,
        "items": [
            {"item_id": "a", "principal_id": "p2", "removed": False},
            {"item_id": "b", "principal_id": "p1", "removed": False},
        ],
    },
}  # fmt: skip
TEXTS = (
    "", "a\0b", "010101-1234", "sag om 0101011234.", "x" * 201, "sbsys", "nexus:1", "REMOVED", "PRIMARY", "SECONDARY",
    "CPR", "FREE", "PNR", "1000000001", "  ", "AFSLUTTET", "OPSTAAET", "NOTE", "VIP_SAGER", "hemmelig", "a", "b", "G99",
    "27.01.01", "27.36.0", "32.45.04", "55133018", "01234567", CASES[1].upper(), CASES[1], "æøå",
    "javascript:alert(1)", "HTTP://a",
)  # fmt: skip
NUMBERS = (0, -1, CREATED - 9, CREATED, CREATED + 1, NOW_MS * 1000 + 400_000_000, -(1 << 62), 1 << 60)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(leaf for name, one in inner for leaf in leaves(one, (*path, name)))]


LEAVES = [path for path in leaves(WHOLE) if path]
OPTIONAL = {path[0] for path in LEAVES if isinstance(WHOLE[path[0]], dict)} | {"sequence"}


@st.composite
def nearly_whole(draw: st.DrawFn) -> CaseEvent:
    """A whole event in which a few things are otherwise, well made or not."""
    event = copy.deepcopy(WHOLE)
    event["case_id"] = draw(st.sampled_from(CASES))
    for path in draw(st.lists(st.sampled_from(LEAVES), max_size=draw(st.integers(0, 3)))):
        holder: Any = event
        try:
            for name in path[:-1]:
                holder = holder[name]
            stands = holder[path[-1]]
        except (KeyError, IndexError, TypeError):
            continue
        if isinstance(stands, bool):
            holder[path[-1]] = not stands
        elif isinstance(stands, str):
            holder[path[-1]] = draw(st.sampled_from(TEXTS))
        elif isinstance(stands, int):
            holder[path[-1]] = draw(st.sampled_from(NUMBERS))
        elif isinstance(stands, list):
            holder[path[-1]] = draw(st.sampled_from(([], stands[::-1], stands * 2, stands[:1])))
        elif stands is None and path[-1] == "removal_reason":
            holder[path[-1]] = "MERGED"
        elif path[-1] in OPTIONAL:
            holder[path[-1]] = None
    return cast("CaseEvent", event)


@st.composite
def known(draw: st.DrawFn) -> Facts:
    agreement = SenderAgreement(
        AUTHORITY,
        "sbsys",
        draw(st.integers(1, 3)),
        draw(st.sampled_from((*[AgreementState.FULL] * 5, AgreementState.RESTRICTED, AgreementState.SUSPENDED))),
        Patterns.of(draw(st.sampled_from((("N*",), ("27.*",), ("27.36.*", "32.*"), ("32.*",))))),
        draw(st.sampled_from((4, 3, 2))),
        draw(st.sampled_from((date(2000, 1, 1), date(2023, 11, 14), date(2023, 11, 15)))),
        restricted_citizens=frozenset({"0101011234"}),
        refuse_title_cpr=draw(st.booleans()),
    )
    choice = Delimitation(Patterns.of(["27.36.*"]), date(2000, 1, 1), active_only=draw(st.booleans()))
    return Facts(
        1,
        {(AUTHORITY, "sbsys"): agreement},
        delimitations={AUTHORITY: (choice,)} if draw(st.booleans()) else {},
        kle=KleBook(EDITIONS[: draw(st.sampled_from((2, 1, 0)))], rules=draw(st.sampled_from(RULES))),
    )


def records(said: list[CaseEvent]) -> Records:
    return [(7 + n, NOW_MS + n, encode("case_event", event)) for n, event in enumerate(said)]


def made_of(arrivals: list[Arrival], facts: Facts) -> tuple[Plan, dict[Any, bytes]]:
    """The plan, settled as if no case had stood before, and the row of each case without its number."""
    made = plan(arrivals, facts, PLACE, closer)
    cases = list(made.cases.items())
    rows, held = fresh(made, cases)
    settle_fresh(made, cases, set(held))
    keys = [admitted.plain.key for _, admitted in made.plain] + [key for key, _ in cases]
    return made, {keys[int.from_bytes(one[6:10], "big")]: one[:6] + one[10:] for one in rows}


def same(said: Records, facts: Facts) -> Plan:
    at_a_glance, rows = made_of(look(said, DECODER), facts)
    whole, its_rows = made_of(decode(said, DECODER), facts)
    assert rows == its_rows
    assert at_a_glance.verdicts == whole.verdicts
    assert at_a_glance.rejections == whole.rejections
    assert at_a_glance.freshness == whole.freshness
    assert at_a_glance.systems == whole.systems
    return at_a_glance


@given(st.lists(nearly_whole() | nearly_whole() | events(), min_size=1, max_size=4), st.just(ALL) | known())
def test_a_glance_and_the_long_way_make_the_same_rows_verdicts_and_rejections(
    said: list[CaseEvent], facts: Facts
) -> None:
    made = same(records(said), facts)
    for ordinal, (arrival, admitted) in enumerate(made.plain):
        assert made.say is not unsaid
        one = made.say(arrival)
        assert plain_row(ordinal, arrival, admitted) == row(ordinal, admitted.plain.key, one.state, one.original)


@given(nearly_whole(), st.just(ALL) | known(), known())
def test_a_row_derived_anew_at_a_glance_is_the_row_of_the_long_way(
    event: CaseEvent, before: Facts, after: Facts
) -> None:
    made = plan(look(records([event]), DECODER), before, PLACE, closer)
    for arrival, admitted in made.plain:
        stored = plain_row(0, arrival, admitted)
        key, derived, unmapped = anew(stored, after)
        state = rederived(key, load(read(stored)[1]), after)
        assert derived == row(0, key, state, arrival.value)
        assert unmapped == (state.groups["classification"][1]["kle"] is None)


@given(st.data())
def test_changed_bytes_are_seen_through_alike(data: st.DataObject) -> None:
    value = bytearray(encode("case_event", WHOLE))
    for _ in range(data.draw(st.integers(1, 3))):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    same([(0, NOW_MS, bytes(value))], ALL)


@pytest.mark.parametrize("absent", [None, "sequence", "access", "parties", "actors", "journal", "security_profile"])
def test_a_whole_event_is_plain_with_or_without_what_need_not_be_there(absent: str | None) -> None:
    event = {**WHOLE} if absent is None else {**WHOLE, absent: None}
    assert glance(encode("case_event", event)) is not None


@pytest.mark.parametrize("hidden", [True, False])
def test_a_case_is_hidden_from_the_citizen_at_a_glance_too(hidden: bool) -> None:  # noqa: FBT001 - as it is said
    access = {"sensitivity": "FORTROLIGE_PERSONOPLYSNINGER", "hidden_from_citizen": hidden}
    made = same(records([cast("CaseEvent", {**WHOLE, "access": access})]), ALL)
    assert [admitted.plain.hidden for _, admitted in made.plain] == [hidden]


@pytest.mark.parametrize("absent", ["properties", "classification", "progress"])
def test_an_event_of_a_part_is_not_plain(absent: str) -> None:
    assert glance(encode("case_event", {**WHOLE, absent: None})) is None


def test_every_filled_event_is_plain() -> None:
    said = list(islice(Load(500).first(), 500))
    assert all(glance(one.value) is not None for one in said)


def test_a_storm_comes_to_the_same_either_way() -> None:
    said: Records = [(n, NOW_MS, one.value) for n, one in enumerate(Storm(3, 2000))]
    assert same(said, ALL).plain


def test_two_events_of_one_case_in_one_batch_are_weighed_together() -> None:
    one = cast("CaseEvent", WHOLE)
    other = cast("CaseEvent", {**WHOLE, "event_id": CASES[2], "registered_at": CREATED + 5})
    alone = cast("CaseEvent", {**WHOLE, "case_id": CASES[1]})
    made = same(records([one, alone, other]), ALL)
    assert [admitted.plain.case_id for _, admitted in made.plain] == [CASES[1]]
    assert [len(said) for said in made.cases.values()] == [2]
