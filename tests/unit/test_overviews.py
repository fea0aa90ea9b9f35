"""Every overview as its table says: against an oracle, and no test of the policy can be left out unnoticed."""

import os
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import Phase, find, given, settings

from broker.domain.audience import Audience, Nobody, audience
from broker.domain.policy import (
    CASE_TESTS,
    POLICY,
    REQUEST_TESTS,
    TESTS,
    BreakGlass,
    Deny,
    Permit,
    Reason,
    Role,
    decide,
    flaws,
    glass_broken,
    judge,
    refused,
)
from tests.unit.overviews import DENIED, World, base, facts_with, reader_with, shown, worlds

# `SAGSBRO_CASES=100000` is the nightly size.
CASES = int(os.environ.get("SAGSBRO_CASES", "500"))
LARGE = settings(max_examples=CASES)
SEARCHED = settings(max_examples=30_000, phases=[Phase.generate], database=None)


TESTS_OF_ROWS = [(name, test) for name, row in POLICY.items() for test in row.tests]


@pytest.mark.parametrize("overview", POLICY)
def test_each_overview_shows_the_case_that_all_is_as_it_should_be_for(overview: str) -> None:
    assert base(overview).permitted
    assert shown(base(overview))


@pytest.mark.timeout(0)
@LARGE
@given(worlds())
def test_decide_is_the_table_of_overviews(world: World) -> None:
    assert world.permitted == shown(world)


@pytest.mark.parametrize(("overview", "test"), TESTS_OF_ROWS)
def test_each_test_of_the_policy_denies_alone_what_it_is_there_for(overview: str, test: str) -> None:
    world = DENIED[test](base(overview))
    reasons = judge(POLICY[overview], world.entry, world.query, world.facts, world.at)
    assert [name for name, reason in reasons if reason is not None] == [test]
    assert not shown(world)


@pytest.mark.parametrize(("overview", "test"), TESTS_OF_ROWS)
def test_no_test_of_the_policy_can_be_turned_round_unnoticed(
    overview: str, test: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables: tuple[dict[str, Callable[..., Reason | None]], ...] = (REQUEST_TESTS, CASE_TESTS, TESTS)
    (table,) = (table for table in tables if test in table)
    straight = table[test]
    monkeypatch.setitem(table, test, lambda *asked: Reason.ROLE if straight(*asked) is None else None)
    for world in (base(overview), DENIED[test](base(overview))):
        assert world.permitted != shown(world)


@pytest.mark.parametrize("overview", POLICY)
def test_no_other_role_can_be_let_in_unnoticed(overview: str) -> None:
    row = POLICY[overview]
    for role in Role:
        other = reader_with(role=role)(base(overview))
        loosened = facts_with(policy={**POLICY, overview: replace(row, role=role)})(other)
        assert loosened.permitted
        assert shown(loosened) is (role is row.role)


@pytest.mark.parametrize(("overview", "test"), TESTS_OF_ROWS)
def test_no_test_of_the_policy_can_be_left_out_unnoticed(overview: str, test: str) -> None:
    row = POLICY[overview]
    weaker = {**POLICY, overview: replace(row, tests=tuple(each for each in row.tests if each != test))}

    def noticed(world: World) -> bool:
        # A world may say a policy of its own: only the tests are weaker in it.
        said = world.facts.policy[overview]
        policy = {**weaker, overview: replace(said, tests=weaker[overview].tests)}
        return replace(world, facts=replace(world.facts, policy=policy)).permitted != shown(world)

    find(worlds((overview,)), noticed, settings=SEARCHED)


@given(worlds())
def test_nobody_whom_decide_permits_is_outside_the_audience(world: World) -> None:
    row = world.facts.policy[world.query.overview]
    if world.permitted and not glass_broken(world.query, row):
        reached = audience(world.entry, row.name, world.facts, world.at)
        assert isinstance(reached, Audience)
        assert reached.admits(world.query, world.at)


@given(worlds())
def test_an_audience_of_nobody_means_that_everyone_is_denied_but_by_breaking_glass(world: World) -> None:
    row = world.facts.policy[world.query.overview]
    if isinstance(audience(world.entry, row.name, world.facts, world.at), Nobody):
        assert not world.permitted or glass_broken(world.query, row)


@given(worlds())
def test_the_verdict_is_that_of_the_first_test_that_denies(world: World) -> None:
    row = world.facts.policy[world.query.overview]
    verdicts = list(judge(row, world.entry, world.query, world.facts, world.at))
    assert [name for name, _ in verdicts] == ["role", *row.tests]
    first = next((reason for _, reason in verdicts if reason is not None), None)
    verdict = decide(world.entry, world.query, world.facts, world.at)
    assert verdict == Deny(first) if first is not None else isinstance(verdict, Permit)


def with_glass(world: World) -> World:
    """The reader breaks the glass as the policy asks."""
    return replace(world, query=replace(world.query, break_glass=BreakGlass("Sundhedsloven § 43", "Akut")))


BROKEN = worlds(("hoi",)).map(with_glass)


def only_by_breaking_it(world: World) -> bool:
    return world.permitted and not replace(world, query=replace(world.query, break_glass=None)).permitted


@given(BROKEN)
def test_a_broken_glass_stands_in_for_a_missing_consent_and_for_nothing_else(world: World) -> None:
    if only_by_breaking_it(world):
        row, whole = world.facts.policy["hoi"], replace(world.query, break_glass=None)
        reasons = [reason for _, reason in judge(row, world.entry, whole, world.facts, world.at) if reason]
        assert reasons == [Reason.NO_CONSENT]


def test_there_are_worlds_in_which_breaking_the_glass_is_what_shows_the_case() -> None:
    find(BROKEN, only_by_breaking_it, settings=SEARCHED)


def test_the_policy_that_is_shipped_has_no_flaw() -> None:
    assert flaws(POLICY) == []


@pytest.mark.parametrize("overview", POLICY)
def test_a_question_without_the_effort_that_the_row_asks_about_is_refused_and_would_show_nothing(overview: str) -> None:
    world = base(overview)
    unnamed = replace(world, query=replace(world.query, effort_id=None))
    reason = refused(POLICY[overview], unnamed.query)
    asked = "effort" in POLICY[overview].tests
    assert reason is (Reason.EFFORT_MISSING if asked else None)
    assert unnamed.permitted is not asked
    broken = replace(unnamed.query, break_glass=BreakGlass("Sundhedsloven § 43", "Akut"))
    assert refused(POLICY[overview], broken) is None
