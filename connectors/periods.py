"""What has changed, asked for by periods of time: for lists that show so many rows at most, in no order to rely on.

Cursor: `at`, the last change's time, and `seen`, the changes read within the overlap before it.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from connectors.runner import Cursor

_MICROSECOND: Final = timedelta(microseconds=1)
_ROUNDS: Final = 10


class NeverSettled(Exception):  # noqa: N818 - what happened, said in one word
    """The list changed under every one of many readings, or its pages repeat themselves."""


class Hit(NamedTuple):
    """A row of the list; `changed` in microseconds since 1970, UTC."""

    identity: str
    changed: int
    row: Mapping[str, Any]


Ask = Callable[[int, int | None, int], Awaitable[Sequence[Hit]]]
"""(from, to or None, page from 0) -> the rows changed between, `most` of them at most; more than those does no harm."""


@dataclass(frozen=True, slots=True)
class Periods:
    """Halves a period that holds more rows than one answer, lengthens one that holds few, ends with an open one.

    A clock that is wrong costs requests, and no change; where ours is ahead, `now` had best be the vendor's: a row
    between the two is not known to lie ahead.
    """

    ask: Ask
    most: int
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    # A change can be committed after a later one was seen; the last minutes are asked for again each time.
    overlap: timedelta = timedelta(minutes=2)
    shortest: timedelta = timedelta(seconds=1)

    async def changes(self, since: Cursor) -> AsyncIterator[tuple[list[Hit], Cursor]]:
        """What is new since, oldest period first, with the cursor after it."""
        at, seen = int(since.get("at", 0)), dict(since.get("seen", {}))
        overlap, shortest = self.overlap // _MICROSECOND, self.shortest // _MICROSECOND
        start, length, back = at, None, overlap
        while True:
            begin, end = max(start - back, 0), None if length is None else start + length
            rows = await self.ask(begin, end, 0)
            if len(rows) >= self.most:
                longest = self._now() - start if length is None else length
                if longest > shortest:
                    length = max(longest // 2, shortest)
                    continue
                rows = await self._all(begin, end)
            fresh = list({hit.identity: hit for hit in rows if seen.get(hit.identity) != hit.changed}.values())
            shown = {hit.identity for hit in rows}
            for first in range(0, len(fresh), self.most):
                some = fresh[first : first + self.most]
                seen |= {hit.identity: hit.changed for hit in some}
                if some[-1] is fresh[-1]:
                    # Only now nothing earlier is left. What lies ahead, or has no time, takes the cursor nowhere: also
                    # "now" could be ahead of the vendor's clock. What was read before counts, for ours can be behind.
                    reached = self._now() if end is None else min(end, self._now())
                    at = max([at, *(hit.changed for hit in rows if hit.changed <= reached)])
                    seen = {
                        identity: changed
                        for identity, changed in seen.items()
                        # Or shown just now: a clock without a zone can be an hour behind the one that is asked.
                        if changed >= at - overlap or identity in shown
                    }
                yield some, {"at": at, "seen": dict(seen)}
            if end is None or length is None:
                return
            # Vendors cut fractions of a second off, and mean their limits with or without the moment itself.
            start, back = end, shortest
            if start >= self._now():
                length = None
            elif len(rows) < self.most // 4:
                length *= 2

    async def _all(self, begin: int, end: int | None) -> Sequence[Hit]:
        """A burst: page by page, until two readings of all pages agree. A row that moves can hide another from one."""
        found: dict[str, Hit] = {}
        for _ in range(_ROUNDS):
            before, whole = dict(found), await self._read_all(begin, end, found)
            if whole and found == before:
                return list(found.values())
        raise NeverSettled(f"{_ROUNDS} readings of one period differ")

    async def _read_all(self, begin: int, end: int | None, found: dict[str, Hit]) -> bool:
        """Whether the last page was reached; a page met before ends the reading."""
        met: set[str] = set()
        page = 0
        while True:
            rows = await self.ask(begin, end, page)
            found |= {hit.identity: hit for hit in rows}
            if len(rows) < self.most:
                return True
            if met.issuperset(hit.identity for hit in rows):
                return False
            met |= {hit.identity for hit in rows}
            page += 1

    def _now(self) -> int:
        return (self.now() - datetime(1970, 1, 1, tzinfo=UTC)) // _MICROSECOND
