"""What is to be published, claimed and settled; nothing is settled before Kafka has it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from broker.domain.agreement import Facts
from broker.domain.case import State
from broker.domain.document import Known
from broker.domain.identity import EntryKey
from broker.store import documents, facts
from broker.store.database import query
from broker.store.document import load

Connection = psycopg.Connection[Any]
SHARDS = 8
START = EntryKey("", "", "00000000-0000-0000-0000-000000000000")


@dataclass(frozen=True, slots=True)
class Marked:
    """One entry in the dirty set, as it stood in the snapshot of the claim; `mark` is its row version there."""

    key: EntryKey
    mark: str
    purge: bool
    revision: int
    state: State


@dataclass(frozen=True, slots=True)
class Claim:
    """Entries and the facts of the same snapshot, and what was known of their documents after it."""

    entries: tuple[Marked, ...]
    facts: Facts
    documents: Known = field(default_factory=dict)


def claim(connection: Connection, shard: int, after: EntryKey, limit: int, known: Facts) -> Claim:
    """The next entries of a shard behind `after`; `known` spares reading facts that have not changed."""
    if connection.execute("SELECT FROM dirty WHERE shard = %s LIMIT 1", [shard]).rowcount == 0:
        return Claim((), known)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        rows = connection.execute(query("claim_dirty"), {"shard": shard, "limit": limit, **after._asdict()}).fetchall()
        if not rows:
            return Claim((), known)
        revision = connection.execute("SELECT revision FROM reference_revision").fetchone()
        if revision is None or revision[0] != known.revision:
            known = facts.load(connection)
    entries = tuple(
        Marked(EntryKey(*key), mark, lane == 0, current, load(document)) for *key, mark, lane, current, document in rows
    )
    return Claim(entries, known, documents.claimed(connection, ((marked.key, marked.state) for marked in entries)))


def settle(connection: Connection, shard: int, published: Sequence[Marked]) -> None:
    """Take the published ones out of the set, unless they have changed since."""
    connection.execute(
        query("settle_dirty"),
        {
            "shard": shard,
            "authorities": [marked.key.authority for marked in published],
            "systems": [marked.key.system for marked in published],
            "case_ids": [marked.key.case_id for marked in published],
            "marks": [marked.mark for marked in published],
        },
    )


def depth(connection: Connection) -> int:
    """How many entries are marked."""
    row = connection.execute("SELECT count(*) FROM dirty").fetchone()
    return 0 if row is None else int(row[0])


def claim_rejections(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """Unpublished rejections in the shape of their schema, but for the remedy."""
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
