"""Rejections: what was not taken in, as operators and vendors look at it. The bytes are shown only when asked for."""

from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg.rows import dict_row

from broker.domain.outcome import REMEDY, Code
from broker.store.database import query

Connection = psycopg.AsyncConnection[Any]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rejections; None is any."""

    authority: str | None = None
    system: str | None = None
    code: str | None = None
    state: str | None = "open"
    limit: int = 100


async def listed(connection: Connection, wanted: Filter) -> list[dict[str, Any]]:
    """The newest first, without their bytes."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            query("list_rejections"),
            {
                "authority": wanted.authority,
                "system": wanted.system,
                "code": wanted.code,
                "state": wanted.state,
                "limit": wanted.limit,
            },
        )
        return [row | {"remedy": REMEDY[Code(row["code"])]} for row in await cursor.fetchall()]


async def one(connection: Connection, rejection_id: UUID) -> dict[str, Any] | None:
    """Everything that is kept of it, the bytes too."""
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT * FROM rejection WHERE rejection_id = %s", [rejection_id])
        row = await cursor.fetchone()
    return None if row is None else row | {"remedy": REMEDY[Code(row["code"])]}


async def close(connection: Connection, rejection_id: UUID, state: LiteralString) -> bool:
    """Mark an open one as replayed or discarded; what is discarded loses its bytes. False when it was not open."""
    done = await connection.execute(query("close_rejection"), {"rejection_id": rejection_id, "state": state})
    return done.rowcount == 1
