"""Faust's consumer, batched: one poll of a partition is one message, and the database says where it starts.

Its offsets in Kafka are for lag tools alone. Every batch says from where to where it goes and in which epoch it was
fetched. A seek begins a new epoch, so a batch that was on its way when partitions moved is never taken for the next;
and a batch that does not begin where the last one ended is never written.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, NoReturn, Protocol

import aiokafka
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import IllegalStateError, NoOffsetForPartitionError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

FETCH_BYTES = 4 * 1024 * 1024
POLL_RECORDS = 10_000
# Faust's fixed 1.5 s: a partition that has just been emptied waits that long beside idle ones.
FETCH_WAIT_MS = 20
FULL_S = 0.02
DRAIN_S = 15.0
# Faust gives up a seek after 30 s, and says nothing.
SEEK_S = 25.0


class Batch(NamedTuple):
    """The records of one poll of one partition, as (offset, received ms, value)."""

    tp: TP
    epoch: int
    start: int
    next_offset: int
    records: list[tuple[int, int, bytes | None]]
    fetched: Sequence[Any] = ()
    """The same as the client has them, for what is looked at of few: their headers."""

    def cut(self, most: int) -> "list[Batch]":
        """In parts of at most so many records, one behind the other."""
        if len(self.records) <= most:
            return [self]
        firsts = range(0, len(self.records), most)
        starts = [self.start, *(self.records[first][0] for first in firsts[1:]), self.next_offset]
        return [
            self._replace(
                start=starts[number],
                next_offset=starts[number + 1],
                records=self.records[first : first + most],
                fetched=self.fetched[first : first + most],
            )
            for number, first in enumerate(firsts)
        ]


class Keeper(Protocol):
    """Who knows the positions: the lanes."""

    epoch: int

    def has_room(self, tp: TP) -> bool:
        """Whether more of this partition may be fetched."""

    async def drain(self) -> None:
        """Wait until nothing is under way."""

    async def claim(self, partitions: set[TP]) -> Mapping[TP, int]:
        """Finish what is under way and say where each partition continues."""

    def position(self, tp: TP) -> int | None:
        """What has been committed to the database of a partition that is ours."""

    def crash(self, error: Exception) -> NoReturn:
        """End the process."""


class Fetching(aiokafka.AIOKafkaConsumer):  # type: ignore[misc]
    """A partition whose records wait to be taken holds up no other: at first none of its broker would be fetched."""

    async def start(self) -> None:
        """Begin to fetch."""
        await super().start()
        self._fetcher._prefetch_backoff = 0  # noqa: SLF001 - 0.1 s, and no option


class Thread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """The thread that fetches."""

    def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
        del transport
        self._assignor = RoundRobinPartitionAssignor
        return Fetching(
            **self.app.kafka_options,
            client_id=self.app.conf.broker_client_id,
            group_id=self.app.conf.id,
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            max_poll_records=POLL_RECORDS,
            max_partition_fetch_bytes=FETCH_BYTES,
            fetch_max_bytes=4 * FETCH_BYTES,
            fetch_max_wait_ms=FETCH_WAIT_MS,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=2_000,
            rebalance_timeout_ms=30_000,
            max_poll_interval_ms=10 * 60_000,
            request_timeout_ms=30_000,
            metadata_max_age_ms=30_000,
        )

    async def _fetch_records(self, *arguments: Any, **options: Any) -> Any:
        try:
            return await super()._fetch_records(*arguments, **options)
        except NoOffsetForPartitionError:
            # Kafka has no offset of ours, and need not: the seek to the database's position is on its way.
            return {}

    def fetched_up_to(self, tp: TP) -> int | None:
        """The offset behind everything the last poll has passed, records or transaction marks."""
        subscription = self._ensure_consumer()._subscription.subscription  # noqa: SLF001 - it has no public word for it
        if subscription is None or subscription.assignment is None or tp not in subscription.assignment.tps:
            return None
        state = subscription.assignment.state_value(driver.ensure_aiokafka_TP(tp))
        return state.position if state.has_valid_position else None


class Consumer(driver.Consumer):  # type: ignore[misc]
    """Delivers batches. `_delivered` is where the next batch of each partition begins; none before the first seek."""

    _thread: Thread

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._delivered: dict[TP, int] = {}
        # A fetch and a seek never overlap: what a fetch had passed when the seek came would be passed for good.
        self._fetching = asyncio.Lock()

    def _new_consumer_thread(self) -> Thread:
        return Thread(self, loop=self.loop, beacon=self.beacon)

    @property
    def _keeper(self) -> Keeper:
        keeper: Keeper = self.app.keeper
        return keeper

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let what is being written end, for the next owner; nothing is delivered until a seek has said from where."""
        self._delivered = {}
        self._keeper.epoch += 1
        with suppress(TimeoutError):
            await asyncio.wait_for(self._keeper.drain(), DRAIN_S)
        await super().on_partitions_revoked(revoked)

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Where the database says, not Kafka; what was fetched before belongs to an epoch that is over.

        Whatever comes in its way ends the process: Faust would go on without one, or stop seeking without a word.
        """
        try:
            async with asyncio.timeout(SEEK_S), self._fetching:
                self._delivered = {}
                self._keeper.epoch += 1
                positions = await self._keeper.claim(self.assignment())
                if positions:
                    await self.seek_wait(positions)
                self._delivered = dict(positions)
        except IllegalStateError:
            raise  # partitions are moving again, and another seek follows
        except Exception as error:  # noqa: BLE001 - crash on purpose
            self._keeper.crash(error)
        return positions

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:  # noqa: ASYNC109 - the framework's
        async with self._fetching:
            wanted = {tp for tp in active_partitions or () if self._keeper.has_room(tp)}
            if not wanted:
                await asyncio.sleep(FULL_S)
                return {}
            # Those left out for want of room must not wait until one of the others has records.
            patience = timeout if wanted == active_partitions else FULL_S
            records = await super()._getmany(wanted, patience)
            return {tp: [batch] for tp in wanted if (batch := self._batch(tp, records.get(tp, ())))}

    def _batch(self, tp: TP, fetched: Sequence[Any]) -> Batch | None:
        start = self._delivered.get(tp)
        if start is None:
            return None
        # Without records there may still be progress: past the marks of transactions.
        end = fetched[-1].offset + 1 if fetched else (self._thread.fetched_up_to(tp) or 0)
        if end <= start:
            return None
        self._delivered[tp] = end
        return Batch(tp, self._keeper.epoch, start, end, [(r.offset, r.timestamp, r.value) for r in fetched], fetched)

    def _to_message(self, tp: TP, record: Batch) -> ConsumerMessage:
        return ConsumerMessage(
            tp.topic, tp.partition, record.next_offset - 1, 0.0, 0, [], None, record, None, 0, 0, tp,
            generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Batches are gaps by nature."""

    def _new_offset(self, tp: TP) -> int | None:
        """What Kafka is told for its lag tools; nothing rests on it."""
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return self._keeper.position(tp)


class Transport(driver.Transport):  # type: ignore[misc]
    """Faust's Kafka, with the consumer above."""

    Consumer = Consumer
