"""What a vendor tells by itself, taken at an address of our own beside the poll loop. TLS is a proxy's, before it."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import uvicorn

_log = logging.getLogger(__name__)
_LOOPBACK: Final = "127.0.0.1"
_GRACE_S: Final = 3
_AT_ONCE: Final = 100
"""Connections: what comes beside them is answered 503, and told again."""


class NotListening(Exception):  # noqa: N818 - what happened, said in one word
    """The address is taken, or none of ours."""


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Whoever runs the loop has them already."""
        yield


@asynccontextmanager
async def receiving(app: Any, listen: Mapping[str, Any], stop: asyncio.Event) -> AsyncIterator[None]:
    """Serve an ASGI application meanwhile, on `listen {port, host}`; loopback where no host is said.

    What is being answered in the end gets a little time. Should the server end by itself, it sets `stop`.
    """
    host, port = str(listen.get("host", _LOOPBACK)), int(listen["port"])
    try:
        bound = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as error:
        raise NotListening(f"{host} port {port}: {error.strerror}") from None
    with bound:
        _log.info("listening host=%s port=%d", host, bound.getsockname()[1])
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            limit_concurrency=_AT_ONCE,
            timeout_graceful_shutdown=_GRACE_S,
        )
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        serving.add_done_callback(lambda _: stop.set())
        try:
            yield
        finally:
            server.should_exit = True
            await serving
