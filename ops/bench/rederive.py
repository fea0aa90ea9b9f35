"""How fast the index is derived anew: when nothing has changed, and when every entry has.

The index is filled directly; no worker and no publisher runs beside it, so that the figure is of deriving alone.
"""

import os
from collections.abc import Callable
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
from ops.bench.filled import SUBJECTS, agree
from ops.bench.filling import fill
from ops.bench.weighing import spent
from ops.embedded import instance
from ops.embedded.instance import Instance

Tell = Callable[[str], None]
NEW_EDITION: Final = "2000-01-02"


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


@dataclass(slots=True)
class Report:
    """wrong: what should have been otherwise."""

    rows: list[Row] = field(default_factory=list)
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
