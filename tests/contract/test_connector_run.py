"""`sagsbro connector run` as a process of its own: what it says while it runs, and how it ends.

What it must survive is in `tests/faults/test_pollers.py`.
"""

import asyncio
import json
import os
import re
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from click.testing import CliRunner
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from broker.cli.connector import connector
from broker.domain.identity import has_cpr
from connectors.esdh.sbsys.simulator import Simulator
from connectors.esdh.workpoint import simulator as workpoint
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


async def test_an_issuer_that_gives_no_token_ends_the_command_with_its_reason(tmp_path: Path) -> None:
    code, said, door = await run(tmp_path, Simulator([]), issuer="connect/elsewhere")

    assert (code, door.bodies) == (1, [])
    assert "NoToken: status 404" in said
    assert "hush" not in said


@dataclass
class Hooked:
    """`connector run workpoint` that listens, between a simulated WorkPoint and a broker's door."""

    path: Path
    items: dict[int, dict[str, Any]]
    listen: dict[str, Any] = field(default_factory=lambda: {"port": 0})

    async def run(self, meanwhile: Callable[[str], Awaitable[None]] | None = None) -> tuple[int | None, str, Door]:
        """Until it ends. meanwhile: gets the address at which it listens."""
        door = Door()
        async with served(workpoint.Simulator(self.items).app) as vendors, served(door.app) as brokers:
            vendor = {
                "url": vendors,
                "token_url": f"{vendors}/t/oauth2/v2.0/token",
                "tenant": "t",
                "scope": "s",
                "client_id": "demo",
                "client_secret": "secret",
                "queue": str(self.path / "new" / "queue"),
                "secrets": ["an older one", workpoint.SECRET],
            }
            config = {
                "broker": {"url": brokers},
                "cursor": str(self.path / "cursor.json"),
                "vendor": vendor,
                "listen": self.listen,
                "every": 0.1,
            }
            (self.path / "run.json").write_text(json.dumps(config))
            door.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "broker.cli", "connector", "run", "workpoint"),
                *("--config", str(self.path / "run.json")),
                env={**os.environ, "SAGSBRO_TOKEN": "t0ken"},
                stderr=asyncio.subprocess.PIPE,
            )
            assert door.process.stderr is not None
            said = b""
            if meanwhile is not None:
                while (told := re.search(rb"listening host=(\S+) port=(\d+)", said)) is None:
                    said += await asyncio.wait_for(door.process.stderr.readline(), 30)
                await meanwhile(f"http://{told[1].decode()}:{told[2].decode()}")
            rest = await asyncio.wait_for(door.process.stderr.read(), 60)
            return await door.process.wait(), (said + rest).decode(), door


async def test_a_signed_webhook_is_taken_beside_the_poll_loop_and_what_it_tells_of_is_fetched(tmp_path: Path) -> None:
    # Its connection stays open: that must not keep the process from its end.
    client = httpx.AsyncClient()

    async def told(address: str) -> None:
        body, headers = workpoint.webhook(("EntityUpdated", 7))
        client.base_url = httpx.URL(address)
        assert address.startswith("http://127.0.0.1:")
        assert (await client.get("/", params={"echo": "hej"})).text == "hej"
        assert (await client.post("/", content=body, headers={"ms-signature": "sha256=0"})).status_code == 401
        assert (await client.post("/", content=body, headers=headers)).status_code == 200

    code, said, door = await Hooked(tmp_path, {7: {"Title": "Sag 7"}}).run(told)
    await client.aclose()

    assert code == 0, said
    (body,) = door.bodies
    assert [one["Item"]["ID"] for one in json.loads(body)] == [7]
    assert list((tmp_path / "new" / "queue").iterdir()) == []
    lines = [json.loads(line) for line in said.splitlines()]
    assert lines[-1]["event"] == "stopped"
    assert workpoint.SECRET not in said


async def test_an_address_that_is_taken_ends_the_command_with_its_reason(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said, _ = await Hooked(tmp_path, {}, {"port": port}).run()

    assert code == 1
    assert f"NotListening: 127.0.0.1 port {port}: Address already in use" in said


def test_who_tells_of_nothing_is_not_listened_for(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"broker": {}, "cursor": "c", "vendor": {}, "listen": {"port": 0}}')
    ended = CliRunner().invoke(connector, ["run", "sbsys", "--config", str(tmp_path / "c.json")])

    assert ended.exit_code == 1
    assert "there is nothing to listen for" in ended.output
