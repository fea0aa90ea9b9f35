"""`sagsbro connector run` as a process of its own: what it says while it runs, and how it ends.

What it must survive is in `tests/faults/test_pollers.py`.
"""

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from broker.domain.identity import has_cpr
from connectors.esdh.sbsys.simulator import Simulator
from connectors.runner import CursorFile
from tests.contract.polling import served
from tests.contract.test_sbsys_polling import case

CASE = case(1) | {"Ukendt": 1, "PrimaryPart": {"PartType": "Person", "CPRnummer": "010145-5001"}}


@dataclass
class Door:
    """A broker's door that answers with receipts, and then asks who pushes to stop."""

    bodies: list[bytes] = field(default_factory=list)
    process: asyncio.subprocess.Process | None = None
    app: FastAPI = field(default_factory=FastAPI)

    def __post_init__(self) -> None:
        self.app.post("/v1/events/{system}")(self.take)

    async def take(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer t0ken"
        self.bodies.append(await request.body())
        assert self.process is not None
        self.process.terminate()
        return JSONResponse({"receipt_id": "r", "accepted": 1, "rejected": []}, 202)


async def run(path: Path, simulator: Simulator, issuer: str = "connect/token") -> tuple[int | None, str, Door]:
    """From its start until it ends: its exit code, what it said, and the door."""
    door = Door()
    async with served(simulator.app) as vendors, served(door.app) as brokers:
        vendor = {"url": vendors, "token_path": issuer, "client_id": "demo", "client_secret": "hush"}
        config = {"broker": {"url": brokers}, "cursor": str(path / "cursor.json"), "vendor": vendor}
        (path / "run.json").write_text(json.dumps(config))
        door.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "broker.cli", "connector", "run", "sbsys", "--config", str(path / "run.json")),
            env={**os.environ, "SAGSBRO_TOKEN": "t0ken"},
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await asyncio.wait_for(door.process.communicate(), 60)
    return door.process.returncode, said.decode(), door


async def test_the_round_under_way_is_finished_and_its_lines_have_no_word_of_a_payload(tmp_path: Path) -> None:
    code, said, door = await run(tmp_path, Simulator([CASE]))

    assert (code, len(door.bodies)) == (0, 1)
    assert CursorFile(tmp_path / "cursor.json").read()
    lines = [json.loads(line) for line in said.splitlines()]
    assert {line["event"] for line in lines} == {"started", "library", "stopped"}
    assert 'fields left out {"Ukendt": 1}' in {line.get("message") for line in lines}
    assert not has_cpr(said)
    assert "hush" not in said


async def test_a_vendor_that_gives_no_token_ends_the_command_with_its_reason(tmp_path: Path) -> None:
    code, said, door = await run(tmp_path, Simulator([]), issuer="connect/elsewhere")

    assert (code, door.bodies) == (1, [])
    assert "NoToken: status 404" in said
    assert "hush" not in said
