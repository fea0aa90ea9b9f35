"""One reader's stream of changes: each is decided on anew as the index stands, and logged before it is given out."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from broker.domain.agreement import Facts
from broker.domain.entry import Entry, party_ref
from broker.domain.identity import EntryKey
from broker.domain.policy import Deny, Overview, Permit, Query, Reader, Reason, decide, refused
from broker.overviews.asking import known, with_parties
from broker.overviews.feed import Feed
from broker.overviews.place import Place, read
from broker.overviews.reading import Connection, Core, Read, note
from broker.overviews.shown import show
from broker.overviews.subscription import Refused, follower, refuse
from broker.overviews.watch import Change, Watch
from broker.store import documents, subscriptions
from broker.store import search as index
from broker.store.subscriptions import Subscription
from broker.stream.topics import OVERVIEWS

NOT_THERE: Final = "not_there"


class EndedError(Exception):
    """The subscription is not the one that the stream was opened under."""


@dataclass(frozen=True, slots=True)
class NotSubscribed:
    """There is nobody whom the reader follows in this overview."""


@dataclass(frozen=True, slots=True)
class TooOld:
    """What came after the reader's place cannot be told any more: they search anew."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event: what became of an entry, and the place behind it."""

    kind: Literal["entry", "gone"]
    data: dict[str, Any]


async def follow(
    core: Core, feed: Feed, reader: Reader, overview: Overview, last_id: str | None, at: datetime
) -> "Stream | Refused | NotSubscribed | TooOld":
    """Open a stream; `close` it. Raises BrokenPlaceError, NotLoggedError, and what the feed raises."""
    if reader.role is not overview.role:
        return await refuse(core, reader, overview, None, Reason.ROLE)
    topic = OVERVIEWS[overview.name]
    start = None if last_id is None else read(last_id, topic.partitions, at)
    if last_id is not None and start is None:
        return TooOld()
    who = follower(reader)
    async with core.pool.connection() as connection:
        kept = await subscriptions.listed(connection, who, overview.name)
        # Who begins anew holds nothing; who goes on is told what has gone of all that was shown.
        shown = {} if start is None else await subscriptions.shown(connection, who, overview.name)
        if not kept:
            return NotSubscribed()
        query = _query(overview, reader, kept[0])
        if (reason := refused(overview, query)) is not None:
            return await refuse(core, reader, overview, query.purpose, reason)
        query, _ = await known(connection, query, Facts())
    watch = await feed.watch(topic, (query.citizen or frozenset()) | shown.keys())
    try:
        if start is not None:
            watch.precede(await feed.missed(topic, start, watch))
    except BaseException:
        feed.leave(watch)
        raise
    return Stream(core, feed, query, kept[0], watch, shown, start or watch.start)


def _query(overview: Overview, reader: Reader, kept: Subscription) -> Query:
    effort = None if kept.effort_id is None else str(kept.effort_id)
    citizens = frozenset(party_ref("CPR", citizen) for citizen in kept.citizens)
    return Query(overview.name, reader, citizens, kept.purpose, effort_id=effort)


class Stream:
    """What one reader is told from a place on."""

    def __init__(
        self,
        core: Core,
        feed: Feed,
        query: Query,
        subscription: Subscription,
        watch: Watch,
        shown: dict[str, int | None],
        place: Place,
    ) -> None:
        """`query` is for all who are followed; `shown`: entries with the offset at which they were told gone."""
        self._core, self._feed, self._query, self._subscription = core, feed, query, subscription
        self.watch, self._shown, self._place = watch, shown, place
        self._topic = OVERVIEWS[query.overview]
        self._citizens = query.citizen or frozenset()

    @property
    def until(self) -> datetime:
        """When the subscription runs out."""
        return self._subscription.until

    @property
    def place(self) -> Place:
        """Everything before it has been told."""
        return self._place

    def close(self) -> None:
        """Follow no more."""
        self._feed.leave(self.watch)

    async def still(self) -> None:
        """Nothing has come for a while: so far has been looked. Raises EndedError."""
        if self.watch.idle:
            self._place = self._place.joined(self._feed.place(self._topic))
        async with self._core.pool.connection() as connection:
            await self._stands(connection)

    async def told(self, change: Change, at: datetime) -> Event | None:
        """What the reader is to be told, written down; None when it is nothing. Raises EndedError, NotLoggedError."""
        if change.offset < self._place.offsets[change.partition]:
            return None
        # Before the row is read, so that what becomes of it after that is heard, also where a record names nobody.
        self._feed.also(self.watch, change.key)
        async with self._core.pool.connection() as connection, connection.transaction():
            await self._stands(connection)
            event = await self._event(connection, change, at)
        self._place = self._place.past(change.partition, change.offset)
        return event

    async def _stands(self, connection: Connection) -> None:
        kept = await subscriptions.listed(connection, follower(self._query.reader), self._query.overview)
        if not kept or kept[0].version != self._subscription.version:
            raise EndedError

    async def _event(self, connection: Connection, change: Change, at: datetime) -> Event | None:
        reference_data = await self._core.facts.current(connection)
        found = await index.by_key(connection, EntryKey(*change.key.split("/")))
        if found is None:
            return await self._gone(connection, change, None, NOT_THERE)
        state = found.state()
        entry = found.entry(state)
        followed = self._followed(entry)
        # Of those followed only who is in the case: there may be hundreds, and this is done for each change.
        self._query, facts = await known(connection, self._for(frozenset(followed)), reference_data)
        facts = await with_parties(connection, facts, [entry])
        permitted = [one for one in followed if self._permits(entry, one, facts, at)]
        if not permitted:
            denied = decide(entry, self._for(self._citizens), facts, at)
            return await self._gone(connection, change, entry, denied.reason if isinstance(denied, Deny) else NOT_THERE)
        await self._note_shown(connection, change.key, None)
        for citizen in permitted:
            await note(connection, self._query, Read(self._subscription.purpose, citizen, None, (change.key,)))
        # The part in the case is that of the first: the primary parties come first.
        query = self._for(frozenset(permitted[:1]))
        registered = await documents.of(connection, [(entry.key, state)])
        references = frozenset(permitted[:1])
        return Event("entry", show(found, state, entry, query, facts, at, registered, references=references))

    def _followed(self, entry: Entry) -> list[str]:
        """Those whom the reader follows, the primary ones first."""
        return list(dict.fromkeys(party for _, party in entry.parties if party in self._citizens))

    def _permits(self, entry: Entry, citizen: str, facts: Facts, at: datetime) -> bool:
        """Whether the entry may be shown for this citizen alone."""
        return isinstance(decide(entry, self._for(frozenset({citizen})), facts, at), Permit)

    def _for(self, citizens: frozenset[str]) -> Query:
        return replace(self._query, citizen=citizens)

    async def _gone(self, connection: Connection, change: Change, entry: Entry | None, reason: str) -> Event | None:
        """Only who was shown it, and has not been told before, hears that it is gone."""
        key = change.key
        if key not in self._shown:
            return None
        told_at = self._shown[key]
        if told_at is not None and told_at < change.offset:
            return None
        await self._note_shown(connection, key, change.offset)
        parties = () if entry is None else (party for _, party in entry.parties)
        citizen = next((party for party in parties if party in self._citizens), None)
        await note(connection, self._query, Read(self._subscription.purpose, citizen, reason, (key,)))
        return Event("gone", EntryKey(*key.split("/"))._asdict())

    async def _note_shown(self, connection: Connection, key: str, gone_at: int | None) -> None:
        who = follower(self._query.reader)
        if key not in self._shown or self._shown[key] != gone_at:
            await subscriptions.note_shown(connection, who, self._query.overview, key, gone_at)
        self._shown[key] = gone_at
