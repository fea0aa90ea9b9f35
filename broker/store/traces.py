"""What the database knows of one event's way. Metadata only."""

from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from broker.domain.identity import EntryKey
from broker.domain.outcome import read_verdict
from broker.store.database import query
from broker.stream.topics import CASE_EVENTS

Connection = psycopg.AsyncConnection[Any]
Place = tuple[str, int, int]
"""Topic, partition, offset."""


async def places(connection: Connection, event_id: str, since: datetime) -> list[Place]:
    """Where the receipts since then say that events of this id lie."""
    asked = {"event_id": event_id, "since": since, "topic": CASE_EVENTS.name}
    return [
        (row[0], row[1], row[2]) for row in await (await connection.execute(query("trace_places"), asked)).fetchall()
    ]


async def receipt(connection: Connection, place: Place, produced: datetime) -> dict[str, Any]:
    """When the request came (`received_at`) and its receipt was written (`at`); empty where none came here."""
    rows = await _rows(connection, "trace_receipt", **_named(place), produced=produced, cases=CASE_EVENTS.name)
    return rows[0] if rows else {}


async def outcome(connection: Connection, place: Place) -> dict[str, Any]:
    """What was decided and when: `status` and `code`; empty where nothing has been yet."""
    for row in await _rows(connection, "trace_outcome", **_named(place)):
        status, code = read_verdict(row.pop("verdict"))
        return {**row, "status": status, "code": code}
    return {}


async def refused(connection: Connection, event_id: str, since: datetime) -> list[dict[str, Any]]:
    """What the intake refused under this id."""
    return await _rows(connection, "trace_refused", event_id=event_id, since=since)


async def reads(connection: Connection, key: EntryKey, since: datetime) -> list[dict[str, Any]]:
    """When and in which overview the case was shown."""
    return await _rows(connection, "trace_reads", case=str(key), authority=key.authority, since=since)


async def marked(connection: Connection, key: EntryKey) -> datetime | None:
    """Since when it waits to be published; None: it does not."""
    rows = await _rows(connection, "trace_marked", **key._asdict())
    return rows[0]["since"] if rows else None


def _named(place: Place) -> dict[str, Any]:
    return dict(zip(("topic", "partition", "log_offset"), place, strict=True))


async def _rows(connection: Connection, name: str, **asked: Any) -> list[dict[str, Any]]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query(name), asked)
        return await cursor.fetchall()
