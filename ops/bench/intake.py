"""How many events a second the front door takes in, and whether it keeps its memory while it does."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson
import psutil

from broker.intake.canonical import to_json
from broker.security import Issuer
from broker.settings import said
from ops.bench.faults import ready
from ops.bench.storm import AUTHORITY, SYSTEM, Storm
from ops.embedded import instance
from ops.embedded.instance import Instance

BATCH = 500
AT_ONCE = 4
ACCEPTED = 202
MEASURE_S = 30.0


@dataclass(slots=True)
class Report:
    """Megabytes resident, of each process, every half minute; seconds a request, at the quantiles."""

    seconds: float = 0.0
    events: int = 0
    refused: int = 0
    events_per_second: float = 0.0
    request_p50: float = 0.0
    request_p99: float = 0.0
    resident: dict[str, list[int]] = field(default_factory=dict)


def run(data: Path, seconds: float) -> Report:
    """NDJSON batches of 500, four requests at once, on a Sagsbro of its own under `data`."""
    report = Report()
    with instance.held(instance.Plan(data), {}) as running:
        address = running.start(ready).api
        settings = said(running.settings)
        claims = {"role": "vendor", "sub": "bench", "system": SYSTEM, "authorities": [AUTHORITY]}
        token = Issuer(settings).issue(claims, 24 * 3600)
        asyncio.run(_load(running, f"{address}/v1/case-events", token, seconds, report))
    return report


def bodies() -> Iterator[bytes]:
    """Endless batches of good events, one a line."""
    seed = 0
    while True:
        seed += 1
        events = [record.event for record in Storm(seed, 20 * BATCH) if record.event is not None]
        lines = [orjson.dumps(to_json(event)) for event in events]
        for start in range(0, len(lines) - BATCH, BATCH):
            yield b"\n".join(lines[start : start + BATCH])


async def _load(running: Instance, url: str, token: str, seconds: float, report: Report) -> None:
    began, took, batches = time.monotonic(), [], bodies()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson"}

    async def lane(client: httpx.AsyncClient) -> None:
        while time.monotonic() - began < seconds:
            sent = time.monotonic()
            answer = await client.post(url, content=next(batches), headers=headers)
            if answer.status_code == ACCEPTED:
                report.events += answer.json()["accepted"]
                took.append(time.monotonic() - sent)
            else:
                report.refused += 1
                await asyncio.sleep(float(answer.headers.get("Retry-After", 1)))

    async def measure() -> None:
        while True:
            for name in running.supervisor.names:
                if (pid := running.supervisor.pid(name)) is not None:
                    resident = psutil.Process(pid).memory_info().rss // 2**20
                    report.resident.setdefault(name, []).append(resident)
            await asyncio.sleep(MEASURE_S)

    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        measuring = asyncio.create_task(measure())
        await asyncio.gather(*(lane(client) for _ in range(AT_ONCE)))
        measuring.cancel()
    report.seconds = round(time.monotonic() - began, 1)
    report.events_per_second = round(report.events / report.seconds, 1)
    took.sort()
    report.request_p50 = round(took[len(took) // 2], 3)
    report.request_p99 = round(took[int(len(took) * 0.99)], 3)
