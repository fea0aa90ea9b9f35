"""`sagsbro load`: a source's whole stock, beside live events."""

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from broker.cli.running import AS_JSON, DATA
from broker.cli.sending import AUTHORITY, VENDOR, Sending, show_line
from broker.intake.loading import CHUNK, digest_of, from_files, from_source
from broker.intake.loading import load as run
from broker.store import loading as store
from broker.store.loading import Area, Connection, Done

TELL_S: Final = 1.0
_SECRETS: Final = ("secret", "password")
Tell = Callable[[Done, float], None]


@click.command()
@click.argument("system")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="[FILE]...")
@AUTHORITY
@VENDOR
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="Payloads a second at most.")
@click.option("--chunk", default=CHUNK, show_default=True, type=click.IntRange(1, 20_000), help="Payloads a chunk.")
@click.option("--status", is_flag=True, help="Only show which KLE areas of the newest load are complete.")
@DATA
@AS_JSON
def load(
    system: str,
    files: tuple[Path, ...],
    authority: str,
    config: Path | None,
    rate: float | None,
    chunk: int,
    data: Path | None,
    *,
    status: bool,
    as_json: bool,
) -> None:
    """Load the vendor's payloads, or canonical events (one a line in .ndjson), or all that the vendor's API has.

    Broken off, the same command goes on where it was. A KLE area is complete when `sagsbro reconcile` has found it so.
    """
    sending = Sending(system, authority, data)
    if status:
        _show_areas(sending.run(lambda connection: store.areas(connection, authority, system)), as_json=as_json)
        return
    if bool(files) == (config is not None):
        raise click.UsageError("give files, or --config for a system that is asked")
    began = time.monotonic()
    lines = as_json or not sys.stderr.isatty()
    total = sum(path.stat().st_size for path in files) or None

    async def work(connection: Connection) -> tuple[int, Done]:
        hand = sending.hand(connection)
        if config is None:
            begun = await store.begin(connection, (authority, system), digest_of(files), chunk)
            skip = (await store.done(connection, begun.id)).chunks
            pieces = from_files(files, sending.speaking, sending.source, begun.chunk_size, skip)
        else:
            speaking, vendor = sending.polled(config)
            begun = await store.begin(connection, (authority, system), _address(vendor), chunk)
            since = (await store.done(connection, begun.id)).cursor
            pieces = from_source(speaking, sending.source, vendor, since or {})
        with _json_lines(total) if lines else _bar(total) as tell:
            return begun.id, await run(hand, connection, begun, pieces, rate, tell)

    number, done = sending.run(work)
    seconds = round(time.monotonic() - began, 1)
    areas = sending.run(lambda connection: store.areas(connection, authority, system))
    if lines:
        counts = {name: value for name, value in done._asdict().items() if name != "cursor"}
        said = {"event": "loaded", "load": number, **counts, "seconds": seconds}
        show_line({**said, "areas": [area._asdict() for area in areas]})
        return
    click.echo(
        f"load {number}: {done.payloads} payloads, {done.sent} events sent, {done.delimited} delimited,"
        f" {done.rejected} rejected in {seconds} s"
    )
    _show_areas(areas, as_json=False)


def _address(vendor: dict[str, Any]) -> bytes:
    """Tells this way of asking from any other; a secret is no part of it."""
    open_to_all = {name: said for name, said in vendor.items() if not any(word in name for word in _SECRETS)}
    return hashlib.sha256(json.dumps(open_to_all, sort_keys=True).encode()).digest()


def _show_areas(areas: list[Area], *, as_json: bool) -> None:
    for area in areas:
        if as_json:
            show_line(area._asdict())
        else:
            since = "complete" if area.complete else "not complete: reconcile it"
            click.echo(f"  {area.kle_area:<5} {area.sent:>9,} events  {since}")


@contextmanager
def _bar(total: int | None) -> Iterator[Tell]:
    shown = TextColumn("{task.fields[payloads]:,} payloads, {task.fields[rejected]:,} rejected")
    with Progress(
        BarColumn(), TaskProgressColumn(), shown, TimeRemainingColumn(), console=Console(stderr=True)
    ) as progress:
        task = progress.add_task("", total=total, payloads=0, rejected=0)

        def tell(done: Done, weight: float) -> None:
            progress.update(task, advance=weight, payloads=done.payloads, rejected=done.rejected)

        yield tell


@contextmanager
def _json_lines(total: int | None) -> Iterator[Tell]:
    """One line a second at most, with the seconds that are left at this pace."""
    began, told, came, first = time.monotonic(), 0.0, 0.0, 0.0

    def tell(done: Done, weight: float) -> None:
        nonlocal began, told, came, first
        came += weight
        now = time.monotonic()
        if first == 0.0:
            # What an earlier try has done is in it: the pace is of what follows.
            began, first = now, came
        if now - told < TELL_S:
            return
        told = now
        pace = (came - first) / (now - began) if came > first else None
        left = None if total is None or pace is None else round(max(0.0, total - came) / pace)
        show_line({"event": "loading", "payloads": done.payloads, "rejected": done.rejected, "seconds_left": left})

    yield tell


command = load
