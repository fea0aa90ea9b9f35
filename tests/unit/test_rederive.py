"""What is derived anew equals what judging the same events by the same facts would have made."""

from dataclasses import replace
from datetime import date
from typing import Any, cast

import orjson
from hypothesis import assume, given
from hypothesis import strategies as st

from broker.domain.agreement import Facts, day_of
from broker.domain.case import CaseEvent, State, content_hash, merge_all, said_by, stamp_of
from broker.domain.classify import Classified, judge
from broker.domain.identity import EntryKey
from broker.domain.kle import Edition, KleBook
from broker.domain.kle_rules import Rule, Rules
from broker.domain.rederive import rederived, registered_at
from broker.store.document import dump, load
from broker.stream.framing import HEADER, encode
from tests.strategies import AUTHORITY, CASES, KLE, events
from tests.unit.worlds import sender_agreement

DAY = 86_400_000_000
KEY = EntryKey(AUTHORITY, "sbsys", CASES[0])
FIRST = date(2000, 1, 1)
CREATED = st.integers(0, 40).map(lambda days: (19_000 + days) * DAY)
EDITIONS = st.dictionaries(
    st.integers(0, 40).map(lambda days: date.fromordinal(date(1970, 1, 1).toordinal() + 19_000 + days)),
    st.sets(st.sampled_from(KLE)),
    max_size=3,
)
RULES = st.lists(
    st.builds(
        lambda kle, number, since: Rule(AUTHORITY, "sbsys", kle, None, number, None, since),
        st.sampled_from(("N*", "27.*", "27.36.*", *KLE)),
        st.sampled_from(KLE),
        CREATED.map(day_of),
    ),
    max_size=3,
    unique_by=lambda rule: rule.kle,
)


def facts(editions: dict[date, set[str]], revision: int = 1) -> Facts:
    book = {FIRST: set(KLE), **editions}
    return Facts(
        revision,
        {(AUTHORITY, "sbsys"): sender_agreement(AUTHORITY, system="sbsys")},
        kle=KleBook(tuple(Edition(on, dict.fromkeys(sorted(numbers), "emne")) for on, numbers in sorted(book.items()))),
    )


def judged(event: CaseEvent, known: Facts) -> State | None:
    """What a worker would take of the event; None when it may not be kept."""
    verdict = judge(event, known, 1_800_000_000_000_000)
    if not isinstance(verdict, Classified):
        return None
    stamp = stamp_of(event, content_hash(encode("case_event", event)[HEADER.size :]))
    return said_by(verdict.event, stamp, {"received_at": 0, "event_id": event["event_id"]})


@st.composite
def histories(draw: st.DrawFn) -> list[CaseEvent]:
    """Events of one case, registered around the dates of the editions; a case is created once."""
    created, arrived = draw(CREATED), []
    for event in draw(st.lists(events(), min_size=1, max_size=5)):
        said: dict[str, Any] = {
            **event,
            "case_id": CASES[0],
            "registered_at": draw(CREATED),
        }
        if said.get("properties") is not None:
            said["properties"] = {**said["properties"], "created_at": created}
        arrived.append(cast("CaseEvent", said))
    return arrived


def held(arrived: list[CaseEvent], known: Facts) -> State:
    return merge_all(said for said in (judged(event, known) for event in arrived) if said is not None)


@given(histories(), EDITIONS)
def test_unchanged_facts_change_nothing(arrived: list[CaseEvent], editions: dict[date, set[str]]) -> None:
    known = facts(editions)
    state = held(arrived, known)
    assert rederived(KEY, state, known) is state


@given(histories(), EDITIONS, EDITIONS)
def test_to_derive_anew_twice_is_to_do_it_once(
    arrived: list[CaseEvent], before: dict[date, set[str]], after: dict[date, set[str]]
) -> None:
    once = rederived(KEY, held(arrived, facts(before)), facts(after))
    assert rederived(KEY, once, facts(after)) is once


@given(events(), CREATED, CREATED, EDITIONS, EDITIONS)
def test_an_event_derived_anew_is_the_event_judged_by_the_new_editions(
    event: CaseEvent, created: int, registered: int, before: dict[date, set[str]], after: dict[date, set[str]]
) -> None:
    event["registered_at"] = registered
    if event.get("properties") is not None:
        event["properties"] = {**cast("dict[str, Any]", event["properties"]), "created_at": created}
    stood, fresh = judged(event, facts(before)), judged(event, facts(after))
    assume(stood is not None)
    assert stood is not None
    anew = rederived(KEY, stood, facts(after))
    if fresh is not None:
        assert anew == fresh
    else:
        assert anew.groups["classification"][1]["kle"] is None


@given(histories(), EDITIONS)
def test_what_was_unmapped_comes_back_with_the_edition_that_knew_it(
    arrived: list[CaseEvent], editions: dict[date, set[str]]
) -> None:
    whole = facts({on: set(KLE) for on in editions})
    state = held(arrived, whole)
    gone = rederived(KEY, state, facts({on: set() for on in editions}))
    assert rederived(KEY, gone, whole) == state


@given(histories(), EDITIONS, EDITIONS)
def test_what_is_derived_anew_can_be_kept(
    arrived: list[CaseEvent], before: dict[date, set[str]], after: dict[date, set[str]]
) -> None:
    state = rederived(KEY, held(arrived, facts(before)), facts(after))
    assume(state.source[1] is not None)
    assert load(dump(state)) == state


@given(events())
def test_a_stamp_tells_when_the_registration_was_made(event: CaseEvent) -> None:
    assert registered_at(stamp_of(event, bytes(8))) == event["registered_at"]


@given(histories(), EDITIONS)
def test_agreements_and_delimitations_do_not_change_a_state(
    arrived: list[CaseEvent], editions: dict[date, set[str]]
) -> None:
    known = facts(editions)
    state = held(arrived, known)
    assert rederived(KEY, state, replace(known, revision=2, senders={})) is state


@given(st.lists(st.tuples(events(), CREATED, CREATED), min_size=1, max_size=5), RULES, RULES)
def test_to_derive_anew_is_to_derive_from_scratch_whatever_the_rules_were(
    drawn: list[tuple[CaseEvent, int, int]], before: list[Rule], after: list[Rule]
) -> None:
    arrived = []
    for event, created, registered in drawn:
        said = cast("dict[str, Any]", {**event, "case_id": CASES[0], "registered_at": registered})
        if said.get("properties") is not None:
            said["properties"] = {**said["properties"], "created_at": created}
        arrived.append(cast("CaseEvent", said))
    stood, wanted = ruled(before), ruled(after)
    assert digest(rederived(KEY, held(arrived, stood), wanted)) == digest(held(arrived, wanted))


def ruled(rules: list[Rule]) -> Facts:
    known = facts({})
    return replace(known, kle=KleBook(known.kle.editions, rules=Rules(tuple(rules))))


def digest(state: State) -> bytes:
    return content_hash(orjson.dumps(orjson.loads(dump(state)), option=orjson.OPT_SORT_KEYS))
