"""Replaying rejections: one, or all that a filter means, judged again by the reference data of now.

What goes is closed only after Kafka has it: killed in between, it is sent again, and is a duplicate. What would be
refused again stays open, and says so. A case that what is replayed takes out of the agreement, or out of what the
municipality wants, leaves the index as if it had come just now.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from broker.api import standing
from broker.api.core import FactsCache
from broker.api.standing import Connecting
from broker.domain.agreement import Facts
from broker.intake import connector
from broker.intake.connector import STANDARD, Source
from broker.intake.leaving import leaving
from broker.intake.producer import Message, Producer
from broker.intake.replay import UnreadableError, accepted, by_standard, judged_again, refused
from broker.intake.verdicts import Judged, Sender, judge_all, message, offers_of
from broker.settings import Settings
from broker.store import rejections as store
from broker.store.rejections import NIL, Filter

AT_ONCE: Final = 50
"""Each may be 1 MiB."""
Kept = Mapping[str, Any]


class Stays(NamedTuple):
    """Why one stays open: not_kept, unreadable, or the code it would be refused with again."""

    why: str
    detail: str


class _Made(NamedTuple):
    """What a rejection comes to: messages, removals among them, also where it stays open."""

    messages: list[Message]
    stays: Stays | None = None


@dataclass(slots=True)
class Done:
    """Of those that were looked at, up to `after`. sent: events; stays: why, and how many."""

    found: int = 0
    replayed: int = 0
    sent: int = 0
    stays: Counter[str] = field(default_factory=Counter)
    after: str = NIL

    def as_dict(self) -> dict[str, Any]:
        """For printing."""
        return {"found": self.found, "replayed": self.replayed, "sent": self.sent, "stays": dict(self.stays)}


@dataclass(frozen=True, slots=True)
class Desk:
    """What replaying needs. `by`: who does it, as it is kept."""

    connect: Connecting
    settings: Settings
    facts: FactsCache
    producer: Producer
    by: str

    async def replay(self, wanted: Filter, most: int | None = None, after: str = NIL) -> Done:
        """All open ones that the filter means, behind `after` by id. Raises Problem, KafkaUnavailable."""
        done = Done(after=after)
        while most is None or done.found < most:
            limit = AT_ONCE if most is None else min(AT_ONCE, most - done.found)
            async with self.connect() as connection:
                facts = await self.facts.current(connection)
                page = await store.taken(connection, wanted, done.after, limit)
            if not page:
                break
            done.after = page[-1]["rejection_id"]
            sending = [(kept, await self._made(kept, facts)) for kept in page]
            done.found += len(page)
            done.stays.update(made.stays.why for _, made in sending if made.stays is not None)
            await self._send(sending, done)
        return done

    async def replay_one(self, kept: Kept) -> int | Stays:
        """How many events were sent. Raises Problem, KafkaUnavailable."""
        async with self.connect() as connection:
            facts = await self.facts.current(connection)
        made = await self._made(kept, facts)
        await self._send([(kept, made)], Done())
        return len(made.messages) if made.stays is None else made.stays

    async def _send(self, sending: Sequence[tuple[Kept, _Made]], done: Done) -> None:
        await self.producer.send([one for _, made in sending for one in made.messages])
        named = [str(kept["rejection_id"]) for kept, made in sending if made.stays is None]
        async with self.connect() as connection:
            done.replayed += await store.close(connection, named, "replayed", self.by)
        done.sent += sum(len(made.messages) for _, made in sending)

    async def _made(self, kept: Kept, facts: Facts) -> _Made:
        if kept["payload"] is None:
            return _Made([], Stays("not_kept", "its event was not kept: the sender has to send it again"))
        try:
            judged = await self._judged(kept, facts)
        except UnreadableError as why:
            return _Made([], Stays("unreadable", str(why)))
        removals = await leaving(judged, self.connect)
        if (again := refused(judged)) is not None:
            detail = f"it would be refused again: {again.code} at {again.pointer or '/'}"
            return _Made(removals, Stays(str(again.code), detail))
        return _Made([*removals, *(message(one.event, one.value) for one in accepted(judged))])

    async def _judged(self, kept: Kept, facts: Facts) -> list[Judged]:
        at = time.time_ns() // 1000
        standard, again = connector.load(STANDARD), by_standard(kept)
        if again is None or standard is None or standard.service is None:
            return await asyncio.to_thread(judged_again, kept, self.settings, facts, at)
        system, authority = kept["system"], kept["authority"]
        source = Source(system, authority, self.settings.connector(authority, system))
        payloads = await standing.completed(self.connect, self.settings, standard.service, source, [again])
        return judge_all(offers_of(payloads, standard, source), Sender(system, frozenset({authority})), facts, at)
