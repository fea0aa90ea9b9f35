"""What must stand in the tables after what was sent, calculated without the broker: the newest registration of a case.

A fingerprint is a sum of hashes of lines: the same lines in any order have the same one.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, LiteralString

import psycopg

from broker.domain.case import CaseEvent
from broker.domain.identity import EntryKey
from ops.bench.filled import Filled
from ops.bench.storm import HELD, expected_lines, held_lines

Connection = psycopg.Connection[Any]


@dataclass(slots=True)
class Expected:
    """`entries`: of each case when it was last registered, and the hashes of its line in our table and the peers'.

    Of the pass that is being noted: `sent` records, `refused` of them, and the cases it `touched`.
    """

    entries: dict[EntryKey, tuple[int, int, int]] = field(default_factory=dict)
    touched: set[EntryKey] = field(default_factory=set)
    sent: int = 0
    refused: int = 0

    def note(self, record: Filled) -> None:
        """One more record was sent."""
        self.sent += 1
        self.refused += not record.taken
        if not record.taken:
            return
        event = record.event
        key, at = EntryKey(event["authority"], event["system"], event["case_id"]), event["registered_at"]
        self.touched.add(key)
        if key not in self.entries or self.entries[key][0] < at:
            self.entries[key] = at, _hash(*expected_lines([event])), _hash(_peers_line(event))

    def next_pass(self) -> None:
        """What is noted from here on lies over what was."""
        self.touched, self.sent, self.refused = set(), 0, 0

    @property
    def ours(self) -> int:
        """The fingerprint of our table."""
        return sum(ours for _, ours, _ in self.entries.values())

    @property
    def peers(self) -> int:
        """The fingerprint of a peer's table."""
        return sum(peers for _, _, peers in self.entries.values())


def our_table(connection: Connection) -> int:
    """The fingerprint of every entry, from its whole document and what it is searched by."""
    with rows_of(connection, HELD) as rows:
        return fingerprint(held_lines(rows))


@contextmanager
def rows_of(connection: Connection, statement: LiteralString) -> Iterator[psycopg.ServerCursor[Any]]:
    """Of any number of rows a few at a time, however long that takes."""
    connection.execute("SET transaction_timeout = 0")
    with connection.transaction(), connection.cursor("rows") as cursor:
        cursor.itersize = 2000
        cursor.execute(statement)
        yield cursor
    connection.execute("RESET transaction_timeout")


def peers_table(connection: Connection) -> int:
    """The fingerprint of what a peer has written."""
    rows = connection.execute(
        "SELECT authority, system, case_id::text, registered_at, user_key, title, kle, kle_title, state, citizen,"
        " hidden_from_citizen, link FROM peer_case"
    )
    return fingerprint(map(json.dumps, rows))


def _peers_line(event: CaseEvent) -> str:
    said: Any = event
    columns = [
        *(said[name] for name in ("authority", "system", "case_id", "registered_at")),
        said["properties"]["user_key"],
        said["properties"]["title"],
        said["classification"]["kle"],
        "emne",
        said["progress"]["items"][-1]["state"],
        said["parties"]["items"][0]["id"],
        said["access"]["hidden_from_citizen"],
        said["properties"]["link"],
    ]
    return json.dumps(columns)


def fingerprint(lines: Iterable[str]) -> int:
    """Of the same lines in any order the same, and the sum of those of any parts."""
    return sum(map(_hash, lines))


def _hash(line: str) -> int:
    return int.from_bytes(hashlib.sha256(line.encode()).digest())
