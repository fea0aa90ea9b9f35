"""The compliance run's own rules: what meets a requirement, what does not, and what is said of it."""

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from broker.cli.compliance import as_page
from broker.domain.case import CaseEvent
from broker.domain.compliance import REQUIREMENTS, Observed, Result, judge, passed

CASE = "6f1b7c1e-0000-4000-8000-000000000001"
STATUSES = ("indexed", "stale", "duplicate", "delimited", "rejected", "pending")


def event(at: int = 1, event_id: str = "e", **more: Any) -> CaseEvent:
    said = {"event_id": event_id, "case_id": CASE, "registered_at": at, "change": "REGISTERED", **more}
    return cast("CaseEvent", {"system": "sbsys", "authority": "55133018", **said})


def verdict(number: str, *observed: Observed) -> Result:
    return next(one for one in judge(observed, {}) if one.number == number)


def test_requirements_are_numbered_in_order() -> None:
    assert [one.number for one in REQUIREMENTS] == [f"R{number}" for number in range(1, len(REQUIREMENTS) + 1)]


def test_where_nothing_came_everything_lacks_and_says_how_to_mend_it() -> None:
    results = judge([], {})
    assert {one.verdict for one in results} == {"not_sent"}
    assert all(one.mend for one in results)
    assert not passed(results)


def test_a_history_with_a_gap_is_no_whole_history() -> None:
    steps = [
        {"state": "OPSTAAET", "effective_from": 1, "effective_to": 5},
        {"state": "OPLYST", "effective_from": 6, "effective_to": None},
    ]
    torn = Observed("e", event(progress={"complete": True, "items": steps}), "indexed")
    assert (verdict("R1", torn).verdict, verdict("R1", torn).came) == (
        "unmet",
        "1, but a state ends where no other begins",
    )
    steps[1]["effective_from"] = 5
    assert verdict("R1", torn).verdict == "met"


def test_a_late_event_with_a_new_time_of_registration_is_a_change_and_not_late() -> None:
    first, again = Observed("a", event(5, "a"), "indexed"), Observed("b", event(6, "b"), "indexed")
    assert verdict("R2", first, again).verdict == "met"
    assert verdict("R3", first, again).verdict == "not_sent"
    assert verdict("R3", first, Observed("c", event(4, "c"), "stale")).verdict == "met"
    assert verdict("R3", first, Observed("c", event(4, "c"), "indexed")).verdict == "unmet"
    assert verdict("R3", first, again, Observed("a", event(5, "a"), "stale")).verdict == "not_sent"


def test_the_same_registration_under_another_id_is_not_the_same_sent_twice() -> None:
    first = Observed("a", event(5, "a"), "indexed")
    assert verdict("R4", first, Observed("a", event(5, "a"), "duplicate")).verdict == "met"
    other = verdict("R4", first, Observed("b", event(5, "b"), "indexed"))
    assert (other.verdict, other.came) == ("unmet", "1, but the same registration came under another event id")


def test_a_removal_counts_only_of_a_case_that_came() -> None:
    gone = Observed("g", event(9, "g", change="REMOVED"), "indexed")
    assert verdict("R5", gone).verdict == "not_sent"
    assert verdict("R5", Observed("a", event(5, "a"), "indexed"), gone).verdict == "met"


def test_a_public_title_that_says_the_confidential_one_does_not_do() -> None:
    def titled(title: str) -> Observed:
        return Observed("e", event(properties={"title": title, "confidential_title": "misbrug"}), "indexed")

    assert verdict("R9", titled("Sag om misbrug")).verdict == "unmet"
    assert verdict("R9", titled("Voksensag")).verdict == "met"


def test_what_a_system_cannot_say_is_stated_unless_it_said_it() -> None:
    good = Observed("e", event(properties={"title": "a", "confidential_title": "b"}), "indexed")
    (without,) = [one for one in judge([], {"R9": "one title"}) if one.number == "R9"]
    (shown,) = [one for one in judge([good], {"R9": "one title"}) if one.number == "R9"]
    assert (without.verdict, without.came, without.mend) == ("not_expressible", "one title", None)
    assert shown.verdict == "met"


@given(
    st.lists(
        st.builds(
            lambda at, event_id, status, change: Observed(event_id, event(at, event_id, change=change), status),
            st.integers(0, 5),
            st.sampled_from("abc"),
            st.sampled_from(STATUSES),
            st.sampled_from(["REGISTERED", "REMOVED"]),
        ),
        max_size=8,
    )
)
def test_more_events_never_take_back_what_was_shown(observed: list[Observed]) -> None:
    before = {one.number for one in judge(observed[:-1], {}) if one.verdict == "met"}
    after = {one.number for one in judge(observed, {}) if one.verdict == "met"}
    assert before <= after


def test_the_page_shows_every_requirement_and_nothing_of_it_as_markup() -> None:
    results = judge([], {"R9": "<script>"})
    page = as_page(
        {
            "system": "sbsys",
            "authority": "55133018",
            "since": "now",
            "passed": False,
            "requirements": [{name: getattr(one, name) for name in Result.__dataclass_fields__} for one in results],
        }
    )
    assert all(f"<td>{one.number}<td>" in page for one in REQUIREMENTS)
    assert "<script>" not in page
