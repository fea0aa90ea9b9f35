"""Checking the log of reads against its chain, the chain against its signatures, and both against the anchors.

Whoever owns the database can write anything in it, but no signature and no anchor. Of each segment only its number and
head are held in memory, and the topic is read as it goes by: years of both must fit.
"""

import asyncio
import json
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from broker.domain import chain, moments
from broker.domain.chain import GENESIS, Finding, Flaw, Segment
from broker.sealing_key import Trusted, trusted, vouched
from broker.settings import Settings
from broker.store import chain as store
from broker.store.chain import Connection, End, Signed
from broker.store.database import connect
from broker.stream.clients import aiokafka_options
from broker.stream.tail import Offsets, tail
from broker.stream.topics import ANCHORS

POLL_MS: Final = 500
LATE: Final = 600_000_000
"""Microseconds after which a row that nobody had sealed before is a row that was not there before."""
MOST_MISSING: Final = 1000
"""Of a gap in the numbers so many are named."""
HEAD: Final = 32
FETCH: Final = 10_000

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


class Heads:
    """The heads of the segments that are there, by number; numbers come in order."""

    def __init__(self) -> None:
        self._numbers: array[int] = array("q")
        self._heads = bytearray()
        self._seen = bytearray()

    def add(self, number: int, head: bytes) -> None:
        """One more."""
        self._numbers.append(number)
        self._heads += head.ljust(HEAD, b"\0")[:HEAD]  # what is in the database may be of any length
        self._seen.append(0)

    def anchored(self, number: int, head: bytes) -> bool | None:
        """Whether that is the segment's head; None when there is no such segment."""
        place = bisect_left(self._numbers, number)
        if place == len(self._numbers) or self._numbers[place] != number:
            return None
        same = self._heads[place * HEAD : (place + 1) * HEAD] == head
        self._seen[place] |= same
        return same

    @property
    def seen(self) -> int:
        """How many are anchored as they are."""
        return sum(self._seen)


class Ids:
    """Ids of rows. They come mostly in order, and then take eight bytes each."""

    def __init__(self) -> None:
        self._rising: array[int] = array("q")
        self._late: set[int] = set()

    def add(self, number: int) -> None:
        """One more."""
        if self._rising and number <= self._rising[-1]:
            self._late.add(number)
        else:
            self._rising.append(number)

    def __contains__(self, number: int) -> bool:
        place = bisect_left(self._rising, number)
        return (place < len(self._rising) and self._rising[place] == number) or number in self._late


def verify(settings: Settings, progress: Progress = lambda _: None) -> Report:
    """Look through everything; `progress` gets the rows so far, and may end it by raising.

    Raises NoKeyError, psycopg.Error, and what reading Kafka raises (`tail.AWAY`).
    """
    keys = trusted(settings)
    if not keys:
        raise NoKeyError
    # Looked at first: a head that is anchored by then has been committed before.
    first, ends = asyncio.run(_bounds(settings))
    with connect(settings.dsn, "verify") as connection:
        # A whole log takes longer than any other transaction may.
        connection.execute("SELECT set_config('transaction_timeout', '0', false)")
        connection.execute("SELECT set_config('idle_in_transaction_session_timeout', '0', false)")
        report, heads = Report(), Heads()
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            _check(connection, keys, heads, report, progress)
        if first != ends:
            asyncio.run(_compare(settings, first, ends, keys, heads, report, progress))
        report.anchors = heads.seen
        report.unanchored = report.segments - heads.seen
    return report


def _check(connection: Connection, keys: Trusted, heads: Heads, report: Report, progress: Progress) -> None:
    members = Ids()
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
        for row in segment.rows:
            members.add(row.id)
        heads.add(segment.number, segment.head)
        last, before = End(segment.number, segment.head), segment
        report.segments += 1
        report.rows += len(segment.rows)
        progress(report.rows)
    report.last = last.number
    waiting = store.tail(connection)
    report.unsealed = waiting.rows
    report.unsealed_since = None if waiting.since is None else moments.text(waiting.since)
    report.findings += [Finding(Flaw.MISSING, None, number) for number in waiting.gone]
    strangers = _strangers(connection, members, lambda: progress(report.rows))
    report.findings += [Finding(Flaw.INSERTED, None, number) for number in strangers]


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
        missing = islice(range(last.number + 1, segment.number), MOST_MISSING)
        yield from (Finding(Flaw.SEGMENT_MISSING, number) for number in missing)
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


def _strangers(connection: Connection, members: Ids, went_on: Callable[[], None]) -> Iterator[int]:
    """Rows that neither stand in a segment nor wait for the sealer."""
    with connection.cursor("strangers") as cursor:
        cursor.itersize = FETCH
        cursor.execute(
            "SELECT id FROM access_log l WHERE NOT EXISTS (SELECT FROM access_unsealed u WHERE u.id = l.id) ORDER BY id"
        )
        for count, (number,) in enumerate(cursor):
            if count % FETCH == 0:
                went_on()
            if number not in members:
                yield int(number)


async def _bounds(settings: Settings) -> tuple[Offsets, Offsets]:
    async with tail(aiokafka_options(settings), [ANCHORS]) as log:
        return await log.bounds(ANCHORS)


async def _compare(
    settings: Settings, first: Offsets, ends: Offsets, keys: Trusted, heads: Heads, report: Report, progress: Progress
) -> None:
    """What stands in the topic cannot be taken back: a chain that was written anew, or ends too early, shows."""
    told: set[Finding] = set()
    async with tail(aiokafka_options(settings), [ANCHORS]) as log:
        log.begin(ANCHORS, first)
        while await log.reached(ANCHORS) < ends:
            progress(report.rows)
            for record in await log.poll(POLL_MS):
                finding = _judged(_read(record.value), keys, heads, report) if (record.offset,) < ends else None
                if finding is not None and finding not in told and len(told) < MOST_MISSING:
                    told.add(finding)
                    report.findings.append(finding)


def _judged(said: dict[str, Any], keys: Trusted, heads: Heads, report: Report) -> Finding | None:
    number, head = said["number"], bytes.fromhex(said["head"])
    same = heads.anchored(number, head)
    if same:
        return None
    if not vouched(keys, said["key_id"], bytes.fromhex(said["signature"]), chain.head_statement(head)):
        return Finding(Flaw.ANCHOR, number)
    if number <= report.cut:
        return None
    if same is None:
        # One that is missing between others has been named.
        return Finding(Flaw.SEGMENT_MISSING, number) if number > report.last else None
    return Finding(Flaw.ANCHOR, number)


def _read(value: bytes | None) -> dict[str, Any]:
    """Raises nothing: what cannot be read has no valid signature either."""
    try:
        said = json.loads(value or b"")
        read = {"number": int(said["number"]), "key_id": str(said["key_id"])}
        bytes.fromhex(said["head"]), bytes.fromhex(said["signature"])
    except (ValueError, KeyError, TypeError):
        return {"number": -1, "head": "", "signature": "", "key_id": ""}
    return {**read, "head": said["head"], "signature": said["signature"]}
