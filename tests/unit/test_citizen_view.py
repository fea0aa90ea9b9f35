"""The municipality's switches of what citizens see: the longest pattern counts, and nothing is shown that is not on."""

from dataclasses import replace
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from broker.domain.agreement import CitizenView, citizen_view
from broker.domain.kle import Patterns
from tests.unit.worlds import NUMBERS, PATTERNS, SYSTEMS

SINCE = date(2022, 1, 1)
ON = CitizenView(
    "55133018",
    Patterns.of(["N*"]),
    on=True,
    from_date=SINCE,
    active_exempt=False,
    systems=frozenset(),
    title="KLE",
    documents=False,
)
VIEWS = st.lists(st.sampled_from(PATTERNS), max_size=4, unique=True).map(
    lambda patterns: [replace(ON, kle=Patterns.of([pattern])) for pattern in patterns]
)
DAYS = st.sampled_from((date(2021, 12, 31), SINCE))
STATES = st.sampled_from((None, "OPSTAAET", "AFSLUTTET"))


@given(VIEWS, st.sampled_from(NUMBERS))
def test_the_longest_pattern_that_covers_a_number_counts_in_whatever_order(
    views: list[CitizenView], number: str
) -> None:
    counts = citizen_view(tuple(views), number)
    assert counts == citizen_view(tuple(reversed(views)), number)
    longest = max((len(view.kle.prefixes[0]) for view in views if view.kle.covers(number)), default=None)
    assert (None if counts is None else len(counts.kle.prefixes[0])) == longest


@given(st.sampled_from(SYSTEMS), DAYS, STATES)
def test_switched_off_nothing_is_shown(system: str, day: date, state: str | None) -> None:
    assert not replace(ON, on=False, active_exempt=True).shows(system, day, state)


@given(DAYS, STATES, st.booleans())
def test_an_older_case_is_shown_only_where_active_ones_are_exempt_and_it_is(
    day: date,
    state: str | None,
    exempt: bool,  # noqa: FBT001 - drawn
) -> None:
    shown = replace(ON, active_exempt=exempt).shows("sbsys", day, state)
    assert shown == (day >= SINCE or (exempt and state != "AFSLUTTET"))


def test_a_source_that_is_not_named_is_filtered_out() -> None:
    named = replace(ON, systems=frozenset({"sbsys"}))
    assert [named.shows(system, SINCE, None) for system in ("sbsys", "nexus", "sbsys:nord")] == [True, False, False]
