"""Rows of coverage: every area that a system is asked for, and whatever else is there."""

from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from broker.domain.agreement import AgreementState
from broker.domain.coverage import AREAS, OTHER, Kind, Known, areas_of, rows
from broker.domain.identity import SYSTEMS
from broker.domain.kle import Patterns
from tests.unit.worlds import PATTERNS

ON = date(2025, 6, 1)
NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)
AARHUS = "55133018"
CARE = Patterns.of(("27.*", "29.*"))


@given(st.sampled_from(sorted(SYSTEMS)), st.sampled_from(("", ":nord")))
def test_every_system_is_asked_for_some_area_and_an_instance_for_the_same_as_its_kind(base: str, instance: str) -> None:
    assert areas_of(base + instance) == areas_of(base)
    kinds = {AREAS[area] for area in areas_of(base)}
    assert kinds == ({Kind.ESDH, Kind.EOJ} if base == "sf1470" else {next(iter(kinds))})


def test_an_agreement_has_a_row_for_each_area_and_one_more_for_what_else_is_there() -> None:
    known = Known(
        {(AARHUS, "nexus"): (AgreementState.FULL, CARE, None)},
        entries={(AARHUS, "nexus", "27.*"): (7, 2, NOON, 1, 3), (AARHUS, "nexus", OTHER): (1, 0, NOON, 0, 0)},
        rejections={(AARHUS, "nexus", "29.*"): 3, (AARHUS, "sbsys", OTHER): 4},
        reconciled={(AARHUS, "nexus", "27.*"): (NOON, 0)},
    )
    told = {(row["system"], row["kle_area"]): row for row in rows(known, ON)}
    assert set(told) == {("nexus", "27.*"), ("nexus", "29.*"), ("nexus", OTHER), ("sbsys", OTHER)}
    care = told["nexus", "27.*"]
    names = ("state", "entries", "incomplete", "retention_overdue", "announced_retired", "last_event_at", "difference")
    assert [care[name] for name in names] == [
        "FULL",
        7,
        2,
        1,
        3,
        NOON,
        0,
    ]
    assert (told["nexus", "29.*"]["rejections_open"], told["nexus", "29.*"]["difference"]) == (3, None)
    assert (told["sbsys", OTHER]["state"], told["sbsys", OTHER]["announced_retired"]) == (None, 0)


def test_an_area_has_the_agreements_state_only_where_the_agreement_covers_something_of_it() -> None:
    def states(system: str, *patterns: str) -> dict[str, str | None]:
        known = Known({(AARHUS, system): (AgreementState.FULL, Patterns.of(patterns), date(2026, 1, 1))})
        told = rows(known, ON)
        assert all((row["state"] is None) == (row["dispensation_until"] is None) for row in told)
        return {row["kle_area"]: row["state"] for row in told}

    of_cases = {"02.*": None, "05.*": None, "32.45.04": None}
    assert states("acadre") == of_cases
    assert states("acadre", "27.*") == {**of_cases, "27.*": "FULL"}
    assert states("acadre", "02.34.*", "15.20.*") == {**of_cases, "02.*": "FULL", OTHER: "FULL"}
    assert states("acadre", "32.4*") == {**of_cases, "32.45.04": "FULL", OTHER: "FULL"}
    assert states("nexus", "N*") == dict.fromkeys((*AREAS, OTHER), "FULL")


def test_a_dispensation_is_shown_until_its_day() -> None:
    for until, shown in ((date(2025, 6, 2), date(2025, 6, 2)), (ON, None)):
        known = Known({(AARHUS, "nexus"): (AgreementState.DISPENSATION, CARE, until)})
        assert {row["dispensation_until"] for row in rows(known, ON)} == {shown}


@given(st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2))
def test_what_has_to_be_asked_again_shows_in_every_area_that_it_touches(patterns: list[str]) -> None:
    source = (AARHUS, "sf1470")
    known = Known({source: (AgreementState.FULL, CARE, None)}, asked={source: (tuple(patterns),)})
    asked = {row["kle_area"] for row in rows(known, ON) if row["ask_again"]}
    touched = {area for area in AREAS for pattern in patterns if pattern == "N*" or pattern[:2] == area[:2]}
    assert asked == touched
