"""Who may not call is answered before anything of what is sent is read."""

import asyncio
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.types import Message

from broker.api.app import create_app
from broker.api.auth import TokenFirst
from broker.security import Issuer
from broker.settings import Settings

MALFORMED = b"{" * (1 << 20)
DOORS = [
    ("PUT", "/v1/agreements"),
    ("POST", "/v1/consents"),
    ("POST", "/v1/overviews/sapa/search"),
    ("PUT", "/v1/subscriptions"),
    ("POST", "/v1/access-log"),
    ("POST", "/v1/explain"),
    ("POST", "/v1/dossier"),
    ("PUT", "/v1/kle/rules"),
    ("PUT", "/v1/rejections"),
    ("POST", "/v1/case-events"),
]
REGISTRY = ("PUT", "/registry/config")
OPEN = {
    # Anybody may ask; who registers a schema that is there already needs no token either.
    "/registry/subjects/{subject}",
    "/registry/subjects/{subject}/versions",
    "/registry/compatibility/subjects/{subject}/versions",
    "/registry/compatibility/subjects/{subject}/versions/{version}",
}


class Counted(Issuer):
    """It notes how often it verified a token, and remembers none."""

    verified = 0

    def verify(self, token: str) -> Any:
        self.verified += 1
        try:
            return super().verify(token)
        finally:
            self._verified.clear()


@pytest.fixture
def issuer() -> Issuer:
    made = Counted(Settings())
    made._key = ec.generate_private_key(ec.SECP256R1())
    return made


@pytest.fixture
def app(issuer: Issuer) -> FastAPI:
    made = create_app(Settings())
    made.state.core = SimpleNamespace(issuer=issuer, settings=Settings())
    return made


class Body:
    """What comes in pieces; without a last one it never ends. `read`: how many pieces were taken."""

    def __init__(self, *pieces: bytes) -> None:
        self._left: Iterator[bytes] = iter(pieces)
        self.read = 0

    async def __call__(self) -> Message:
        self.read += 1
        piece = next(self._left, None)
        if piece is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": piece, "more_body": False}


async def ask(
    app: FastAPI, door: tuple[str, str], body: Body, token: str | None = None
) -> tuple[int, dict[str, str], Any]:
    """Status, headers and document that a request gets."""
    said = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
    method, path = door
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"application/json"), *said],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async with asyncio.timeout(5):
        await app(scope, body, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, json.loads(b"".join(message["body"] for message in sent[1:]))


@pytest.mark.parametrize("door", DOORS)
async def test_a_body_that_never_comes_keeps_nobody_from_being_refused(app: FastAPI, door: tuple[str, str]) -> None:
    body = Body()
    status, headers, problem = await ask(app, door, body)
    assert (status, body.read) == (401, 0)
    assert headers["www-authenticate"] == "Bearer"
    assert headers["content-type"] == "application/problem+json"
    assert problem == {
        "type": "urn:sagsbro:problem:unauthorized",
        "title": "Unauthorized",
        "status": 401,
        "detail": "a bearer token is needed",
        "code": "unauthorized",
    }


@pytest.mark.parametrize("door", DOORS)
async def test_malformed_json_is_not_looked_at_without_a_token_that_holds(
    app: FastAPI, issuer: Issuer, door: tuple[str, str]
) -> None:
    expired = issuer.issue({"sub": "s", "role": "operator"}, -5)
    for token, challenge in ((None, "Bearer"), ("x", 'Bearer error="invalid_token"')):
        body = Body(MALFORMED)
        status, headers, _ = await ask(app, door, body, token)
        assert (status, headers["www-authenticate"], body.read) == (401, challenge, 0)
    status, _, problem = await ask(app, door, Body(MALFORMED), expired)
    assert (status, problem["detail"]) == (401, "the token has expired")


async def test_a_role_that_may_not_do_it_is_told_so_before_its_body_is_read(app: FastAPI, issuer: Issuer) -> None:
    body = Body()
    status, _, problem = await ask(
        app, ("PUT", "/v1/agreements"), body, issuer.issue({"sub": "s", "role": "vendor"}, 60)
    )
    assert (status, problem["code"], body.read) == (403, "forbidden", 0)


async def test_whose_token_holds_is_told_what_is_wrong_with_the_body_and_the_token_is_verified_once(
    app: FastAPI, issuer: Counted
) -> None:
    token = issuer.issue({"sub": "s", "role": "operator"}, 60)
    status, _, problem = await ask(app, ("PUT", "/v1/agreements"), Body(b"{"), token)
    assert (status, problem["code"], issuer.verified) == (422, "malformed_payload", 1)
    # Two of its dependencies ask who calls.
    status, _, problem = await ask(app, ("PUT", "/v1/rejections"), Body(b'{"state": "x"}'), token)
    assert (status, problem["code"], issuer.verified) == (422, "invalid_request", 2)


async def test_the_registry_refuses_in_its_own_form_before_the_body(app: FastAPI, issuer: Issuer) -> None:
    body = Body()
    status, headers, said = await ask(app, REGISTRY, body)
    assert (status, body.read, said["error_code"]) == (401, 0, 40101)
    assert headers["www-authenticate"] == "Bearer"
    status, _, said = await ask(app, REGISTRY, body, issuer.issue({"sub": "s", "role": "vendor"}, 60))
    assert (status, body.read, said["error_code"]) == (403, 0, 40301)


def test_every_route_that_reads_a_body_asks_who_calls_first(app: FastAPI) -> None:
    reading = {
        context.path: context.original_route
        for context in iter_route_contexts(app.routes)
        if isinstance(context.original_route, APIRoute) and context.original_route.body_field is not None
    }
    assert reading.keys() > OPEN
    bare = {path for path, route in reading.items() if not (isinstance(route, TokenFirst) and route.checks)}
    assert bare == OPEN
