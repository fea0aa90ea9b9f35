"""Full loads: a source's cases in chunks, judged as everything else, acknowledged by Kafka, and then remembered.

A chunk is remembered only when all of it is acknowledged and its refusals are kept: a load that was killed goes on
there, and what it sends twice is a duplicate. While one chunk is under way to Kafka the next one is judged.
"""

import asyncio
import hashlib
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson
from confluent_kafka import KafkaException, Message, Producer

from broker.domain.agreement import Facts
from broker.domain.document import Event
from broker.domain.identity import EVENT_NAMESPACE
from broker.domain.outcome import Delimited, Rejected
from broker.domain.reconcile import area_of
from broker.intake import forms
from broker.intake.connector import Connector, Source
from broker.intake.forms import Item
from broker.intake.leaving import removals
from broker.intake.receipts import rejections_of
from broker.intake.verdicts import (
    Accepted,
    Offer,
    Sender,
    canonical_offers,
    encoded,
    judge_all,
    message,
    offers_of,
)
from broker.settings import Settings
from broker.store import loading as store
from broker.store.loading import Connection
from broker.stream.clients import confluent_options

CHUNK: Final = 1000
PATIENCE_S: Final = 60.0
PRODUCER: Final = {
    # A key stays in the partition that every other client finds for it.
    "partitioner": "murmur2_random",
    "acks": "all",
    "enable.idempotence": True,
    # Not compressed: workers read with a client that knows only what is installed beside it.
    "linger.ms": 5,
    "message.max.bytes": 2 * 1024 * 1024,
    "delivery.timeout.ms": int(PATIENCE_S * 1000),
    "client.id": "sagsbro-load",
    "log_level": 0,
}
LINES: Final = (".ndjson", ".jsonl")
_CANONICAL: Final = frozenset({"event_id", "authority", "case_id"})
_HEAD: Final = 1 << 20

FactsOf = Callable[[Connection], Awaitable[Facts]]


class LoadFailed(Exception):  # noqa: N818 - it says what to do
    """It has stopped; the same command goes on where it was."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk of the source. weight: its share of the whole, in the unit of the whole; `offers` translates it."""

    payloads: int
    weight: float
    offers: Callable[[], Iterable[Offer]]
    cursor: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class _Underway:
    chunk: store.Chunk
    rejections: Sequence[Mapping[str, Any]]
    weight: float


class Hand:
    """Hands chunks over to Kafka, one while the next is judged; used in one event loop."""

    def __init__(self, settings: Settings, connection: Connection, facts_of: FactsOf, sender: Sender) -> None:
        self._connection = connection
        self._facts_of = facts_of
        self._sender = sender
        self._producer = Producer(confluent_options(settings) | PRODUCER)
        self._failed = 0

    async def give(self, receipt: str, number: int, piece: Piece) -> _Underway:
        """Judge a chunk and send what may come in; `receipt` names the request, the same when it is made again."""
        facts = await self._facts_of(self._connection)
        judged = judge_all(piece.offers(), self._sender, facts, time.time_ns() // 1000)
        accepted = [one.verdict for one in judged if isinstance(one.verdict, Accepted)]
        for removal in await removals(self._connection, judged):
            self._produce(removal, encoded(removal))
        for verdict in accepted:
            self._produce(verdict.event, verdict.value)
        rejections = rejections_of(uuid.uuid5(EVENT_NAMESPACE, f"{receipt}:{number}"), judged, self._sender)
        delimited = sum(isinstance(one.verdict, Delimited) for one in judged)
        areas = Counter(_area(verdict.event) for verdict in accepted)
        chunk = store.Chunk(number, piece.payloads, len(accepted), delimited, len(rejections), areas, piece.cursor)
        return _Underway(chunk, rejections, piece.weight)

    async def settle(self, underway: _Underway, load: int | None) -> None:
        """Wait until it is acknowledged, then remember it. Raises LoadFailed."""
        left = await asyncio.to_thread(self._producer.flush, PATIENCE_S)
        if left or self._failed:
            raise LoadFailed("Kafka does not acknowledge; the same command goes on where it was")
        await store.put(self._connection, load, underway.chunk, underway.rejections)

    def _produce(self, event: Event, value: bytes) -> None:
        """Wait a little where the client's own queue is full."""
        key, _, topic = message(event, value)
        while True:
            try:
                self._producer.produce(topic, value, key, on_delivery=self._heard)
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as why:
                raise LoadFailed(f"Kafka refuses ({why.args[0].name()}); the same command goes on") from None
            else:
                self._producer.poll(0)
                return

    def _heard(self, error: object, _: Message) -> None:
        self._failed += error is not None


def _area(event: Event) -> str:
    if "case_id" not in event:
        return area_of(None)
    return area_of((event.get("classification") or {}).get("kle"))


async def load(
    hand: Hand,
    connection: Connection,
    run: store.Load,
    pieces: AsyncIterator[Piece],
    rate: float | None,
    tell: Callable[[store.Done, float], None],
) -> store.Done:
    """All that is left of a load; `pieces` begins after what is done. Raises LoadFailed.

    Args:
        rate: payloads a second at most.
        tell: hears after each chunk how far the load has come, and the weight of the chunk.
    """
    done = await store.done(connection, run.id)
    began, payloads = time.monotonic(), 0
    before: _Underway | None = None
    number = done.chunks

    async def settle(underway: _Underway) -> None:
        nonlocal done
        await hand.settle(underway, run.id)
        one = underway.chunk
        done = store.Done(
            done.chunks + 1,
            done.payloads + one.payloads,
            done.sent + one.sent,
            done.delimited + one.delimited,
            done.rejected + one.rejected,
            one.cursor,
        )
        tell(done, underway.weight)

    async for piece in pieces:
        underway = await hand.give(f"load {run.id}", number, piece)
        number += 1
        if before is not None:
            await settle(before)
            before = None
        if piece.cursor is None:
            before = underway
        else:
            # Whoever asks a source for more has handed over what it gave.
            await settle(underway)
        payloads += piece.payloads
        if rate is not None and (ahead := payloads / rate - (time.monotonic() - began)) > 0:
            await asyncio.sleep(ahead)
    if before is not None:
        await settle(before)
    await store.finish(connection, run.id)
    return done


def digest_of(files: Iterable[Path]) -> bytes:
    """Tells these files, in this order and with this content, from any others."""
    total = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.digest()


async def from_files(
    files: Sequence[Path], speaking: Connector | None, source: Source, size: int, skip: int
) -> AsyncIterator[Piece]:
    """The files in chunks of `size` payloads, after `skip` chunks; canonical events one a line, or vendor's payloads.

    What is skipped weighs with the first that is not.
    Files named .ndjson or .jsonl are read line by line; a vendor's body is read whole. Raises LoadFailed where a file
    cannot be read at all, and then nothing of it is sent.
    """
    skipped = 0.0
    for path in files:
        for piece in _of_file(path, speaking, source, size):
            if skip > 0:
                skip, skipped = skip - 1, skipped + piece.weight
                continue
            yield replace(piece, weight=piece.weight + skipped)
            skipped = 0.0


def _of_file(path: Path, speaking: Connector | None, source: Source, size: int) -> Iterator[Piece]:
    if path.suffix in LINES:
        canonical = _is_canonical(path)
        with path.open("rb") as file:
            lines = (line for line in file if line.strip())
            while chunk := list(islice(lines, size)):
                body = b"".join(chunk)
                yield Piece(len(chunk), len(body), _offers(body, None if canonical else speaking, source))
        return
    if speaking is None:
        raise LoadFailed("no connector of that name is installed: canonical events come in .ndjson files")
    payloads = speaking.split(path.read_bytes())
    if isinstance(payloads, Rejected):
        raise LoadFailed(f"a file cannot be read: {payloads.code}, {payloads.detail}")
    weight = path.stat().st_size / max(1, len(payloads))
    for start in range(0, len(payloads), size):
        some = payloads[start : start + size]
        yield Piece(len(some), weight * len(some), _translated(some, speaking, source))


def _offers(body: bytes, speaking: Connector | None, source: Source) -> Callable[[], Iterable[Offer]]:
    if speaking is None:
        return lambda: canonical_offers(Item(said) for said in forms.lines(body, _one))
    return lambda: offers_of(forms.lines(body, speaking.split), speaking, source)


def _one(line: bytes) -> Sequence[object] | Rejected:
    found = forms.canonical(forms.LINES[0], line)
    return found if isinstance(found, Rejected) else [item.said for item in found]


def _translated(payloads: Sequence[object], speaking: Connector, source: Source) -> Callable[[], Iterable[Offer]]:
    return lambda: offers_of(payloads, speaking, source)


def _is_canonical(path: Path) -> bool:
    """By the first line."""
    with path.open("rb") as file:
        first = file.readline(_HEAD).removeprefix(b"\xef\xbb\xbf")
    with suppress(orjson.JSONDecodeError):
        said = orjson.loads(first)
        return isinstance(said, dict) and said.keys() >= _CANONICAL
    return False


async def from_source(
    speaking: Connector, source: Source, vendor: Mapping[str, Any], since: Mapping[str, Any]
) -> AsyncIterator[Piece]:
    """Everything a vendor's system has, page by page, after `since`; a page is a chunk. Raises what its poller does."""
    if speaking.poller is None or speaking.tells_changes_only:
        raise LoadFailed(f"{speaking.name} cannot be asked for all it has: it sends files")
    poller = speaking.poller(vendor)
    try:
        async for page in poller.changes(since):
            payloads = speaking.split(page.body) if page.count else []
            if isinstance(payloads, Rejected):
                raise LoadFailed(f"a page cannot be read: {payloads.code}")
            yield Piece(page.count, page.count, _translated(payloads, speaking, source), page.cursor)
    finally:
        if hasattr(poller, "aclose"):
            await poller.aclose()
