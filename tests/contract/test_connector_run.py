"""`sagsbro connector run` in processes of its own, killed where it hurts most: between a push and its answer."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from broker.domain.identity import has_cpr
from broker.domain.outcome import Rejected
from broker.intake.connector import Source, load
from connectors.eoj.nexus.simulator import INSTANCE, ROOT, TOKEN
from connectors.eoj.nexus.simulator import Simulator as Nexus
from connectors.esdh.sbsys.simulator import Simulator as Sbsys
from tests.contract.test_nexus_polling import citizen
from tests.contract.test_sbsys_polling import case
from tests.contract.test_sensum_folder import HEADER, row

NUMBER = 12


@dataclass
class Door:
    """A broker's door that answers with receipts, and kills who pushes for the n-th time, before answering."""

    kills: set[int]
    bodies: list[bytes] = field(default_factory=list)
    process: asyncio.subprocess.Process | None = None
    app: FastAPI = field(default_factory=FastAPI)

    def __post_init__(self) -> None:
        self.app.post("/v1/events/{system}")(self.take)

    @property
    def kills_next(self) -> bool:
        """Whether a push still to come, or just being answered, is one that kills."""
        return any(number >= len(self.bodies) for number in self.kills)

    async def take(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer t0ken"
        self.bodies.append(await request.body())
        if len(self.bodies) in self.kills and self.process is not None:
            self.process.kill()
            await self.process.wait()
        return JSONResponse({"receipt_id": "r", "accepted": 1, "rejected": []}, 202)


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


def nexus(_: Path) -> tuple[FastAPI, Callable[[str], dict[str, Any]]]:
    simulator = Nexus([citizen(one) for one in range(1, NUMBER // 2 + 1)], busy=0, broken=0)
    client = {"client_id": "demo", "client_secret": "s", "instance": INSTANCE, "per_second": 1000, "batch": 1}
    return simulator.app, lambda url: {**client, "root": f"{url}{ROOT}/", "token_url": f"{url}{TOKEN}"}


def sbsys(_: Path) -> tuple[FastAPI, Callable[[str], dict[str, Any]]]:
    cases = [{**case(number, number), **MORE} for number in range(NUMBER)]
    client = {"client_id": "demo", "client_secret": "s", "token_path": "connect/token", "per_second": 1000}
    return Sbsys(cases).app, lambda url: {**client, "url": url}


def sensum(path: Path) -> tuple[FastAPI, Callable[[str], dict[str, Any]]]:
    (path / "in").mkdir()
    for file in range(3):
        rows = [row(number) for number in range(file * NUMBER // 3, (file + 1) * NUMBER // 3)]
        (path / "in" / f"{file}.csv").write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")
        os.utime(path / "in" / f"{file}.csv", (1_714_600_000 + file, 1_714_600_000 + file))
    return FastAPI(), lambda _: {"folder": str(path / "in")}


MORE = {
    "SagsStatus": {"Navn": "Aktiv", "Ukendt": 1},
    "Oprettet": "2024-03-18T09:00:00+01:00",
    "PrimaryPart": {"PartType": "Person", "CPRnummer": "010145-5001"},
}


@pytest.mark.parametrize(
    ("system", "vendor", "kills"),
    [("nexus", nexus, {1, 3, 7}), ("sbsys", sbsys, {1, 2}), ("sensum", sensum, {1, 2, 4})],
    ids=["nexus", "sbsys", "sensum"],
)
async def test_a_position_survives_kills_and_nothing_is_lost_or_doubled(
    tmp_path: Path, system: str, vendor: Callable[[Path], Any], kills: set[int]
) -> None:
    app, vendor_config = vendor(tmp_path)
    door = Door(kills)
    said: list[str] = []
    async with served(app) as vendors, served(door.app) as brokers:
        config = {
            "broker": {"url": brokers},
            "cursor": str(tmp_path / "cursor.json"),
            "every": 0.05,
            "vendor": vendor_config(vendors),
        }
        (tmp_path / "run.json").write_text(json.dumps(config))
        ended = [await run(door, system, tmp_path / "run.json", said) for _ in range(len(kills) + 1)]

    assert ended == [-signal.SIGKILL] * len(kills) + [0]
    sent = [json.dumps(events) for body in door.bodies for events in translated(system, body)]
    assert len(set(sent)) == NUMBER
    assert Counter(Counter(sent).values()).total() == NUMBER
    again = {"nexus": 2, "sbsys": NUMBER, "sensum": NUMBER // 3}[system]
    assert len(sent) - NUMBER <= again * len(kills)
    lines = [json.loads(line) for text in said for line in text.splitlines()]
    assert not any(has_cpr(text) for text in said)
    assert {line["event"] for line in lines} <= {"started", "stopping", "stopped", "library"}
    assert system == "sensum" or any(line.get("message", "").startswith("fields left out {") for line in lines)


async def run(door: Door, system: str, config: Path, said: list[str]) -> int:
    """Run until it is killed or ends, or has pushed the last that was missing; then it is asked to stop."""
    before = len(door.bodies)
    door.process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "broker.cli", "connector", "run", system, "--config", str(config)),
        env={**os.environ, "SAGSBRO_TOKEN": "t0ken"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    reading = asyncio.create_task(door.process.communicate())
    while not reading.done():
        await asyncio.wait({reading}, timeout=0.05)
        everything = {json.dumps(event) for body in door.bodies for event in translated(system, body)}
        if len(door.bodies) > before and len(everything) == NUMBER and not door.kills_next and not reading.done():
            door.process.terminate()
            break
    _, errors = await asyncio.wait_for(reading, 10)
    said.append(errors.decode())
    assert door.process.returncode is not None
    return door.process.returncode


def translated(system: str, body: bytes) -> list[Any]:
    connector = load(system)
    assert connector is not None
    found = []
    for payload in json.loads(body):
        events = connector.translate(payload, Source(system, "55133018"))
        assert not isinstance(events, Rejected), events
        found += list(events)
    return found


async def test_a_vendor_that_refuses_the_secret_ends_the_command_with_its_reason(tmp_path: Path) -> None:
    door = Door(set())
    simulator = Sbsys([], uses_of_a_token=0)
    async with served(simulator.app) as vendors, served(door.app) as brokers:
        vendor = {"url": vendors, "token_path": "connect/token", "client_id": "demo", "client_secret": "hush"}
        config = {"broker": {"url": brokers, "token": "t0ken"}, "cursor": str(tmp_path / "c"), "vendor": vendor}
        (tmp_path / "run.json").write_text(json.dumps(config))
        said: list[str] = []
        code = await run(door, "sbsys", tmp_path / "run.json", said)

    assert code == 1
    assert "SbsysError: POST answered 401" in said[0]
    assert "hush" not in said[0]
