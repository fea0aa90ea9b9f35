"""Full loads: which there are, and how far each has come. Each function is one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from broker.store.database import query

LOCK_CLASS: Final = 7_346_012
Connection = AsyncConnection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Load:
    """One load; `source` tells which files, or which address, it reads."""

    id: int
    chunk_size: int


class Done(NamedTuple):
    """What the chunks of a load have come to; `cursor`: where a source that is asked continues."""

    chunks: int
    payloads: int
    sent: int
    delimited: int
    rejected: int
    cursor: Mapping[str, Any] | None


class Chunk(NamedTuple):
    """What one chunk has come to."""

    chunk: int
    payloads: int
    sent: int
    delimited: int
    rejected: int
    areas: Mapping[str, int]
    cursor: Mapping[str, Any] | None


class Area(NamedTuple):
    """A KLE area of the newest load. complete: compared with the source since, and nothing was wrong."""

    kle_area: str
    sent: int
    reconciled_at: Any
    complete: bool


async def begin(connection: Connection, sender: tuple[str, str], source: bytes, chunk_size: int) -> Load:
    """The unfinished load of this source, or a new one; `sender` is (authority, system).

    It is this session's until that ends. Raises psycopg.errors.LockNotAvailable while it is another's.
    """
    async with connection.transaction():
        asked = [*sender, source]
        cursor = await connection.execute(
            "SELECT id, chunk_size FROM load_run"
            " WHERE authority = %s AND system = %s AND source = %s AND finished_at IS NULL",
            asked,
        )
        row = await cursor.fetchone()
        if row is None:
            cursor = await connection.execute(
                "INSERT INTO load_run (authority, system, source, chunk_size) VALUES (%s, %s, %s, %s)"
                " RETURNING id, chunk_size",
                [*asked, chunk_size],
            )
            row = await cursor.fetchone()
    if row is None:
        raise LookupError("no load was made")
    await connection.execute("SELECT pg_advisory_lock(%s, %s::integer)", [LOCK_CLASS, row[0]])
    return Load(*row)


async def done(connection: Connection, load: int) -> Done:
    """How far it has come."""
    row = await (await connection.execute(query("load_chunks"), {"load": load})).fetchone()
    if row is None:
        raise LookupError("no such load")
    return Done(*row)


async def put(connection: Connection, load: int | None, chunk: Chunk, rejections: Sequence[Mapping[str, Any]]) -> None:
    """Keep that a chunk is acknowledged, and what was refused of it; without a load the refusals alone."""
    async with connection.transaction():
        if rejections:
            await connection.cursor().executemany(query("put_intake_rejection"), rejections)
        if load is not None:
            cursor = None if chunk.cursor is None else Jsonb(chunk.cursor)
            row = {**chunk._asdict(), "load": load, "areas": Jsonb(chunk.areas), "cursor": cursor}
            await connection.execute(query("put_load_chunk"), row)


async def finish(connection: Connection, load: int) -> None:
    """All of it is in the log."""
    await connection.execute("UPDATE load_run SET finished_at = clock_timestamp() WHERE id = %s", [load])


async def areas(connection: Connection, authority: str, system: str) -> list[Area]:
    """Of the sender's newest load; none is complete while it goes on."""
    cursor = await connection.execute(query("load_areas"), {"authority": authority, "system": system})
    return [Area(*row) for row in await cursor.fetchall()]
