"""The API as one ASGI app: the one place where its parts are put together."""

import select
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from broker import certificates
from broker.api import (
    access_log,
    auth,
    changes,
    coverage,
    dossier,
    events,
    explain,
    health,
    kle,
    operations,
    overviews,
    pages,
    persons,
    problems,
    receipts,
    reconcile,
    reference,
    registry,
    rejections,
    sf1470,
)
from broker.api.core import Core, FactsCache, Pool
from broker.api.guard import Guard
from broker.api.prometheus import Prometheus
from broker.intake.budget import Budget
from broker.intake.producer import Producer
from broker.logs import tell
from broker.overviews.feed import Feed
from broker.security import Issuer
from broker.settings import Settings
from broker.store.database import conninfo
from broker.stream.clients import aiokafka_options

# Looked through in this order with each request.
ROOMS = (
    overviews,
    events,
    auth,
    receipts,
    reconcile,
    health,
    changes,
    persons,
    access_log,
    explain,
    dossier,
    reference,
    kle,
    coverage,
    operations,
    pages,
    rejections,
    sf1470,
)


def create_app(settings: Settings) -> FastAPI:
    """The app; it starts, and answers, while database and Kafka are away."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        pool = _pool(settings)
        await pool.open(wait=False)
        producer = Producer(aiokafka_options(settings))
        feed = Feed(aiokafka_options(settings), pool)
        told = settings.prometheus
        prometheus = None if told is None else Prometheus(told.get_secret_value())
        app.state.core = Core(settings, pool, FactsCache(), producer, Issuer(settings), Budget(), feed, prometheus)
        tell("started", host=settings.api_host, port=settings.api_port)
        try:
            yield
        finally:
            tell("stopping")
            if prometheus is not None:
                await prometheus.close()
            await feed.close()
            await producer.close()
            await pool.close(timeout=2)

    certificates.watch(settings)
    # `/docs` shares its origin with `/ops`, where a token is typed: no script may come from elsewhere.
    app = FastAPIOffline(title="Sagsbro", lifespan=lifespan, redoc_url=None)
    problems.install(app)
    registry.install(app)
    app.add_middleware(Guard)
    for room in ROOMS:
        app.include_router(room.router)
    return app


def _pool(settings: Settings) -> Pool:
    return AsyncConnectionPool(
        conninfo(settings.dsn, "api"),
        connection_class=AsyncConnection,
        kwargs={"autocommit": True},
        min_size=1,
        max_size=10,
        timeout=4,
        # Given up soon and begun anew at the next request: waiting grows, and a database that is back would go unseen.
        reconnect_timeout=4,
        check=_alive,
        open=False,
        name="api",
    )


async def _alive(connection: AsyncConnection[Any]) -> None:
    """Ask only a connection on which something has come unasked: a server that goes says so."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        await AsyncConnectionPool.check_connection(connection)
