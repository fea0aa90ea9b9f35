"""Asking again, politely: retries with jitter, Retry-After honoured, never faster than agreed. For every connector.

After many failures in a row the server is left alone for a while; then one request finds out whether it is back.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import httpx
import orjson

from broker.domain.outcome import Code, Rejected
from broker.intake.xml import LARGEST, MOST, Element, parse

_log = logging.getLogger(__name__)
_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_BUSY: Final = 429
_LONGEST_TEXT: Final = 10_000_000
"""Letters in one element: the parser reads no more, and does not say which of its limits it has met."""
_NOTABLE_SKEW: Final = 60.0
"""Seconds between two clocks: less is the answer's own way."""


class Unanswered(Exception):  # noqa: N818 - what happened, said in one word
    """No usable answer in all attempts. Names the last status or kind of failure, never a URL or a body.

    Each vendor's own error, for an answer of another form than was asked for, is one: it ends a round and no more.
    """


class TooLong(Unanswered):
    """An answer that is larger than can be read: asked for again, it would be as large. more_than: MiB."""

    def __init__(self, size: int) -> None:
        """size: bytes."""
        self.more_than = size >> 20
        super().__init__(f"an answer of more than {self.more_than} MiB")


class Away(Unanswered):
    """The server is left alone, or is away altogether: this says nothing of what it was asked for."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how fast. The functions are arguments so that tests need not wait.

    breaks_after: failures in a row; rests: seconds without a request after them. 429 is an answer, and no failure.
    """

    attempts: int = 8
    first_delay: float = 0.5
    longest_delay: float = 60.0
    per_second: float = 20.0
    breaks_after: int = 16
    rests: float = 300.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    jitter: Callable[[], float] = random.random


async def whole(response: httpx.Response) -> None:
    """A hook for clients: JSON that was cut short is no answer, and is asked for again."""
    await response.aread()
    if response.is_success and "json" in response.headers.get("content-type", ""):
        try:
            orjson.loads(response.content)
        except orjson.JSONDecodeError:
            raise httpx.RemoteProtocolError("half an answer") from None


async def whole_xml(response: httpx.Response, most: int = MOST, largest: int = LARGEST) -> None:
    """The same for XML. Raises what `read_xml` does."""
    await response.aread()
    if response.is_success and read_xml(response.content, most, largest) is None:
        raise httpx.RemoteProtocolError("half an answer")


def read_xml(body: bytes, most: int = MOST, largest: int = LARGEST) -> Element | None:
    """As `parse` has it; None for what is none. Raises TooLong for what is larger; half of that looks the same."""
    root = parse(body, most, largest)
    if not isinstance(root, Rejected):
        return root
    if root.code is Code.TOO_LARGE or (largest <= LARGEST and len(body) > _LONGEST_TEXT):
        raise TooLong(min(len(body) - 1, largest))
    return None


class Asker:
    """One caller's view of one server; requests go one at a time.

    skew: how far the server's clock is ahead of ours, by its last `Date`, in seconds; 0 while it has not said.
    """

    def __init__(self, patience: Patience) -> None:
        """Nothing is sent before the first `ask`."""
        self._patience = patience
        self._next = 0.0
        self._failures = 0
        self._rests_until = 0.0
        self.skew = 0.0

    def theirs(self, ours: datetime) -> datetime:
        """What the server's clock says when ours says that."""
        return ours + timedelta(seconds=self.skew)

    async def ask(self, send: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        """The first answer that is not "later". Raises Unanswered, at once while the server is left alone."""
        failure = ""
        for attempt in range(self._patience.attempts):
            if self._patience.clock() < self._rests_until:
                break
            await self._wait_for_turn()
            wanted = None
            try:
                response = await send()
            except httpx.TransportError as error:
                failure = type(error).__name__
                self._failed()
            else:
                self._compare_clocks(response)
                if response.status_code not in _AGAIN:
                    self._failures = 0
                    return response
                failure = f"status {response.status_code}"
                wanted = self._retry_after(response)
                if response.status_code != _BUSY:
                    self._failed()
            if attempt + 1 < self._patience.attempts:
                await self._patience.sleep(self._delay(attempt) if wanted is None else wanted)
        raise Unanswered(failure) if failure else Away("left alone")

    def _failed(self) -> None:
        """Once it is open, each failure opens it again: what is asked after the rest is a single probe."""
        self._failures += 1
        if self._failures >= self._patience.breaks_after:
            self._rests_until = self._patience.clock() + self._patience.rests
            _log.warning("circuit open failures=%d seconds=%d", self._failures, self._patience.rests)

    def _compare_clocks(self, response: httpx.Response) -> None:
        moment = _moment(response.headers.get("date", ""))
        if moment is None:
            return
        before, self.skew = self.skew, (moment - self._patience.now()).total_seconds()
        if abs(self.skew) > _NOTABLE_SKEW >= abs(before):
            _log.warning("clock skew seconds=%d", self.skew)

    async def _wait_for_turn(self) -> None:
        now = self._patience.clock()
        if now < self._next:
            await self._patience.sleep(self._next - now)
        self._next = max(now, self._next) + 1 / self._patience.per_second

    def _delay(self, attempt: int) -> float:
        """Half fixed, half drawn: many pollers of one server do not come back together."""
        longest = min(self._patience.longest_delay, self._patience.first_delay * float(2**attempt))
        return longest * (1 + self._patience.jitter()) / 2

    def _retry_after(self, response: httpx.Response) -> float | None:
        """Seconds, or a date; a server cannot ask for more than ten times the longest delay."""
        said = response.headers.get("retry-after", "")
        if said.isdecimal():
            seconds = float(said)
        else:
            moment = _moment(said)
            if moment is None:
                return None
            seconds = (moment - self._patience.now()).total_seconds()
        return min(max(seconds, 0.0), 10 * self._patience.longest_delay)


def _moment(said: str) -> datetime | None:
    """A header's date; without a zone it is UTC."""
    try:
        moment = parsedate_to_datetime(said)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
