"""One process of all does what changes of reference data have left over, beside live traffic and publishing."""

import threading
from datetime import UTC, datetime
from typing import Any, Final

import psycopg

from broker.domain.agreement import Facts
from broker.logs import tell
from broker.settings import Settings
from broker.store import clock, sweep
from broker.store.database import alone

LOCK: Final = 7_346_004
LOCK_IDLE_S: Final = 60
IDLE_S: Final = 0.5
WAITS_S: Final = 0.2
RETRY_S: Final = 2.0
Connection = psycopg.Connection[Any]


def keep_swept(settings: Settings, stop: threading.Event) -> None:
    """Take the lock whenever it is free; after any trouble let it go and begin again."""
    while not stop.is_set():
        try:
            connection = alone(settings.dsn, "publisher-sweeping", (LOCK,), LOCK_IDLE_S)
            if connection is not None:
                with connection:
                    _work(connection, stop)
        except psycopg.Error as why:
            tell("database_unreachable", error=type(why).__name__)
        stop.wait(RETRY_S)


def _work(connection: Connection, stop: threading.Event) -> None:
    known = Facts(revision=-1)
    while not stop.is_set():
        clock.turn(connection, datetime.now(UTC).date())
        swept, known = sweep.next_slice(connection, known)
        if swept is None:
            stop.wait(IDLE_S)
        elif swept.waits:
            stop.wait(WAITS_S)  # for the publisher, which sends their tombstones
