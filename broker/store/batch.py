"""Writing one batch: entries, dirty set, rejections, outcomes and position in one transaction of the caller's.

The steps, in order: position moved on (or lost); cases copied in and merged; those the statement left are merged
under their row locks by the pure `merge`; rejections; freshness; outcomes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.adapt import Dumper
from psycopg.postgres import types as TYPES  # noqa: N812 - the library's registry
from psycopg.pq import Format

from broker.domain.batch import Place, Plan, Said
from broker.domain.case import EMPTY, State, merge_all, outcome_of
from broker.domain.entry import entry_of, shape_of
from broker.domain.identity import EntryKey
from broker.domain.outcome import VERDICT_BYTE
from broker.store.database import query
from broker.store.document import dump, load

SEVERAL = 512
LAYERED = 1024
COLUMNS = [
    "ordinal",
    "authority",
    "system",
    "case_id",
    "newest",
    "shape",
    "complete",
    "kle",
    "sensitivity",
    "primary_party",
    "parties",
    "principals",
    "user_key",
    "created_at",
    "received_at",
    "document",
]
_TYPES = [
    "int4",
    "text",
    "text",
    "uuid",
    "bytea",
    "int2",
    "bool",
    "text",
    "int2",
    "text",
    "text[]",
    "text[]",
    "text",
    "int8",
    "timestamptz",
    "json",
]

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


class _Json:
    """Stands for JSON that is bytes already."""


class _JsonBytes(Dumper):
    format = Format.BINARY
    oid = TYPES["json"].oid

    def dump(self, obj: bytes) -> bytes:
        return obj


class _CaseId:
    """Stands for a UUID that is text."""


class _UuidText(Dumper):
    format = Format.BINARY
    oid = TYPES["uuid"].oid

    def dump(self, obj: str) -> bytes:
        return bytes.fromhex(obj.replace("-", ""))


def prepare(connection: Connection) -> None:
    """Once for each session."""
    connection.execute(query("batch_tables"))
    connection.adapters.register_dumper(_Json, _JsonBytes)
    connection.adapters.register_dumper(_CaseId, _UuidText)


def advance(connection: Connection, step: Advance) -> None:
    """Raises PositionLost."""
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
        raise PositionLost(f"{step.place.topic}/{step.place.partition} is no longer at {step.expected}")


def write(connection: Connection, plan: Plan, place: Place) -> None:
    """Everything but the position; settles the open verdicts of the plan."""
    cases = [(ordinal, key, said) for ordinal, (key, said) in enumerate(plan.cases.items())]
    fresh = [case for case in cases if not _only_if_held(case)]
    _copy(connection, "incoming", ((n, key, _delta(said), len(said) > 1) for n, key, said in fresh))
    left = {ordinal for (ordinal,) in connection.execute(query("merge_entries"))} if fresh else set()
    for ordinal, _, said in fresh:
        if ordinal not in left:
            _settle(plan, EMPTY, said)
    _merge_locked(connection, plan, [case for case in cases if case[0] in left or _only_if_held(case)])
    _put_rest(connection, plan, place)


def _only_if_held(case: Case) -> bool:
    return all(said.only_if_held for said in case[2])


def _delta(said: list[Said]) -> State:
    return said[0].state if len(said) == 1 else merge_all(one.state for one in said)


def _settle(plan: Plan, before: State, said: Iterable[Said]) -> State:
    """Give each event its verdict in the order of the log; returns the entry after them."""
    indexed = []
    for index, state, only_if_held in said:
        outcome, after = outcome_of(before, state)
        if not only_if_held:
            plan.verdicts[index] = VERDICT_BYTE[outcome]
            if outcome == "indexed":
                indexed.append(index)
        before = after
    if indexed and before.mandatory_missing and not before.removed[0]:
        for index in indexed:
            plan.verdicts[index] = VERDICT_BYTE["indexed:incomplete"]
    return before


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
        after = _settle(plan, before, said)
        if after != before:
            changed.append((ordinal, key, after, False))
    if changed:
        _copy(connection, "revised", changed)
        connection.execute(query("replace_entries"))


def _copy(connection: Connection, table: str, rows: Iterable[tuple[int, EntryKey, State, bool]]) -> None:
    statement = f"COPY {table} ({', '.join(COLUMNS)}) FROM STDIN (FORMAT binary)"
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        copy.set_types(_TYPES)
        for ordinal, key, state, several in rows:
            copy.write_row(_row(ordinal, key, state, several=several))


def _row(ordinal: int, key: EntryKey, state: State, *, several: bool) -> tuple[Any, ...]:
    entry = entry_of(key, state)
    shape = shape_of(state)
    if several:
        shape |= SEVERAL
    if state.items or state.removed[0]:
        shape |= LAYERED
    stamp, source = state.source
    primary = entry.parties[0][1] if entry.parties and entry.parties[0][0] == "PRIMARY" else None
    others = entry.parties if primary is None else entry.parties[1:]
    return (
        ordinal,
        *key,
        stamp,
        shape,
        entry.complete,
        entry.kle,
        entry.sensitivity,
        primary,
        [f"{role}|{reference}" for role, reference in others] or None,
        None if entry.principals is None else sorted(entry.principals),
        entry.user_key,
        entry.created_at,
        _moment(source["received_at"]),
        dump(state),
    )


def _put_rest(connection: Connection, plan: Plan, place: Place) -> None:
    with connection.cursor() as cursor:
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


def _freshness(
    newest: Mapping[tuple[str, str], tuple[int, int]], senders: list[tuple[str, str]], partition: int
) -> dict[str, Any]:
    return {
        "partition": partition,
        "authorities": [authority for authority, _ in senders],
        "systems": [system for _, system in senders],
        "registered": [newest[sender][0] for sender in senders],
        "received": [_moment(newest[sender][1] * 1000) for sender in senders],
    }


def _moment(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1_000_000, UTC)
