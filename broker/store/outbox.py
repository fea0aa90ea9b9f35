"""What is to be published, claimed and settled; nothing is settled before Kafka has it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import psycopg

from broker.domain.agreement import Facts
from broker.domain.case import State
from broker.domain.document import Known
from broker.domain.entry import Entry, entry_of
from broker.domain.identity import EntryKey
from broker.store import documents, facts, persons
from broker.store.database import query
from broker.store.document import load
from broker.store.persons import Persons

Connection = psycopg.Connection[Any]
SHARDS = 4
PAGE = 10_000
START = EntryKey("", "", "00000000-0000-0000-0000-000000000000")


class Marked(NamedTuple):
    """One entry in the dirty set, as it stood in the snapshot of the claim; `mark` is its row version there.

    since: when it was first marked. asked_at: since when a change in the register of persons waits for it.
    """

    key: EntryKey
    mark: str
    purge: bool
    revision: int
    state: State
    entry: Entry
    since: datetime
    asked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """Entries and the facts of the same snapshot, and what was known of their documents and persons after it.

    Whatever becomes of a document or a person after that marks the entries again. at: the database's time.
    published: (overview, key) of what may have a value in a sparse topic.
    """

    entries: tuple[Marked, ...]
    facts: Facts
    at: datetime | None = None
    documents: Known = field(default_factory=dict)
    persons: Persons = field(default_factory=dict)
    published: frozenset[tuple[str, EntryKey]] = frozenset()


def claim(connection: Connection, shard: int, after: EntryKey, limit: int, known: Facts) -> Claim:
    """The next entries of a shard behind `after`; `known` spares reading facts that have not changed.

    A mark that was set while its entry went is taken out: an entry goes when its tombstones have gone out.
    """
    which = {"shard": shard, "limit": limit, **after._asdict()}
    rows = _marked(connection, which)
    if rows and rows[0][0] != known.revision:
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            rows, known = _marked(connection, which), facts.load(connection)
    if gone := [row for row in rows if row[-1] is None]:
        _take_out(connection, shard, [(EntryKey(*row[1:4]), row[4]) for row in gone])
    entries = tuple(_read(row) for row in rows if row[-1] is not None)
    if not entries:
        return Claim(entries, known)
    documented = documents.claimed(connection, ((marked.key, marked.state) for marked in entries))
    parties = {reference for marked in entries for _, reference in marked.entry.parties}
    at, registered = persons.load(connection, parties)
    return Claim(entries, known, at, documented, registered, _published(connection, [marked.key for marked in entries]))


def _read(row: tuple[Any, ...]) -> Marked:
    _, *parts, mark, lane, since, asked_at, revision, document = row
    key, state = EntryKey(*parts), load(document)
    return Marked(key, mark, lane == 0, revision, state, entry_of(key, state), since, asked_at)


def _published(connection: Connection, keys: Sequence[EntryKey]) -> frozenset[tuple[str, EntryKey]]:
    rows = connection.execute(query("find_published"), _listed(keys))
    return frozenset((overview, EntryKey(*key)) for overview, *key in rows)


def note_published(connection: Connection, new: Sequence[tuple[str, EntryKey]]) -> None:
    """They are about to have a value in a sparse topic."""
    connection.execute(query("note_published"), _by_overview(new))


def forget_published(connection: Connection, gone: Sequence[tuple[str, EntryKey]]) -> None:
    """Their tombstones are in the sparse topic. For the session with the shard's lock alone: another may publish."""
    connection.execute(query("forget_published"), _by_overview(gone))


def _by_overview(listed: Sequence[tuple[str, EntryKey]]) -> dict[str, Any]:
    return {"overviews": [name for name, _ in listed], **_listed([key for _, key in listed])}


def _listed(keys: Sequence[EntryKey]) -> dict[str, Any]:
    return {
        "authorities": [key.authority for key in keys],
        "systems": [key.system for key in keys],
        "case_ids": [key.case_id for key in keys],
    }


def _marked(connection: Connection, which: Mapping[str, object]) -> list[tuple[Any, ...]]:
    with connection.cursor(binary=True) as cursor:
        return cursor.execute(query("claim_dirty"), which).fetchall()


def settle(connection: Connection, shard: int, published: Sequence[Marked]) -> None:
    """Take the published ones out of the set, unless they have changed since."""
    _take_out(connection, shard, [(marked.key, marked.mark) for marked in published])


def _take_out(connection: Connection, shard: int, marks: Sequence[tuple[EntryKey, str]]) -> None:
    keys = _listed([key for key, _ in marks])
    connection.execute(query("settle_dirty"), {"shard": shard, **keys, "marks": [mark for _, mark in marks]})


def depth(connection: Connection) -> int:
    """How many entries are marked."""
    row = connection.execute("SELECT count(*) FROM dirty").fetchone()
    return 0 if row is None else int(row[0])


def claim_rejections(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """Unpublished rejections in the shape of their schema, but for the remedy; and the trace they came by."""
    names = [
        "rejection_id",
        "authority",
        "system",
        "event_id",
        "code",
        "pointer",
        "detail",
        "payload",
        "topic",
        "partition",
        "offset",
        "rejected_at",
        "trace_id",
    ]
    rows = connection.execute(query("claim_rejections"), {"limit": limit}).fetchall()
    return [dict(zip(names, row, strict=True)) for row in rows]


def settle_rejections(connection: Connection, rejection_ids: list[str]) -> None:
    """They are in the topic."""
    connection.execute(
        "UPDATE rejection SET published_at = clock_timestamp() WHERE rejection_id = ANY(%s::uuid[])", [rejection_ids]
    )


def expire(connection: Connection) -> tuple[int, int, int]:
    """Forget what has been kept as long as was promised: (rejections without their bytes now, receipts, outcomes)."""
    forgotten, receipts, outcomes = connection.execute(query("expire")).fetchone() or (0, 0, 0)
    return forgotten, receipts, outcomes


def mark_all(connection: Connection) -> int:
    """Have everything published again, entries and rejections: the topics are not what they were. Returns how many.

    A page at a time, each committed: broken off, it is begun anew, and what is published twice is the same.
    """
    after, marked = START, 0
    while True:
        row = connection.execute(query("mark_entries"), {**after._asdict(), "limit": PAGE}).fetchone()
        if row is None:
            break
        *key, entries = row
        after, marked = EntryKey(*key), marked + entries
    connection.execute("UPDATE rejection SET published_at = NULL WHERE published_at IS NOT NULL")
    return marked
