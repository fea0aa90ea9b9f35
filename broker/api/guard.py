"""The outermost layer: no body beyond the limit is read, and nothing unexpected gets out with its details."""

from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broker.api import problems
from broker.logs import tell

LARGEST_BODY: Final = 16 * 1024 * 1024


class Guard:
    """ASGI middleware; `largest` body in bytes, with or without a Content-Length."""

    def __init__(self, app: ASGIApp, largest: int = LARGEST_BODY) -> None:
        """Wraps the whole app."""
        self._app = app
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
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
        left = self._largest
        said = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        if said.isdigit() and int(said[:20]) > left:
            left = -1

        async def counting() -> Message:
            nonlocal left
            if left < 0:
                raise problems.Problem(413, "too_large", f"a body has at most {self._largest} bytes")
            message = await receive()
            left -= len(message.get("body", b""))
            return message if left >= 0 else await counting()

        return counting
