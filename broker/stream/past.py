"""Looking up what a topic held: one record by its place, or all since a moment. Without a group."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.partitioner import murmur2

from broker.stream.tail import PATIENCE, connected
from broker.stream.topics import Topic

POLL_MS: Final = 500


def partition_of(topic: Topic, key: str) -> int:
    """Where every client of ours puts this key."""
    return int((murmur2(key.encode()) & 0x7FFFFFFF) % topic.partitions)


class Past:
    """A connected consumer. Raises one of AWAY from any call."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def at(self, topic: Topic, partition: int, offset: int) -> Any:
        """The record at a place; None when it is not there any more, or not yet."""
        place = TopicPartition(topic.name, partition)
        async with asyncio.timeout(PATIENCE):
            first = (await self._consumer.beginning_offsets([place]))[place]
        if offset < first:
            return None
        async with aclosing(self._read({place: offset}, {place: offset + 1})) as records:
            return await anext(records, None)

    async def since(self, topic: Topic, partitions: Sequence[int], at_ms: int) -> AsyncGenerator[Any]:
        """The records of these partitions from a moment on, up to what is there now."""
        places = [TopicPartition(topic.name, partition) for partition in partitions]
        async with asyncio.timeout(PATIENCE):
            found = await self._consumer.offsets_for_times(dict.fromkeys(places, at_ms))
            ends = await self._consumer.end_offsets(places)
        begins = {place: ends[place] if found[place] is None else found[place].offset for place in places}
        async with aclosing(self._read(begins, ends)) as records:
            async for record in records:
                yield record

    async def _read(
        self, begins: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> AsyncGenerator[Any]:
        self._consumer.assign(list(begins))
        for place, offset in begins.items():
            self._consumer.seek(place, offset)
        left = {place for place, offset in begins.items() if offset < ends[place]}
        while left:
            async with asyncio.timeout(PATIENCE):
                polled = await self._consumer.getmany(*left, timeout_ms=POLL_MS)
            for place, records in polled.items():
                for record in records:
                    if record.offset < ends[place]:
                        yield record
            # Markers of transactions are passed over without a record.
            left = {place for place in left if await self._consumer.position(place) < ends[place]}


@asynccontextmanager
async def past(options: Mapping[str, Any]) -> AsyncIterator[Past]:
    """For as long as the block lasts."""
    async with connected(options) as consumer:
        yield Past(consumer)
