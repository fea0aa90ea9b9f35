"""The only poll loop: ask the vendor, push to the broker, remember how far. Vendors bring a `Poller`.

The cursor is written only after the broker has answered, so a process killed anywhere asks again for what
may not have arrived; the broker knows a repeated registration and calls it a duplicate. A page that is larger than the
broker takes goes in parts, and the cursor is written after the last of them; of one case that is too large by itself
it is told that it is.
"""

import asyncio
import json
import logging
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import httpx
import orjson

from broker import tracing
from broker.domain.trace import TRACEPARENT
from broker.intake.connector import load
from broker.intake.xml import LARGEST
from connectors.receiving import receiving
from connectors.retry import Asker, Patience, Unanswered
from connectors.unread import unread

_log = logging.getLogger(__name__)
# 422: nothing of the batch could be used, and the broker has said why of each. Asking again would not help.
_TAKEN: Final = frozenset({202, 422})
_TOO_LARGE: Final = 413
_MIB: Final = 1 << 20
"""A door that does not let so much through is a wrong one, and no case's fault."""

Cursor = Mapping[str, Any]
"""How far a poller has come: JSON, its own words, empty at the very start."""
Answers = Sequence[Mapping[str, Any]]
Unknown = Callable[[bytes], Mapping[str, int]]
"""Which fields of a body no model names, and how often: a vendor's new release shows here first."""


def halves_of_list(body: bytes) -> Sequence[bytes]:
    """A JSON list as two shorter ones; nothing where there are no two."""
    cases = orjson.loads(body)
    half = len(cases) // 2 if isinstance(cases, list) else 0
    return [orjson.dumps(cases[:half]), orjson.dumps(cases[half:])] if half else []


def list_of(payload: Mapping[str, Any]) -> bytes:
    """A JSON list of one."""
    return orjson.dumps([payload])


@dataclass(frozen=True, slots=True)
class Page:
    """Cases that changed, as a body in the vendor's own form, and how far that is.

    halves: a body -> two smaller ones with the same cases between them, the first of an odd number having one less;
    nothing where it has one. names: what each case in the body is called, for a rejection and the log.
    alone: what is told of a case in its place -> a body of it.
    """

    body: bytes
    count: int
    cursor: Cursor
    halves: Callable[[bytes], Sequence[bytes]] = halves_of_list
    names: Sequence[str] = ()
    alone: Callable[[Mapping[str, Any]], bytes] = list_of

    def parts(self) -> "Sequence[Page]":
        """Two smaller pages; nothing where it has one case."""
        bodies, half = self.halves(self.body), len(self.names) // 2
        named = zip(bodies, (self.names[:half], self.names[half:]), strict=True) if bodies else ()
        return [replace(self, body=body, names=names) for body, names in named]

    def passed_over(self) -> bytes:
        """What is told in the place of its one case: that it is too large. Logs it."""
        name = self.names[0] if self.names else ""
        larger_than = min(LARGEST, len(self.body) - 1) // _MIB
        _log.warning("passed over case=%s: larger than %d MiB", name, larger_than)
        return self.alone(unread(name, larger_than=larger_than))


class Poller(Protocol):
    """What a vendor that must be asked brings."""

    def changes(self, since: Cursor) -> AsyncIterator[Page]:
        """Everything changed since, oldest first, until there is no more; twice is allowed, missed is not."""


@runtime_checkable
class Closing(Protocol):
    """A `Poller` that holds connections; optional."""

    async def aclose(self) -> None:
        """End them; it is not asked again."""


class Refused(Exception):  # noqa: N818 - what happened, said in one word
    """The broker does not take this sender's requests: a person must look. Carries the status only."""


class TooLarge(Refused):
    """The body is larger than the broker takes at once."""


class CursorFile:
    """The cursor on disk: the old one or the new one, never half of either."""

    def __init__(self, path: Path) -> None:
        """The file need not exist yet; its directory must."""
        self._path = path

    def read(self) -> Cursor:
        """Raises ValueError when the file is not ours: starting over silently could take weeks."""
        try:
            content = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        if not isinstance(content, dict):
            raise ValueError("the cursor file holds no cursor")  # noqa: TRY004 - a wrong value, not a wrong call
        return content

    def write(self, cursor: Cursor) -> None:
        """Write beside, flush to disk, rename over, flush the directory."""
        beside = self._path.with_name(self._path.name + ".new")
        with beside.open("wb") as file:
            file.write(json.dumps(cursor).encode())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
        directory = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


@dataclass(frozen=True, slots=True)
class Broker:
    """The broker's door for one system. `client` knows the base address."""

    client: httpx.AsyncClient
    asker: Asker
    system: str
    token: str
    media_type: str = "application/json"

    async def push(self, body: bytes) -> Mapping[str, Any]:
        """Hand over one batch. Raises Refused, TooLarge, or Unanswered after many attempts."""
        if len(body) > LARGEST:
            raise TooLarge(f"more than {LARGEST} bytes")
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": self.media_type}
        headers[TRACEPARENT] = str(tracing.fresh())
        address = f"/v1/events/{self.system}"
        response = await self.asker.ask(lambda: self.client.post(address, content=body, headers=headers))
        if response.status_code == _TOO_LARGE:
            raise TooLarge(f"status {_TOO_LARGE}")
        if response.status_code not in _TAKEN:
            raise Refused(f"status {response.status_code}")
        answer = response.json()
        if not isinstance(answer, dict) or "accepted" not in answer:
            # A proxy's own 422 is no receipt: without one nothing counts as delivered.
            raise Refused("no receipt in the answer")
        return answer


async def push_in_parts(broker: Broker, page: Page) -> Answers:
    """The answers to all parts of what is larger than the broker takes, or than what stands before it lets through.

    One case that is too large by itself is told of in its place. Raises what `push` does: TooLarge where not even a
    small one is let through.
    """
    try:
        return [await broker.push(page.body)]
    except TooLarge:
        parts = await asyncio.to_thread(page.parts)
        if not parts and len(page.body) <= _MIB:
            raise
    if not parts:
        return [await broker.push(page.passed_over())]
    return [answer for part in parts for answer in await push_in_parts(broker, part)]


def nothing(body: bytes) -> Mapping[str, int]:
    """Where nobody has said which fields are known."""
    del body
    return {}


async def poll_once(poller: Poller, broker: Broker, cursors: CursorFile, unknown: Unknown = nothing) -> int:
    """Everything that has changed since the cursor; how many cases were handed over."""
    delivered = 0
    strange: Counter[str] = Counter()
    async for page in poller.changes(cursors.read()):
        if page.count:
            answers = await push_in_parts(broker, page)
            delivered += page.count
            strange.update(unknown(page.body))
            _log.info(
                "delivered cases=%d accepted=%d rejected=%d",
                page.count,
                sum(answer["accepted"] for answer in answers),
                sum(len(answer.get("rejected", ())) for answer in answers),
            )
        cursors.write(page.cursor)
    if strange:
        _log.info("fields left out %s", json.dumps(dict(strange.most_common()), ensure_ascii=False))
    return delivered


async def run(
    poller: Poller,
    broker: Broker,
    cursors: CursorFile,
    stop: asyncio.Event,
    every: float,
    unknown: Unknown = nothing,
) -> None:
    """Poll until told to stop, with `every` seconds between two rounds.

    A server that does not answer, or not with what was asked for, ends the round, not the loop. Other errors end it: a
    supervisor restarts.
    """
    while not stop.is_set():
        try:
            await poll_once(poller, broker, cursors, unknown)
        except Unanswered as failure:
            _log.warning("no answer: %s", failure)
        try:
            await asyncio.wait_for(stop.wait(), every)
        except TimeoutError:
            continue


async def serve(
    system: str,
    make: Callable[[Mapping[str, Any]], Poller],
    config: Mapping[str, Any],
    stop: asyncio.Event,
    unknown: Unknown = nothing,
) -> None:
    """Run one vendor's poll loop from its configuration file, until `stop`: a round under way is finished first.

    The body goes as the first media type that the connector speaks.
    `config` has `broker {url, token}`, `cursor` (a path), `every` (seconds) and `vendor {…}`, which `make` gets. With
    `listen {host, port}` too, what the vendor tells by itself is taken there.
    """
    async with httpx.AsyncClient(base_url=config["broker"]["url"], timeout=60) as client:
        speaking = load(system)
        media_type = "application/json" if speaking is None else speaking.media_types[0]
        broker = Broker(client, Asker(Patience()), system, config["broker"]["token"], media_type)
        cursors = CursorFile(Path(config["cursor"]))
        poller = make(config["vendor"])
        receiver = None if speaking is None or "listen" not in config else speaking.receiver
        hook = nullcontext() if receiver is None else receiving(receiver(config["vendor"]), config["listen"], stop)
        try:
            async with hook:
                await run(poller, broker, cursors, stop, float(config.get("every", 10)), unknown)
        finally:
            if isinstance(poller, Closing):
                await poller.aclose()
