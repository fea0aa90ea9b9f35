"""What a reader may not see leaves no trace: not in entries, pages, cursors or errors, and not in the way there.

The way there is the statements that are sent to the database, in their order, each with its plan: a read that finds
only what is hidden takes the one that a read takes that finds nothing. No clock is looked at, so none can be wrong.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.domain.agreement import Facts
from broker.domain.entry import Entry
from broker.domain.identity import EntryKey
from broker.domain.policy import POLICY, REQUEST_TESTS, Permit, Query, Reader, Role, decide
from broker.overviews.reading import Caller
from broker.store import database
from tests.integration.paths import told_of
from tests.integration.searching import Index, opened, state_like
from tests.integration.test_oracle import register, said_with, state_as
from tests.unit.overviews import DENIED, World, base
from tests.unit.worlds import AT, CITIZENS, USER_KEYS, entries, facts, readers


@pytest.fixture
def index(database: str) -> Iterator[Index]:
    with opened(database, noted=True) as index:
        yield index


Way = list[tuple[str, str]]


def answered(index: Index, query: Query, **request: Any) -> tuple[list[bytes], Way]:
    """Every page, as it goes out, and the way there."""
    index.journeys.clear()
    return [orjson.dumps(page) for page in index.pages(query, **request)], [*index.journeys]


def explained_of(index: Index, query: Query, key: EntryKey) -> tuple[dict[EntryKey, str], Way]:
    """What the citizen is told of a case, and the way there."""
    index.journeys.clear()
    return told_of(index, query, [key], Caller(query.reader, frozenset())), [*index.journeys]


@settings(max_examples=50)
@given(
    cases=st.lists(entries(), max_size=8),
    reader=readers(),
    said=facts(),
    request=st.sampled_from(
        [
            *({"citizen": citizen.removeprefix("CPR:")} for citizen in CITIZENS),
            *({"user_key": key} for key in USER_KEYS),
        ]
    ),
    limit=st.integers(1, 3),
)
def test_the_answer_and_the_way_to_it_are_the_same_as_if_what_is_hidden_were_not_there(
    index: Index, cases: list[Entry], reader: Reader, said: Facts, request: dict[str, str], limit: int
) -> None:
    states = [state_like(case, number) for number, case in enumerate(cases)]
    index.clear()
    index.put(states)
    index.facts.facts = said
    citizen = frozenset({f"CPR:{request['citizen']}"}) if "citizen" in request else None
    query = Query("sapa", replace(reader, role=Role.EMPLOYEE), citizen)
    index.answer(query, **request)  # a connection's first read looks up what the next ones know
    before = answered(index, query, **request, limit=limit)

    with database.connect(index.dsn, "test") as connection:
        for case, (key, _) in zip(cases, states, strict=True):
            if not isinstance(decide(replace(case, key=key), query, said, AT), Permit):
                forget(connection, key)

    assert answered(index, query, **request, limit=limit) == before


MANY = 60
"""Hidden cases, of a reader who asks for one."""


def test_many_cases_that_are_hidden_whatever_hides_them_are_as_none(index: Index) -> None:
    for overview, row in POLICY.items():
        for test in row.tests:
            if test not in REQUEST_TESTS:
                as_none(index, DENIED[test](base(overview)))


def as_none(index: Index, world: World) -> None:
    """To this reader, whom its case is hidden from."""
    index.facts.facts = replace(world.facts, persons={})
    register(index.dsn, world.facts.persons.values())
    asked = {"citizen": CITIZENS[0][4:], "limit": 1, **said_with(world.query)}
    states = [state_as(world.entry, number) for number in range(MANY)]
    index.clear()
    index.answer(world.query, **asked)
    nothing = answered(index, world.query, **asked), explained_of(index, world.query, states[0][0])
    assert nothing[1][0] == {}
    index.put(states)
    assert (answered(index, world.query, **asked), explained_of(index, world.query, states[0][0])) == nothing


def forget(connection: Any, key: EntryKey) -> None:
    connection.execute("DELETE FROM entry WHERE (authority, system, case_id) = (%s, %s, %s::uuid)", [*key])
