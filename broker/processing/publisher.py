"""The publisher process: works off the dirty set, shard by shard, into the overview topics.

A shard belongs to whoever holds its advisory lock; the Kafka transaction of its fixed id, begun after the lock, fences
a publisher that was stopped and continued. Rows leave the set only after Kafka has committed.
"""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, Final, TypeVar

import psycopg
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, ProducerFenced

from broker.domain.agreement import Facts
from broker.domain.entry import entry_of
from broker.domain.outcome import REMEDY, Code
from broker.domain.policy import POLICY
from broker.domain.publication import publication
from broker.logs import tell
from broker.processing.housekeeping import keep_house
from broker.scrape import serve
from broker.settings import Settings
from broker.store import outbox
from broker.store.database import connect
from broker.stream.clients import aiokafka_options
from broker.stream.framing import encode
from broker.stream.topics import LARGEST_VALUE, OVERVIEWS, REJECTIONS

CLAIM: Final = 500
# Each may carry a megabyte.
CLAIM_REJECTIONS: Final = 50
IDLE_S: Final = 0.04
LONGEST_IDLE_S: Final = 0.2
RETRY_S: Final = 2.0
# A stopped publisher's session must end, or its lock would bar the shard for ever.
LOCK_IDLE: Final = "SET idle_session_timeout = '6s'"
LOCK_CLASS: Final = 7_346_001
REJECTION_SHARD: Final = outbox.SHARDS
Result = TypeVar("Result")
Message = tuple[str, bytes, bytes | None]


def messages(claim: outbox.Claim, on: date) -> list[Message]:
    """(topic, key, value) for every published overview of every claimed entry; value None is a tombstone."""
    sent = []
    for marked in claim.entries:
        entry = entry_of(marked.key, marked.state)
        for overview in POLICY.values():
            if overview.published:
                value = publication(
                    entry, marked.state, marked.revision, overview.name, claim.facts, on, claim.documents
                )
                encoded = None if value is None else bounded("overview_entry", value, "content")
                sent.append((OVERVIEWS[overview.name].name, str(marked.key).encode(), encoded))
    return sent


def bounded(schema: str, value: dict[str, Any], bulk: str) -> bytes:
    """The framed value; without its bulk when it would be too large for the topic."""
    encoded = encode(schema, value)
    return encoded if len(encoded) < LARGEST_VALUE // 2 else encode(schema, {**value, bulk: None})


class Shard:
    """One shard while its lock is held. Blocking database calls run in threads."""

    def __init__(self, settings: Settings, shard: int, connection: psycopg.Connection[Any]) -> None:
        self._shard = shard
        self._connection = connection
        self._facts = Facts(revision=-1)
        self._after = outbox.START
        self._producer = AIOKafkaProducer(
            **aiokafka_options(settings),
            transactional_id=f"sagsbro-publisher-{shard}",
            transaction_timeout_ms=30_000,
            linger_ms=5,
            max_batch_size=256 * 1024,
            max_request_size=LARGEST_VALUE,
            request_timeout_ms=15_000,
        )

    async def run(self) -> None:
        """Publish until something ends it: the lock's session, Kafka, a fence."""
        await self._producer.start()
        try:
            idle = IDLE_S
            while True:
                published = await (self._rejections() if self._shard == REJECTION_SHARD else self._entries())
                idle = IDLE_S if published else min(2 * idle, LONGEST_IDLE_S)
                # Marks are let gather: a Kafka transaction costs the same for one message as for hundreds.
                if published < (CLAIM_REJECTIONS if self._shard == REJECTION_SHARD else CLAIM):
                    await asyncio.sleep(idle)
        finally:
            await self._producer.stop()

    async def _entries(self) -> int:
        claim = await _in_thread(outbox.claim, self._connection, self._shard, self._after, CLAIM, self._facts)
        self._facts = claim.facts
        rest = [marked for marked in claim.entries if not marked.purge]
        # The next claim goes on behind this one, so that a shard under load starves no key.
        self._after = rest[-1].key if len(claim.entries) == CLAIM and rest else outbox.START
        if not claim.entries:
            return 0
        await self._send(messages(claim, datetime.now(UTC).date()))
        await _in_thread(outbox.settle, self._connection, self._shard, claim.entries)
        return len(claim.entries)

    async def _rejections(self) -> int:
        rejections = await _in_thread(outbox.claim_rejections, self._connection, CLAIM_REJECTIONS)
        if not rejections:
            return 0
        await self._send([(REJECTIONS.name, r["rejection_id"].encode(), _encoded(r)) for r in rejections])
        await _in_thread(outbox.settle_rejections, self._connection, [r["rejection_id"] for r in rejections])
        return len(rejections)

    async def _send(self, batch: list[Message]) -> None:
        async with self._producer.transaction():
            for topic, key, value in batch:
                await self._producer.send(topic, key=key, value=value)


def _encoded(rejection: dict[str, Any]) -> bytes:
    value = {
        **rejection,
        "rejected_at": int(rejection["rejected_at"].timestamp() * 1_000_000),
        "remedy": REMEDY[Code(rejection["code"])],
    }
    return bounded("rejection", value, "payload")


async def _in_thread(call: Callable[..., Result], *arguments: object) -> Result:
    return await asyncio.get_running_loop().run_in_executor(None, partial(call, *arguments))


async def keep(settings: Settings, shard: int) -> None:
    """Take the shard whenever it is free; after any trouble let it go and begin again."""
    while True:
        try:
            connection = await _in_thread(_locked, settings, shard)
            if connection is not None:
                with connection:
                    tell("shard_taken", shard=shard)
                    await Shard(settings, shard, connection).run()
        except (psycopg.Error, KafkaError, ProducerFenced) as why:
            tell("shard_lost", shard=shard, error=type(why).__name__)
        await asyncio.sleep(RETRY_S)


def _locked(settings: Settings, shard: int) -> psycopg.Connection[Any] | None:
    connection = connect(settings.dsn, f"publisher-{shard}")
    connection.execute(LOCK_IDLE)
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK_CLASS, shard]).fetchone()
    if row is not None and row[0]:
        return connection
    connection.close()
    return None


def run(settings: Settings) -> None:
    """Publish until told to stop; an unexpected exception ends the process."""
    serve(settings, "publisher")

    async def main() -> None:
        tell("started")
        shards = [keep(settings, shard) for shard in range(outbox.SHARDS + 1)]
        work = asyncio.gather(*shards, keep_house(settings))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
        with suppress(asyncio.CancelledError):
            await work

    asyncio.run(main())
    tell("stopped")
