"""What is due in the register of persons: marked once more after each change, and whenever the clock makes one.

Several processes may do it at once: a registration is held by one of them, and what a stopped one held comes free.
"""

import threading
from typing import Any, Final

import psycopg

from broker.logs import tell
from broker.settings import Settings
from broker.store import persons
from broker.store.database import connect

LOOK_S: Final = 0.1
RETRY_S: Final = 2.0


def keep_due(settings: Settings, stop: threading.Event) -> None:
    """Until told to stop; after any trouble begin again."""
    while not stop.is_set():
        try:
            with connect(settings.dsn, "publisher-sweep") as connection:
                _sweep(connection, stop)
        except psycopg.Error as why:
            tell("sweep_lost", error=type(why).__name__)
            stop.wait(RETRY_S)


def _sweep(connection: psycopg.Connection[Any], stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            full = persons.sweep(connection) == persons.MOST_DUE
        except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
            full = True
        if not full:
            stop.wait(LOOK_S)
