"""Putting generated cases into a real index and reading them back the only way there is."""

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool

from broker.domain.agreement import Facts
from broker.domain.case import SENSITIVITY_NAMES, CaseEvent, State, said_by, stamp_of
from broker.domain.entry import Entry, entry_of
from broker.domain.identity import EntryKey
from broker.domain.policy import POLICY, Query
from broker.overviews.request import SearchRequest
from broker.overviews.search import Answer, Refused, search
from broker.store import database, document
from tests.unit.worlds import AT as AT  # noqa: PLC0414 - tests take it from here

INSERT = """
    INSERT INTO entry (authority, system, case_id, newest, shape, complete, kle, sensitivity, primary_party, parties,
                       principals, user_key, created_at, received_at, document)
    VALUES (%s, %s, %s, %s, 0, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


class OneFacts:
    """Reference data that a test says."""

    def __init__(self) -> None:
        self.facts = Facts()

    async def current(self, connection: object, revision: int | None = None) -> Facts:
        del connection, revision
        return self.facts


@dataclass(frozen=True)
class Index:
    """A real index, and reading from it."""

    dsn: str
    pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]]
    runner: asyncio.Runner
    facts: OneFacts = field(default_factory=OneFacts)
    journeys: list[tuple[str, str]] = field(default_factory=list)

    def clear(self) -> None:
        with database.connect(self.dsn, "test") as connection:
            connection.execute("TRUNCATE entry, access_log, source_freshness")

    def put(self, states: Sequence[tuple[EntryKey, State]]) -> None:
        with database.connect(self.dsn, "test") as connection, connection.cursor() as cursor:
            cursor.executemany(INSERT, [row(key, state) for key, state in states])

    def ask(self, query: Query, **request: Any) -> Answer | Refused:
        asked = SearchRequest.model_validate(request)
        return self.runner.run(search(self, query.reader, POLICY[query.overview], asked, AT))

    def answer(self, query: Query, **request: Any) -> Answer:
        answer = self.ask(query, **request)
        assert isinstance(answer, Answer)
        return answer

    def pages(self, query: Query, **request: Any) -> Iterator[Answer]:
        cursor = None
        while True:
            page = self.answer(query, **request, cursor=cursor)
            yield page
            cursor = page.next_cursor
            if cursor is None:
                return

    def logged(self) -> list[dict[str, Any]]:
        with database.connect(self.dsn, "test") as connection:
            rows = connection.execute("SELECT to_jsonb(l) FROM access_log l ORDER BY id").fetchall()
        return [row for (row,) in rows]


def noting(journeys: list[tuple[str, str]]) -> type[psycopg.AsyncCursor[Any]]:
    """Cursors that note each statement with the plan that PostgreSQL makes of it there and then."""

    class Noting(psycopg.AsyncCursor[Any]):
        async def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
            plan = ""
            if isinstance(query, bytes):  # from a file, so of ours; others set a role or begin something
                cursor = psycopg.AsyncCursor(self.connection)
                await cursor.execute(b"EXPLAIN (COSTS OFF) " + query, params)
                plan = "\n".join(line for (line,) in await cursor.fetchall())
            journeys.append((str(query), plan))
            return await super().execute(query, params, **options)

    return Noting


@contextmanager
def opened(dsn: str, *, noted: bool = False) -> Iterator[Index]:
    """An empty index on that database; `noted`: with each statement that reading it sends, in order."""
    database.migrate(dsn)
    journeys: list[tuple[str, str]] = []
    options = {"autocommit": True} | ({"cursor_factory": noting(journeys)} if noted else {})
    with asyncio.Runner() as runner:
        pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]] = AsyncConnectionPool(
            database.conninfo(dsn, "test"), kwargs=options, min_size=1, max_size=1 if noted else 2, open=False
        )
        runner.run(pool.open())
        try:
            yield Index(dsn, pool, runner, journeys=journeys)
        finally:
            runner.run(pool.close())


def row(key: EntryKey, state: State) -> tuple[Any, ...]:
    """The columns of the index, as the batch writer derives them."""
    entry = entry_of(key, state)
    primary = entry.parties[0][1] if entry.parties and entry.parties[0][0] == "PRIMARY" else None
    others = [f"{role}|{party}" for role, party in entry.parties[0 if primary is None else 1 :]] or None
    return (
        *key,
        state.source[0],
        entry.complete,
        entry.kle,
        entry.sensitivity,
        primary,
        others,
        None if entry.principals is None else sorted(entry.principals),
        entry.user_key,
        entry.created_at,
        AT,
        document.dump(state),
    )


def state_like(entry: Entry, number: int, **groups: Any) -> tuple[EntryKey, State]:
    """A case whose index row comes out as the entry; `groups` are put over it."""
    key = EntryKey(entry.key.authority, entry.key.system, str(uuid.UUID(int=number)))
    event: dict[str, Any] = {
        "event_id": str(uuid.UUID(int=number)),
        "authority": key.authority,
        "system": key.system,
        "case_id": key.case_id,
        "registered_at": 1_700_000_000_000_000 + number,
        "change": "REGISTERED",
        "properties": {"user_key": entry.user_key, "title": f"Sag {number}", "created_at": entry.created_at},
        "access": {"sensitivity": SENSITIVITY_NAMES[entry.sensitivity]},
        "parties": listed(*map(party, range(9), entry.parties)),
    }
    if entry.complete:
        event["progress"] = listed({"state": entry.state, "effective_from": 0})
    if entry.kle is not None:
        original = {"kle": entry.kle}
        event["classification"] = {"kle": entry.kle, "facet": None, "original": original, "edition": "2024-01-01"}
    if entry.principals is not None:
        event["security_profile"] = listed(*({"item_id": one, "principal_id": one} for one in sorted(entry.principals)))
    event |= groups
    said: CaseEvent = event  # type: ignore[assignment]
    source = {"event_id": event["event_id"], "agreement_version": 1}
    return key, said_by(said, stamp_of(said, bytes(8)), source)


def party(number: int, role_and_reference: tuple[str, str]) -> dict[str, Any]:
    """One party of an event."""
    role, reference = role_and_reference
    id_type, _, party_id = reference.partition(":")
    return {"item_id": str(number), "role": role, "id_type": id_type, "id": party_id}


def listed(*items: dict[str, Any]) -> dict[str, Any]:
    """A complete list."""
    return {"complete": True, "items": list(items)}
