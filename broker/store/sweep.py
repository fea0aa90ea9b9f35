"""What a change of reference data has still to reach, slice by slice, each in a transaction of its own.

Nobody waits for it: whoever reads obeys the change at once. Entries that are no longer covered are deleted once their
tombstones have gone out; what stands in the dirty set has not been published yet, and is left for the next time.
"""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import psycopg

from broker.domain.agreement import Facts
from broker.domain.entry import entry_of
from broker.domain.holding import left_out
from broker.domain.identity import EntryKey
from broker.store import documents, facts
from broker.store.database import query
from broker.store.document import load

Connection = psycopg.Connection[Any]
SLICE: Final = 2000


class Sweep(NamedTuple):
    """A row of `sweep`."""

    id: int
    kind: str
    authority: str
    system: str | None
    prefixes: list[str] | None
    lane: int
    after_system: str
    after_case: str


@dataclass(frozen=True, slots=True)
class Swept:
    """What a slice came to. waits: entries that have to be published before they can be deleted."""

    kind: str
    looked_at: int
    deleted: int = 0
    waits: bool = False
    done: bool = False


def next_slice(connection: Connection, known: Facts, limit: int = SLICE) -> tuple[Swept | None, Facts]:
    """The next slice of the sweep whose turn it is; None when there is none. `known` spares reading the same facts."""
    with connection.transaction():
        held = connection.execute(query("hold_revision")).fetchone()
        found = connection.execute(query("next_sweep")).fetchone()
        if found is None:
            return None, known
        if held is None or held[0] != known.revision:
            known = facts.load(connection)
        sweep = Sweep(*found)
        swept = _mark(connection, sweep, limit) if sweep.kind == "mark" else _delete(connection, sweep, known, limit)
        if swept.done:
            connection.execute("DELETE FROM sweep WHERE id = %s", [sweep.id])
    return swept, known


def _mark(connection: Connection, sweep: Sweep, limit: int) -> Swept:
    came = connection.execute(query("touch_entries"), {**sweep._asdict(), "limit": limit}).fetchone()
    if came is None:
        return Swept(sweep.kind, 0, done=True)
    system, case_id, looked_at = came
    _advance(connection, sweep, system, case_id, looked_at)
    return Swept(sweep.kind, looked_at, done=looked_at < limit)


def _delete(connection: Connection, sweep: Sweep, known: Facts, limit: int) -> Swept:
    ends = sweep.kind == "end"
    if ends and connection.execute(query("has_ended"), sweep._asdict()).fetchone() != (True,):
        return Swept(sweep.kind, 0, done=True)
    rows = connection.execute(query("sweep_entries"), {**sweep._asdict(), "limit": limit}).fetchall()
    going = [
        (system, case_id, revision)
        for system, case_id, revision, document in rows
        if ends or left_out(entry_of(EntryKey(sweep.authority, system, case_id), load(document)), known)
    ]
    deleted = _gone(connection, sweep.authority, going) if going else 0
    if deleted < len(going):
        return Swept(sweep.kind, len(rows), deleted, waits=True)
    if rows:
        _advance(connection, sweep, rows[-1][0], rows[-1][1], len(rows))
    if len(rows) < limit and sweep.system is not None:
        connection.execute(query("forget_rejected"), sweep._asdict())
    return Swept(sweep.kind, len(rows), deleted, done=len(rows) < limit)


def _gone(connection: Connection, authority: str, going: list[tuple[str, str, int]]) -> int:
    connection.execute(documents.WRITING)
    systems, case_ids, revisions = (list(column) for column in zip(*going, strict=True))
    which = {"authority": authority, "systems": systems, "case_ids": case_ids, "revisions": revisions}
    (deleted,) = connection.execute(query("delete_entries"), which).fetchone() or (0,)
    return int(deleted)


def _advance(connection: Connection, sweep: Sweep, system: str, case_id: str, looked_at: int) -> None:
    moved = {"id": sweep.id, "after_system": system, "after_case": case_id, "done": looked_at}
    connection.execute(query("advance_sweep"), moved)
