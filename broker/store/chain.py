"""The chain over the log of reads, in the database: sealing what waits, cutting what is old, reading it for a check."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import psycopg

from broker.domain import chain
from broker.domain.chain import GENESIS, GONE, Row, Segment
from broker.store.database import query

Connection = psycopg.Connection[Any]
MOST_ROWS: Final = 5000
"""In one segment."""
MOST_CUT: Final = 100
"""Segments in one transaction."""
MANY_CITIZENS: Final = 50
"""Of more than so many in an hour, one reader's look-ups raise an alarm."""


class Signed(NamedTuple):
    """Whose signature, and the signature."""

    key_id: str
    signature: bytes


Sign = Callable[[bytes], Signed]


class End(NamedTuple):
    """Where the chain ends."""

    number: int
    head: bytes


@dataclass(frozen=True, slots=True)
class Sealed:
    """What one step did: how many rows, and how many alarms of each rule they raised."""

    rows: int
    alarms: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Tail:
    """Rows that wait for the sealer; `gone` are not there any more."""

    rows: int
    since: datetime | None
    gone: tuple[int, ...]


def seal(connection: Connection, sign: Sign, most_rows: int = MOST_ROWS) -> Sealed:
    """Chain the rows that wait, and raise their alarms, in one transaction of its own."""
    with connection.transaction():
        ids = sorted(number for (number,) in connection.execute(query("seal_claim"), {"limit": most_rows}))
        if not ids:
            return Sealed(0, {})
        there = digests(connection, ids)
        last = end(connection)
        rows = (Row(number, there.get(number, GONE)) for number in ids)
        segment = chain.sealed(last.number + 1, time.time_ns() // 1000, last.head, rows)
        key_id, signature = sign(chain.head_statement(segment.head))
        connection.execute(
            query("seal_put"),
            {
                "number": segment.number,
                "sealed_at": segment.sealed_at,
                "rows": chain.packed(segment.rows),
                "previous": segment.previous,
                "head": segment.head,
                "key_id": key_id,
                "signature": signature,
            },
        )
        alarms = connection.execute(query("seal_alarms"), {"ids": ids, "most": MANY_CITIZENS}).fetchall()
        return Sealed(len(ids), dict(alarms))


def cut(connection: Connection, sign: Sign, before: datetime) -> int:
    """Forget whole segments that were sealed before, the oldest first; returns how many. The rest is as it was."""
    with connection.transaction():
        due = connection.execute(query("seal_cut_due"), {"before": before, "limit": MOST_CUT}).fetchall()
        if not due:
            return 0
        number, head, _ = due[-1]
        cut_at = time.time_ns() // 1000
        key_id, signature = sign(chain.cut_statement(number, cut_at, bytes(head)))
        connection.execute(
            query("seal_cut"),
            {
                "number": number,
                "cut_at": cut_at,
                "head": head,
                "key_id": key_id,
                "signature": signature,
                "ids": [row.id for _, _, rows in due for row in chain.unpacked(bytes(rows))],
            },
        )
        return len(due)


def end(connection: Connection) -> End:
    """The newest segment's number and head; number 0 where nothing was ever sealed."""
    row = connection.execute(query("seal_last")).fetchone()
    return End(0, GENESIS) if row is None else End(row[0], bytes(row[1]))


def digests(connection: Connection, ids: Sequence[int]) -> dict[int, bytes]:
    """Those of the rows that are there."""
    rows = connection.execute(query("seal_rows"), {"ids": list(ids)})
    return {number: chain.digest(content) for number, *content in rows}


def segments(connection: Connection) -> Iterator[tuple[Segment, Signed] | int]:
    """Every segment, oldest first; of one that cannot be read its number. In the caller's transaction."""
    with connection.cursor("segments") as cursor:
        cursor.itersize = 100
        cursor.execute(query("seal_segments"))
        for number, sealed_at, rows, previous, head, key_id, signature in cursor:
            try:
                listed = chain.unpacked(bytes(rows))
            except ValueError:
                yield int(number)
                continue
            segment = Segment(number, sealed_at, listed, bytes(previous), bytes(head))
            yield segment, Signed(key_id, bytes(signature))


def newest_cut(connection: Connection) -> tuple[End, int, Signed] | None:
    """Where it was last cut, when (microseconds since 1970, UTC), and under whose signature."""
    row = connection.execute(
        "SELECT number, head, (extract(epoch FROM cut_at) * 1000000)::bigint, key_id, signature"
        " FROM access_cut ORDER BY number DESC LIMIT 1"
    ).fetchone()
    return None if row is None else (End(row[0], bytes(row[1])), row[2], Signed(row[3], bytes(row[4])))


def tail(connection: Connection) -> Tail:
    """What is not sealed yet."""
    rows, since, gone = connection.execute(query("seal_tail")).fetchone() or (0, None, ())
    return Tail(rows, since, tuple(sorted(gone)))


def unanchored(connection: Connection, limit: int) -> list[tuple[int, int, bytes, Signed]]:
    """(number, sealed at, head, signature) of segments that are not known to be in the topic, oldest first."""
    rows = connection.execute(
        "SELECT number, (extract(epoch FROM sealed_at) * 1000000)::bigint, head, key_id, signature"
        " FROM access_segment WHERE NOT anchored ORDER BY number LIMIT %s",
        [limit],
    )
    return [(number, at, bytes(head), Signed(key_id, bytes(signature))) for number, at, head, key_id, signature in rows]


def anchored(connection: Connection, numbers: Sequence[int]) -> None:
    """They are in the topic."""
    connection.execute("UPDATE access_segment SET anchored = true WHERE number = ANY(%s)", [list(numbers)])
