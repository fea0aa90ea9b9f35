"""Working off what mapping rules owe: entries derived anew, then the vendors' events that a rule mends replayed.

What is owed was noted with the rules, and is settled when all of it is done: killed on the way, the same goes on.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from typing import Any, Final, TypeVar

import psycopg

from broker.intake.leaving import leaving
from broker.intake.producer import Producer
from broker.intake.remap import Counts, Mended, mended_by, rejudged
from broker.intake.verdicts import message
from broker.processing.rederiving import Tell, rederive
from broker.settings import Settings
from broker.store import facts, kle_rules, rejections
from broker.store.database import connect, conninfo
from broker.store.rederivation import Scope
from broker.stream.clients import aiokafka_options

AT_ONCE: Final = 50
"""Rejections; each may be 1 MiB."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Applied:
    """sets: that were owed. seen, changed: entries. behind: reference data changed all the while; it is owed still."""

    sets: int
    seen: int
    changed: int
    unmapped: int
    rejections: int
    replayed: int
    behind: bool

    def as_dict(self) -> dict[str, Any]:
        """For printing."""
        return asdict(self)


def apply(settings: Settings, rate: int | None = None, tell: Tell = lambda _: None) -> Applied:
    """All that is owed now. Raises RederivingFailed, KafkaUnavailable; then it is owed still.

    Args:
        rate: entries a second at most.
    """
    owed = asyncio.run(_with(settings, kle_rules.owed))
    scopes = _widest([one.scope for one in owed])
    reports = [rederive(settings.dsn, scope, rate, tell) for scope in scopes]
    counts = asyncio.run(_replay(settings, scopes))
    behind = any(report.behind for report in reports)
    if not behind:
        asyncio.run(_with(settings, lambda connection: kle_rules.settle(connection, owed)))
    seen, changed, unmapped = (sum(getattr(r, name) for r in reports) for name in ("seen", "changed", "unmapped"))
    return Applied(len(owed), seen, changed, unmapped, counts.rejections, counts.solved, behind)


def _widest(scopes: list[Scope]) -> list[Scope]:
    """Without those that lie within another."""
    distinct = list(dict.fromkeys(scopes))
    return [one for one in distinct if not any(other != one and _within(one, other) for other in distinct)]


def _within(inner: Scope, outer: Scope) -> bool:
    return all(wide in (None, narrow) for narrow, wide in zip(inner, outer, strict=True))


async def _replay(settings: Settings, scopes: list[Scope]) -> Counts:
    """What leaves the index by a rule goes too, as if it had come just now; also where a rejection stays open."""
    counts, producer = Counts(), Producer(aiokafka_options(settings))
    with connect(settings.dsn, "rules") as connection:
        all_of_it = rejudged(connection, settings, facts.load(connection), scopes, time.time_ns() // 1000, counts)
        try:
            while some := list(islice(all_of_it, AT_ONCE)):
                removals = await leaving([one for _, judged in some for one in judged], partial(_connected, settings))
                mended = [found for kept, judged in some if (found := mended_by(kept, judged)) is not None]
                coming = [message(event.event, event.value) for one in mended for event in one.events]
                await producer.send([*removals, *coming])
                # Killed before this, they are sent again, and are duplicates.
                await _with(settings, partial(_close, mended))
                counts.solved += len(mended)
        finally:
            await producer.close()
    return counts


async def _close(replayed: list[Mended], connection: psycopg.AsyncConnection[Any]) -> None:
    await rejections.close(connection, [one.rejection_id for one in replayed], "replayed", "mapping rules")


async def _with(settings: Settings, work: Callable[[psycopg.AsyncConnection[Any]], Awaitable[T]]) -> T:
    async with _connected(settings) as connection:
        return await work(connection)


@asynccontextmanager
async def _connected(settings: Settings) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    dsn = conninfo(settings.dsn, "rules")
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        yield connection
