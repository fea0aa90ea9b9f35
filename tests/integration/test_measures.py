"""What the database tells for all processes, of rows as they may stand there."""

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from broker.store import measures
from broker.store.database import connect, migrate


@pytest.fixture
def store(database: str) -> Iterator[psycopg.Connection[Any]]:
    migrate(database)
    with connect(database, "test") as connection:
        yield connection


def _reject(store: psycopg.Connection[Any], system: str, state: str, minutes: int) -> None:
    store.execute(
        "INSERT INTO rejection (rejection_id, authority, system, code, pointer, detail, state, at)"
        " VALUES (%s, 'a', %s, 'kle_unknown', '', '', %s, now() - %s * interval '1 minute')",
        [uuid.uuid4(), system, state, minutes],
    )


def test_what_came_within_the_hour_counts_also_when_it_has_been_mended(store: psycopg.Connection[Any]) -> None:
    for state, minutes in (("open", 5), ("replayed", 10), ("discarded", 50), ("open", 70)):
        _reject(store, "nova", state, minutes)
    _reject(store, "sbsys:two", "open", 90)
    _reject(store, "sbsys", "open", 91)
    _reject(store, "edoc", "replayed", 92)
    now = measures.read(store)
    assert now.rejections == {("nova", "kle_unknown"): 2, ("sbsys", "kle_unknown"): 2}
    assert now.rejected == {("nova", "kle_unknown"): 3, ("sbsys", "kle_unknown"): 0}


def test_how_long_a_change_of_a_person_waits_is_that_of_the_oldest(store: psycopg.Connection[Any]) -> None:
    assert measures.read(store).purging == {(): 0}
    for lane, seconds in ((0, 30), (0, 90), (0, None), (1, 900)):
        store.execute(
            "INSERT INTO dirty (authority, system, case_id, revision, lane, asked_at)"
            " VALUES ('a', 's', %s, 1, %s, now() - %s * interval '1 second')",
            [uuid.uuid4(), lane, seconds],
        )
    assert 90 <= measures.read(store).purging[()] < 300
