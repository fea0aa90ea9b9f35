"""Reading topics from the side: without a group, committed records only, from places that the caller knows."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from broker.stream.topics import Topic

PATIENCE: Final = 5.0
POLL: Final = 500
AWAY: Final = (KafkaError, TimeoutError, OSError)
"""What reading raises while Kafka is out of reach."""

Offsets = tuple[int, ...]
"""The next offset to read of each partition of one topic."""


class Record(NamedTuple):
    """One record; `value` None is a tombstone."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes | None


class Tail:
    """A connected consumer. Raises one of AWAY from any call."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def bounds(self, topic: Topic) -> tuple[Offsets, Offsets]:
        """The first and the next offset of each partition; nothing open is before the latter."""
        places = places_of(topic)
        async with asyncio.timeout(PATIENCE):
            first = await self._consumer.beginning_offsets(places)
            ends = await self._consumer.end_offsets(places)
        return tuple(first[place] for place in places), tuple(ends[place] for place in places)

    def begin(self, topic: Topic, offsets: Sequence[int]) -> None:
        """Read the topic from there on."""
        for place, offset in zip(places_of(topic), offsets, strict=True):
            self._consumer.seek(place, offset)

    async def poll(self, timeout_ms: int) -> list[Record]:
        """What has come, in the order of each partition."""
        polled = await self._consumer.getmany(timeout_ms=timeout_ms, max_records=POLL)
        return [
            Record(
                place.topic, place.partition, record.offset, (record.key or b"").decode(errors="replace"), record.value
            )
            for place, records in polled.items()
            for record in records
        ]

    async def reached(self, topic: Topic) -> Offsets:
        """What is read next: markers of transactions, which are no records, are passed over too."""
        return tuple([await self._consumer.position(place) for place in places_of(topic)])


@asynccontextmanager
async def connected(options: Mapping[str, Any]) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer without a group, for as long as the block lasts."""
    consumer = AIOKafkaConsumer(
        **options,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        request_timeout_ms=int(PATIENCE * 1000),
    )
    try:
        async with asyncio.timeout(PATIENCE):
            await consumer.start()
        yield consumer
    finally:
        with suppress(*AWAY):
            async with asyncio.timeout(PATIENCE):
                await consumer.stop()


@asynccontextmanager
async def tail(options: Mapping[str, Any], topics: Sequence[Topic]) -> AsyncIterator[Tail]:
    """A consumer of these topics that has yet to be told where to begin."""
    async with connected(options) as consumer:
        consumer.assign([place for topic in topics for place in places_of(topic)])
        yield Tail(consumer)


def places_of(topic: Topic) -> list[TopicPartition]:
    """Its partitions, in the words of the client."""
    return [TopicPartition(topic.name, partition) for partition in range(topic.partitions)]
