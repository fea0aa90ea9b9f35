"""An entry is the same whatever the order and however often its events come."""

from random import Random
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from broker.domain.case import (
    EMPTY,
    CaseEvent,
    State,
    just_before,
    merge,
    merge_all,
    outcome_of,
    stamp_of,
    visible_items,
)
from broker.store.document import dump, load
from tests.strategies import events, stated

STATES_OF_ONE_CASE = st.lists(events(), max_size=8).map(lambda listed: [stated(event) for event in listed])


@given(STATES_OF_ONE_CASE, st.randoms(use_true_random=False))
def test_any_order_and_any_duplication_give_the_same_entry(said: list[State], chance: Random) -> None:
    shuffled = said + said[: len(said) // 2]
    chance.shuffle(shuffled)
    assert merge_all(shuffled) == merge_all(said)


@given(STATES_OF_ONE_CASE, STATES_OF_ONE_CASE, STATES_OF_ONE_CASE)
def test_merging_is_associative_so_batches_may_be_folded_first(a: list[State], b: list[State], c: list[State]) -> None:
    one, two, three = merge_all(a), merge_all(b), merge_all(c)
    assert merge(merge(one, two), three) == merge(one, merge(two, three))


@given(events())
def test_an_event_seen_twice_changes_nothing_and_is_called_a_duplicate(event: CaseEvent) -> None:
    said = stated(event)
    _, after = outcome_of(EMPTY, said)
    assert outcome_of(after, said) == ("duplicate", after)


@given(STATES_OF_ONE_CASE)
def test_a_removal_newer_than_everything_leaves_nothing_to_see(said: list[State]) -> None:
    gone = State(removed=(b"\xff" * 8, {"reason": "DISPOSED"}), source=(b"\xff" * 8, None))
    after = merge_all([*said, gone])
    assert after.groups == {}
    assert after.items == {}


@given(STATES_OF_ONE_CASE)
def test_the_table_gives_back_the_state_that_was_put(said: list[State]) -> None:
    state = merge_all(said)
    assert load(dump(state)) == state


def event(registered_at: int, **more: Any) -> CaseEvent:
    said = {
        "event_id": more.pop("event_id", "a3bb189e-8bf9-3888-9912-ace4e6543002"),
        "system": "sbsys",
        "authority": "55133018",
        "case_id": "00000000-0000-0000-0000-000000000001",
        "registered_at": registered_at,
        "change": "REGISTERED",
        **more,
    }
    return cast("CaseEvent", said)


def actors(*names: str, complete: bool) -> dict[str, object]:
    items = [{"item_id": name, "role": "HANDLER", "id": name} for name in names]
    return {"complete": complete, "items": items}


def test_a_complete_list_is_all_there_is_and_items_sent_later_lie_over_it() -> None:
    listed = stated(event(1, actors=actors("anna", "bo", complete=True)))
    added = stated(event(3, actors=actors("carl", complete=False)))
    replaced = stated(event(2, actors=actors("dora", complete=True)))
    names = [item["id"] for item in visible_items(merge_all([added, listed, replaced]), "actors")]
    assert names == ["dora", "carl"]


def test_an_absent_group_is_unchanged() -> None:
    first = stated(event(1, actors=actors("anna", complete=True)))
    second = stated(event(2, access={"sensitivity": "VIP_SAGER"}))
    after = merge(first, second)
    assert set(after.groups) == {"actors", "access"}


def test_registrations_are_ordered_by_time_then_sequence_then_id_then_content() -> None:
    ordered = [
        stamp_of(event(1, event_id="00000000-0000-0000-0000-00000000000a"), b"zzzzzzzz"),
        stamp_of(event(1, event_id="00000000-0000-0000-0000-00000000000b"), b"aaaaaaaa"),
        stamp_of(event(1, event_id="00000000-0000-0000-0000-00000000000b"), b"bbbbbbbb"),
        stamp_of(event(1, sequence=-5), b"aaaaaaaa"),
        stamp_of(event(1, sequence=7), b"aaaaaaaa"),
        stamp_of(event(2), b"aaaaaaaa"),
    ]
    assert ordered == sorted(ordered)


def test_an_older_registration_is_stale_and_changes_nothing() -> None:
    newer = stated(event(2, access={"sensitivity": "VIP_SAGER"}))
    older = stated(event(1, access={"sensitivity": None}))
    outcome, after = outcome_of(newer, older)
    assert (outcome, after) == ("stale", newer)


def test_leaving_at_an_events_own_moment_takes_what_is_older_and_lets_the_same_event_come_back() -> None:
    before = stated(event(7, sequence=4, access={"sensitivity": None}))
    leaving = event(7, sequence=5, access={"sensitivity": "VIP_SAGER"})
    left = merge(before, State(removed=(just_before(leaving), None), source=(just_before(leaving), None)))
    assert left.groups == {}
    outcome, back = outcome_of(left, stated(leaving))
    assert outcome == "indexed"
    assert set(back.groups) == {"access"}
