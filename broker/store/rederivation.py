"""Deriving the index anew beside live traffic: runs, their parts, and one chunk of a part.

A chunk is one transaction, in these steps: reference data held as they are, as a worker holds them; the part's cursor
locked; entries read and derived anew; those that differ locked in key order, derived again where somebody else
has written them since, written back and marked; the cursor moved on. So a run that was killed goes on where it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import psycopg

from broker.domain.agreement import Facts
from broker.domain.identity import EntryKey
from broker.store import batch, facts
from broker.store.anew import anew
from broker.store.database import query
from broker.store.rows import HEAD, TAIL, Row

Connection = psycopg.Connection[Any]
NIL: Final = "00000000-0000-0000-0000-000000000000"
LAST: Final = "ffffffff-ffff-ffff-ffff-ffffffffffff"
BEYOND: Final = "~"
"""Sorts after every authority and system."""


class Scope(NamedTuple):
    """Which entries; None is every one."""

    authority: str | None = None
    system: str | None = None

    def holds(self, authority: str, system: str) -> bool:
        """Whether a sender's entries are in it."""
        return self.authority in (None, authority) and self.system in (None, system)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run has come in its pass; `changed` is of all passes. open: parts that have not come to their end.

    settled: the whole pass was made under one revision.
    """

    passed: int
    entries: int
    seen: int
    changed: int
    unmapped: int
    settled: bool
    open: tuple[int, ...]


class Chunk(NamedTuple):
    """What one transaction has done."""

    seen: int
    changed: int
    unmapped: int
    done: bool


def begin(connection: Connection, scope: Scope, rate: int | None, parts_of: int, smallest: int) -> int:
    """The run of this scope that was not finished, or a new one, in parts of `smallest` entries at least.

    One that was killed after its last chunk begins again where reference data have changed since: what it settles is
    what stands when it is begun.
    """
    asked = scope._asdict()
    unfinished = connection.execute(query("rederive_unfinished"), asked).fetchone()
    if unfinished is not None:
        (run,) = unfinished
        if _one(connection, "rederive_overtaken", {"run": run}) == (True,):
            again(connection, run)
        return int(run)
    with connection.transaction():
        (entries,) = _one(connection, "rederive_scope", asked)
        (run,) = _one(connection, "rederive_begin", {**asked, "rate": rate, "entries": entries})
        parts = max(1, min(parts_of, entries // smallest))
        bounds = [EntryKey(scope.authority or "", "", NIL)]
        for part in range(1, parts):
            before = part * entries // parts - 1
            bounds.append(EntryKey(*_one(connection, "rederive_boundary", {**asked, "before": before})))
        bounds.append(EntryKey(scope.authority or BEYOND, BEYOND, LAST))
        for part in range(parts):
            connection.execute(
                query("rederive_part"),
                {"run": run, "part": part, **bounds[part]._asdict(), **_until(bounds[part + 1])},
            )
    return int(run)


def progress(connection: Connection, run: int) -> Progress:
    """How far it has come."""
    passed, entries, seen, changed, unmapped, first, last, left = _one(connection, "rederive_progress", {"run": run})
    return Progress(passed, entries, seen, changed, unmapped, not left and first == last, tuple(left or ()))


def again(connection: Connection, run: int) -> None:
    """From the beginning: reference data changed on the way."""
    connection.execute(query("rederive_again"), {"run": run})


def finish(connection: Connection, run: int, *, behind: bool) -> None:
    """It has come to its end."""
    connection.execute(query("rederive_finish"), {"run": run, "behind": behind})


def chunk(connection: Connection, run: int, part: int, limit: int, known: Facts) -> tuple[Chunk, Facts]:
    """One transaction; `known` spares reading facts that have not changed. The connection is prepared for batches."""
    with connection.transaction(), connection.cursor() as cursor:
        held = cursor.execute(query("hold_revision")).fetchone()
        if held is None or held[0] != known.revision:
            known = facts.load(connection)
        place = cursor.execute(query("rederive_cursor"), {"run": run, "part": part}).fetchone()
        if place is None:
            return Chunk(0, 0, 0, done=True), known
        came, until, only = EntryKey(*place[:3]), EntryKey(*place[3:6]), place[6]
        asked = {**came._asdict(), **_until(until), "only": only, "limit": limit}
        stored, unmapped, differing = _stored(cursor, "rederive_entries", asked), 0, dict[Row, tuple[EntryKey, Row]]()
        for each in stored:
            came, derived, maps_to_nothing = anew(each, known)
            unmapped += maps_to_nothing
            if derived != each:
                differing[each] = came, derived
        if differing:
            these = _listed([key for key, _ in differing.values()])
            cursor.execute(query("rederive_lock"), these)
            # What nobody has written since is derived already.
            now = _stored(cursor, "rederive_these", these)
            rows = [differing[each][1] if each in differing else anew(each, known)[1] for each in now]
            batch.copy_rows(connection, "revised", rows)
            cursor.execute(query("replace_entries"))
        made = Chunk(len(stored), len(differing), unmapped, done=len(stored) < limit)
        moved = {**made._asdict(), **came._asdict(), "run": run, "part": part, "revision": known.revision}
        cursor.execute(query("rederive_advance"), moved)
    return made, known


def page(connection: Connection, scope: Scope, came: EntryKey | None, limit: int) -> list[Row]:
    """The next entries of a scope in key order, as they are now; `came`: the last one of the page before."""
    came = came or EntryKey(scope.authority or "", "", NIL)
    until = _until(EntryKey(scope.authority or BEYOND, BEYOND, LAST))
    with connection.cursor() as cursor:
        asked = {**came._asdict(), **until, "only": scope.system, "limit": limit}
        return _stored(cursor, "rederive_entries", asked)


def _stored(cursor: psycopg.Cursor[Any], name: str, asked: dict[str, Any]) -> list[Row]:
    """The rows of a COPY: each is a message, the head stands before the first, and the tail is the last."""
    with cursor.copy(query(name), asked) as copy:
        messages = [bytes(message) for message in copy]
    messages[0] = messages[0].removeprefix(HEAD)
    if messages.pop() != TAIL:
        raise ValueError("no binary COPY")
    return messages


def _until(key: EntryKey) -> dict[str, str]:
    return {f"until_{name}": value for name, value in key._asdict().items()}


def _listed(keys: Sequence[EntryKey]) -> dict[str, list[str]]:
    return {
        "authorities": [key.authority for key in keys],
        "systems": [key.system for key in keys],
        "case_ids": [key.case_id for key in keys],
    }


def _one(connection: Connection, name: str, asked: dict[str, Any]) -> tuple[Any, ...]:
    found: tuple[Any, ...] | None = connection.execute(query(name), asked).fetchone()
    if found is None:
        raise LookupError(f"{name} found nothing")
    return found
