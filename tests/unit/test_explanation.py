"""Explaining a decision: there is no second set of rules."""

from dataclasses import replace

from hypothesis import given

from broker.domain.explanation import Origin, Verdict, explain
from broker.domain.policy import POLICY, Permit, judge
from tests.unit.worlds import AT, World, worlds

ORIGIN = Origin("event-1", "2025-01-01T00:00:00Z", "27.36.04", None, "2024-01-01", 1, changed_since=False)


@given(worlds())
def test_the_verdict_is_that_of_decide_and_each_step_that_of_its_test(world: World) -> None:
    overview = POLICY[world.query.overview]
    told = explain(overview, world.entry, world.query, world.facts, AT, ORIGIN)
    assert (told.verdict is Verdict.PERMIT) is isinstance(world.verdict, Permit)
    judged = list(judge(overview, world.entry, world.query, world.facts, AT))
    steps = told.steps[-len(judged) :]
    assert [(step.step, step.verdict is Verdict.DENY) for step in steps] == [
        (name, reason is not None) for name, reason in judged
    ]
    assert all(step.because == reason for step, (_, reason) in zip(steps, judged, strict=True) if reason is not None)


@given(worlds())
def test_of_a_case_that_has_changed_since_nothing_is_claimed(world: World) -> None:
    origin = replace(ORIGIN, changed_since=True)
    told = explain(POLICY[world.query.overview], world.entry, world.query, world.facts, AT, origin)
    assert (told.verdict, told.steps[0].verdict) == (Verdict.UNKNOWN, Verdict.UNKNOWN)


@given(worlds())
def test_no_step_names_a_party_or_a_user_key(world: World) -> None:
    told = str(explain(POLICY[world.query.overview], world.entry, world.query, world.facts, AT, ORIGIN))
    assert not any(party in told for _, party in world.entry.parties)
