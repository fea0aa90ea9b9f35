"""Writing one batch: entries, dirty set, rejections, outcomes and position in one transaction of the caller's.

The steps, in order: position moved on (or lost); cases copied in and merged; those the statement left are merged
under their row locks by the pure `merge`; rejections; freshness; outcomes.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg

from broker.domain.batch import Place, Plan, Said
from broker.domain.identity import EntryKey
from broker.store.database import query
from broker.store.document import load
from broker.store.rows import COLUMNS, HEAD, TAIL, Row, fresh, plain_row, row, settle, settle_fresh

Connection = psycopg.Connection[Any]
Case = tuple[int, EntryKey, list[Said]]


class PositionLost(Exception):  # noqa: N818 - not an error: somebody else has the partition
    """The position is not where this worker last saw it: another one has moved it."""


@dataclass(frozen=True, slots=True)
class Advance:
    """From where to where a batch moves a partition."""

    place: Place
    expected: int
    next_offset: int


def prepare(connection: Connection) -> None:
    """Once for each session."""
    connection.execute(query("batch_tables"))


@contextmanager
def moving(connection: Connection, step: Advance) -> Iterator[int]:
    """A transaction that has moved the position on and holds the reference data, whose revision it gives.

    Its first statements go in one journey: beside others each journey is a wait. Raises PositionLost.
    """
    try:
        with connection.pipeline():
            connection.execute("BEGIN")
            held = connection.execute(query("hold_revision"))
            moved = connection.execute(
                query("advance_position"),
                {
                    "topic": step.place.topic,
                    "partition": step.place.partition,
                    "topic_id": step.place.topic_id,
                    "expected": step.expected,
                    "next_offset": step.next_offset,
                },
            )
        if moved.rowcount != 1:
            raise PositionLost(f"{step.place.topic}/{step.place.partition} is no longer at {step.expected}")  # noqa: TRY301
        yield next(held)[0]
    except BaseException:
        with suppress(psycopg.Error):
            connection.rollback()
        raise
    connection.commit()


def write(connection: Connection, plan: Plan, place: Place) -> None:
    """Everything but the position; settles the open verdicts of the plan."""
    cases, first = list(plan.cases.items()), len(plan.plain)
    rows, only_if_held = fresh(cases, first)
    rows += [plain_row(ordinal, *one) for ordinal, one in enumerate(plan.plain)]
    left: list[int] = []
    if rows:
        copy_rows(connection, "incoming", rows)
        left = [ordinal for (ordinal,) in connection.execute(query("merge_entries"))]
        settle_fresh(plan, cases, {*left, *only_if_held}, first)

    def case(ordinal: int) -> Case:
        if ordinal >= first:
            return ordinal, *cases[ordinal - first]
        arrival, admitted = plan.plain[ordinal]
        return ordinal, admitted.plain.key, [plan.say(arrival)]

    _merge_locked(connection, plan, [case(ordinal) for ordinal in (*left, *only_if_held)])
    _put_rest(connection, plan, place)


def _merge_locked(connection: Connection, plan: Plan, cases: list[Case]) -> None:
    if not cases:
        return
    by_ordinal = {ordinal: (key, said) for ordinal, key, said in cases}
    keys = [key for _, key, _ in cases]
    standing = connection.execute(
        query("lock_entries"),
        {
            "ordinals": [ordinal for ordinal, _, _ in cases],
            "authorities": [key.authority for key in keys],
            "systems": [key.system for key in keys],
            "case_ids": [key.case_id for key in keys],
        },
    ).fetchall()
    changed = []
    for ordinal, document in standing:
        key, said = by_ordinal[ordinal]
        before = load(document)
        after = settle(plan, before, said)
        if after != before:
            changed.append(row(ordinal, key, after))
    if changed:
        copy_rows(connection, "revised", changed)
        connection.execute(query("replace_entries"))


def copy_rows(connection: Connection, table: str, rows: Iterable[Row]) -> None:
    """Put rows into a table of `batch_tables`."""
    statement = f"COPY {table} ({', '.join(COLUMNS)}) FROM STDIN (FORMAT binary)"
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        copy.write(b"".join([HEAD, *rows, TAIL]))


def _put_rest(connection: Connection, plan: Plan, place: Place) -> None:
    with connection.pipeline(), connection.cursor() as cursor:
        if plan.rejections:
            cursor.executemany(query("put_rejections"), plan.rejections)
        if plan.freshness:
            senders = sorted(plan.freshness)
            cursor.execute(query("note_freshness"), _freshness(plan.freshness, senders, place.partition))
        cursor.execute(
            query("put_outcome"),
            {
                "topic": place.topic,
                "partition": place.partition,
                "first_offset": plan.first_offset,
                "next_offset": plan.first_offset + len(plan.verdicts),
                "verdicts": bytes(plan.verdicts),
            },
        )


def note_traces(connection: Connection, place: Place, traces: Mapping[int, UUID]) -> None:
    """By which trace the rejected events of a batch came, by their offsets."""
    if traces:
        said = {"offsets": list(traces), "trace_ids": list(traces.values())}
        connection.execute(query("note_traces"), {"topic": place.topic, "partition": place.partition, **said})


def _freshness(
    newest: Mapping[tuple[str, str], tuple[int, int]], senders: list[tuple[str, str]], partition: int
) -> dict[str, Any]:
    return {
        "partition": partition,
        "authorities": [authority for authority, _ in senders],
        "systems": [system for _, system in senders],
        "registered": [newest[sender][0] for sender in senders],
        "received_ms": [newest[sender][1] for sender in senders],
    }
