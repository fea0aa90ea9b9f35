"""The outermost layer: no body too long or too slow is read, and nothing unexpected gets out with its details."""

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broker import tracing
from broker.api import problems
from broker.logs import tell

KIB: Final = 1024
LARGEST_BODY: Final = 16 * KIB * KIB  # of events and editions; what is packed has as much when it is unpacked
LARGEST_MANIFEST: Final = 256 * KIB * KIB  # read in pieces, never held as a whole
LARGEST_QUESTION: Final = 64 * KIB
LARGEST_OTHER: Final = KIB * KIB
LIMITS: Final = (
    (("/v1/events", "/v1/case-events", "/v1/kle/editions", "/sf1470/v6"), LARGEST_BODY),
    (("/v1/reconcile",), LARGEST_MANIFEST),
    (
        ("/v1/overviews", "/v1/subscriptions", "/v1/explain", "/v1/access-log/search", "/v1/dossier", "/v1/rejections"),
        LARGEST_QUESTION,
    ),
)


GRACE_S: Final = 10.0
SLOWEST: Final = 64 * KIB
"""Bytes a second, once the grace is over: who is slower would hold a part of what all may send together."""
PATIENT: Final = ("/v1/reconcile",)
"""Lists that a source writes while they are read; nothing is held meanwhile."""
IDLE_S: Final = 60.0
_CLOSE: Final = {"Connection": "close"}


def limit_of(path: str) -> int:
    """How many bytes a body sent to this path may have."""
    for prefixes, limit in LIMITS:
        if any(path == prefix or path.startswith(f"{prefix}/") for prefix in prefixes):
            return limit
    return LARGEST_OTHER


class Guard:
    """ASGI middleware; bodies are bounded by `limit` of their path, with or without a Content-Length."""

    def __init__(self, app: ASGIApp, limit: Callable[[str], int] = limit_of) -> None:
        """Wraps the whole app."""
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with tracing.incoming(scope["headers"]):
            await self._guarded(scope, receive, send)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, self._counted(scope, receive), sending)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not reach the client or the server's own log
            tell("request_failed", error=type(error).__name__)
            if not started:
                answer = problems.response(500, "internal_error", "something went wrong here; it has been noted")
                await answer(scope, receive, send)

    def _counted(self, scope: Scope, receive: Receive) -> Receive:
        left = largest = self._limit(scope["path"])
        said = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        if said.isdigit() and int(said[:20]) > left:
            left = -1
        clock = asyncio.get_running_loop().time
        began, patient, whole = clock(), scope["path"] in PATIENT, False

        async def counting() -> Message:
            nonlocal left, whole
            if left < 0:
                raise problems.Problem(413, "too_large", f"a body has at most {largest} bytes")
            if whole:
                return await receive()  # that its sender goes away, whenever that is
            until = clock() + IDLE_S if patient else began + GRACE_S + (largest - left) / SLOWEST
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError:
                raise problems.Problem(408, "request_timeout", "the body came too slowly", _CLOSE) from None
            left -= len(message.get("body", b""))
            whole = not message.get("more_body", False)
            return message if left >= 0 else await counting()

        return counting
