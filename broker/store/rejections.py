"""Rejections: what was not taken in, as operators and vendors look at it. The bytes are read only when asked for."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, Literal, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from broker.domain import refusals
from broker.domain.identity import without_cpr
from broker.domain.outcome import REMEDY, Code
from broker.store.database import query

Connection = psycopg.AsyncConnection[Any]
State = Literal["open", "replayed", "discarded"]
NIL = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rejections; None is any. authorities: one of these. since, until: closed-open.

    pointer: the same place in any list counts: `/parties/items/*/id`.
    """

    authority: str | None = None
    system: str | None = None
    code: str | None = None
    pointer: str | None = None
    state: State | None = "open"
    since: datetime | None = None
    until: datetime | None = None
    authorities: tuple[str, ...] | None = None

    def parameters(self) -> dict[str, Any]:
        """As `rejections_of` takes them."""
        said = asdict(self)
        return said | {"authorities": None if self.authorities is None else list(self.authorities)}


class Place(NamedTuple):
    """Where a page of the list ended."""

    at: datetime
    rejection_id: UUID


async def listed(
    connection: Connection, wanted: Filter, limit: int = 100, after: Place | None = None
) -> list[dict[str, Any]]:
    """The newest first, without their bytes."""
    place = {"after_at": None, "after_id": None} if after is None else {"after_at": after.at, "after_id": after[1]}
    return [_told(row) for row in await _rows(connection, "list_rejections", wanted, limit=limit, **place)]


async def causes(connection: Connection, wanted: Filter, limit: int = 1000) -> list[dict[str, Any]]:
    """How many of each code, pointer, system and authority, the most frequent first."""
    return [_told(row) for row in await _rows(connection, "rejection_causes", wanted, limit=limit)]


async def count(connection: Connection, wanted: Filter) -> tuple[int, int]:
    """How many they are, and of how many the event is kept."""
    row = await (await connection.execute(query("count_rejections"), wanted.parameters())).fetchone()
    return (0, 0) if row is None else (row[0], row[1])


async def of_day(
    connection: Connection, wanted: Filter, system: str, day: date, zone: tzinfo, most: int
) -> dict[str, Any]:
    """What one system is told of a day there, as `refusals.report`; `most` events have a row of their own."""
    begins, ends = refusals.day_of(day, zone)
    within = replace(wanted, system=system, state=None, since=begins, until=ends)
    number, _ = await count(connection, within)
    rows = [refusals.row_of(row) for row in await listed(connection, within, most)]
    return refusals.report(system, day, number, await causes(connection, within), rows)


async def taken(connection: Connection, wanted: Filter, after: str, limit: int) -> list[dict[str, Any]]:
    """The next ones behind `after`, by id, with their bytes."""
    return await _rows(connection, "take_rejections", wanted, after=after, limit=limit)


async def one(connection: Connection, rejection_id: UUID) -> dict[str, Any] | None:
    """Everything that is kept of it, the bytes too."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT * FROM rejection WHERE rejection_id = %s", [rejection_id])
        row = await cursor.fetchone()
    return None if row is None else _told(row | {"trace_id": row["trace_id"] and row["trace_id"].hex})


async def close(
    connection: Connection,
    rejection_ids: Sequence[str],
    state: State,
    by: str | None = None,
    because: str | None = None,
) -> int:
    """Mark open ones as replayed or discarded; what is discarded loses its bytes. Returns how many were open."""
    said = {"by": by and without_cpr(by), "because": because and without_cpr(because)}
    done = await connection.execute(
        query("close_rejections"), {"rejection_ids": list(rejection_ids), "state": state, **said}
    )
    return done.rowcount


def claim_telling(connection: psycopg.Connection[Any], system: str, day: date) -> int | None:
    """The how manieth attempt to tell this vendor of the day is now the caller's alone; None: it is not due."""
    row = connection.execute(query("claim_telling"), {"system": system, "day": day}).fetchone()
    return None if row is None else int(row[0])


def settle_telling(
    connection: psycopg.Connection[Any],
    system: str,
    day: date,
    state: Literal["told", "again", "given_up"],
    wait: timedelta | None = None,
) -> None:
    """What came of it; `again` after so long."""
    said = {"system": system, "day": day, "state": state, "wait": wait}
    connection.execute(query("settle_telling"), said)


async def _rows(connection: Connection, name: str, wanted: Filter, **more: Any) -> list[dict[str, Any]]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query(name), wanted.parameters() | more)
        return await cursor.fetchall()


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"remedy": REMEDY[Code(row["code"])]}
