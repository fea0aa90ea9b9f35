"""A stream of changes as Server-Sent Events: ends by itself, at its time, or when the reader is too slow."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Final

import orjson
from fastapi.responses import Response
from starlette.types import Message, Receive, Scope, Send

from broker.overviews.changes import EndedError, Event, Stream
from broker.overviews.feed import DATABASE_AWAY
from broker.overviews.reading import NotLoggedError
from broker.overviews.watch import Change, OverrunError

HEARTBEAT_S: Final = 15.0
FAREWELL_S: Final = 1.0
STUCK_S: Final = 60.0
_HEADERS: Final = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)
# Whatever ends a stream early, the client goes on from the last id: none of it is an answer.
_ENDS: Final = (
    EndedError,
    OverrunError,
    NotLoggedError,
    TimeoutError,
    *DATABASE_AWAY,
)


class EventStream(Response):
    """Serves one opened stream, and closes it. Nothing is sent after `until`."""

    def __init__(self, stream: Stream, until: datetime) -> None:
        super().__init__()
        self._stream, self._until = stream, until

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until something ends it; a reader who does not even take the end is cut off."""
        del scope
        await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
        work = [
            asyncio.create_task(self._send(send)),
            asyncio.create_task(_gone_away(receive)),
            asyncio.create_task(self._stream.watch.overrun.wait()),
        ]
        try:
            left = (self._until - datetime.now(UTC)).total_seconds()
            await asyncio.wait(work, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in work:
                task.cancel()
            ended = await asyncio.gather(*work, return_exceptions=True)
            self._stream.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        if isinstance(ended[0], Exception):
            raise ended[0]

    async def _send(self, send: Send) -> None:
        with suppress(*_ENDS):
            async with aclosing(self._blocks()) as blocks:
                async for block in blocks:
                    message: Message = {"type": "http.response.body", "body": block, "more_body": True}
                    async with asyncio.timeout(STUCK_S):
                        await send(message)

    async def _blocks(self) -> AsyncGenerator[bytes, None]:
        """The stream as it goes over the wire; first of all the place where it begins."""
        stream = self._stream
        yield self._block(None)
        while True:
            waited = await self._next()
            if waited is None:
                await stream.still()
                yield self._block(None)
            elif events := await stream.told(waited, datetime.now(UTC)):
                yield b"".join(map(self._block, events))

    async def _next(self) -> list[Change] | None:
        """None when nothing has come for as long as a heartbeat."""
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                return await self._stream.watch.next()
        except TimeoutError:
            return None

    def _block(self, event: Event | None) -> bytes:
        """One event, or a heartbeat: its id moves the reader's place though there is nothing to dispatch."""
        place = (self._stream.place if event is None else event.place).text(datetime.now(UTC)).encode()
        if event is None:
            return b": here\nid: %b\n\n" % place
        return b"event: %b\nid: %b\ndata: %b\n\n" % (event.kind.encode(), place, orjson.dumps(event.data))


async def _gone_away(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
