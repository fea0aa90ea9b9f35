"""Manifests: taken in piece by piece, compared with the index in one statement, their differences read in pages.

A list that is whole for some areas is whole for the numbers that its source uses. Which those are stands in what is
kept of an entry: it is read of those alone that a rule or a successor has given another.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from psycopg import AsyncConnection
from psycopg.errors import SerializationFailure

from broker.domain.case import NEVER
from broker.store.database import query
from broker.store.document import load

Connection = AsyncConnection[tuple[Any, ...]]
FIRST: Final = "00000000-0000-0000-0000-000000000000"
PAGE: Final = 500
"""Entries read at once; each may be a mebibyte."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Overtaken(Exception):  # noqa: N818 - it says what happened
    """The same sender has begun another manifest; this one is void."""


class Row(NamedTuple):
    """One listed case, as it is kept while it is compared."""

    case_id: str
    registered_at: int
    kle_area: str
    expected: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """A manifest that is being taken in. as_of: microseconds since 1970, UTC; areas: prefixes, None is all."""

    id: int
    authority: str
    system: str
    as_of: int
    areas: Sequence[str] | None


class Counts(NamedTuple):
    """Of one KLE area."""

    kle_area: str
    missing: int
    superfluous: int
    older: int
    newer: int
    same: int
    outside: int


class Difference(NamedTuple):
    """One case; here and there: when it was last registered, microseconds since 1970, UTC."""

    case_id: str
    kle_area: str
    here: int | None
    there: int | None


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of a manifest."""

    id: int
    authority: str
    system: str
    as_of: datetime
    finished_at: datetime
    digest_here: int
    digest_there: int
    areas: list[Counts]

    def total(self, kind: str) -> int:
        """Over all areas."""
        return sum(getattr(area, kind) for area in self.areas)


async def begin(connection: Connection, sender: tuple[str, str], as_of: int, areas: Sequence[str] | None) -> Opened:
    """`sender` is (authority, system); what it had not finished is void."""
    authority, system = sender
    asked = {"authority": authority, "system": system, "as_of": _moment(as_of), "areas": areas}
    row = await (await connection.execute(query("reconcile_begin"), asked)).fetchone()
    if row is None:
        raise LookupError("no manifest was made")
    return Opened(row[0], authority, system, as_of, areas)


async def put(connection: Connection, opened: Opened, rows: Sequence[Row]) -> None:
    """A piece of it. Raises Overtaken."""
    async with connection.transaction():
        await _hold(connection, opened)
        statement = "COPY manifest_row (manifest, case_id, registered_at, kle_area, expected) FROM STDIN"
        async with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                await copy.write_row((opened.id, *row))


async def compare(connection: Connection, opened: Opened) -> Compared:
    """All of it with the index as it is now. Raises Overtaken."""
    asked = {
        "manifest": opened.id,
        "authority": opened.authority,
        "system": opened.system,
        "areas": opened.areas,
        "as_of": _moment(opened.as_of),
        "as_of_micros": opened.as_of,
    }
    try:
        async with connection.transaction():
            # A number that is mapped anew between two statements would be looked for in the wrong area.
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            # A million rows take as long as they take.
            await connection.execute("SET LOCAL transaction_timeout = 0")
            await _hold(connection, opened)
            await connection.execute(query("reconcile_source_numbers"))
            if opened.areas is not None:
                await _note_source_numbers(connection, asked)
            await connection.execute(query("reconcile_compare"), asked)
            await connection.execute(query("reconcile_forget"), asked)
            await connection.execute("DELETE FROM manifest_row WHERE manifest = %s", [opened.id])
    except SerializationFailure:
        raise Overtaken from None
    found = await compared(connection, opened.id)
    if found is None:
        raise Overtaken
    return found


async def compared(connection: Connection, manifest: int) -> Compared | None:
    """What came of a manifest; None where there is none, or it is not compared yet."""
    cursor = await connection.execute(
        "SELECT id, authority, system, as_of, finished_at, digest_here, digest_there FROM manifest"
        " WHERE id = %s AND finished_at IS NOT NULL",
        [manifest],
    )
    head = await cursor.fetchone()
    if head is None:
        return None
    cursor = await connection.execute(query("reconcile_areas"), {"manifest": manifest})
    found_id, authority, system, as_of, finished_at, here, there = head
    areas = [Counts(*row) for row in await cursor.fetchall()]
    return Compared(found_id, authority, system, as_of, finished_at, here, there, areas)


async def differences(
    connection: Connection, manifest: int, kind: str, after: str = FIRST, limit: int = 1000
) -> list[Difference]:
    """A page, in the order of the cases."""
    asked = {"manifest": manifest, "kind": kind, "after": after, "limit": limit}
    cursor = await connection.execute(query("reconcile_differences"), asked)
    return [Difference(*row) for row in await cursor.fetchall()]


async def wanted(connection: Connection, manifest: int, cases: Sequence[str]) -> set[str]:
    """Which of these the source has to send again."""
    cursor = await connection.execute(query("reconcile_wanted"), {"manifest": manifest, "cases": list(cases)})
    return {case_id for (case_id,) in await cursor.fetchall()}


async def give_up(connection: Connection, opened: Opened) -> None:
    """A manifest that could not be read to its end leaves nothing."""
    async with connection.transaction():
        await connection.execute("DELETE FROM manifest WHERE id = %s AND finished_at IS NULL", [opened.id])
        await connection.execute("DELETE FROM manifest_row WHERE manifest = %s", [opened.id])


async def _note_source_numbers(connection: Connection, asked: Mapping[str, Any]) -> None:
    # All of it is read: a plan for the first rows would look through the list once for every entry.
    await connection.execute("SET LOCAL cursor_tuple_fraction = 1")
    async with connection.cursor("unlisted") as reading:
        await reading.execute(query("reconcile_unlisted"), asked)
        while page := await reading.fetchmany(PAGE):
            rows = await asyncio.to_thread(_source_numbers, page)
            async with connection.cursor() as cursor, cursor.copy("COPY source_number FROM STDIN") as copy:
                for row in rows:
                    await copy.write_row(row)


def _source_numbers(page: Iterable[tuple[Any, ...]]) -> list[tuple[str, str | None]]:
    """(case, the KLE number its source gave it, if any) of (case, document)."""
    classified = [(case_id, load(document).groups.get("classification", (NEVER, {}))[1]) for case_id, document in page]
    return [(case_id, content.get("original", {}).get("kle")) for case_id, content in classified]


async def _hold(connection: Connection, opened: Opened) -> None:
    cursor = await connection.execute(
        "SELECT FROM manifest WHERE id = %s AND finished_at IS NULL FOR UPDATE", [opened.id]
    )
    if cursor.rowcount != 1:
        raise Overtaken


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
