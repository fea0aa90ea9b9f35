"""Handing events to Kafka: all of a request's, acknowledged by every in-sync replica, or the request has failed.

Kafka may be away when the process starts and at any time later: the client is made when it is needed and made anew
after it failed. What failed may still have arrived; event ids make the second sending a duplicate.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.codec import has_lz4
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from broker import tracing
from broker.logs import tell
from broker.stream.topics import CASE_EVENTS

PATIENCE: Final = 5.0
SLOWEST: Final = 2 * 1024 * 1024  # bytes a second: a large request is given longer
REST: Final = 1.0  # seconds after a failure in which nobody else tries
LARGEST: Final = 2 * 1024 * 1024


class Message(NamedTuple):
    """Key and value as they go into the topic."""

    key: bytes
    value: bytes
    topic: str = CASE_EVENTS.name


class Place(NamedTuple):
    """Where in the topic an event came to lie."""

    partition: int
    offset: int


class KafkaUnavailable(Exception):  # noqa: N818 - a state of the world, not a fault
    """Not every message was acknowledged; some may have been."""


class Producer:
    """Used in one event loop only."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """`options` reach the cluster; nothing is connected yet."""
        self._options = options
        self._starting = asyncio.Lock()
        self._client: AIOKafkaProducer | None = None
        self._failed_at = float("-inf")
        self._farewells: set[asyncio.Task[None]] = set()

    async def send(self, messages: Sequence[Message]) -> list[Place]:
        """Where each message came to lie. Raises KafkaUnavailable unless all were acknowledged."""
        if not messages:
            return []
        client = await self._started()
        patience = PATIENCE + sum(len(message.value) for message in messages) / SLOWEST
        try:
            async with asyncio.timeout(patience):
                headers = tracing.kafka_headers(tracing.current())
                underway = [await client.send(m.topic, m.value, m.key, headers=headers) for m in messages]
                placed = [Place(record.partition, record.offset) for record in await asyncio.gather(*underway)]
        except (KafkaError, TimeoutError) as error:
            if not isinstance(error, MessageSizeTooLargeError):
                self._retire(client)
            tell("kafka_unreachable", error=type(error).__name__)
            raise KafkaUnavailable from error
        if any(place.offset < 0 for place in placed):
            # A retried batch that Kafka had long taken: it is there, but nobody can say where.
            raise KafkaUnavailable
        return placed

    async def ready(self) -> bool:
        """Whether Kafka answers now and has the topic of case events."""
        try:
            client = await self._started()
            async with asyncio.timeout(PATIENCE):
                answered = await client.client.force_metadata_update()
                return bool(answered) and bool(await client.partitions_for(CASE_EVENTS.name))
        except (KafkaUnavailable, KafkaError, TimeoutError):
            return False

    async def close(self) -> None:
        """Let go of the connections; nothing may be sent any more."""
        if self._client is not None:
            self._retire(self._client)
        await asyncio.gather(*self._farewells)

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._client is None:
                if time.monotonic() - self._failed_at < REST:
                    raise KafkaUnavailable
                self._client = await self._start()
            return self._client

    async def _start(self) -> AIOKafkaProducer:
        client = AIOKafkaProducer(
            **self._options,
            client_id="sagsbro-intake",
            acks="all",
            enable_idempotence=True,
            linger_ms=5,
            max_batch_size=256 * 1024,
            max_request_size=LARGEST,
            compression_type="lz4" if has_lz4() else None,
            request_timeout_ms=int(PATIENCE * 1000),
        )
        try:
            async with asyncio.timeout(PATIENCE):
                await client.start()
        except (KafkaError, TimeoutError, OSError) as error:
            self._failed_at = time.monotonic()
            self._part_with(client)
            tell("kafka_unreachable", error=type(error).__name__)
            raise KafkaUnavailable from error
        return client

    def _retire(self, client: AIOKafkaProducer) -> None:
        if self._client is client:
            self._client = None
            self._part_with(client)

    def _part_with(self, client: AIOKafkaProducer) -> None:
        farewell = asyncio.create_task(_abandon(client))
        self._farewells.add(farewell)
        farewell.add_done_callback(self._farewells.discard)


async def _abandon(client: AIOKafkaProducer) -> None:
    """Stop a client without waiting for what it still holds: its own `stop` would wait for ever for a lost Kafka."""
    with suppress(Exception):
        await client._sender.close()  # noqa: SLF001 - the library has no other way
    client._message_accumulator.fail_all(KafkaTimeoutError())  # noqa: SLF001 - the same
    with suppress(Exception):
        await client.stop()
