"""What the index holds of a sender's own cases, for changes that name a part of a group only."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

from broker.api.core import Connection, Core
from broker.api.problems import unavailable
from broker.domain.case import SCALAR_GROUPS
from broker.domain.identity import EntryKey
from broker.intake.producer import KafkaUnavailable
from broker.overviews.shown import registered_at
from broker.store import search as index
from broker.stream.clients import aiokafka_options
from broker.stream.tail import AWAY, tail
from broker.stream.topics import CASE_EVENTS

PATIENCE: Final = 10.0
_STEP: Final = 0.05

Groups = dict[str, Any]


async def of(core: Core, keys: Sequence[EntryKey], *, all_said: bool) -> dict[EntryKey, Groups]:
    """The scalar groups of those that are there, as they were sent, and when. Raises Problem, KafkaUnavailable.

    Args:
        all_said: wait until everything that the log held at the call is in the index. What a sender was promised a
            moment ago must not be missed where the next change would take it back.
    """
    if not keys:
        return {}
    if all_said:
        await _caught_up(core)
    found: dict[EntryKey, Groups] = {}
    async with core.pool.connection() as connection:
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


async def _caught_up(core: Core) -> None:
    try:
        async with tail(aiokafka_options(core.settings), [CASE_EVENTS]) as log:
            _, ends = await log.bounds(CASE_EVENTS)
    except AWAY as error:
        raise KafkaUnavailable from error
    until = time.monotonic() + PATIENCE
    async with core.pool.connection() as connection:
        while not await _reached(connection, ends):
            if time.monotonic() > until:
                raise unavailable("index_behind", "the index is behind the log just now; send the same again")
            await asyncio.sleep(_STEP)


async def _reached(connection: Connection, ends: Sequence[int]) -> bool:
    cursor = await connection.execute(
        "SELECT partition, next_offset FROM position WHERE topic = %s", [CASE_EVENTS.name]
    )
    positions: dict[int, int] = dict(await cursor.fetchall())
    return all(positions.get(partition, 0) >= end for partition, end in enumerate(ends))
