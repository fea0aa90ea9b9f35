"""The publisher process: works off the dirty set, shard by shard, into the overview topics.

A shard belongs to whoever holds its advisory lock; the Kafka transaction of its fixed id, begun after the lock, fences
a publisher that was stopped and continued. Rows leave the set only after Kafka has committed.
"""

import asyncio
import gc
import logging
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import psycopg
from confluent_kafka import KafkaError, KafkaException, Producer

from broker import tracing
from broker.domain.agreement import Facts
from broker.domain.identity import EntryKey
from broker.domain.outcome import REMEDY, Code
from broker.domain.publication import publication
from broker.logs import tell, where
from broker.metrics import CONSENT_PURGE, NOT_PUBLISHABLE, PUBLISH_SECONDS
from broker.processing import reverifying, sealing, telling
from broker.processing.applying import keep_applied
from broker.processing.due import keep_due
from broker.processing.housekeeping import keep_house
from broker.processing.sweeping import keep_swept
from broker.scrape import serve
from broker.settings import Settings
from broker.store import outbox
from broker.store.database import alone
from broker.stream.clients import confluent_options, refusal
from broker.stream.framing import encode
from broker.stream.topics import LARGEST_VALUE, OVERVIEWS, REJECTIONS

GC_THRESHOLDS: Final = (100_000, 20, 20)
"""A claim is some fifty thousand values without a cycle."""
CLAIM: Final = 1000
# Each may carry a megabyte.
CLAIM_REJECTIONS: Final = 50
GATHER_S: Final = 0.1
RETRY_S: Final = 2.0
ANSWER_S: Final = 15.0
NAME: Final = "sagsbro-publisher"
PRODUCER: Final = {
    # A key stays in the partition that every other client finds for it.
    "partitioner": "murmur2_random",
    "transaction.timeout.ms": 30_000,
    "socket.timeout.ms": 15_000,
    # A commit sends what is there, at once: nothing is sent before it in small pieces.
    "linger.ms": 500,
    "message.max.bytes": LARGEST_VALUE,
    # Room for a whole claim of the largest: `produce` never finds the queue full.
    "queue.buffering.max.kbytes": CLAIM * LARGEST_VALUE // 1024,
    "logger": logging.getLogger("librdkafka"),
}
# A stopped publisher's session must end, or its lock would bar the shard for ever.
LOCK_IDLE_S: Final = 6
LOCK_CLASS: Final = 7_346_001
REJECTION_SHARD: Final = outbox.SHARDS
Message = tuple[str, bytes, bytes | None]
Headers = list[tuple[str, bytes]]
NO_HEADERS: Final[Mapping[bytes, Headers]] = {}


class Told(NamedTuple):
    """What a claim comes to.

    sent: (topic, key, value) for every published overview of every claimed entry; value None is a tombstone.
    new: what will be in a sparse topic that was not: to be noted before anything is sent.
    broken: entries of which no publication could be made; they are tombstones in every topic, for nobody may be shown
    what nobody could decide.
    """

    sent: list[Message]
    new: list[tuple[str, EntryKey]]
    broken: dict[EntryKey, Exception]


def messages(claim: outbox.Claim) -> Told:
    """Decide each claimed entry. One that fails costs the others nothing."""
    told = Told([], [], {})
    facts, at = replace(claim.facts, persons=claim.persons), claim.at or datetime.now(UTC)
    topics = {name: OVERVIEWS[name] for name in OVERVIEWS if name in facts.policy and facts.policy[name].published}
    for marked in claim.entries:
        try:
            made = [_value(marked, name, claim, facts, at) for name in topics]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this entry's
            made = [None] * len(topics)
            told.broken[marked.key] = error
        key = str(marked.key).encode()
        for (name, topic), value in zip(topics.items(), made, strict=True):
            known = not topic.sparse or (name, marked.key) in claim.published
            if value is not None and not known:
                told.new.append((name, marked.key))
            if value is not None or known:
                told.sent.append((topic.name, key, value))
    return told


def _value(marked: outbox.Marked, name: str, claim: outbox.Claim, facts: Facts, at: datetime) -> bytes | None:
    value = publication(marked.entry, marked.state, marked.revision, name, facts, at, claim.documents)
    return None if value is None else bounded("overview_entry", value, "content")


def taken_back(sent: Sequence[Message]) -> list[tuple[str, EntryKey]]:
    """(overview, entry) for every tombstone of a sparse topic."""
    sparse = {topic.name: name for name, topic in OVERVIEWS.items() if topic.sparse}
    return [
        (sparse[topic], EntryKey(*key.decode().split("/")))
        for topic, key, value in sent
        if value is None and topic in sparse
    ]


def bounded(schema: str, value: dict[str, Any], bulk: str) -> bytes:
    """The framed value; without its bulk when it would be too large for the topic."""
    encoded = encode(schema, value)
    return encoded if len(encoded) < LARGEST_VALUE // 2 else encode(schema, {**value, bulk: None})


class Shard:
    """One shard while its lock is held. Everything blocks: each shard has a thread of its own."""

    def __init__(self, settings: Settings, shard: int, connection: psycopg.Connection[Any]) -> None:
        self._shard = shard
        self._connection = connection
        self._facts = Facts(revision=-1)
        self._after = outbox.START
        self._broken: dict[EntryKey, str] = {}
        """Entries that could not be published, as they were marked: not tried again until they are marked anew."""
        self._producer = Producer(confluent_options(settings) | PRODUCER | {"transactional.id": f"{NAME}-{shard}"})

    def run(self, stop: threading.Event) -> None:
        """Publish until told to stop, or until something ends it: the lock's session, Kafka, a fence.

        The producer is not closed but dropped: closing means to abort, and raises on one that is fenced. What was open
        is aborted by Kafka when the shard is next begun.
        """
        self._producer.init_transactions(ANSWER_S)
        try:
            while not stop.is_set():
                began = time.monotonic()
                self._producer.poll(0)  # what the library has to log
                full = self._rejections() if self._shard == REJECTION_SHARD else self._entries()
                # Marks are let gather: a Kafka transaction costs the same for one message as for hundreds.
                if not full:
                    stop.wait(began + GATHER_S - time.monotonic())
        finally:
            NOT_PUBLISHABLE.labels(str(self._shard)).set(0)  # the next owner finds out anew

    def _entries(self) -> bool:
        claim = outbox.claim(self._connection, self._shard, self._after, CLAIM, self._facts)
        self._facts = claim.facts
        full = len(claim.entries) == CLAIM
        rest = [marked for marked in claim.entries if not marked.purge]
        # The next claim goes on behind this one, so that a shard under load starves no key.
        self._after = rest[-1].key if full and rest else outbox.START
        tried = [marked for marked in claim.entries if self._broken.get(marked.key) != marked.mark]
        if tried:
            self._publish(replace(claim, entries=tuple(tried)))
        return full

    def _publish(self, claim: outbox.Claim) -> None:
        sent, new, broken = messages(claim)
        if new:
            outbox.note_published(self._connection, new)
        self._send(sent)
        if gone := taken_back(sent):
            outbox.forget_published(self._connection, gone)
        self._remember(claim, broken)
        # What is broken stays in the set: it is counted as waiting, and tried again by the next publisher.
        outbox.settle(self._connection, self._shard, [m for m in claim.entries if m.key not in broken])
        _measure(claim)

    def _remember(self, claim: outbox.Claim, broken: Mapping[EntryKey, Exception]) -> None:
        for marked in claim.entries:
            if (error := broken.get(marked.key)) is None:
                self._broken.pop(marked.key, None)
                continue
            self._broken[marked.key] = marked.mark
            at = where(error.__traceback__)
            tell("entry_not_publishable", entry=marked.key, error=type(error).__name__, where=at)
        NOT_PUBLISHABLE.labels(str(self._shard)).set(len(self._broken))

    def _rejections(self) -> bool:
        rejections = outbox.claim_rejections(self._connection, CLAIM_REJECTIONS)
        if rejections:
            self._send(
                [(REJECTIONS.name, r["rejection_id"].encode(), _encoded(r)) for r in rejections],
                {
                    r["rejection_id"].encode(): tracing.kafka_headers(tracing.within(r["trace_id"]))
                    for r in rejections
                    if r["trace_id"]
                },
            )
            outbox.settle_rejections(self._connection, [r["rejection_id"] for r in rejections])
        return len(rejections) == CLAIM_REJECTIONS

    def _send(self, batch: list[Message], headers: Mapping[bytes, Headers] = NO_HEADERS) -> None:
        """Returns when Kafka has committed all of it. Raises KafkaException when it has not, or nobody knows.

        Args:
            headers: by key.
        """
        self._producer.begin_transaction()
        for topic, key, value in batch:
            self._producer.produce(topic, value, key, headers=headers.get(key))
        self._producer.commit_transaction(ANSWER_S)


def _measure(claim: outbox.Claim) -> None:
    """Purges once for each change in the register of persons, not for each of the citizen's entries."""
    now = datetime.now(UTC)
    for marked in claim.entries:
        PUBLISH_SECONDS.observe(max(0.0, (now - marked.since).total_seconds()))
    for asked_at in {marked.asked_at for marked in claim.entries if marked.asked_at is not None}:
        CONSENT_PURGE.observe(max(0.0, (now - asked_at).total_seconds()))


def _encoded(rejection: dict[str, Any]) -> bytes:
    value = {
        **{name: said for name, said in rejection.items() if name != "trace_id"},
        "rejected_at": int(rejection["rejected_at"].timestamp() * 1_000_000),
        "remedy": REMEDY[Code(rejection["code"])],
    }
    return bounded("rejection", value, "payload")


def keep(settings: Settings, shard: int, stop: threading.Event) -> None:
    """Take the shard whenever it is free; after any trouble let it go and begin again."""
    while not stop.is_set():
        try:
            connection = alone(settings.dsn, f"publisher-{shard}", (LOCK_CLASS, shard), LOCK_IDLE_S)
            if connection is not None:
                with connection:
                    tell("shard_taken", shard=shard)
                    Shard(settings, shard, connection).run(stop)
        except psycopg.Error as why:
            tell("shard_lost", shard=shard, error=type(why).__name__)
        except KafkaException as why:
            fenced = why.args[0].code() == KafkaError._FENCED  # noqa: SLF001 - the library's own name for it
            tell(
                "shard_lost",
                shard=shard,
                error=why.args[0].name(),
                because=None if fenced else refusal(settings),
            )
        stop.wait(RETRY_S)


def run(settings: Settings) -> None:
    """Publish until told to stop; an unexpected exception ends the process."""
    serve(settings, "publisher")
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    stop = threading.Event()

    async def main() -> None:
        tell("started")
        loop = asyncio.get_running_loop()
        shards = range(outbox.SHARDS + 1)
        beside = (keep_swept, keep_due, keep_applied, sealing.keep, reverifying.keep, telling.keep)
        with ThreadPoolExecutor(len(shards) + len(beside), "shard") as threads:
            work = asyncio.gather(
                *(loop.run_in_executor(threads, keep, settings, shard, stop) for shard in shards),
                *(loop.run_in_executor(threads, one, settings, stop) for one in beside),
                keep_house(settings),
            )
            loop.add_signal_handler(signal.SIGTERM, work.cancel)
            try:
                with suppress(asyncio.CancelledError):
                    await work
            finally:
                stop.set()

    asyncio.run(main())
    tell("stopped")
