"""A body that comes too slowly is not waited for; a client that is answered may stay as long as it likes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.types import Message

from broker.api import guard
from broker.api.guard import Guard
from broker.api.problems import Problem


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "GRACE_S", 0.2)
    monkeypatch.setattr(guard, "SLOWEST", 1000)
    monkeypatch.setattr(guard, "IDLE_S", 0.2)


async def come(path: str, *pieces: tuple[float, bytes], ends: bool) -> int | str:
    """What becomes of a body whose pieces come so many seconds apart: its length, or the problem's code."""

    async def messages() -> AsyncIterator[Message]:
        for number, (seconds, body) in enumerate(pieces, 1):
            await asyncio.sleep(seconds)
            yield {"type": "http.request", "body": body, "more_body": not (ends and number == len(pieces))}
        await asyncio.sleep(1)
        yield {"type": "http.disconnect"}

    coming, length, came = messages(), 0, ""

    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        nonlocal length, came
        try:
            while (message := await receive())["type"] == "http.request":
                length += len(message["body"])
            came = message["type"]
        except Problem as problem:
            came = problem.code

    scope = {"type": "http", "path": path, "headers": []}
    await Guard(app, limit=lambda _path: 10_000)(scope, coming.__anext__, coming.__anext__)  # type: ignore[arg-type]
    return length if came == "http.disconnect" else came


async def test_a_body_that_stops_coming_is_given_up() -> None:
    assert await come("/v1/case-events", ends=False) == "request_timeout"
    assert await come("/v1/case-events", (0, b"x" * 10), ends=False) == "request_timeout"


async def test_one_that_trickles_is_given_up_and_one_that_keeps_its_pace_is_not() -> None:
    assert await come("/v1/case-events", *[(0.05, b"x")] * 20, ends=True) == "request_timeout"
    assert await come("/v1/case-events", *[(0.05, b"x" * 100)] * 20, ends=True) == 2000


async def test_who_has_sent_everything_may_wait() -> None:
    assert await come("/v1/changes", (0, b""), ends=True) == 0


async def test_a_list_may_be_written_while_it_is_read_but_not_stop() -> None:
    assert await come("/v1/reconcile", *[(0.1, b"x")] * 8, ends=True) == 8
    assert await come("/v1/reconcile", (0, b"x"), ends=False) == "request_timeout"
