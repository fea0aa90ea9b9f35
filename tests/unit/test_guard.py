"""How much of a body is read, by the path it is sent to."""

from collections.abc import AsyncIterator

import httpx
import pytest

from broker.api.app import create_app
from broker.api.guard import limit_of
from broker.settings import Settings

KIB = 1024
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/v1/events/sbsys", 16 * KIB * KIB),
        ("/v1/case-events", 16 * KIB * KIB),
        ("/v1/kle/editions/2024-01-01", 16 * KIB * KIB),
        ("/v1/overviews/sapa/search", 64 * KIB),
        ("/v1/subscriptions", 64 * KIB),
        ("/sf1470/v6", 16 * KIB * KIB),
        ("/sf1470/v6x", KIB * KIB),
        ("/v1/agreements", KIB * KIB),
        ("/v1/eventsx", KIB * KIB),
        ("/v1/overviewsx", KIB * KIB),
        ("/registry/subjects/a-value/versions", KIB * KIB),
        ("/", KIB * KIB),
    ],
)
def test_the_limit_follows_the_path(path: str, limit: int) -> None:
    assert limit_of(path) == limit


@pytest.mark.parametrize(
    ("method", "path", "most"),
    [
        ("POST", "/v1/overviews/sapa/search", 64 * KIB),
        ("PUT", "/v1/subscriptions", 64 * KIB),
        ("PUT", "/v1/agreements", KIB * KIB),
        ("POST", "/registry/subjects/a-value/versions", KIB * KIB),
    ],
)
@pytest.mark.parametrize("said", [True, False])
async def test_a_long_body_from_nobody_is_refused_without_being_read_whole(
    method: str, path: str, most: int, *, said: bool
) -> None:
    whole, piece = 16 * KIB * KIB, 16 * KIB
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(whole // piece):
            read += piece
            yield b"[" * piece

    headers = {**JSON, "Content-Length": str(whole)} if said else JSON
    # No part of the app has been started: nothing that a token or a database is needed for comes first.
    transport = httpx.ASGITransport(create_app(Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        answer = await http.request(method, path, content=body(), headers=headers)
    assert answer.status_code == 413
    assert read <= (0 if said else most + piece)


async def test_a_body_at_the_limit_is_read() -> None:
    question = b'{"x": "' + b"x" * (64 * KIB - 9) + b'"}'
    assert len(question) == 64 * KIB
    transport = httpx.ASGITransport(create_app(Settings()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        answers = [
            await http.post("/v1/overviews/sapa/search", content=content, headers=JSON)
            for content in (question, question + b" ")
        ]
    # Read, it meets an app that was not started.
    assert [answer.status_code for answer in answers] == [500, 413]
