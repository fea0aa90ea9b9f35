"""How many events a second the front door takes in, and whether it keeps its memory while it does.

The batches come from a process of their own, some ahead: making them is in no request's time, but shares the
machine.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, Final

import httpx
import orjson
import psutil

from broker.intake.canonical import to_json
from broker.security import Issuer
from broker.settings import Settings, said
from broker.stream.clients import confluent_options
from broker.stream.cluster import admin, logs, partitions_of
from broker.stream.topics import CASE_EVENTS
from ops.bench.faults import ready
from ops.bench.soak import GREW, GREW_MB, LONG_S, OURS
from ops.bench.storm import AUTHORITY, SYSTEM, Storm
from ops.embedded import instance
from ops.embedded.instance import Instance

BATCH = 500
AT_ONCE = 4
ACCEPTED = 202
MEASURE_S = 30.0
AHEAD: Final = 64
"""Batches that are made before they are sent; about 20 MB."""
PATIENCE_S: Final = 60.0
BOUND: Final = f"{' '.join(OURS)}: median of the last third within {GREW} x that of the first + {GREW_MB} MB"


@dataclass(slots=True)
class Report:
    """Megabytes resident, of each process, every half minute; seconds a request, at the quantiles.

    Figures are None when something is wrong. waited: seconds for a batch to be made, of all who send together. bound:
    what memory is held to, when sending takes ten minutes.
    """

    seconds: float = 0.0
    events: int = 0
    refused: int = 0
    events_per_second: float | None = None
    request_p50: float | None = None
    request_p99: float | None = None
    waited: float = 0.0
    resident: dict[str, list[int]] = field(default_factory=dict)
    bound: str = BOUND
    wrong: list[str] = field(default_factory=list)


def run(data: Path, seconds: float) -> Report:
    """NDJSON batches of 500, four requests at once, on a Sagsbro of its own under `data`."""
    report = Report()
    with instance.held(instance.Plan(data), {}) as running:
        address = running.start(ready).api
        settings = said(running.settings)
        claims = {"role": "vendor", "sub": "bench", "system": SYSTEM, "authorities": [AUTHORITY]}
        token = Issuer(settings).issue(claims, 24 * 3600)
        with making() as batch:
            took = asyncio.run(_load(running, batch, f"{address}/v1/case-events", token, seconds, report))
        conclude(report, took, _logged(settings))
    return report


def conclude(report: Report, took: Sequence[float], logged: int) -> None:
    """What is wrong, and figures if nothing is. took: seconds of each accepted request; logged: events in the log."""
    if not took:
        report.wrong.append("nothing was accepted")
    if logged < report.events:
        report.wrong.append(f"{report.events} accepted, {logged} in the log")
    if report.seconds >= LONG_S:
        report.wrong += grown(report.resident)
    if not report.wrong:
        there = sorted(took)
        report.events_per_second = round(report.events / report.seconds, 1)
        report.request_p50 = round(there[len(there) // 2], 3)
        report.request_p99 = round(there[int(len(there) * 0.99)], 3)


def grown(resident: Mapping[str, Sequence[int]]) -> list[str]:
    """The processes of ours that hold more in the last third than the bound allows."""
    wrong = []
    for name, held in resident.items():
        if name.split("-")[0] in OURS:
            third = max(1, len(held) // 3)
            first, last = median(held[:third]), median(held[-third:])
            if last > first * GREW + GREW_MB:
                wrong.append(f"{name} grew from {first:g} to {last:g} MB")
    return wrong


def _logged(settings: Settings) -> int:
    client = admin(confluent_options(settings))
    return sum(log.end for log in logs(client, CASE_EVENTS.name, partitions_of(client, CASE_EVENTS.name)).values())


@contextmanager
def making() -> Iterator[Callable[[], bytes]]:
    """Meanwhile, what gives the next batch, made in a process of its own; there are some when it begins."""
    processes = get_context("spawn")
    made = processes.Queue(AHEAD)
    process = processes.Process(target=_make, args=(made,))
    process.start()
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not made.full() and time.monotonic() < deadline:
            time.sleep(0.1)
        yield partial(made.get, timeout=PATIENCE_S)
    finally:
        process.kill()
        process.join()


def _make(made: Any) -> None:
    for body in bodies():
        made.put(body)


def bodies() -> Iterator[bytes]:
    """Endless batches of good events, one a line."""
    seed = 0
    while True:
        seed += 1
        events = [record.event for record in Storm(seed, 20 * BATCH) if record.event is not None]
        lines = [orjson.dumps(to_json(event)) for event in events]
        for start in range(0, len(lines) - BATCH, BATCH):
            yield b"\n".join(lines[start : start + BATCH])


async def _load(
    running: Instance, batch: Callable[[], bytes], url: str, token: str, seconds: float, report: Report
) -> list[float]:
    """Seconds of each request that was accepted."""
    began, took = time.monotonic(), list[float]()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"}

    async def lane(client: httpx.AsyncClient) -> None:
        while time.monotonic() - began < seconds:
            asked = time.monotonic()
            body = await asyncio.to_thread(batch)
            sent = time.monotonic()
            report.waited += sent - asked
            answer = await client.post(url, content=body, headers=headers)
            if answer.status_code == ACCEPTED:
                took.append(time.monotonic() - sent)
                report.events += answer.json()["accepted"]
            else:
                report.refused += 1
                await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))

    async def measure() -> None:
        while True:
            for name in running.supervisor.names:
                with suppress(psutil.NoSuchProcess):
                    if (pid := running.supervisor.pid(name)) is not None:
                        resident = psutil.Process(pid).memory_info().rss // 2**20
                        report.resident.setdefault(name, []).append(resident)
            await asyncio.sleep(MEASURE_S)

    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        measuring = asyncio.create_task(measure())
        await asyncio.gather(*(lane(client) for _ in range(AT_ONCE)))
        measuring.cancel()
    report.seconds, report.waited = round(time.monotonic() - began, 1), round(report.waited, 1)
    return took
