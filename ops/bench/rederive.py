"""How fast the index is derived anew: when nothing has changed, when every entry has, and beside live events.

The index is filled directly. Alone, no worker and no publisher runs beside it, so that the figure is of deriving alone.
Beside, a worker, a publisher and the API share the machine with it, and events come in at a steady rate before and
meanwhile: how long each is under way until a search finds it is told for both.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psycopg

from broker.cli.setup import prepare
from broker.processing.rederiving import Report as Run
from broker.processing.rederiving import rederive
from broker.settings import said
from broker.store import outbox
from broker.store.database import connect
from broker.store.rederivation import Scope
from ops.bench import latency
from ops.bench.faults import judged, settle
from ops.bench.filled import SUBJECTS, Filled, Load, agree
from ops.bench.filling import fill
from ops.bench.reads import ready
from ops.bench.weighing import spent
from ops.embedded import instance
from ops.embedded.instance import Instance

Tell = Callable[[str], None]
NEW_EDITION: Final = "2000-01-02"
ALONE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Row:
    """One run over the whole index; start of its processes included.

    cpu: microseconds an entry, of deriving and of PostgreSQL; it depends less than the clock on what else the machine
    does.
    """

    what: str
    entries: int
    changed: int
    marked: int
    seconds: float
    per_second: int
    cpu: float


@dataclass(frozen=True, slots=True)
class Beside:
    """One run over the whole index beside live events. changed: without those that an event has derived meanwhile.

    published: seconds after its end until nothing was marked.
    """

    most: int | None
    entries: int
    changed: int
    passes: int
    seconds: float
    per_second: int
    published: float


@dataclass(slots=True)
class Report:
    """live: events received before `beside` began, and while it ran. wrong: what should have been otherwise."""

    rows: list[Row] = field(default_factory=list)
    beside: list[Beside] = field(default_factory=list)
    live: list[latency.Row] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def run(data: Path, entries: int, tell: Tell = lambda _: None) -> Report:
    """Fill, derive anew by the same facts, by a new edition that concerns every case, and by the same again."""
    report = Report()
    with instance.held(instance.Plan(data, only_infrastructure=True), {}) as running:
        running.start(lambda _: None)
        settings = said(running.settings)
        prepare(settings)
        agree(settings)
        tell(f"{entries} entries filled in {fill(settings, 0, entries):.1f} s")
        with connect(settings.dsn, "bench") as connection:
            for what, changed in (
                ("nothing changed", 0),
                ("everything changed", entries),
                ("nothing again", 0),
            ):
                if changed:
                    new_edition(connection)
                before = _spent(running)
                made = rederive(settings.dsn, Scope())
                row = _row(what, made, outbox.depth(connection), _spent(running) - before)
                report.rows.append(row)
                tell(str(row))
                if (row.entries, row.changed) != (entries, changed):
                    report.wrong.append(f"{what}: {row.changed} of {row.entries} entries were changed")
                connection.execute("TRUNCATE dirty")
    return report


def beside(data: Path, entries: int, rate: int, most: int | None, tell: Tell = lambda _: None) -> Report:
    """Derive every entry by a new edition while events come in, nine of ten of cases that are there.

    Args:
        rate: events a second.
        most: entries a second at most; None: as fast as it goes.
    """
    report = Report()
    with instance.held(instance.Plan(data), {}) as running:
        running.start(ready)
        settings = said(running.settings)
        tell(f"{entries} entries filled in {fill(settings, 0, entries):.1f} s")
        records, enough = list[Filled](), threading.Event()
        sending = _until(enough, Load(entries).later(entries), records)
        with latency.looking(settings) as looks, ThreadPoolExecutor(1) as thread:
            sender = thread.submit(latency.send, settings, sending, rate)
            try:
                enough.wait(ALONE_S)
                with connect(settings.dsn, "bench") as connection:
                    new_edition(connection)
                began = time.time()
                made = rederive(settings.dsn, Scope(), most)
                ended = time.time()
            finally:
                enough.set()
            sent, took = sender.result()
            report.wrong += settle(settings) or judged(settings, len(records), sum(not one.taken for one in records))
            published = round(time.time() - ended, 1)
            latency.await_heard(lambda: None not in latency.visible(sent, looks))
            report.live = _live(sent, looks, rate, round(len(records) / took, 1), (began, ended))
        pace = round(made.seen / max(made.seconds, 0.1))
        row = Beside(most, made.seen, made.changed, made.passes, made.seconds, pace, published)
        report.beside.append(row)
        tell(str(row))
        report.wrong += [f"{one.missing} of {one.events} never {one.until}" for one in report.live if one.missing]
        if left := rederive(settings.dsn, Scope()).changed:
            report.wrong.append(f"{left} entries were not derived by the new edition")
    return report


def _until(enough: threading.Event, endless: Iterable[Filled], given: list[Filled]) -> Iterator[Filled]:
    for record in endless:
        if enough.is_set():
            return
        given.append(record)
        yield record


def _live(
    sent: list[latency.Sent], looks: latency.Looks, rate: int, per_second: float, during: tuple[float, float]
) -> list[latency.Row]:
    """Of those received before it began, and while it ran (seconds since 1970)."""
    began, ended = (at * latency.MILLI for at in during)
    spans = {"alone": (0.0, began), "beside": (began, ended)}
    return [
        latency.summed(
            rate,
            per_second,
            f"visible in search, {when}",
            latency.visible([one for one in sent if first <= one.received_ms < last], looks),
        )
        for when, (first, last) in spans.items()
    ]


def new_edition(connection: psycopg.Connection[object]) -> None:
    """The same numbers, in an edition that is in force for every case."""
    with connection.transaction():
        connection.execute("INSERT INTO kle_edition (published) VALUES (%s)", [NEW_EDITION])
        connection.execute(
            "INSERT INTO kle_subject SELECT %s, unnest(%s::text[]), 'emne'", [NEW_EDITION, list(SUBJECTS)]
        )
        connection.execute("UPDATE reference_revision SET revision = revision + 1")


def _row(what: str, made: Run, marked: int, cpu: float) -> Row:
    pace, each = round(made.seen / max(made.seconds, 0.1)), round(cpu * 1_000_000 / made.seen, 1)
    return Row(what, made.seen, made.changed, marked, made.seconds, pace, each)


def _spent(running: Instance) -> float:
    """CPU seconds of the database, and of this process with its children that have ended."""
    return spent(running)["postgres"] + sum(os.times()[:4])
