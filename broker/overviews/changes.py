"""One reader's stream of changes: each is decided on anew as the index stands, and logged before it is given out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from broker.domain.agreement import Facts
from broker.domain.entry import Entry, party_ref
from broker.domain.identity import EntryKey
from broker.domain.policy import Overview, Permit, Query, Reader, Reason, decide, refused
from broker.overviews.asking import known, with_parties
from broker.overviews.feed import Feed
from broker.overviews.grants import bounds
from broker.overviews.place import Place, read
from broker.overviews.reading import Connection, Core, Read, note, primary_persons
from broker.overviews.shown import show
from broker.overviews.subscription import Refused, follower, refuse
from broker.overviews.watch import Change, Watch
from broker.store import documents, subscriptions
from broker.store import search as index
from broker.store.second_line import behind
from broker.store.subscriptions import Subscription
from broker.stream.topics import OVERVIEWS

GONE: Final = "gone"
"""Why is not written: whoever reads the log would be told that a case they may not know of is hidden, and by what."""


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
    place: Place


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
        if last_id is not None and read(last_id, topic.partitions, at, kept[0].narrowed_at) is None:
            return TooOld()
        query = _query(overview, reader, kept[0])
        reason = refused(overview, query)
        if reason is None:
            query, _ = await known(connection, query, Facts())
    if reason is not None:
        return await refuse(core, reader, overview, query.purpose, reason)
    watch = await feed.watch(topic, (query.citizen or frozenset()) | shown.keys(), who)
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

    async def told(self, changes: Sequence[Change], at: datetime) -> list[Event]:
        """What the reader is to be told of these, written down. Raises EndedError, NotLoggedError.

        Together, because a withdrawal may take hundreds of entries at once.
        """
        new = [change for change in changes if change.offset >= self._place.offsets[change.partition]]
        for change in new:
            # Before rows are read, so that what becomes of them after that is heard, also where a record names nobody.
            self._feed.also(self.watch, change.key)
        if not new:
            return []
        async with self._core.pool.connection() as connection, connection.transaction():
            await self._stands(connection)
            # Of one entry the newest change says it all: it is the row that is told of.
            told = await self._told(connection, {change.key: change for change in new}, at)
        events = []
        for change in new:
            self._place = self._place.past(change.partition, change.offset)
            if (event := told.get(change)) is not None:
                events.append(replace(event, place=self._place))
        return events

    async def _stands(self, connection: Connection) -> None:
        kept = await subscriptions.listed(connection, follower(self._query.reader), self._query.overview)
        if not kept or kept[0].version != self._subscription.version:
            raise EndedError

    async def _told(self, connection: Connection, newest: dict[str, Change], at: datetime) -> dict[Change, Event]:
        reference_data = await self._core.facts.current(connection)
        overview = reference_data.policy[self._query.overview]
        async with behind(connection, bounds(overview, self._for(self._citizens))):
            rows = await index.by_keys(connection, [EntryKey(*key.split("/")) for key in newest])
        found = [(row, state, row.entry(state)) for row in rows for state in [row.state()]]
        entries = {str(entry.key): entry for _, _, entry in found}
        # Of those followed only who is in these cases: there may be hundreds.
        followed = frozenset(one for entry in entries.values() for one in self._followed(entry))
        self._query, facts = await known(connection, self._for(followed), reference_data)
        facts = await with_parties(connection, facts, entries.values())
        permitted = {key: self._permitted(entry, facts, at) for key, entry in entries.items()}
        shown_now = [(entry.key, state) for _, state, entry in found if permitted[str(entry.key)]]
        registered = await documents.of(connection, shown_now)
        events: dict[Change, Event] = {}
        for row, state, entry in found:
            key = str(entry.key)
            if permitted[key]:
                # The part in the case is that of the first: the primary parties come first.
                first = frozenset(permitted[key][:1])
                shown = show(row, state, entry, self._for(first), facts, at, registered, references=first)
                events[newest[key]] = Event("entry", shown, self._place)
        gone = {key: change for key, change in newest.items() if not permitted.get(key) and self._has_still(change)}
        for key, change in gone.items():
            events[change] = Event("gone", EntryKey(*key.split("/"))._asdict(), self._place)
        await self._note(connection, [(of, None, key) for key, each in permitted.items() for of in each], entries)
        taken_back = [(self._first(entries.get(key)), GONE, key) for key in gone]
        await self._note(connection, taken_back, {})
        offsets = {key: change.offset for key, change in gone.items()}
        await self._note_shown(connection, {**dict.fromkeys([key for key in permitted if permitted[key]]), **offsets})
        return events

    def _followed(self, entry: Entry) -> list[str]:
        """Those whom the reader follows, the primary ones first."""
        return list(dict.fromkeys(party for _, party in entry.parties if party in self._citizens))

    def _permitted(self, entry: Entry, facts: Facts, at: datetime) -> list[str]:
        """The followed citizens for each of whom alone the entry may be shown."""
        return [
            one
            for one in self._followed(entry)
            if isinstance(decide(entry, self._for(frozenset({one})), facts, at), Permit)
        ]

    def _for(self, citizens: frozenset[str]) -> Query:
        return replace(self._query, citizen=citizens)

    def _has_still(self, change: Change) -> bool:
        """Only who was shown it, and has not been told before, hears that it is gone."""
        if change.key not in self._shown:
            return False
        told_at = self._shown[change.key]
        return told_at is None or told_at >= change.offset

    def _first(self, entry: Entry | None) -> str | None:
        return None if entry is None else next(iter(self._followed(entry)), None)

    async def _note(
        self,
        connection: Connection,
        reads: Iterable[tuple[str | None, str | None, str]],
        shown: Mapping[str, Entry],
    ) -> None:
        """One row for each citizen and reason; in the log of everybody whose cases they are, too."""
        cases: dict[tuple[str | None, str | None], list[str]] = {}
        for citizen, denied, key in reads:
            cases.setdefault((citizen, denied), []).append(key)
        for (citizen, denied), keys in cases.items():
            of = frozenset(person for key in keys if key in shown for person in primary_persons(shown[key]))
            await note(connection, self._query, Read(self._subscription.purpose, citizen, denied, keys, of))

    async def _note_shown(self, connection: Connection, now: dict[str, int | None]) -> None:
        """Entry -> the offset at which the reader is told that it is gone, or None: they hold it."""
        unknown = object()
        new = {key: gone_at for key, gone_at in now.items() if self._shown.get(key, unknown) != gone_at}
        if new:
            await subscriptions.note_shown(connection, follower(self._query.reader), self._query.overview, new)
        self._shown |= new
