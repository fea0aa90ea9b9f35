"""Whether the process lives, whether it can serve, and what it has counted."""

import asyncio
from typing import Annotated

import psycopg
import psycopg_pool
from fastapi import APIRouter, Depends
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from broker.api import problems
from broker.api.core import Core, core_of
from broker.metrics import registry
from broker.store.database import migrations
from broker.store.schema import misfit

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """The process answers."""
    return {"status": "alive"}


@router.get("/readyz", response_model=None)
async def ready(core: Annotated[Core, Depends(core_of)]) -> dict[str, str] | Response:
    """Database there and migrated, Kafka there with the topic; else 503 naming what is missing."""
    database, kafka = await asyncio.gather(_lacking(core), core.producer.ready())
    missing = [*database, *(() if kafka else ("kafka",))]
    if missing:
        headers = {"Retry-After": problems.RETRY_AFTER}
        return problems.response(503, "not_ready", f"not there: {', '.join(missing)}", headers, missing=missing)
    return {"status": "ready"}


@router.get("/metrics")
async def counted() -> Response:
    """For Prometheus."""
    return Response(generate_latest(registry("api")), media_type=CONTENT_TYPE_LATEST)


async def _lacking(core: Core) -> list[str]:
    """The database itself, or what has not been done to it yet."""
    try:
        async with core.pool.connection() as connection:
            cursor = await connection.execute("SELECT name FROM schema_migration")
            done = {name for (name,) in await cursor.fetchall()}
    except psycopg.errors.UndefinedTable:
        done = set()
    except (psycopg.Error, psycopg_pool.PoolTimeout, psycopg_pool.PoolClosed):
        return ["database"]
    return [] if misfit([name for name, _ in migrations()], done) is None else ["migrations"]
