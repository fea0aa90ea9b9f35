"""Checking the log of reads against its chain, the chain against its signatures, and both against the anchors.

Whoever owns the database can write anything in it, but no signature and no anchor.
"""

import asyncio
import json
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from broker.domain import chain
from broker.domain.chain import GENESIS, Finding, Flaw, Segment
from broker.sealing_key import Trusted, trusted, vouched
from broker.settings import Settings
from broker.store import chain as store
from broker.store.chain import Connection, End, Signed
from broker.store.database import connect
from broker.stream.clients import aiokafka_options
from broker.stream.tail import tail
from broker.stream.topics import ANCHORS

POLL_MS: Final = 500
LATE: Final = 600_000_000
"""Microseconds after which a row that nobody had sealed before is a row that was not there before."""

Progress = Callable[[int], None]


@dataclass(slots=True)
class Report:
    """What was looked through and found. `unsealed`: rows that wait for the sealer, which is no flaw."""

    segments: int = 0
    rows: int = 0
    last: int = 0
    cut: int = 0
    anchors: int = 0
    unanchored: int = 0
    unsealed: int = 0
    unsealed_since: str | None = None
    findings: list[Finding] = field(default_factory=list)


class NoKeyError(Exception):
    """There is no key whose signatures would count."""


def verify(settings: Settings, progress: Progress = lambda _: None) -> Report:
    """Look through everything. Raises NoKeyError, psycopg.Error, and what reading Kafka raises (`tail.AWAY`)."""
    keys = trusted(settings)
    if not keys:
        raise NoKeyError
    # Read first: a head that is anchored has been committed before.
    anchors = asyncio.run(_anchors(settings))
    with connect(settings.dsn, "verify") as connection:
        # A whole log takes longer than any other transaction may.
        connection.execute("SELECT set_config('transaction_timeout', '0', false)")
        connection.execute("SELECT set_config('idle_in_transaction_session_timeout', '0', false)")
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            report = _checked(connection, keys, anchors, progress)
        if not report.findings:
            store.found_whole(connection, report.last)
    return report


def _checked(connection: Connection, keys: Trusted, anchors: Sequence[dict[str, Any]], progress: Progress) -> Report:
    report, heads = Report(), dict[int, bytes]()
    members: array[int] = array("q")
    last = _cut(connection, keys, report)
    before: Segment | None = None
    for found in store.segments(connection):
        if isinstance(found, int):
            report.findings.append(Finding(Flaw.SEGMENT_CHANGED, found))
            last = End(found, b"")
            continue
        segment, signed = found
        report.findings += _linked(last, segment, keys, signed)
        report.findings += chain.compared(segment, store.digests(connection, [row.id for row in segment.rows]))
        report.findings += _backdated(connection, before, segment)
        members.extend(row.id for row in segment.rows)
        heads[segment.number] = segment.head
        last, before = End(segment.number, segment.head), segment
        report.segments += 1
        report.rows += len(segment.rows)
        progress(report.rows)
    report.last = last.number
    report.findings += _compared_to(anchors, keys, heads, report)
    waiting = store.tail(connection)
    report.unsealed = waiting.rows
    report.unsealed_since = None if waiting.since is None else waiting.since.isoformat()
    report.findings += [Finding(Flaw.MISSING, None, number) for number in waiting.gone]
    report.findings += [Finding(Flaw.INSERTED, None, number) for number in _strangers(connection, members)]
    return report


def _cut(connection: Connection, keys: Trusted, report: Report) -> End:
    """Where the chain that is kept begins."""
    found = store.newest_cut(connection)
    if found is None:
        return End(0, GENESIS)
    end, cut_at, signed = found
    if not vouched(keys, *signed, chain.cut_statement(end.number, cut_at, end.head)):
        report.findings.append(Finding(Flaw.CUT, end.number))
    report.cut = end.number
    return end


def _linked(last: End, segment: Segment, keys: Trusted, signed: Signed) -> Iterator[Finding]:
    if segment.number != last.number + 1:
        yield from (Finding(Flaw.SEGMENT_MISSING, number) for number in range(last.number + 1, segment.number))
    if not segment.is_whole or (segment.number == last.number + 1 and last.head and segment.previous != last.head):
        yield Finding(Flaw.SEGMENT_CHANGED, segment.number)
    if not vouched(keys, *signed, chain.head_statement(segment.head)):
        yield Finding(Flaw.SIGNATURE, segment.number)


def _backdated(connection: Connection, before: Segment | None, segment: Segment) -> list[Finding]:
    """Rows that say they are from before the segment before, which had room and would have had them."""
    if before is None or len(before.rows) >= store.MOST_ROWS:
        return []
    rows = connection.execute(
        "SELECT id FROM access_log WHERE id = ANY(%s) AND (extract(epoch FROM at) * 1000000)::bigint < %s ORDER BY id",
        [[row.id for row in segment.rows], before.sealed_at - LATE],
    )
    return [Finding(Flaw.BACKDATED, segment.number, number) for (number,) in rows]


def _compared_to(
    anchors: Sequence[dict[str, Any]], keys: Trusted, heads: dict[int, bytes], report: Report
) -> Iterator[Finding]:
    """What stands in the topic cannot be taken back: a chain that was written anew, or ends too early, shows."""
    seen: set[int] = set()
    for said in anchors:
        number, head = said["number"], bytes.fromhex(said["head"])
        if not vouched(keys, said["key_id"], bytes.fromhex(said["signature"]), chain.head_statement(head)):
            yield Finding(Flaw.ANCHOR, number)
            continue
        if number <= report.cut or number in seen:
            continue
        if number in heads and heads[number] != head:
            yield Finding(Flaw.ANCHOR, number)
        if number not in heads and number > report.last:
            yield Finding(Flaw.SEGMENT_MISSING, number)
        seen.add(number)
    report.anchors = len(seen)
    report.unanchored = len(heads.keys() - seen)


def _strangers(connection: Connection, members: "array[int]") -> Iterator[int]:
    """Rows that neither stand in a segment nor wait for the sealer."""
    known = array("q", sorted(members))
    with connection.cursor("strangers") as cursor:
        cursor.itersize = 10_000
        cursor.execute(
            "SELECT id FROM access_log l WHERE NOT EXISTS (SELECT FROM access_unsealed u WHERE u.id = l.id) ORDER BY id"
        )
        for (number,) in cursor:
            place = bisect_left(known, number)
            if place == len(known) or known[place] != number:
                yield int(number)


async def _anchors(settings: Settings) -> list[dict[str, Any]]:
    """Everything in the topic that has an anchor's form; what has not was not written by a sealer."""
    found: list[dict[str, Any]] = []
    async with tail(aiokafka_options(settings), [ANCHORS]) as log:
        first, ends = await log.bounds(ANCHORS)
        log.begin(ANCHORS, first)
        while await log.reached(ANCHORS) < ends:
            found += [_read(record.value) for record in await log.poll(POLL_MS)]
    return found


def _read(value: bytes | None) -> dict[str, Any]:
    """Raises nothing: what cannot be read has no valid signature either."""
    try:
        said = json.loads(value or b"")
        int(said["number"]), bytes.fromhex(said["head"]), bytes.fromhex(said["signature"]), str(said["key_id"])
    except (ValueError, KeyError, TypeError):
        return {"number": -1, "head": "", "signature": "", "key_id": ""}
    return dict(said)
