"""What a reader may not see leaves no trace in what they are answered: not in entries, pages, cursors or errors."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.domain.agreement import Facts
from broker.domain.entry import Entry
from broker.domain.identity import EntryKey
from broker.domain.policy import Permit, Query, Reader, Role, decide
from broker.store import database
from tests.integration.searching import Index, opened, state_like
from tests.unit.worlds import AT, CITIZENS, USER_KEYS, entries, facts, readers


@pytest.fixture
def index(database: str) -> Iterator[Index]:
    with opened(database) as index:
        yield index


def answered(index: Index, query: Query, **request: Any) -> list[bytes]:
    """Every page, as it goes out."""
    return [orjson.dumps(page) for page in index.pages(query, **request)]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
def test_the_answer_is_the_same_to_the_byte_as_if_what_is_hidden_were_not_there(
    index: Index, cases: list[Entry], reader: Reader, said: Facts, request: dict[str, str], limit: int
) -> None:
    states = [state_like(case, number) for number, case in enumerate(cases)]
    index.clear()
    index.put(states)
    index.facts.facts = said
    citizen = frozenset({f"CPR:{request['citizen']}"}) if "citizen" in request else None
    query = Query("sapa", replace(reader, role=Role.EMPLOYEE), citizen)
    before = answered(index, query, **request, limit=limit)

    with database.connect(index.dsn, "test") as connection:
        for case, (key, _) in zip(cases, states, strict=True):
            if not isinstance(decide(replace(case, key=key), query, said, AT), Permit):
                forget(connection, key)

    assert answered(index, query, **request, limit=limit) == before


def forget(connection: Any, key: EntryKey) -> None:
    connection.execute("DELETE FROM entry WHERE (authority, system, case_id) = (%s, %s, %s::uuid)", [*key])
