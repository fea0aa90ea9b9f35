"""`sagsbro connector run` between each polled vendor and a whole Sagsbro, with everything that can go wrong in between.

The vendor answers 429, 500, or the half of it, shows pages twice, forgets who logged in, and has a wrong clock; the way
to the broker is closed for a while; the process is killed by signal 9 while it reads, before the broker has what it
pushes, and before it hears of it; cases are saved meanwhile. Restarted until done, it must have brought each case once,
as it was saved last.
"""

import asyncio
import json
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from broker.cli.setup import prepare
from broker.domain.case import visible_items
from broker.security import Issuer
from broker.settings import Settings, said
from broker.store.database import connect
from broker.store.document import load
from ops.bench.faults import settle, verdicts
from ops.bench.storm import digest
from ops.embedded import instance
from tests.contract.polling import served
from tests.faults.vendors import KLE, VENDORS, Case, Line, Vendor, now

AUTHORITY: Final = "55133018"
NUMBER: Final = 10
EVERY: Final = 9
"""Of so many requests to the vendor, one fails."""
PATIENCE_S: Final = 120


class Whole(NamedTuple):
    """Where the running Sagsbro is."""

    api: str
    settings: Settings

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with connect(self.settings.dsn, "test") as connection:
            return connection.execute(statement.encode(), values).fetchall()

    def held(self, vendor: Vendor) -> list[Line]:
        """What stands of a system, as `Vendor.truth` says it."""
        found = []
        for key, kle, party, document in self.rows(
            "SELECT user_key, kle, primary_party, document FROM entry WHERE system = %s AND complete", vendor.system
        ):
            state = load(document)
            stamp, properties = state.groups["properties"]
            at = int.from_bytes(stamp[:8]) - (1 << 63) if vendor.tells_when else None
            letters = tuple(item["title"] for item in visible_items(state, "journal"))
            found.append(Line(key, properties["title"], at, kle, party, letters))
        return sorted(found)

    def verdicts(self) -> Counter[str]:
        with connect(self.settings.dsn, "test") as connection:
            return Counter(verdicts(connection))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """One instance for all of them, which all of them may send to."""
    with (
        pytest.MonkeyPatch.context() as environment,
        instance.held(instance.Plan(tmp_path_factory.mktemp("pollers") / "data"), {}) as running,
    ):
        environment.setenv("SAGSBRO_CONNECTORS", json.dumps({each.system: each.sender for each in VENDORS}))
        ready = running.start(_ready)
        assert ready.api is not None
        yield Whole(ready.api, said(running.settings))


def _ready(where: Any) -> None:
    settings = said(where)
    prepare(settings)
    with connect(settings.dsn, "test") as connection, connection.transaction():
        for system in (each.system for each in VENDORS):
            sender = {"authority": AUTHORITY, "system": system, "state": "FULL", "kle": [KLE],
                      "sensitivity": "VIP_SAGER", "from_date": "2000-01-01"}  # fmt: skip
            connection.execute(
                "INSERT INTO sender_agreement (authority, system, version, body, put_by)"
                " VALUES (%s, %s, 1, %s, 'test')",
                [AUTHORITY, system, json.dumps(sender)],
            )
        connection.execute("INSERT INTO kle_edition (published) VALUES ('2000-01-01')")
        connection.execute("INSERT INTO kle_subject VALUES ('2000-01-01', %s, 'emne')", [KLE])
        connection.execute("UPDATE reference_revision SET revision = revision + 1")


@dataclass
class Stumbling:
    """Stands before a vendor. Its answers fail in turn, and at some requests it kills who asks."""

    app: Any
    kill: Callable[[], None]
    kills: list[int]
    asked: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        if self.kills and self.asked >= self.kills[0]:
            self.kills.pop(0)
            self.kill()
        turn, now_it_fails = divmod(self.asked, EVERY)
        fault = ("", "429", "500", "half")[0 if now_it_fails else 1 + turn % 3]
        self.failed[fault] += 1
        if fault.isdecimal():
            await Response(status_code=int(fault), headers={"Retry-After": "0"})(scope, receive, send)
            return

        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                dated = any(name == b"date" for name, _ in message["headers"])
                date = [] if dated else [(b"date", format_datetime(now(), usegmt=True).encode())]
                await send({**message, "headers": [*message["headers"], *date]})
            elif fault == "half":
                # It has said how much would come; the server then closes the connection.
                await send({**message, "body": message["body"][: len(message["body"]) // 2], "more_body": True})
            else:
                await send(message)

        await self.app(scope, receive, sent)


@dataclass
class Door:
    """Stands before the broker. `faults`, one for each push to come: what becomes of it."""

    api: httpx.AsyncClient
    kill: Callable[[], None]
    meanwhile: dict[int, Callable[[], Awaitable[None]]]
    faults: list[str]
    pushed: int = 0
    said: list[dict[str, Any]] = field(default_factory=list)
    pushing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/v1/events/{system}", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        body = await request.body()
        async with self.pushing:
            return await self._pushed(request, body)

    async def _pushed(self, request: Request, body: bytes) -> Response:
        self.pushed += 1
        fault = self.faults.pop(0) if self.faults else ""
        if fault in {"lost", "closed"}:
            if fault == "lost":
                self.kill()
            return Response(status_code=503, headers={"Retry-After": "0"})
        headers = {name: request.headers[name] for name in ("authorization", "content-type")}
        answer = await self.api.post(request.url.path, content=body, headers=headers)
        if answer.is_success:
            self.said.append(answer.json())
        if fault == "unheard":
            self.kill()
        if self.pushed in self.meanwhile:
            await self.meanwhile.pop(self.pushed)()
        return Response(answer.content, answer.status_code, media_type="application/json")


@dataclass
class Poller:
    """The command, started again whenever it has ended."""

    command: list[str]
    environment: dict[str, str]
    ended: list[int] = field(default_factory=list)
    process: asyncio.subprocess.Process | None = None

    async def kept_running(self) -> None:
        while not self.ended or self.ended[-1] == -signal.SIGKILL:
            self.process = await asyncio.create_subprocess_exec(*self.command, env=self.environment)
            try:
                self.ended.append(await self.process.wait())
            except asyncio.CancelledError:
                self.process.kill()
                raise

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()


@pytest.mark.parametrize("kind", VENDORS, ids=lambda kind: kind.system)
async def test_each_case_stands_there_once_as_it_was_saved_last(
    tmp_path: Path, whole: Whole, kind: type[Vendor]
) -> None:
    vendor, before = kind(tmp_path), await asyncio.to_thread(whole.verdicts)
    await vendor.save(*(Case(n, f"Sag {n}", now() - timedelta(minutes=30 - n // 5)) for n in range(1, NUMBER + 1)))

    async def meanwhile() -> None:
        await vendor.save(*(Case(n, f"Ændret {n}", now()) for n in (1, 6, NUMBER)), Case(50, "Ny", now()))

    token = Issuer(whole.settings).issue(
        {"sub": "poller", "role": "vendor", "system": vendor.system, "authorities": [AUTHORITY]}, 600
    )
    environment = {**os.environ, "SAGSBRO_TOKEN": token}
    config = tmp_path / "run.json"
    command = [sys.executable, "-m", "broker.cli", "connector", "run", vendor.system, "--config", str(config)]
    poller = Poller(command, environment)
    async with httpx.AsyncClient(base_url=whole.api, timeout=30) as api:
        door = Door(api, poller.kill, {3: meanwhile}, ["", "unheard", "", "lost", "closed"])
        stumbling = Stumbling(vendor.app, poller.kill, [9])
        async with (
            served(stumbling, date_header=False) as url,
            served(door.app) as broker,
            asyncio.TaskGroup() as group,
        ):
            said = {"broker": {"url": broker}, "cursor": str(tmp_path / "cursor.json"), "every": 0.1}
            config.write_text(json.dumps({**said, "vendor": vendor.config(url)}), encoding="utf-8")
            running = group.create_task(poller.kept_running())
            await until(lambda: not door.meanwhile and whole.held(vendor) == vendor.truth, running)
            await vendor.save(Case(2, "Ændret 2", now()), Case(51, "Sent gemt", now() - timedelta(minutes=1)))
            await until(lambda: not door.faults and whole.held(vendor) == vendor.truth, running)
            assert poller.process is not None
            async with door.pushing:  # what goes through the door is heard of
                poller.process.terminate()

    # Sensum has no server that could stumble, or kill.
    assert set(stumbling.failed) in ({"", "429", "500", "half"}, set())
    assert poller.ended == [-signal.SIGKILL] * (3 if stumbling.asked else 2) + [0]
    assert settle(whole.settings) == []
    wrong = {line.user_key for line in set(whole.held(vendor)) ^ set(vendor.truth)}
    assert wrong == set()
    assert digest(map(str, whole.held(vendor))) == digest(map(str, vendor.truth))
    met = whole.verdicts() - before
    assert met.total() == sum(answer["accepted"] for answer in door.said)
    assert [answer["rejected"] for answer in door.said] == [[]] * len(door.said)
    assert set(met) <= {"indexed", "stale", "duplicate"}
    assert met["indexed"] >= len(vendor.truth)
    assert not re.search("s3cret|0101455", (tmp_path / "cursor.json").read_text(encoding="utf-8"))


async def until(done: Callable[[], bool], running: asyncio.Task[None]) -> None:
    """Look again and again; what is not done in time shows in what is compared afterwards."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline and not running.done() and not await asyncio.to_thread(done):
        await asyncio.wait({running}, timeout=0.1)
