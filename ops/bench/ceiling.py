"""What the database alone can take: the same rows, copied in and merged, and nothing else done."""

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from itertools import islice
from typing import Any

import psycopg

from broker.domain.batch import Arrival, Place, plan
from broker.domain.case import content_hash
from broker.store import batch, facts
from broker.store.database import connect, query
from broker.stream.framing import HEADER
from broker.stream.topics import CASE_EVENTS
from ops.bench.filled import Filled

BATCH = 10_000
PLACE = Place(CASE_EVENTS.name, "", 0)
Connection = psycopg.Connection[Any]


def copied(dsn: str, records: Iterable[Filled]) -> list[bytes]:
    """For each batch the binary COPY that the batch writer makes of it, taken out of a transaction that is undone."""
    copies, taken = [], (record for record in records if record.taken)
    with connect(dsn, "bench") as connection:
        batch.prepare(connection)
        known = facts.load(connection)
        while some := list(islice(taken, BATCH)):
            arrivals = [
                Arrival(n, int(time.time() * 1000), r.value, r.event, content_hash(r.value[HEADER.size :]))
                for n, r in enumerate(some)
            ]
            with connection.transaction(force_rollback=True):
                batch.write(connection, {PLACE: plan(arrivals, known, PLACE)})
                with connection.cursor() as cursor, cursor.copy("COPY incoming TO STDOUT (FORMAT binary)") as copy:
                    copies.append(b"".join(bytes(block) for block in copy))
    return copies


def ceiling(dsn: str, copies: list[bytes], connections: int) -> float:
    """Seconds that the database takes for them, one transaction each, on so many connections."""
    with ExitStack() as stack, ThreadPoolExecutor(connections) as pool:
        sessions = [stack.enter_context(connect(dsn, "bench")) for _ in range(connections)]
        for session in sessions:
            batch.prepare(session)
        began = time.monotonic()
        shares = [copies[n::connections] for n in range(connections)]
        list(pool.map(partial(_take), sessions, shares))
        return time.monotonic() - began


def _take(session: Connection, copies: list[bytes]) -> None:
    for rows in copies:
        with session.transaction():
            with session.cursor() as cursor, cursor.copy("COPY incoming FROM STDIN (FORMAT binary)") as copy:
                copy.write(rows)
            session.execute(query("merge_entries"))
