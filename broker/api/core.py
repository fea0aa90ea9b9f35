"""What every route of the API shares; made once in `app.create_app`, found at `request.app.state.core`."""

import asyncio
import gc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from broker.api.prometheus import Prometheus
from broker.domain.agreement import Facts
from broker.intake.budget import Budget
from broker.intake.producer import Producer
from broker.overviews.feed import Feed
from broker.security import Issuer
from broker.settings import Settings
from broker.store.facts import from_rows, stands

Connection = AsyncConnection[tuple[Any, ...]]
Pool = AsyncConnectionPool[Connection]


class FactsCache:
    """The reference data of the newest revision that was asked for."""

    def __init__(self) -> None:
        """Nothing is read before it is asked for."""
        self._facts: Facts | None = None
        self._loading = asyncio.Lock()

    async def current(self, connection: Connection, revision: int | None = None) -> Facts:
        """The facts as this connection sees them; asks for the revision only, while it stands.

        revision: the one that stands, where the caller has read it.
        """
        if revision is None:
            cursor = await connection.execute("SELECT revision FROM reference_revision")
            (revision,) = await cursor.fetchone() or (None,)
        facts = self._facts
        if revision is not None and facts is not None and facts.revision == revision:
            return facts
        async with self._loading:
            if revision is None or self._facts is None or self._facts.revision != revision:
                self._facts = await _load(connection)
            return self._facts


@dataclass(frozen=True, slots=True)
class Core:
    """The parts of a running API; connections are in autocommit.

    glances: how many of them operators may hold at once, so that looking on never keeps a search waiting.
    """

    settings: Settings
    pool: Pool
    facts: FactsCache
    producer: Producer
    issuer: Issuer
    budget: Budget
    feed: Feed
    prometheus: Prometheus | None = None
    glances: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(2))


async def core_of(request: Request) -> Core:
    """The parts behind the app that serves this request; use as a dependency. Not sync: that would take a thread."""
    core: Core = request.app.state.core
    return core


async def _load(connection: Connection) -> Facts:
    return await stands(connection, _made)


def _made(rows: Mapping[str, Any]) -> Facts:
    """They stay until the next revision: no later search is held up while they are looked through for cycles."""
    facts = from_rows(rows)
    gc.collect()
    gc.freeze()
    return facts
