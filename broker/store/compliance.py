"""Compliance runs: when one was begun, what came since, what was said of it. Each function is one transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from broker.store.database import query

Connection = AsyncConnection[tuple[Any, ...]]


class Outcomes(NamedTuple):
    """Verdicts of a stretch of one partition, a byte each."""

    partition: int
    first_offset: int
    next_offset: int
    verdicts: bytes


class Refusal(NamedTuple):
    """Of one event; partition and offset where a worker refused it."""

    event_id: str | None
    code: str
    pointer: str
    at_intake: bool
    partition: int | None
    log_offset: int | None


async def begin(connection: Connection, authority: str, system: str) -> datetime:
    """What comes from now on counts."""
    cursor = await connection.execute(
        "INSERT INTO compliance_start (authority, system) VALUES (%s, %s) RETURNING at",
        [authority, system],
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError("no run was begun")
    began: datetime = row[0]
    return began


async def begun(connection: Connection, authority: str, system: str) -> datetime | None:
    """When the newest was."""
    cursor = await connection.execute(
        "SELECT max(at) FROM compliance_start WHERE authority = %s AND system = %s", [authority, system]
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def put(connection: Connection, authority: str, system: str, *, passed: bool, report: Mapping[str, Any]) -> None:
    """Keep what was said."""
    await connection.execute(
        "INSERT INTO compliance_run (authority, system, at, passed, report) VALUES (%s, %s, clock_timestamp(), %s, %s)",
        [authority, system, passed, Jsonb(report)],
    )


async def outcomes(connection: Connection, topic: str, since: datetime) -> list[Outcomes]:
    """All senders', in order."""
    cursor = await connection.execute(query("compliance_outcomes"), {"topic": topic, "since": since})
    return [Outcomes(*row) for row in await cursor.fetchall()]


async def refusals(connection: Connection, authority: str, system: str, since: datetime) -> list[Refusal]:
    """One sender's."""
    asked = {"authority": authority, "system": system, "since": since}
    cursor = await connection.execute(query("compliance_rejections"), asked)
    return [Refusal(*row) for row in await cursor.fetchall()]
