"""What an event costs, and what each process holds, while the index grows.

Each step fills the index directly to a little below its size and sends the last events through Kafka, as fast as it
takes them: nine of ten of cases that are there. Their cost is what the processes spend from the first one sent until
everything is settled, waiting included. The same processes live through all steps; the API has answered some searches
when it is weighed.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from broker.security import Issuer
from broker.settings import Settings, said
from broker.store import positions
from broker.store.database import connect
from broker.stream.clients import confluent_options
from broker.stream.cluster import admin, logs, partitions_of
from broker.stream.topics import CASE_EVENTS
from ops.bench.faults import SETTLE_S, judged, settle
from ops.bench.filled import Filled, Load
from ops.bench.filling import fill
from ops.bench.latency import send
from ops.bench.reads import QUESTIONS, READERS, TTL, over_http, ready
from ops.bench.weighing import resident, spent
from ops.embedded import instance

MICRO: Final = 1_000_000
SEARCHES: Final = 200
LOOK_S: Final = 0.05
AS_FAST_AS_IT_GOES: Final = 1_000_000

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One process at one size: megabytes resident, and CPU microseconds an event, those of its children included."""

    entries: int
    process: str
    resident: int
    cpu_us_per_event: float


@dataclass(frozen=True, slots=True)
class Pace:
    """At one size: microseconds of wall clock an event, until it is projected and until all is published."""

    entries: int
    events: int
    us_to_projected: float
    us_to_published: float


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes on disk an entry, at one size: of the table of entries with what lies outside its rows, or of an index."""

    entries: int
    relation: str
    bytes_per_entry: float


@dataclass(slots=True)
class Report:
    """wrong: what was refused, or still open when all should have been settled; that size and the next have no rows."""

    costs: list[Row] = field(default_factory=list)
    paces: list[Pace] = field(default_factory=list)
    sizes: list[Size] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def run(data: Path, sizes: Sequence[int], live: int, tell: Tell = lambda _: None) -> Report:
    """Grow step by step, on a Sagsbro of its own under `data`, with one worker and one publisher."""
    report, filled, sent, refused = Report(), 0, 0, 0
    with instance.held(instance.Plan(data), {}) as running:
        address = str(running.start(ready).api)
        settings = said(running.settings)
        for size in sizes:
            fill(settings, filled, size - live)
            filled = size
            search(settings, address, size - live)
            before = spent(running)
            records = list(islice(Load(size - live).later(size - live), live))
            sent, refused = sent + live, refused + sum(not record.taken for record in records)
            pace = keep_up(settings, size, records, report)
            report.wrong += judged(settings, sent, refused)
            if report.wrong:
                break
            report.paces.append(pace)
            report.costs += [
                Row(size, name, resident(running, name), round((seconds - before[name]) * MICRO / live, 1))
                for name, seconds in spent(running).items()
            ]
            report.sizes += on_disk(settings, size)
            tell(f"{size} entries: {report.paces[-1]}")
    return report


def on_disk(settings: Settings, entries: int) -> list[Size]:
    """What an entry takes on disk."""
    with connect(settings.dsn, "bench") as connection:
        rows = connection.execute(
            "SELECT 'entry', pg_table_size('entry') UNION ALL"
            " SELECT indexrelid::regclass::text, pg_relation_size(indexrelid) FROM pg_index"
            " WHERE indrelid = 'entry'::regclass ORDER BY 1"
        ).fetchall()
        (there,) = connection.execute("SELECT count(*) FROM entry").fetchone() or (entries,)
    return [Size(entries, name, round(taken / there, 1)) for name, taken in rows]


def search(settings: Settings, address: str, entries: int) -> None:
    """So that the API has done what it is there for."""
    token = Issuer(settings).issue(READERS["200 grants, 98 authorities"], TTL)
    over_http(address, token, QUESTIONS["citizen"], entries, 1, SEARCHES)


def keep_up(settings: Settings, size: int, records: Sequence[Filled], report: Report) -> Pace:
    """Send the last events and wait until they are projected, and until all is published: none if it is wrong."""
    client = admin(confluent_options(settings))
    began, pause = time.monotonic(), threading.Event()
    send(settings, records, AS_FAST_AS_IT_GOES)
    end = sum(log.end for log in logs(client, CASE_EVENTS.name, partitions_of(client, CASE_EVENTS.name)).values())
    with connect(settings.dsn, "bench") as connection:
        while sum(next_offset for *_, next_offset in positions.show(connection, CASE_EVENTS.name)) < end:
            if time.monotonic() - began > SETTLE_S:
                break  # and `settle` says what is wrong
            pause.wait(LOOK_S)
    projected = time.monotonic() - began
    report.wrong += settle(settings)
    published = time.monotonic() - began
    projected_us, published_us = (round(took * MICRO / len(records), 1) for took in (projected, published))
    return Pace(size, len(records), projected_us, published_us)
