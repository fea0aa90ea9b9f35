"""The one verifier: looks through the whole log of reads again and again, without anybody asking.

It runs in a publisher process; whoever holds the advisory lock does it. What it found it tells out of its own memory: a
note in the database would be its owner's to write. A round works at half its speed, and rounds take at most one part in
`SHARE` of the time, but come at least each `MOST_S`.
"""

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import psycopg

from broker.domain.chain import Flaw
from broker.logs import tell
from broker.metrics import VERIFIED, Kept, Values, Verified
from broker.processing.verifying import Report, verify
from broker.sealing_key import trusted
from broker.settings import Settings
from broker.store.chain import Connection
from broker.store.database import alone
from broker.stream.tail import AWAY

LOCK: Final = 7_346_024
EACH_S: Final = 60.0
MOST_S: Final = 6 * 3600.0
SHARE: Final = 20
RETRY_S: Final = 5.0
LOCK_IDLE_S: Final = 120
"""A stopped verifier's session must end, or its lock would bar the others for ever."""
MOST_NAMED: Final = 10


class StopAskedError(Exception):
    """In the middle of a round."""


class Pace:
    """Called while a round goes on, rests as long as was worked.

    Raises StopAskedError; psycopg.Error when the lock is gone with its session.
    """

    def __init__(self, connection: Connection, stop: threading.Event) -> None:
        self._connection, self._stop = connection, stop
        self._since = time.monotonic()

    def __call__(self, rows: int) -> None:
        """After some of the rows."""
        del rows
        if self._stop.wait(time.monotonic() - self._since):
            raise StopAskedError
        self._connection.execute("SELECT 1")
        self._since = time.monotonic()


@dataclass(slots=True)
class Verifier:
    """The rounds while the lock is held. Everything blocks."""

    settings: Settings
    connection: Connection
    kept: Kept
    whole: Values = field(default_factory=dict)

    def run(self, stop: threading.Event) -> None:
        """Until told to stop. While Kafka is away, what was found last goes on being told, and grows old."""
        while not stop.is_set():
            began = time.monotonic()
            try:
                self.round(stop)
            except AWAY as why:
                tell("verifying_lost", error=type(why).__name__)
            self._rest(pause(time.monotonic() - began), stop)

    def round(self, stop: threading.Event) -> Report:
        """Look through all of it once, and tell what came of it."""
        at = time.time()
        report = verify(self.settings, Pace(self.connection, stop))
        if report.findings:
            named = [f"{one.flaw}:{one.segment}:{one.row}" for one in report.findings[:MOST_NAMED]]
            tell("access_log_flawed", flaws=len(report.findings), first=named)
        else:
            self.whole = {(): at}
        counted = Counter(one.flaw for one in report.findings)
        self.kept.tell(Verified(self.whole, {(flaw.value,): counted[flaw] for flaw in Flaw}))
        return report

    def _rest(self, seconds: float, stop: threading.Event) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not stop.wait(min(left, LOCK_IDLE_S / 4)):
            self.connection.execute("SELECT 1")


def pause(took: float) -> float:
    """Seconds between two rounds, after one that took so many."""
    return min(max(EACH_S, SHARE * took), MOST_S)


def keep(settings: Settings, stop: threading.Event, kept: Kept = VERIFIED) -> None:
    """Take the lock whenever it is free; after any trouble let it go and begin again."""
    if not trusted(settings):
        tell("access_log_not_verified", why="neither SAGSBRO_SEAL_KEY nor SAGSBRO_SEAL_PUBLIC_KEYS is set")
        return
    while not stop.is_set():
        try:
            connection = alone(settings.dsn, "publisher-verifier", (LOCK,), LOCK_IDLE_S)
            if connection is not None:
                with connection:
                    Verifier(settings, connection, kept).run(stop)
        except StopAskedError:
            pass
        except psycopg.Error as why:
            tell("verifying_lost", error=type(why).__name__)
        finally:
            kept.tell(None)
        stop.wait(RETRY_S)
