"""The warning that another system of the authority holds the case, too."""

from dataclasses import replace
from typing import Any

from broker.domain.identity import EntryKey
from broker.intake.elsewhere import elsewhere, warned
from broker.intake.forms import Item
from broker.intake.verdicts import Accepted, Judged, Sender, canonical_offers, judge_all
from tests.integration.running import AUTHORITY, CASE, event
from tests.unit.test_verdicts import AGREEMENT, AT, FACTS

OTHERS = replace(
    FACTS,
    senders={
        (of, system): replace(AGREEMENT, authority=of, system=system)
        for of, system in ((AUTHORITY, "sbsys"), (AUTHORITY, "nova"), ("29189420", "edoc"))
    },
)
THERE = EntryKey(AUTHORITY, "nova", CASE.format(1))


def judged(*raw: dict[str, Any]) -> list[Judged]:
    return judge_all(canonical_offers(map(Item, raw)), Sender("sbsys", frozenset({AUTHORITY})), OTHERS, AT)


def told(listed: list[Judged]) -> list[list[tuple[str, str]]]:
    verdicts = [one.verdict for one in listed]
    return [[(w.code, w.pointer) for w in v.warnings] if isinstance(v, Accepted) else [] for v in verdicts]


def test_only_the_authoritys_other_systems_are_asked_and_only_for_what_is_taken_in() -> None:
    listed = judged(event(1), event(2, case_id="no uuid"), event(3, change="REMOVED", removal_reason="LEFT_INDEX"))
    assert elsewhere(listed, OTHERS) == [THERE]
    assert elsewhere(listed, FACTS) == []


def test_what_another_system_holds_is_taken_in_with_a_warning_that_names_it() -> None:
    before = judged(event(1), event(2))
    listed = warned(before, {THERE})
    assert told(listed) == [[("same_case_other_system", "/case_id")], []]
    assert isinstance(listed[0].verdict, Accepted)
    assert "nova" in listed[0].verdict.warnings[0].detail
    assert warned(before, set()) == before


def test_what_takes_its_case_out_is_not_warned_of() -> None:
    assert told(warned(judged(event(1, change="REMOVED", removal_reason="LEFT_INDEX")), {THERE})) == [[]]
