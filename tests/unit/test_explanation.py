"""Explaining a decision: there is no second set of rules."""

from dataclasses import replace
from typing import Any

from hypothesis import given

from broker.domain.explanation import Explanation, Origin, Verdict, explain
from broker.domain.policy import POLICY, Permit, Reason, judge
from tests.unit import overviews as overviews_worlds
from tests.unit.overviews import base
from tests.unit.worlds import AT, World, worlds

Asked = overviews_worlds.World
overviews = overviews_worlds.worlds
ORIGIN = Origin("event-1", "2025-01-01T00:00:00Z", "27.36.04", None, "2024-01-01", 1, changed_since=False)


def explained(world: World | Asked, **origin: Any) -> Explanation:
    row = world.facts.policy[world.query.overview]
    return explain(row, world.entry, world.query, world.facts, AT, replace(ORIGIN, **origin))


def judged(world: World | Asked) -> list[tuple[str, Reason | None]]:
    row = world.facts.policy[world.query.overview]
    return list(judge(row, world.entry, world.query, world.facts, AT))


@given(worlds())
def test_the_verdict_is_that_of_decide_and_each_step_that_of_its_test(world: World) -> None:
    overview = POLICY[world.query.overview]
    told = explain(overview, world.entry, world.query, world.facts, AT, ORIGIN)
    assert (told.verdict is Verdict.PERMIT) is isinstance(world.verdict, Permit)
    each = judged(world)
    steps = told.steps[-len(each) :]
    assert [(step.step, step.verdict is Verdict.DENY) for step in steps] == [
        (name, reason is not None) for name, reason in each
    ]
    assert all(step.because == reason for step, (_, reason) in zip(steps, each, strict=True) if reason is not None)


@given(worlds())
def test_of_a_case_that_has_changed_nothing_is_claimed_but_a_denial_that_rests_not_on_it(
    world: World,
) -> None:
    told = explained(world, changed_since=True)
    denied = {name for name, reason in judged(world) if reason is not None}
    stands = denied & {"role", "effort", "no_objection", "written_purpose", "control_case"}
    assert told.verdict is (Verdict.DENY if stands else Verdict.UNKNOWN)
    assert told.steps[0].verdict is Verdict.UNKNOWN


@given(overviews())
def test_whom_numbers_were_joined_to_since_is_denied_by_the_request_alone(world: Asked) -> None:
    denied = {name for name, reason in judged(world) if reason is not None}
    stands = denied & {"role", "written_purpose", "control_case"}
    told = explained(world, joined_since=True)
    assert told.verdict is (Verdict.DENY if stands else Verdict.UNKNOWN)
    assert "register" in {step.step for step in told.steps if step.verdict is Verdict.UNKNOWN}


@given(overviews())
def test_without_the_policy_of_then_nothing_is_claimed(world: Asked) -> None:
    told = explained(world, policy_known=False, changed_since=True)
    assert told.verdict is Verdict.UNKNOWN
    assert "policy" in {step.step for step in told.steps if step.verdict is Verdict.UNKNOWN}


@given(overviews())
def test_a_denial_that_is_claimed_of_then_is_one_whatever_the_case_was(world: Asked) -> None:
    if explained(world, changed_since=True).verdict is Verdict.DENY:
        for entry in (base(name).entry for name in POLICY):
            assert not replace(world, entry=entry).permitted


@given(worlds())
def test_no_step_names_a_party_or_a_user_key(world: World) -> None:
    told = str(explain(POLICY[world.query.overview], world.entry, world.query, world.facts, AT, ORIGIN))
    assert not any(party in told for _, party in world.entry.parties)
