"""Poll loops as processes of their own, over real connections, killed by signal 9 between a push and their cursor."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tests.contract.polling import World
from tests.contract.test_acadre_polling import AcadreWorld
from tests.contract.test_nova_polling import SECRET, TOKEN, NovaWorld

CASES = 40
LOOP = """
import asyncio, importlib, json, sys
from connectors.runner import serve
system, config = sys.argv[1], json.loads(sys.argv[2])
poller = importlib.import_module(f"connectors.esdh.{system}.client").poller
asyncio.run(serve(system, poller, config, asyncio.Event()))
"""


class Vendor(NamedTuple):
    """A system to poll, and what a configuration file says of it."""

    system: str
    world: Callable[[Path], Any]
    config: Callable[[str], dict[str, Any]]


NTLM = {"user": "TEST\\svc", "password": "s3cret", "page": 10, "per_second": 10_000}
VENDORS = [
    Vendor("nova", NovaWorld, lambda url: {**SECRET, "token_url": f"{url}/{TOKEN}", "rows": 10, "per_second": 10_000}),
    Vendor("acadre", AcadreWorld, lambda _: {**NTLM, "acting_for": "abc01"}),
    Vendor("acadre", lambda path: AcadreWorld(path, shape="pwi"), lambda _: {**NTLM, "shape": "pwi"}),
]


@dataclass
class Door:
    """A broker's door. It kills who stands before it when it has taken that many bodies, and says nothing."""

    world: World
    kills: list[int]
    process: asyncio.subprocess.Process | None = None
    all_here: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/v1/events/{system}", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> JSONResponse:
        self.world.inbox.bodies.append(await request.body())
        if self.kills and len(self.world.inbox.bodies) >= self.kills[0] and self.process is not None:
            self.kills.pop(0)
            os.kill(self.process.pid, signal.SIGKILL)
        elif len(set(self.world.delivered)) == CASES:
            self.all_here.set()
        return JSONResponse({"accepted": 1, "rejected": []}, status_code=202)


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """Its address, on a free port that listens already."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none", lifespan="off"))
    task = asyncio.create_task(server.serve([listening]))
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@pytest.mark.parametrize("vendor", VENDORS, ids=["nova", "acadre-soap", "acadre-rest"])
async def test_a_process_killed_again_and_again_loses_nothing_and_sends_the_same(
    tmp_path: Path, vendor: Vendor
) -> None:
    world = vendor.world(tmp_path)
    world.put_all(range(1, CASES + 1), minutes=60)
    door = Door(world, kills=[1, 3, 4])
    async with served(world.simulator.app) as url, served(door.app) as broker:
        config = {
            "broker": {"url": broker, "token": "t"},
            "cursor": str(tmp_path / "cursor.json"),
            "every": 0.01,
            "vendor": {**vendor.config(url), "url": url},
        }
        ended = []
        while door.kills:
            door.process = await loop(vendor.system, config)
            ended.append(await door.process.wait())
        door.process = await loop(vendor.system, config)
        await door.all_here.wait()
        door.process.kill()
        await door.process.wait()

    assert ended == [-signal.SIGKILL] * 3
    assert sorted(set(world.delivered)) == [(number, f"Sag {number}") for number in range(1, CASES + 1)]
    assert len({json.dumps(payload) for payload in world.inbox.payloads}) == CASES
    assert "s3cret" not in (tmp_path / "cursor.json").read_text(encoding="utf-8")


async def loop(system: str, config: dict[str, Any]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", LOOP, system, json.dumps(config))
