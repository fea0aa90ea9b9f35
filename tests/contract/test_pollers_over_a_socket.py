"""Pollers as a configuration file makes them, over real connections: authentication, media type, position."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from broker.domain.outcome import Rejected
from broker.intake.connector import load
from connectors.esdh.edoc import client as edoc
from connectors.esdh.edoc import simulator as edoc_simulator
from connectors.esdh.getorganized import client as getorganized
from connectors.esdh.getorganized import simulator as getorganized_simulator
from connectors.esdh.workpoint import client as workpoint
from connectors.esdh.workpoint import simulator as workpoint_simulator
from connectors.esdh.workpoint.receiver import receiver
from connectors.runner import CursorFile, Poller, serve
from tests.contract import test_edoc_polling, test_getorganized_polling

CASES = 5


class Vendor(NamedTuple):
    """A system to poll: its pretended server, and what a configuration file says of it."""

    system: str
    app: Callable[[], Any]
    make: Callable[[Mapping[str, Any]], Poller]
    config: dict[str, Any]


NTLM = {"user": "demo", "password": "secret", "per_second": 1000}
VENDORS = [
    Vendor(
        "edoc",
        lambda: edoc_simulator.Simulator([test_edoc_polling.case(number) for number in range(CASES)]).app,
        edoc.poller,
        {**NTLM, "user_identifier": "www.example/abc"},
    ),
    Vendor(
        "getorganized",
        lambda: (
            getorganized_simulator.Simulator(
                [test_getorganized_polling.case(number) for number in range(CASES)], now=lambda: datetime.now(UTC)
            ).app
        ),
        getorganized.poller,
        {**NTLM, "filters": ["EMN-*"]},
    ),
    Vendor(
        "workpoint",
        lambda: workpoint_simulator.Simulator({number: {"Title": f"Sag {number}"} for number in range(1, 6)}).app,
        workpoint.poller,
        {"client_id": "demo", "client_secret": "secret", "scope": "s", "per_second": 1000},
    ),
]


@dataclass
class Door:
    """A broker's door that stops the poll loop when it has what there is."""

    stop: asyncio.Event
    media_types: set[str] = field(default_factory=set)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/v1/events/{system}", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> JSONResponse:
        self.media_types.add(request.headers["content-type"])
        self.bodies.append(await request.body())
        self.stop.set()
        return JSONResponse({"accepted": 1, "delimited": 0, "rejected": []}, status_code=202)


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


def client_of(poller: Any) -> httpx.AsyncClient:
    client = poller._asked.client if hasattr(poller, "_asked") else poller._client
    assert isinstance(client, httpx.AsyncClient)
    return client


async def tell_of_everything(queue: Path) -> None:
    """What a webhook would have, through the receiver's own door."""
    told = receiver({"queue": queue, "secrets": [workpoint_simulator.SECRET]})
    body, headers = workpoint_simulator.webhook(*[("EntityAdded", number) for number in range(1, 6)])
    async with served(told.app) as url, httpx.AsyncClient() as client:
        assert (await client.post(url, content=body, headers=headers)).status_code == 200


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.system)
async def test_a_configuration_file_is_all_that_a_poll_loop_needs(tmp_path: Path, vendor: Vendor) -> None:
    door = Door(asyncio.Event())
    (tmp_path / "queue").mkdir()
    await tell_of_everything(tmp_path / "queue")
    async with served(vendor.app()) as url, served(door.app) as broker:
        of_vendor = {**vendor.config, "url": url, "queue": str(tmp_path / "queue"), "tenant": "t"}
        config: dict[str, Any] = {
            "broker": {"url": broker, "token": "t"},
            "cursor": str(tmp_path / "cursor.json"),
            "every": 0.01,
            "vendor": of_vendor | {"token_url": f"{url}/t/oauth2/v2.0/token"},
        }
        poller = vendor.make(config["vendor"])
        await serve(vendor.system, lambda _: poller, config, door.stop)
        await client_of(poller).aclose()

    connector = load(vendor.system)
    assert connector is not None
    assert door.media_types <= set(connector.media_types)
    found = connector.split(door.bodies[0])
    assert not isinstance(found, Rejected)
    assert len(found) == CASES
    assert CursorFile(tmp_path / "cursor.json").read() is not None
    assert "secret" not in json.dumps(CursorFile(tmp_path / "cursor.json").read())
