"""What mapping rules owe is worked off by itself: who puts rules over HTTP has no shell.

One publisher process does it; whoever holds the advisory lock. It leaves rules alone at first, so that who puts them by
the command line works them off there and sees how far that has come.
"""

import threading
from typing import Final

import psycopg

from broker.intake.producer import KafkaUnavailable
from broker.logs import tell
from broker.processing.rederiving import RederivingFailed
from broker.processing.remapping import apply
from broker.settings import Settings
from broker.store.database import alone
from broker.store.kle_rules import Session, is_owed_for
from broker.store.rederivation import Progress

LOCK: Final = 7_346_025
LOOK_S: Final = 10.0
AFTER_S: Final = 60.0
RATE: Final = 5_000
"""Entries a second: a tenth of what there is to be had, so that live events hardly feel it."""
LOCK_IDLE_S: Final = 300
"""A stopped process's session must end, or its lock would bar the others for ever."""


class StopAskedError(Exception):
    """In the middle of it; what was done is kept."""


def keep_applied(settings: Settings, stop: threading.Event) -> None:
    """Until told to stop; after any trouble begin again where it was."""
    while not stop.wait(LOOK_S):
        try:
            connection = alone(settings.dsn, "publisher-applying", (LOCK,), LOCK_IDLE_S)
            if connection is not None:
                with connection:
                    _apply(settings, connection, stop)
        except StopAskedError:
            return
        except (psycopg.Error, RederivingFailed, KafkaUnavailable) as why:
            tell("rules_not_applied", error=type(why).__name__)


def _apply(settings: Settings, connection: Session, stop: threading.Event) -> None:
    def going(_: Progress) -> None:
        if stop.is_set():
            raise StopAskedError
        connection.execute("SELECT 1")

    if is_owed_for(connection, AFTER_S):
        tell("rules_applied", **apply(settings, RATE, going).as_dict())
