"""How many events a second, side by side: our whole pipeline, its peers on a simpler job, and the database alone.

One embedded instance, one CaseEvent topic, every row with its own tables and consumer group, run by run in turn.
The clock of a row starts when the consuming process has its partitions and begins to fetch: starting a process or a
JVM is not part of it. With two workers it starts anew once both have their share, for what is still to be read then.
It ends when the last commit can be seen: of ours in the positions, looked at every 20 ms; a peer says so itself.
A run whose table is not what an independent calculation expects has no speed.
"""

import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final, Literal

from broker.cli.setup import prepare
from broker.settings import said
from broker.stream.topics import CASE_EVENTS, OVERVIEWS
from ops.bench import ceiling, peer
from ops.bench.filled import Load, agree
from ops.bench.meter import Meter, Used
from ops.bench.stage import PATIENCE_S, SLOWEST, Stage
from ops.embedded import instance

WORKERS: Final = {"sagsbro-1": 1, "sagsbro-2": 2}
CEILINGS: Final = {"ceiling-1": 1, "ceiling-2": 2}
ROWS: Final = (*peer.NAMES, *WORKERS, "publisher-afterwards", "publisher-beside", *CEILINGS)
SECOND: Final = "second pass"


@dataclass(frozen=True, slots=True)
class Result:
    """One run of one row. `why`: what is wrong with it, or how to have it; figures only of a right one.

    cpu_s, rss_mb: of the consuming processes; of the ceiling, where the database does it all, of none.
    busy: cores of the whole machine at work.
    """

    row: str
    run: int
    verdict: Literal["right", "wrong", "not installed"]
    why: str = ""
    events: int = 0
    seconds: float = 0.0
    rate: float = 0.0
    cpu_s: float = 0.0
    rss_mb: int = 0
    busy: float = 0.0


def run(
    data: Path, events: int, runs: int, rows: Iterable[str] = ROWS, tell: Callable[[str], None] = lambda _: None
) -> Iterator[Result]:
    """Measure on an instance of its own under `data`; gives each result as it comes."""
    chosen, log, load = [row for row in ROWS if row in set(rows)], data / "log" / "services.log", Load(events)
    with instance.held(instance.Plan(data, only_infrastructure=True, log=log), {}) as running:
        running.start(_nothing)
        settings = said(running.settings)
        prepare(settings)
        agree(settings)
        with Stage(running, log) as stage:
            tell(f"sending {events} events")
            stage.fill(load.first())
            measures = _measures(stage, load, chosen, data)
            for number in range(1, runs + 1):
                for row, measure in measures.items():
                    tell(f"run {number}: {row}")
                    stage.empty()
                    yield measure(number)
            if workers := {row: many for row, many in WORKERS.items() if row in chosen}:
                stage.empty()
                stage.project(max(workers.values()))
                stage.keep()
                tell(f"sending {events} more events")
                stage.fill(load.second())
            for number in range(1, runs + 1):
                for row, many in workers.items():
                    tell(f"run {number}: {row}, {SECOND}")
                    stage.restore()
                    yield _ours(stage, f"{row}, {SECOND}", many, number)


def table(results: Iterable[Result]) -> Iterator[str]:
    """Markdown: a line for each row with the median, least and most of its runs; WRONG where one of them was."""
    by_row: dict[str, list[Result]] = {}
    for result in results:
        by_row.setdefault(result.row, []).append(result)
    yield "| row | events/s median (min-max) | events | seconds | CPU s | RSS MB | cores busy |"
    yield "|---|---|---|---|---|---|---|"
    for row, said_of in by_row.items():
        verdict = next((r.verdict for r in said_of if r.verdict != "right"), None)
        yield f"| {row} | {_figures(said_of) if verdict is None else verdict.upper() + ' | | | | |'} |"


def _figures(results: list[Result]) -> str:
    rates = [result.rate for result in results]
    spread = f"{_round(median(rates))} ({_round(min(rates))}-{_round(max(rates))})"
    seconds, cpu, busy = (median(getattr(r, name) for r in results) for name in ("seconds", "cpu_s", "busy"))
    most = max(result.rss_mb for result in results)
    return f"{spread} | {results[0].events} | {seconds:.2f} | {cpu:.1f} | {most or ''} | {busy:.2f}"


def _round(rate: float) -> str:
    return f"{round(rate, -2):,.0f}".replace(",", " ")


def _nothing(_: Mapping[str, str]) -> None:
    """There is no service to make ready for."""


def _measures(stage: Stage, load: Load, rows: list[str], data: Path) -> dict[str, Callable[[int], Result]]:
    """What measures each row, on emptied tables."""
    known: dict[str, Callable[[int], Result]] = {
        name: partial(_peer, stage, name, data / "peers" / name) for name in peer.NAMES
    }
    known |= {name: partial(_ours, stage, name, workers) for name, workers in WORKERS.items()}
    known |= {"publisher-afterwards": partial(_afterwards, stage), "publisher-beside": partial(_beside, stage)}
    if not set(rows).isdisjoint(CEILINGS):
        stage.empty()
        copies = ceiling.copied(stage.settings.dsn, load.first())
        known |= {name: partial(_ceiling, stage, name, copies, many) for name, many in CEILINGS.items()}
    return {row: known[row] for row in rows}


def _peer(stage: Stage, name: str, folder: Path, number: int) -> Result:
    settings, events = stage.settings, stage.expected.sent
    told = peer.environment(settings.kafka, settings.dsn, CASE_EVENTS.name, f"bench-{uuid.uuid4()}", events)
    try:
        with peer.started(name, told, folder) as running:
            meter = Meter(running.pid)
            running.await_event("fetching", PATIENCE_S)
            meter.begin()
            began = time.monotonic()
            running.await_event("done", PATIENCE_S + events / SLOWEST)
            seconds, used = time.monotonic() - began, meter.end()
    except peer.NotInstalled as why:
        return Result(name, number, "not installed", str(why))
    return _judged(name, number, (events, seconds, used), stage.wrong_peer())


def _ours(stage: Stage, row: str, workers: int, number: int) -> Result:
    return _judged(row, number, stage.project(workers), stage.wrong())


def _afterwards(stage: Stage, number: int) -> Result:
    before = stage.ends_of(OVERVIEWS["sapa"])
    stage.project(1)
    return _judged("publisher-afterwards", number, stage.publish(), stage.wrong(published=before))


def _beside(stage: Stage, number: int) -> Result:
    before = stage.ends_of(OVERVIEWS["sapa"])
    measured = stage.project(1, publisher=True)
    return _judged("publisher-beside", number, measured, stage.wrong(published=before))


def _ceiling(stage: Stage, row: str, copies: list[bytes], connections: int, number: int) -> Result:
    meter = Meter(os.getpid())
    meter.begin()
    seconds = ceiling.ceiling(stage.settings.dsn, copies, connections)
    busy = Used(0.0, 0, meter.end().busy)
    return _judged(row, number, (len(stage.expected.entries), seconds, busy), stage.wrong_entries())


def _judged(row: str, number: int, measured: tuple[int, float, Used], wrong: str) -> Result:
    events, seconds, used = measured
    if wrong:
        return Result(row, number, "wrong", wrong)
    figures = Result(row, number, "right", "", events, round(seconds, 3), round(events / seconds, 1))
    return replace(figures, cpu_s=used.cpu_s, rss_mb=used.rss_mb, busy=used.busy)
