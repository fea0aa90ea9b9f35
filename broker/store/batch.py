"""Writing batches: entries, dirty set, rejections, outcomes and positions in one transaction of the caller's.

Those of several partitions go together. The steps, in order: positions moved on (or lost); cases copied in and merged;
those the statement left are merged under their row locks by the pure `merge`; rejections; freshness; outcomes.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import psycopg

from broker.domain.batch import Place, Plan, Said
from broker.domain.identity import EntryKey
from broker.store.database import query
from broker.store.document import load
from broker.store.rows import COLUMNS, HEAD, TAIL, Row, fresh, row, settle, settle_fresh

Connection = psycopg.Connection[Any]
Case = tuple[Plan, EntryKey, list[Said]]


class PositionLost(Exception):  # noqa: N818 - not an error: somebody else has the partition
    """The position is not where this worker last saw it: another one has moved it."""


@dataclass(frozen=True, slots=True)
class Advance:
    """From where to where a batch moves a partition."""

    place: Place
    expected: int
    next_offset: int


def _move(step: Advance) -> dict[str, Any]:
    return {
        "topic": step.place.topic,
        "partition": step.place.partition,
        "topic_id": step.place.topic_id,
        "expected": step.expected,
        "next_offset": step.next_offset,
    }


def prepare(connection: Connection) -> None:
    """Once for each session."""
    connection.execute(query("batch_tables"))


@contextmanager
def moving(connection: Connection, *steps: Advance) -> Iterator[int]:
    """A transaction that has moved the positions on and holds the reference data, whose revision it gives.

    Its first statements go in one journey: beside others each journey is a wait. Raises PositionLost.
    """
    try:
        with connection.pipeline():
            connection.execute("BEGIN")
            held = connection.execute(query("hold_revision"))
            moves = [connection.execute(query("advance_position"), _move(step)) for step in steps]
        for step, moved in zip(steps, moves, strict=True):
            if moved.rowcount != 1:
                raise PositionLost(f"{step.place.topic}/{step.place.partition} is no longer at {step.expected}")  # noqa: TRY301
        yield next(held)[0]
    except BaseException:
        with suppress(psycopg.Error):
            connection.rollback()
        raise
    connection.commit()


def write(connection: Connection, plans: Mapping[Place, Plan]) -> None:
    """Everything but the positions; settles the open verdicts of the plans."""
    for number, apart in enumerate(_apart(list(plans.values()))):
        if number:
            connection.execute("TRUNCATE incoming, revised")
        _merge(connection, apart)
    _put_rest(connection, plans)


def _apart(plans: list[Plan]) -> Iterator[list[Plan]]:
    """Plans that name no case twice: what two partitions say of one is merged in turn."""
    together: list[Plan] = []
    seen: set[str] = set()
    for plan in plans if len(plans) > 1 else ():
        named = {admitted.plain.case_id for _, admitted in plan.plain} | {key.case_id for key in plan.cases}
        if not seen.isdisjoint(named):
            yield together
            together, seen = [], set()
        together.append(plan)
        seen |= named
    yield together or plans


class _Part(NamedTuple):
    """A plan whose events let in at a glance are numbered from `first` on, and its cases behind them."""

    plan: Plan
    first: int
    cases: list[tuple[EntryKey, list[Said]]]

    def case(self, ordinal: int) -> Case:
        number = ordinal - self.first
        if number < len(self.plan.plain):
            arrival, admitted = self.plan.plain[number]
            return self.plan, admitted.plain.key, [self.plan.say(arrival)]
        return self.plan, *self.cases[number - len(self.plan.plain)]


def _merge(connection: Connection, plans: list[Plan]) -> None:
    parts: list[_Part] = []
    rows: list[Row] = []
    besides: list[int] = []
    end = 0
    for plan in plans:
        part = _Part(plan, end, list(plan.cases.items()))
        its_rows, only_if_held = fresh(plan, part.cases, end)
        rows += its_rows
        besides += only_if_held
        parts.append(part)
        end += len(plan.plain) + len(part.cases)
    if rows:
        copy_rows(connection, "incoming", rows)
        besides += [ordinal for (ordinal,) in connection.execute(query("merge_entries"))]
        for part in parts:
            settle_fresh(part.plan, part.cases, set(besides), part.first)
    firsts = [part.first for part in parts]
    _merge_locked(connection, {n: parts[bisect_right(firsts, n) - 1].case(n) for n in besides})


def _merge_locked(connection: Connection, cases: Mapping[int, Case]) -> None:
    if not cases:
        return
    keys = [key for _, key, _ in cases.values()]
    standing = connection.execute(
        query("lock_entries"),
        {
            "ordinals": list(cases),
            "authorities": [key.authority for key in keys],
            "systems": [key.system for key in keys],
            "case_ids": [key.case_id for key in keys],
        },
    ).fetchall()
    changed = []
    for ordinal, document in standing:
        plan, key, said = cases[ordinal]
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


def _put_rest(connection: Connection, plans: Mapping[Place, Plan]) -> None:
    with connection.pipeline(), connection.cursor() as cursor:
        for place, plan in plans.items():
            if plan.rejections:
                cursor.executemany(query("put_rejections"), plan.rejections)
            if plan.freshness:
                cursor.execute(query("note_freshness"), _freshness(plan.freshness, place.partition))
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


def _freshness(newest: Mapping[tuple[str, str], tuple[int, int]], partition: int) -> dict[str, Any]:
    senders = sorted(newest)
    return {
        "partition": partition,
        "authorities": [authority for authority, _ in senders],
        "systems": [system for _, system in senders],
        "registered": [newest[sender][0] for sender in senders],
        "received_ms": [newest[sender][1] for sender in senders],
    }
