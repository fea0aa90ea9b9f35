"""Whom readers follow, and what their streams have shown. Citizens are civil registration numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from broker.store.database import query

Connection = psycopg.AsyncConnection[Any]


class Follower(NamedTuple):
    """Who follows: one person in one client system."""

    subject: str
    client: str


@dataclass(frozen=True, slots=True)
class Subscription:
    """One in force. `version` is another with every change; narrowed_at: when fewer were followed than before."""

    overview: str
    citizens: list[str] = field(repr=False)
    purpose: str
    effort_id: UUID | None
    until: datetime
    version: UUID
    narrowed_at: datetime | None


async def put(connection: Connection, who: Follower, overview: str, said: dict[str, Any]) -> None:
    """Replace the follower's subscription to the overview. `said`: citizens, purpose, effort_id, until, authorities."""
    await connection.execute(query("put_subscription"), {**who._asdict(), "overview": overview, **said})


async def listed(connection: Connection, who: Follower, overview: str | None = None) -> list[Subscription]:
    """The follower's subscriptions that have not run out; `overview` None: all of them."""
    async with connection.cursor(row_factory=class_row(Subscription)) as cursor:
        await cursor.execute(query("list_subscriptions"), {**who._asdict(), "overview": overview})
        return await cursor.fetchall()


async def end(connection: Connection, who: Follower, overview: str | None) -> None:
    """End one subscription, or all of the follower's."""
    await connection.execute(query("end_subscriptions"), {**who._asdict(), "overview": overview})


async def shown(connection: Connection, who: Follower, overview: str) -> dict[str, int | None]:
    """Keys of the entries that were shown, each with the offset at which it was told gone; None: still held."""
    cursor = await connection.execute(
        "SELECT entry, gone_at FROM subscription_shown WHERE subject = %s AND client = %s AND overview = %s",
        [*who, overview],
    )
    return dict(await cursor.fetchall())


async def note_shown(connection: Connection, who: Follower, overview: str, entries: Mapping[str, int | None]) -> None:
    """The entries are shown (None), or taken back at that offset."""
    listed = {"entries": list(entries), "gone_at": list(entries.values())}
    said = {**who._asdict(), "overview": overview, **listed}
    await connection.execute(query("note_shown"), said)
