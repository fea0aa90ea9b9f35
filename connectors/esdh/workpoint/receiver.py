"""WorkPoint's webhooks: verified by their signature, written down, answered. Nothing is fetched here.

Read in public code: the vendor's fork of a webhook framework signs the body with HMAC-SHA256 and says so in
`ms-signature: sha256=<hex>`. Inferred: that the hosted service does so too, the framework's envelope, and that a new
address is tried with a GET that wants its `echo` back. Assumed: what a notification calls the module and the item.
"""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from broker.domain.identity import is_uuid
from connectors.esdh.workpoint.waiting import Queue, Told
from connectors.payload import parsed

_log = logging.getLogger(__name__)
LARGEST: Final = 256 * 1024
_LONGEST_ECHO: Final = 200
_LONGEST_TRIGGER: Final = 40
_SCHEME: Final = "sha256="
_LARGEST_ITEM: Final = 1 << 31


@dataclass(frozen=True, slots=True)
class Words:
    """What a notification calls things; the delivered body is not published, so it is configuration."""

    trigger: str = "Action"
    module: str = "BusinessModuleId"
    item: str = "ItemId"


@dataclass(frozen=True, slots=True)
class Receiver:
    """Secrets in order to be renewed: each of them is good. They stay out of every repr."""

    queue: Queue
    secrets: tuple[bytes, ...] = field(repr=False)
    words: Words = Words()
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def app(self) -> Starlette:
        """Serves one address, `/`."""
        return Starlette(routes=[Route("/", self._echo, methods=["GET"]), Route("/", self._told, methods=["POST"])])

    async def _echo(self, request: Request) -> Response:
        echo = request.query_params.get("echo", "")
        return PlainTextResponse(echo[:_LONGEST_ECHO], headers={"X-Content-Type-Options": "nosniff"})

    async def _told(self, request: Request) -> Response:
        body = await _bounded(request)
        if body is None:
            return Response(status_code=413)
        if not is_signed(body, request.headers.get("ms-signature", ""), self.secrets):
            _log.warning("refused a webhook: no good signature")
            return Response(status_code=401)
        told = list(told_in(body, self.words, self.now()))
        if not told:
            _log.warning("refused a webhook: it names no module and item")
            return Response(status_code=400)
        await asyncio.to_thread(self.queue.put, told)
        return Response(status_code=200)


def is_signed(body: bytes, said: str, secrets: Iterable[bytes]) -> bool:
    """Over the bytes as they came, compared in constant time; with each secret, whichever fits."""
    given = said.strip().lower().encode("latin-1", "replace")
    good = [
        hmac.compare_digest(f"{_SCHEME}{hmac.new(secret, body, hashlib.sha256).hexdigest()}".encode(), given)
        for secret in secrets
        if secret
    ]
    return any(good)


def told_in(body: bytes, words: Words, at: datetime) -> Iterator[Told]:
    """The changes that a body tells of; what names no module and item is passed over."""
    found = parsed(body)
    listed = found.get("Notifications") if isinstance(found, dict) else None
    for one in listed if isinstance(listed, list) else ():
        if not isinstance(one, dict):
            continue
        module, item = str(one.get(words.module, "")).strip("{}").lower(), one.get(words.item)
        if is_uuid(module) and isinstance(item, int) and 0 < item < _LARGEST_ITEM:
            yield Told(module, item, str(one.get(words.trigger, ""))[:_LONGEST_TRIGGER], at.isoformat())


async def _bounded(request: Request) -> bytes | None:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            return None
    return bytes(body)


def receiver(config: Mapping[str, Any]) -> Receiver:
    """From the configuration's table: `queue` (a directory), `secrets`; `words` where a notification has others."""
    secrets = tuple(str(secret).encode() for secret in config["secrets"])
    queue = Path(config["queue"])
    queue.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Receiver(Queue(queue), secrets, Words(**config.get("words", {})))


def application(config: Mapping[str, Any]) -> Starlette:
    """Also `secrets`, a list of those that webhooks are signed with; `words`, where a notification has others.

    `words` are `trigger`, `module` and `item`: what a notification calls them.
    """
    return receiver(config).app
