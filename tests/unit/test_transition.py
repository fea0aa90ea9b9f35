"""Nobody but the municipality lets in more, by any way; and each step shows what it asks for."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.domain.agreement import ACCEPTING, AgreementState, outside
from broker.domain.case import SENSITIVITY, SENSITIVITY_NAMES
from broker.domain.transition import (
    BESIDE,
    WAY,
    Past,
    Refused,
    Step,
    Who,
    Why,
    accepts,
    follows,
    lapsed,
    narrows,
    reader_step,
    step,
    widens,
)
from broker.store.facts import reader_agreement, sender_agreement
from tests.unit.worlds import CITIZENS, NUMBERS, PATTERNS

ON = date(2025, 6, 1)
PERSONS = tuple(citizen.removeprefix("CPR:") for citizen in CITIZENS)
Body = dict[str, Any]
AREAS = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2, unique=True)
DAYS = st.sampled_from(("2024-01-01", "2025-01-01", "2025-06-01", "2026-01-01"))
CLEAR: Body = {"domain": "d", "case": "c", "primary_party": "p", "states": {"a": "OPLYST"}, "kle": ["N*"]}
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "state": st.sampled_from([str(state) for state in (*WAY, *BESIDE, *ACCEPTING, *ACCEPTING)]),
    "kle": AREAS,
    "sensitivity": st.sampled_from(sorted(SENSITIVITY)),
    "from_date": DAYS,
    "restricted": st.fixed_dictionaries(
        {
            "kle": st.lists(st.sampled_from(PATTERNS), max_size=2, unique=True),
            "citizens": st.lists(st.sampled_from(PERSONS), max_size=1),
        }
    ),
    "dispensation_until": st.none() | DAYS,
    "signed_by": st.none() | st.just("Ea"),
    "clarification": st.sampled_from(([], [CLEAR])),
    "override": st.booleans(),
}
BODIES = st.fixed_dictionaries(
    {**FIELDS, "authority": st.just("55133018"), "system": st.just("sbsys"), "signed_at": st.just("2024-01-01")}
)
CHANGES = st.lists(
    st.sampled_from(sorted(FIELDS)).flatmap(lambda name: st.tuples(st.just(name), FIELDS[name])), max_size=2
).map(dict)
PASTS = st.builds(Past, st.none() | st.sampled_from(WAY), st.none() | st.sampled_from((0, 1)), st.booleans())
OTHERS = st.sampled_from((Who.OPERATOR, Who.SYSTEM))
CASES = [
    (date.fromisoformat(day), level, number, list(persons))
    for day in ("2023-01-01", "2024-06-01", "2025-06-01", "2026-06-01")
    for level in sorted(SENSITIVITY_NAMES)
    for number in NUMBERS
    for persons in ((), PERSONS[:1], PERSONS[1:])
]
OPEN = BODIES.flatmap(lambda body: st.sampled_from(sorted(ACCEPTING)).map(lambda state: body | {"state": str(state)}))
Case = tuple[date, int, str, list[str]]


def takes(body: Body, case: Case) -> bool:
    agreement = sender_agreement(body, 1)
    return agreement.state in ACCEPTING and outside(agreement, *case) is None


def taken(body: Body) -> list[Case]:
    return [case for case in CASES if takes(body, case)]


@settings(max_examples=400)
@given(body=OPEN, steps=st.lists(st.tuples(CHANGES, OTHERS, PASTS), min_size=1, max_size=4))
def test_whatever_operators_and_the_system_do_nothing_is_taken_that_was_not(
    body: Body, steps: list[tuple[Body, Who, Past]]
) -> None:
    now = body
    for changes, who, past in steps:
        after = now | changes
        if isinstance(step(now, after, past, who, ON), Step):
            now = after
    before = taken(body)
    assert [case for case in taken(now) if case not in before] == []


@settings(max_examples=400)
@given(before=OPEN | BODIES, changes=CHANGES)
def test_what_does_not_widen_takes_no_more_and_what_does_not_narrow_takes_no_less(before: Body, changes: Body) -> None:
    was, comes = taken(before), taken(before | changes)
    assert widens(before, before | changes) or all(case in was for case in comes)
    assert narrows(before, before | changes) or all(case in comes for case in was)


@given(after=BODIES, who=OTHERS, past=PASTS)
def test_nobody_else_begins_an_agreement(after: Body, who: Who, past: Past) -> None:
    refused = step(None, after, past, who, ON)
    assert isinstance(refused, Refused)
    assert refused.why is Why.NOT_YOURS


@given(before=BODIES, changes=BODIES | CHANGES, past=PASTS)
def test_without_override_nothing_opens_that_was_not_signed_clarified_mapped_connected_and_found_compliant(
    before: Body, changes: Body, past: Past
) -> None:
    after = before | changes | {"override": False}
    judged = step(before, after, past, Who.MUNICIPALITY, ON)
    if isinstance(judged, Refused) or not accepts(after):
        return
    stood = AgreementState(before["state"])
    reached = stood if stood in WAY else past.reached
    assert reached is not None
    if WAY.index(AgreementState(after["state"])) > WAY.index(reached):
        assert (after["signed_by"], after["clarification"], past.unmapped, past.passed) == ("Ea", [CLEAR], 0, True)


@given(before=st.none() | BODIES, after=BODIES, past=PASTS)
def test_override_lets_the_municipality_do_anything_and_says_what_stood_against_it(
    before: Body | None, after: Body, past: Past
) -> None:
    plain = step(before, after | {"override": False}, past, Who.MUNICIPALITY, ON)
    judged = step(before, after | {"override": True}, past, Who.MUNICIPALITY, ON)
    assert isinstance(judged, Step)
    assert judged.overrides == (plain.why if isinstance(plain, Refused) else None)


@given(body=BODIES, past=PASTS)
def test_a_dispensation_that_is_over_opens_nothing_and_may_be_put_by_the_system_on_its_day(
    body: Body, past: Past
) -> None:
    given_ = body | {"state": "DISPENSATION", "dispensation_until": ON.isoformat()}
    after = lapsed(given_, past)
    assert not accepts(after)
    assert isinstance(step(given_, after, past, Who.SYSTEM, ON), Step)
    assert isinstance(step(given_, after, past, Who.SYSTEM, date(2025, 5, 31)), Refused)


@pytest.mark.parametrize(
    ("before", "after", "reached", "may"),
    [
        (None, "DRAFT", None, True),
        (None, "SUSPENDED", None, False),
        ("DRAFT", "CLARIFIED", "DRAFT", False),
        ("FULL", "SIGNED", "FULL", True),
        ("FULL", "SUSPENDED", "FULL", True),
        ("SUSPENDED", "FULL", "FULL", True),
        ("SUSPENDED", "FULL", "RESTRICTED", False),
        ("DISPENSATION", "CONNECTED", "MAPPED", False),
        ("ENDED", "SUSPENDED", "FULL", False),
        ("ENDED", "FULL", "FULL", False),
        ("ENDED", "DRAFT", "FULL", True),
    ],
)
def test_the_way(before: str | None, after: str, reached: str | None, may: bool) -> None:  # noqa: FBT001 - an expectation
    def state(name: str | None) -> AgreementState | None:
        return None if name is None else AgreementState(name)

    assert follows(state(before), AgreementState(after), state(reached)) is may


def test_the_first_thing_that_is_lacking_is_what_is_told() -> None:
    body: Body = {
        "state": "COMPLIANT",
        "kle": ["27.*"],
        "sensitivity": "VIP_SAGER",
        "from_date": "2020-01-01",
        "signed_by": None,
        "signed_at": None,
    }
    before, told = body | {"state": "CONNECTED"}, []
    past = [Past(), Past(), Past(), Past(unmapped=3), Past(unmapped=0), Past(unmapped=0, passed=True)]
    mended: list[Body] = [{}, {"signed_by": "Ea", "signed_at": "2024-01-01"}, {"clarification": [CLEAR]}, {}, {}, {}]
    for known, more in zip(past, mended, strict=True):
        body |= more
        judged = step(before, body, known, Who.MUNICIPALITY, ON)
        told.append(judged.why if isinstance(judged, Refused) else None)
    assert told == [Why.UNSIGNED, Why.UNCLARIFIED, Why.UNMAPPED, Why.UNMAPPED, Why.NOT_COMPLIANT, None]


def test_only_an_event_that_comes_through_connects() -> None:
    body = {"kle": ["27.*"], "sensitivity": "VIP_SAGER", "from_date": "2020-01-01", "clarification": [CLEAR]}
    before = body | {"state": "MAPPED", "signed_by": "Ea", "signed_at": "2024-01-01"}
    after, past = before | {"state": "CONNECTED"}, Past(unmapped=0)
    by = {who: step(before, after, past, who, ON) for who in Who}
    assert isinstance(by[Who.SYSTEM], Step)
    assert [by[who].why for who in (Who.MUNICIPALITY, Who.OPERATOR) if isinstance(by[who], Refused)] == [  # type: ignore[union-attr]
        Why.NOT_CONNECTED,
        Why.NOT_YOURS,
    ]


@given(
    before=BODIES,
    changes=CHANGES,
    ends=st.tuples(st.none() | DAYS, st.none() | DAYS),
    on=DAYS.map(date.fromisoformat),
    number=st.sampled_from(NUMBERS),
    level=st.integers(1, 4),
)
def test_an_operator_opens_no_reader_agreement_either(
    before: Body, changes: Body, ends: tuple[str | None, str | None], on: date, number: str, level: int
) -> None:
    reading = before | {"overview": "sapa", "client": "*", "to_date": ends[0]}
    after = reading | changes | {"to_date": ends[1]}
    if isinstance(reader_step(reading, after, Who.OPERATOR), Refused):
        return

    def shows(body: Body) -> bool:
        agreement = reader_agreement(body)
        return agreement.in_force(on) and agreement.kle.covers(number) and level <= agreement.sensitivity

    assert shows(reading) or not shows(after)
