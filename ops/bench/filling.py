"""An index filled without Kafka: filled events are judged and written as a worker does it, by two processes.

Nothing of it is marked for publication, and it leaves no outcomes: those tables are hidden behind temporary ones.
"""

import multiprocessing
import random
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Final

from broker.domain.batch import Arrival, Place, plan
from broker.domain.case import CaseEvent, content_hash
from broker.settings import Settings
from broker.store import batch, facts
from broker.store.database import connect
from broker.stream.framing import HEADER, encode
from ops.bench.filled import filled

BATCH: Final = 10_000
WRITERS: Final = 2
# Beyond every partition of the topic: freshness has a row for each, and none waits for another.
FIRST_PARTITION: Final = 1000
HIDDEN: Final = ("dirty", "outcome")


def fill(settings: Settings, first: int, until: int) -> float:
    """Cases `first` to `until` (closed-open), each with its first registration; returns the seconds it took."""
    began, middle = time.monotonic(), (first + until) // WRITERS
    with ProcessPoolExecutor(WRITERS, multiprocessing.get_context("spawn")) as writers:
        halves = [(settings.dsn, first, middle, FIRST_PARTITION), (settings.dsn, middle, until, FIRST_PARTITION + 1)]
        for written in [writers.submit(write, *half) for half in halves]:
            written.result()
    with connect(settings.dsn, "bench") as connection:
        # As a live index is: the planner knows it, and no checkpoint of the filling runs under what is measured.
        connection.execute("SET transaction_timeout = 0")
        connection.execute("ANALYZE entry, source_freshness")
        connection.execute("CHECKPOINT")
    return time.monotonic() - began


def write(dsn: str, first: int, until: int, partition: int) -> None:
    """One writer's share."""
    place, chance = Place("bench", "bench", partition), random.Random(first)  # noqa: S311 - reproducible
    with connect(dsn, "bench") as connection:
        connection.execute("SET synchronous_commit = off")
        # A machine that is busy with others must not end it.
        connection.execute("SET idle_in_transaction_session_timeout = 0")
        connection.execute("SET transaction_timeout = 0")
        batch.prepare(connection)
        for table in HIDDEN:
            connection.execute(
                f"CREATE TEMPORARY TABLE {table} (LIKE public.{table} INCLUDING ALL) ON COMMIT DELETE ROWS".encode()
            )
        known = facts.load(connection)
        for start in range(first, until, BATCH):
            now = int(time.time() * 1000)
            arrivals = [_arrival(filled(chance, n, n), n, now) for n in range(start, min(start + BATCH, until))]
            planned = plan(arrivals, known, place)
            with connection.transaction():
                batch.write(connection, {place: planned})


def _arrival(event: CaseEvent, offset: int, now: int) -> Arrival:
    value = encode("case_event", event)
    return Arrival(offset, now, value, event, content_hash(value[HEADER.size :]))
