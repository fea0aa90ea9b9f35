"""Reading a request's body within bounds, compressed or not."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from typing import Final

from fastapi import Request

from broker.api.guard import LARGEST_BODY
from broker.api.problems import Problem
from broker.intake.budget import Share

GZIP: Final = 16 + zlib.MAX_WBITS
PIECE: Final = 256 * 1024  # bytes made before anybody else may go on


def pieces_of(request: Request) -> AsyncIterator[bytes]:
    """The body in pieces, as it was before it was compressed. Raises Problem."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("identity", ""):
        return request.stream()
    if encoding in ("gzip", "x-gzip"):
        return _inflated(request.stream())
    raise Problem(415, "unsupported_media_type", "send it plain or as gzip", {"Accept-Encoding": "gzip"})


async def read(request: Request, share: Share) -> bytes:
    """All of it, as it was before it was compressed. Raises Problem; Exhausted when too much is under way."""
    kept, size = [], 0
    async for piece in pieces_of(request):
        size += len(piece)
        if size > LARGEST_BODY:
            # What unpacks to more than may be sent is not unpacked any further.
            raise Problem(413, "too_large", f"a body has at most {LARGEST_BODY} bytes, unpacked")
        share.grow(len(piece))
        kept.append(piece)
    return b"".join(kept)


async def _inflated(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """In pieces of bounded size; one gzip member may follow another."""
    member = zlib.decompressobj(GZIP)
    async for chunk in chunks:
        left, full = chunk, False
        while left or full:
            if member.eof:
                if not left:
                    break
                member = zlib.decompressobj(GZIP)
            try:
                piece = member.decompress(left, PIECE)
            except zlib.error:
                raise Problem(400, "malformed_payload", "not gzip") from None
            left, full = member.unconsumed_tail or member.unused_data, len(piece) == PIECE
            yield piece
            await asyncio.sleep(0)
    if not member.eof:
        raise Problem(400, "malformed_payload", "the gzip ends too early")
