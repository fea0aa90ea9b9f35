"""The one consumer of overview topics in an API process, and reading again for who was away.

What a topic says tells only that something has changed, and for whom: it is never shown from here.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from broker.domain.entry import party_ref
from broker.domain.identity import EntryKey
from broker.domain.policy import POLICY
from broker.logs import tell
from broker.overviews.place import Place
from broker.overviews.watch import Change, Watch, Watches
from broker.store import search as index
from broker.store.subscriptions import Follower
from broker.stream.framing import Decoder, Undecodable
from broker.stream.tail import AWAY, Record, Tail, tail
from broker.stream.topics import OVERVIEWS, Topic

PATIENCE: Final = 5.0
REST: Final = 1.0
POLL_MS: Final = 1000
CATCH_UP_MS: Final = 100
MOST: Final = 200_000
"""Records that are read again for one reader; more, and they search anew sooner."""
CATCHING_UP: Final = 4
MOST_STREAMS: Final = 2000
MOST_OF_ONE: Final = 20
"""Streams of one reader."""
TOPICS: Final = tuple(OVERVIEWS[row.name] for row in POLICY.values() if row.published)

Pool = AsyncConnectionPool[psycopg.AsyncConnection[Any]]
DATABASE_AWAY: Final = (psycopg.Error, PoolTimeout, PoolClosed)
_TROUBLE: Final = (*AWAY, *DATABASE_AWAY)


class FeedUnavailableError(Exception):
    """The topic cannot be read just now."""


class TooManyError(Exception):
    """As many streams are open as one process serves, or as one reader may have."""


class ResumeTooOldError(Exception):
    """What followed the reader's place is not in the topic any more, or too much of it."""


class Feed:
    """Follows the topics from the first stream on. Used in one event loop only."""

    def __init__(self, options: Mapping[str, Any], pool: Pool) -> None:
        """`options` reach the cluster; nothing is connected yet."""
        self._options = options
        self._pool = pool
        self._watches = Watches()
        self._next: dict[str, list[int]] = {}
        self._ready = asyncio.Event()
        self._catching_up = asyncio.Semaphore(CATCHING_UP)
        self._following: asyncio.Task[None] | None = None
        # An id that none of our publishers writes makes the value unreadable: then the index is asked for its parties.
        self._decoder = Decoder("overview_entry", lambda _: None)

    async def watch(self, topic: Topic, names: Iterable[str], whose: Follower) -> Watch:
        """Everything from now on that concerns the names. Raises FeedUnavailableError, TooManyError."""
        if len(self._watches) >= MOST_STREAMS or self._watches.of(whose) >= MOST_OF_ONE:
            raise TooManyError
        if self._following is None or self._following.done():
            self._following = asyncio.create_task(self._keep())
        try:
            async with asyncio.timeout(PATIENCE):
                await self._ready.wait()
        except TimeoutError:
            raise FeedUnavailableError from None
        watch = Watch(topic.name, self.place(topic), names, whose)
        self._watches.add(watch)
        return watch

    def also(self, watch: Watch, name: str) -> None:
        """Follow one more name from now on."""
        self._watches.also(watch, name)

    def leave(self, watch: Watch) -> None:
        """The stream has ended."""
        self._watches.drop(watch)

    def place(self, topic: Topic) -> Place:
        """How far the topic has been given to the streams."""
        return Place(tuple(self._next[topic.name]))

    def end(self) -> None:
        """End every stream."""
        self._watches.cut()

    async def close(self) -> None:
        """End every stream, follow no more."""
        self.end()
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    async def missed(self, topic: Topic, start: Place, watch: Watch) -> list[Change]:
        """The newest change of each entry that concerns the watch, between the start and where it set in.

        Raises ResumeTooOldError, FeedUnavailableError.
        """
        if start == watch.start:
            return []
        if sum(max(0, until - begin) for begin, until in zip(start.offsets, watch.start.offsets, strict=True)) > MOST:
            raise ResumeTooOldError
        try:
            async with self._catching_up, tail(self._options, [topic]) as consumer:
                return await self._between(consumer, topic, start, watch)
        except _TROUBLE as error:
            raise FeedUnavailableError from error

    async def _between(self, consumer: Tail, topic: Topic, start: Place, watch: Watch) -> list[Change]:
        first, ends = await consumer.bounds(topic)
        if not _inside(first, start.offsets, ends):
            raise ResumeTooOldError
        consumer.begin(topic, start.offsets)
        reached, end = start.offsets, watch.start.offsets
        newest: dict[str, Change] = {}
        while any(now < until for now, until in zip(reached, end, strict=True)):
            for change in await self._changes(await consumer.poll(CATCH_UP_MS)):
                concerns = change.key in newest or not change.names.isdisjoint(watch.names)
                if concerns and change.offset < end[change.partition]:
                    newest.pop(change.key, None)  # the newest stands last: offsets go on rising in each partition
                    newest[change.key] = change
            reached = await consumer.reached(topic)
            await asyncio.sleep(0)
        return list(newest.values())

    async def _keep(self) -> None:
        """Follow, and after any trouble go on where it was; whatever else happens ends the streams."""
        try:
            while True:
                try:
                    await self._follow()
                except AWAY as error:
                    tell("kafka_unreachable", error=type(error).__name__)
                except DATABASE_AWAY as error:
                    tell("database_unreachable", error=type(error).__name__)
                self._ready.clear()
                await asyncio.sleep(REST)
        finally:
            self._ready.clear()
            self._watches.cut()

    async def _follow(self) -> None:
        async with tail(self._options, TOPICS) as consumer:
            await self._begin(consumer)
            self._ready.set()
            while True:
                await self._give_out(await consumer.poll(POLL_MS))
                # What is fetched already comes without waiting: requests are let in between.
                await asyncio.sleep(0)

    async def _begin(self, consumer: Tail) -> None:
        for topic in TOPICS:
            first, ends = await consumer.bounds(topic)
            known = self._next.get(topic.name)
            if known is None or not _inside(first, known, ends):
                if known is not None:
                    self._watches.cut()  # it is another topic now, or what came next is gone
                self._next[topic.name] = list(ends)
            consumer.begin(topic, self._next[topic.name])

    async def _give_out(self, records: Sequence[Record]) -> None:
        # Reading parties waits, and whoever comes meanwhile gets all of this poll: from here on nothing waits.
        changes = await self._changes(records) if len(self._watches) else []
        for record, change in zip(records, changes, strict=False):
            self._watches.offer(record.topic, change)
        for record in records:
            self._next[record.topic][record.partition] = record.offset + 1

    async def _changes(self, records: Sequence[Record]) -> list[Change]:
        """The records with their parties: as they lie in the topic, or by the index where that is silent about them."""
        named = [self._names(record) for record in records]
        silent = [record.key for record, names in zip(records, named, strict=True) if names is None]
        known = await self._parties(silent) if silent else {}
        return [
            Change(
                record.key,
                record.partition,
                record.offset,
                frozenset((record.key, *(known.get(record.key, ()) if names is None else names))),
            )
            for record, names in zip(records, named, strict=True)
        ]

    def _names(self, record: Record) -> list[str] | None:
        """The parties that the value names; None when it does not say. A tombstone concerns only who was shown it."""
        if record.value is None:
            return []
        try:
            content = self._decoder.decode(record.value)["content"]
        except Undecodable:
            return None
        return None if content is None else [party_ref(one["id_type"], one["id"]) for one in content["parties"]]

    async def _parties(self, keys: Sequence[str]) -> dict[str, list[str]]:
        known: dict[str, list[str]] = {}
        async with self._pool.connection() as connection:
            for key, party in await index.parties(connection, [EntryKey(*key.split("/")) for key in keys]):
                known.setdefault(key, []).append(party)
        return known


def _inside(first: Sequence[int], offsets: Sequence[int], ends: Sequence[int]) -> bool:
    return all(begin <= offset <= end for begin, offset, end in zip(first, offsets, ends, strict=True))
