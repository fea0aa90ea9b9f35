"""A change of reference data: one transaction that takes the revision for update, and bumps it if anything was done."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg

from broker import logs
from broker.store.database import query


@asynccontextmanager
async def changing(connection: psycopg.AsyncConnection[Any]) -> AsyncIterator[list[str]]:
    """Put into the list what was done; when it stays empty, everything stood so already."""
    said: list[str] = []
    async with connection.transaction():
        await connection.execute(query("change_revision"))
        yield said
        if said:
            await connection.execute("UPDATE reference_revision SET revision = revision + 1")
    for what in said:
        logs.tell("reference_changed", what=what)
