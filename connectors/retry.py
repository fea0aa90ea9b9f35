"""Asking again, politely: retries with jitter, Retry-After honoured, never faster than agreed. For every connector."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import httpx
import orjson

_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class Unanswered(Exception):  # noqa: N818 - what happened, said in one word
    """No usable answer in all attempts. Names the last status or kind of failure, never a URL or a body."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how fast. The functions are arguments so that tests need not wait."""

    attempts: int = 8
    first_delay: float = 0.5
    longest_delay: float = 60.0
    per_second: float = 20.0
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


class Asker:
    """One caller's view of one server; requests go one at a time."""

    def __init__(self, patience: Patience) -> None:
        """Nothing is sent before the first `ask`."""
        self._patience = patience
        self._next = 0.0

    async def ask(self, send: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        """The first answer that is not "later". Raises Unanswered."""
        failure = "never tried"
        for attempt in range(self._patience.attempts):
            await self._wait_for_turn()
            wanted = None
            try:
                response = await send()
            except httpx.TransportError as error:
                failure = type(error).__name__
            else:
                if response.status_code not in _AGAIN:
                    return response
                failure = f"status {response.status_code}"
                wanted = self._retry_after(response)
            if attempt + 1 < self._patience.attempts:
                await self._patience.sleep(self._delay(attempt) if wanted is None else wanted)
        raise Unanswered(failure)

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
            try:
                moment = parsedate_to_datetime(said)
            except ValueError:
                return None
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            seconds = (moment - self._patience.now()).total_seconds()
        return min(max(seconds, 0.0), 10 * self._patience.longest_delay)
