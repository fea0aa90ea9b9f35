"""What one process does for all of them: it measures what the database knows, and forgets what has been kept enough.

Whoever holds the advisory lock does it. A process that is stopped loses the lock with its session, but not before
what it last told has run out: so no fact is ever told by two.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

import psycopg

from broker.logs import tell
from broker.metrics import SHARED, Kept
from broker.settings import Settings
from broker.store import coverage, facts, measures, outbox
from broker.store.database import alone

LOCK: Final = 7_346_002
MEASURE_S: Final = 5.0
MOST_S: Final = 30.0
SHARE: Final = 20
"""Measuring takes at most one part in so many of the time."""
COUNT_S: Final = 0.2
"""Counting goes on with its round for so long each time."""
EXPIRE_S: Final = 3600.0
LOCK_IDLE_S: Final = 60
Connection = psycopg.Connection[Any]
Result = TypeVar("Result")


async def keep_house(settings: Settings, kept: Kept = SHARED) -> None:
    """Take the lock whenever it is free; after any trouble let it go and begin again. Blocking calls run in threads."""
    while True:
        try:
            connection = await _in_thread(alone, settings.dsn, "publisher-housekeeping", (LOCK,), LOCK_IDLE_S)
            if connection is not None:
                with connection:
                    await _work(connection, kept)
        except psycopg.Error as why:
            tell("database_unreachable", error=type(why).__name__)
        finally:
            kept.tell(None)
        await asyncio.sleep(MEASURE_S)


async def _work(connection: Connection, kept: Kept) -> None:
    expired_at = -EXPIRE_S
    await _in_thread(facts.note_policy, connection)
    while True:
        began = time.monotonic()
        kept.tell(await _in_thread(measures.read, connection))
        await _in_thread(coverage.count, connection, COUNT_S)
        took = time.monotonic() - began
        if began - expired_at >= EXPIRE_S:
            await _in_thread(outbox.expire, connection)
            expired_at = began
        await asyncio.sleep(min(max(MEASURE_S, SHARE * took), MOST_S))


async def _in_thread(call: Callable[..., Result], *arguments: object) -> Result:
    return await asyncio.get_running_loop().run_in_executor(None, partial(call, *arguments))
