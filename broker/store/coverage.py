"""Counting for coverage, and reading what was counted.

The index is counted part by part of its pages, round and round, so that one step costs the same however large it is; a
question reads the sums of the last whole round. While entries are written, a round is no snapshot: one that moves to
another page may be counted twice or not at all until the next round. Exactness is what reconciliation is for.
"""

import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any, Final

import psycopg

from broker.domain import coverage
from broker.domain.agreement import AgreementState
from broker.domain.coverage import OTHER, Known
from broker.domain.kle import Edition, KleBook, Patterns
from broker.domain.retention import closed_at
from broker.store.database import query
from broker.store.document import load

Connection = psycopg.Connection[Any]
Async = psycopg.AsyncConnection[Any]
PAGES: Final = 4096
"""Pages of 8 KiB a part."""


def count(connection: Connection, patience: float, pages: int = PAGES) -> bool:
    """Go on with the round for so many seconds, one part at least; True when it has come to its end."""
    began = time.monotonic()
    announced = _announced(connection, datetime.now(UTC).date())
    while not _count_part(connection, pages, announced):
        if time.monotonic() - began >= patience:
            return False
    return True


def _announced(connection: Connection, on: date) -> list[str]:
    """Numbers that the edition in force announces to be gone, and that are not gone yet."""
    rows = connection.execute(query("kle_announcing"), {"on": on}).fetchall()
    titles = {number: title for _, number, title, _ in rows}
    retired = {number: gone for _, number, _, gone in rows if gone is not None}
    return sorted(KleBook(tuple(Edition(published, titles, retired) for published, *_ in rows[:1])).announced(on))


def _count_part(connection: Connection, pages: int, announced: list[str]) -> bool:
    areas = {**_areas(), "announced": announced}
    with connection.transaction():
        ((part,),) = connection.execute("SELECT next_part FROM coverage_round FOR UPDATE").fetchall()
        ((size,),) = connection.execute("SELECT pg_relation_size('entry') / 8192").fetchall()
        last = max(0, size - 1) // pages
        if part == 0:
            connection.execute("UPDATE coverage_round SET began_at = clock_timestamp()")
            connection.execute(query("coverage_count_rejections"), areas)
        which = {"part": part, "first": f"({part * pages},0)", "until": f"({(part + 1) * pages},0)"}
        connection.execute(query("coverage_count"), areas | which)
        _count_overdue(connection, which)
        if part < last:
            connection.execute("UPDATE coverage_round SET next_part = next_part + 1")
            return False
        connection.execute("DELETE FROM coverage_part WHERE part > %s", [last])
        connection.execute(query("coverage_sum"))
        connection.execute("UPDATE coverage_round SET next_part = 0, counted_at = began_at")
    return True


def _count_overdue(connection: Connection, which: dict[str, Any]) -> None:
    """When a case was closed stands in its document alone: those are read that were made long enough ago."""
    overdue: Counter[tuple[str, str, str]] = Counter()
    with connection.cursor("old_entries") as cursor:
        for authority, system, number, closed_by, document in cursor.execute(query("coverage_old"), which):
            closed = closed_at(load(document))
            if closed is not None and closed <= closed_by:
                overdue[authority, system, coverage.area_of(number)] += 1
    authorities, systems, areas = zip(*overdue, strict=True) if overdue else ((), (), ())
    counted = {"overdue_authorities": list(authorities), "overdue_systems": list(systems), "overdue_areas": list(areas)}
    connection.execute(query("coverage_overdue"), {**counted, "overdue": list(overdue.values()), "part": which["part"]})


async def rows(connection: Async, authorities: Iterable[str] | None, on: date) -> list[dict[str, Any]]:
    """Of these authorities; None: of all. `coverage.rows`."""
    asked = {"authorities": None if authorities is None else sorted(authorities)}

    async def read(name: str) -> list[tuple[Any, ...]]:
        return await (await connection.execute(query(name), asked)).fetchall()

    again: dict[coverage.Source, tuple[tuple[str, ...], ...]] = {}
    for authority, system, kle, *_ in await read("asked_again"):
        again[authority, system] = (*again.get((authority, system), ()), tuple(kle))
    agreements = await read("coverage_agreements")
    entries = await read("coverage_entries")
    rejections = await read("coverage_rejections")
    there = await (await connection.execute("SELECT to_regclass('reconciliation') IS NOT NULL")).fetchone()
    reconciled = await read("coverage_reconciled") if there == (True,) else []
    known = Known(
        {
            (authority, system): (AgreementState(state), Patterns.of(kle), until)
            for authority, system, state, kle, until in agreements
        },
        {
            (authority, system, area): (all_, part, last, old, announced)
            for authority, system, area, all_, part, last, old, announced in entries
        },
        {(authority, system, area): number for authority, system, area, number in rejections},
        {(authority, system, area): (at, number) for authority, system, area, at, number in reconciled},
        again,
    )
    return coverage.rows(known, on)


def _areas() -> dict[str, Any]:
    areas, prefixes = zip(*coverage.prefixes().items(), strict=True)
    return {"areas": list(areas), "prefixes": list(prefixes), "other": OTHER}
