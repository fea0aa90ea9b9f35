"""`sagsbro rederive`: everything that is derived, derived anew from the originals."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from broker.cli.running import AS_JSON, DATA
from broker.processing.rederiving import RederivingFailed
from broker.processing.rederiving import rederive as run
from broker.settings import find
from broker.store.rederivation import Progress as Came
from broker.store.rederivation import Scope

TELL_S: Final = 1.0


@click.command()
@click.option("--authority", metavar="CVR", help="Only this authority's entries.")
@click.option("--system", help="Only this system's entries.")
@click.option("--rate", type=click.IntRange(1), help="Entries a second at most.")
@DATA
@AS_JSON
def rederive(authority: str | None, system: str | None, rate: int | None, data: Path | None, *, as_json: bool) -> None:
    """Derive the index anew beside live traffic; broken off, the same command goes on where it was.

    Only what differs is written and published. JSON lines where no terminal is.
    """
    dsn, scope = find(data).dsn, Scope(authority, system)
    lines = as_json or not sys.stderr.isatty()
    try:
        with telling(lines=lines) as tell:
            report = run(dsn, scope, rate, tell)
    except RederivingFailed as why:
        raise click.ClickException(str(why)) from None
    if lines:
        click.echo(json.dumps({"event": "rederived", **report.as_dict()}))
    else:
        click.echo(
            f"{report.seen} entries, {report.changed} changed, {report.unmapped} without a number that maps,"
            f" {report.passes} passes in {report.seconds} s"
        )
    if report.behind:
        click.echo("Reference data changed in every pass: run it again when they stand still.", err=True)


@contextmanager
def telling(*, lines: bool) -> Iterator[Callable[[Came], None]]:
    """Show how far it has come: JSON lines, or a bar on the terminal."""
    if lines:
        yield _json_lines()
        return
    with _bar() as bar:
        task = bar.add_task("", total=None, changed=0, passed=1)
        yield lambda came: _show(bar, task, came)


def _bar() -> Progress:
    shown = TextColumn("{task.completed:,.0f} done, {task.fields[changed]:,} changed, pass {task.fields[passed]}")
    return Progress(BarColumn(), MofNCompleteColumn(), shown, TimeRemainingColumn(), console=Console(stderr=True))


def _show(bar: Progress, task: object, came: Came) -> None:
    bar.update(task, total=came.entries, completed=came.seen, changed=came.changed, passed=came.passed)  # type: ignore[arg-type]


def _json_lines() -> Callable[[Came], None]:
    """One line a second at most, with the seconds that are left at this pace."""
    began, told, first = time.monotonic(), 0.0, -1

    def tell(came: Came) -> None:
        nonlocal told, first
        now = time.monotonic()
        first = came.seen if first < 0 or came.seen < first else first
        if now - told < TELL_S:
            return
        told = now
        pace = (came.seen - first) / max(now - began, 1e-9)
        left = round(max(0, came.entries - came.seen) / pace) if pace else None
        said = {"pass": came.passed, "entries": came.entries, "seen": came.seen, "changed": came.changed}
        click.echo(json.dumps({"event": "rederiving", **said, "seconds_left": left}))

    return tell


command = rederive
