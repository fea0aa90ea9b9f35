"""What the index holds of a sender's own cases, for changes that name a part of a group only."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from broker.api.core import Connection
from broker.api.problems import unavailable
from broker.domain.case import SCALAR_GROUPS
from broker.domain.identity import EntryKey
from broker.intake.connector import Service, Source
from broker.intake.producer import KafkaUnavailable
from broker.overviews.shown import registered_at
from broker.settings import Settings
from broker.store import search as index
from broker.stream.clients import aiokafka_options
from broker.stream.tail import AWAY, tail
from broker.stream.topics import CASE_EVENTS

PATIENCE: Final = 10.0
_STEP: Final = 0.1

Groups = dict[str, Any]


Connecting = Callable[[], AbstractAsyncContextManager[Connection]]


async def completed(
    connect: Connecting, settings: Settings, service: Service, source: Source, payloads: Sequence[object]
) -> list[object]:
    """The payloads with what the sender left to the index to know. Raises Problem, KafkaUnavailable."""
    wanted = await asyncio.to_thread(lambda: [service.before(payload) for payload in payloads])
    keys = [None if one is None else EntryKey(source.authority, source.system, one[0]) for one in wanted]
    all_said = any(one[1] for one in wanted if one is not None)
    stands = await _of(connect, settings, [key for key in keys if key is not None], all_said=all_said)
    received = time.time_ns() // 1000
    return [
        service.completed(payload, None if key is None else stands.get(key), received)
        for payload, key in zip(payloads, keys, strict=True)
    ]


async def _of(
    connect: Connecting, settings: Settings, keys: Sequence[EntryKey], *, all_said: bool
) -> dict[EntryKey, Groups]:
    """The scalar groups of those that are there, as they were sent, and when.

    Args:
        all_said: wait until everything that the log held at the call is in the index. What a sender was promised a
            moment ago must not be missed where the next change would take it back.
    """
    if not keys:
        return {}
    if all_said:
        await _caught_up(connect, settings)
    found: dict[EntryKey, Groups] = {}
    async with connect() as connection:
        for key in dict.fromkeys(keys):
            if (row := await index.by_key(connection, key)) is not None:
                groups = row.state().groups
                found[key] = {name: _said(groups[name][1]) for name in SCALAR_GROUPS if name in groups}
                found[key]["registered_at"] = registered_at(row.newest)
    return found


def _said(content: Groups) -> Groups:
    """A classification as it was sent, not as it was mapped."""
    original: Groups | None = content.get("original")
    return content if original is None else original


async def _caught_up(connect: Connecting, settings: Settings) -> None:
    try:
        async with tail(aiokafka_options(settings), [CASE_EVENTS]) as log:
            _, ends = await log.bounds(CASE_EVENTS)
    except AWAY as error:
        raise KafkaUnavailable from error
    until = time.monotonic() + PATIENCE
    # The connection is given back between two looks: many who wait must not keep everybody else from the database.
    while not await _reached(connect, ends):
        if time.monotonic() > until:
            raise unavailable("index_behind", "the index is behind the log just now; send the same again")
        await asyncio.sleep(_STEP)


async def _reached(connect: Connecting, ends: Sequence[int]) -> bool:
    async with connect() as connection:
        cursor = await connection.execute(
            "SELECT partition, next_offset FROM position WHERE topic = %s", [CASE_EVENTS.name]
        )
        positions: dict[int, int] = dict(await cursor.fetchall())
    return all(positions.get(partition, 0) >= end for partition, end in enumerate(ends))
