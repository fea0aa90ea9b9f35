"""What sender agreements and delimitations take, at the door and at the moment of reading, is one and the same."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.agreement import AgreementState, Delimitation, Facts, SenderAgreement, day_of, outside
from broker.domain.audience import Audience, Nobody, audience
from broker.domain.case import SENSITIVITY, CaseEvent, key_of, said_by, stamp_of
from broker.domain.classify import Classified, judge
from broker.domain.entry import Entry, entry_of
from broker.domain.kle import Edition, KleBook, Patterns
from broker.domain.outcome import Code, Delimited, Rejected
from broker.domain.policy import Reason, still_delivered, still_wanted
from tests.strategies import AUTHORITY, KLE, events
from tests.unit.worlds import CITIZENS, DAY, EPOCH, PATTERNS, an_entry, open_facts, sender_agreement

AT = 1_800_000_000_000_000
BOOK = KleBook((Edition(EPOCH, dict.fromkeys(KLE, "emne")),))
OPEN = replace(open_facts(AUTHORITY), kle=BOOK)
CITIZEN = CITIZENS[0].removeprefix("CPR:")
AT_READING = datetime(2025, 1, 1, 12, tzinfo=UTC)
CASE = an_entry(AUTHORITY, "27.36.04", 3, parties=(("PRIMARY", CITIZENS[0]),), created_at=DAY)
AREAS = st.sampled_from((*PATTERNS, *KLE)).map(lambda pattern: Patterns.of((pattern,)))
DATES = st.dates(EPOCH, date(2030, 1, 1))


def lowered(**changes: Any) -> Facts:
    return replace(OPEN, senders={(AUTHORITY, "sbsys"): sender_agreement(AUTHORITY, **changes)})


def delimited(*choices: Delimitation) -> Facts:
    return replace(OPEN, delimitations={AUTHORITY: choices})


@given(
    event=events(),
    level=st.sampled_from(sorted(SENSITIVITY)),
    agreement=st.builds(
        sender_agreement,
        st.just(AUTHORITY),
        state=st.sampled_from((AgreementState.FULL, AgreementState.RESTRICTED)),
        kle=AREAS,
        sensitivity=st.integers(1, 4),
        from_date=DATES,
        restricted_kle=AREAS,
    ),
    choices=st.lists(st.builds(Delimitation, AREAS, DATES, st.booleans()), max_size=2).map(tuple),
)
def test_what_is_taken_in_is_what_may_be_shown(
    event: CaseEvent, level: str, agreement: SenderAgreement, choices: tuple[Delimitation, ...]
) -> None:
    whole = cast("CaseEvent", {**event, "authority": AUTHORITY, "system": "sbsys", "access": {"sensitivity": level}})
    taken = judge(whole, OPEN, AT)
    if not isinstance(taken, Classified) or whole.get("properties") is None or whole.get("classification") is None:
        return
    entry = entry_of(key_of(whole), said_by(taken.event, stamp_of(whole, bytes(8))))
    facts = replace(OPEN, senders={(AUTHORITY, "sbsys"): agreement}, delimitations={AUTHORITY: choices})

    verdict = judge(whole, facts, AT)

    delivered, wanted = still_delivered(entry, facts) is None, still_wanted(entry, facts) is None
    match verdict:
        case Classified():
            assert delivered
            assert wanted
        case Delimited():
            assert delivered
            assert not wanted
        case Rejected(code):
            assert code is Code.OUTSIDE_AGREEMENT
            assert not delivered


@pytest.mark.parametrize(
    "lower",
    [
        {"state": AgreementState.SUSPENDED},
        {"state": AgreementState.ENDED},
        {"state": AgreementState.RESTRICTED},
        {"kle": Patterns.of(("15.*",))},
        {"sensitivity": 2},
        {"from_date": date(1970, 1, 3)},
    ],
)
def test_lowering_an_agreement_hides_at_once(lower: dict[str, Any]) -> None:
    assert still_delivered(CASE, OPEN) is None
    assert isinstance(audience(CASE, "sapa", OPEN, AT_READING), Audience)
    assert still_delivered(CASE, lowered(**lower)) is Reason.NOT_DELIVERED
    assert audience(CASE, "sapa", lowered(**lower), AT_READING) == Nobody(Reason.NOT_DELIVERED)


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ({"restricted_kle": Patterns.of(("27.36.*",))}, None),
        ({"restricted_citizens": frozenset({CITIZEN})}, None),
        ({"restricted_kle": Patterns.of(("27.35.*",))}, Reason.NOT_DELIVERED),
        ({"restricted_citizens": frozenset({CITIZENS[1].removeprefix("CPR:")})}, Reason.NOT_DELIVERED),
    ],
)
def test_while_restricted_only_the_named_areas_and_citizens_are_shown(
    named: dict[str, Any], reason: Reason | None
) -> None:
    assert still_delivered(CASE, lowered(state=AgreementState.RESTRICTED, **named)) is reason


def test_a_named_citizen_counts_as_a_primary_party_alone() -> None:
    facts = lowered(state=AgreementState.RESTRICTED, restricted_citizens=frozenset({CITIZEN}))
    secondary = replace(CASE, parties=(("PRIMARY", CITIZENS[1]), ("SECONDARY", CITIZENS[0])))
    another = replace(CASE, parties=(("PRIMARY", CITIZENS[1]), ("PRIMARY", CITIZENS[0])))
    assert still_delivered(secondary, facts) is Reason.NOT_DELIVERED
    assert still_delivered(another, facts) is None


@pytest.mark.parametrize(
    ("case", "choice", "reason"),
    [
        (CASE, ("27.36.*", EPOCH, False), None),
        (CASE, ("27.35.*", EPOCH, False), Reason.DELIMITED),
        (CASE, ("N*", date(1970, 1, 2), False), None),
        (CASE, ("N*", date(1970, 1, 3), False), Reason.DELIMITED),
        (CASE, ("N*", EPOCH, True), None),
        (replace(CASE, state="AFSLUTTET"), ("N*", EPOCH, True), Reason.DELIMITED),
        (replace(CASE, state="AFSLUTTET"), ("N*", EPOCH, False), None),
    ],
)
def test_a_delimitation_hides_what_the_municipality_leaves_out(
    case: Entry, choice: tuple[str, date, bool], reason: Reason | None
) -> None:
    pattern, from_date, active_only = choice
    facts = delimited(Delimitation(Patterns.of((pattern,)), from_date, active_only))
    assert still_wanted(case, facts) is reason


def test_one_of_several_choices_is_enough_and_none_at_all_takes_everything() -> None:
    no, yes = (Delimitation(Patterns.of((pattern,)), EPOCH, active_only=False) for pattern in ("15.*", "27.*"))
    assert still_wanted(CASE, delimited(no, yes)) is None
    assert still_wanted(CASE, delimited()) is None


def test_a_case_of_which_too_little_is_known_is_not_shown() -> None:
    for unknown in (replace(CASE, kle=None), replace(CASE, created_at=None)):
        assert still_delivered(unknown, OPEN) is Reason.NOT_DELIVERED
    assert still_delivered(CASE, Facts()) is Reason.NOT_DELIVERED


def test_nothing_that_is_not_said_is_outside() -> None:
    agreement = sender_agreement(AUTHORITY, kle=Patterns.of(("15.*",)), sensitivity=1)
    assert outside(agreement, EPOCH, None, None, ()) is None


@given(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999))
def test_an_agreement_begins_with_the_first_moment_of_its_day(moment: int) -> None:
    first = sender_agreement(AUTHORITY, from_date=day_of(moment)).since
    assert first <= moment < first + DAY
    assert day_of(first) == day_of(moment)


@given(st.lists(st.sampled_from(PATTERNS)), st.lists(st.sampled_from(PATTERNS)), st.sampled_from(KLE))
def test_what_both_cover_is_what_each_covers(some: list[str], others: list[str], number: str) -> None:
    one, other = Patterns.of(some), Patterns.of(others)
    assert one.both(other).covers(number) == (one.covers(number) and other.covers(number))
