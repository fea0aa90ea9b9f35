"""Following an overview from an app: changes as they happen, going on by itself where a connection ended."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

import httpx

from consumers.refusal import RefusedError, code_of

# The broker is heard from every 15 seconds: who is silent for longer is gone.
SILENCE_S: Final = 40
FIRST_WAIT_S: Final = 0.5
LONGEST_WAIT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Change:
    """`entry`: an Entry of the contract in the place of what was known; `gone`: show it no more.

    after: where to go on behind it; keep it to go on after a restart.
    """

    kind: Literal["entry", "gone"]
    data: dict[str, Any]
    after: str


@dataclass(frozen=True, slots=True)
class Block:
    """What stands between two empty lines; `kind` None is a sign of life that moves the place alone."""

    kind: str | None
    after: str | None
    data: str


async def changes(
    base_url: str,
    token: Callable[[], str],
    overview: str,
    after: str | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> AsyncGenerator[Change, None]:
    """Every change from now on, or from `after`. `token` is asked for anew with each connection.

    Raises RefusedError; `resume_too_old` means: begin without `after`, then search anew.
    """
    wait = FIRST_WAIT_S
    timeout = httpx.Timeout(10, read=SILENCE_S)
    async with httpx.AsyncClient(base_url=base_url, timeout=timeout, transport=transport) as http:
        while True:
            try:
                async with aclosing(_once(http, token(), overview, after)) as heard:
                    async for block in heard:
                        wait = FIRST_WAIT_S
                        after = block.after or after
                        if block.kind in ("entry", "gone"):
                            kind = cast("Literal['entry', 'gone']", block.kind)
                            yield Change(kind, json.loads(block.data), after or "")
            except httpx.TransportError:
                pass
            except RefusedError as refused:
                if not refused.again:
                    raise
            await asyncio.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_S)


async def blocks(pieces: AsyncIterable[bytes]) -> AsyncIterator[Block]:
    """Server-Sent Events out of the bytes of an answer. What is cut off at the end is none."""
    rest = b""
    async for piece in pieces:
        # Split as bytes: a title may hold what Python, but not the format, takes for the end of a line.
        *whole, rest = (rest + piece).split(b"\n\n")
        for text in whole:
            yield _block(text)


async def _once(http: httpx.AsyncClient, token: str, overview: str, after: str | None) -> AsyncGenerator[Block, None]:
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    if after is not None:
        headers["Last-Event-ID"] = after
    async with http.stream("GET", f"/v1/overviews/{overview}/changes", headers=headers) as answer:
        if answer.is_error:
            await answer.aread()
            raise RefusedError(answer.status_code, code_of(answer))
        async for block in blocks(answer.aiter_bytes()):
            yield block


def _block(text: bytes) -> Block:
    fields = dict(line.decode().split(": ", 1) for line in text.split(b"\n") if not line.startswith(b":"))
    return Block(fields.get("event"), fields.get("id"), fields.get("data", ""))
