"""The HTTP server: it ends its streams before it waits for what is under way."""

import asyncio
import socket
import ssl
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from broker.settings import Settings

LAST_ANSWERS = 5  # seconds that requests under way are given at the end


class Protocol(HttpToolsProtocol):
    """Tells the app of a client certificate that TLS has checked, as the ASGI extension `tls` has it, but in DER."""

    _shown: bytes | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Once for each connection."""
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        self._shown = None if tls is None else tls.getpeercert(binary_form=True)

    def on_message_begin(self) -> None:
        """Once for each request."""
        super().on_message_begin()
        if self._shown is not None:
            self.scope["extensions"] = {"tls": {"client_cert_chain": (self._shown,)}}


def tls(settings: Settings) -> dict[str, Any]:
    """Uvicorn's words for how the API is to be reached; nothing where it speaks plainly."""
    if settings.api_certificate is None:
        if settings.api_client_ca or settings.api_certificate_key:
            raise ValueError("api_client_ca and api_certificate_key mean nothing without api_certificate")
        return {}
    options: dict[str, Any] = {
        "ssl_certfile": settings.api_certificate,
        "ssl_keyfile": settings.api_certificate_key or settings.api_certificate,
    }
    if settings.api_client_ca is not None:
        # Not demanded: most callers have a token, and a browser would ask its user for a certificate it has not.
        options |= {"ssl_ca_certs": str(settings.api_client_ca), "ssl_cert_reqs": ssl.CERT_OPTIONAL}
    return options


class Server(uvicorn.Server):
    """Serves the app until it is told to stop. Raises ValueError and OSError for certificates that cannot be used."""

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.api_host,
                port=settings.api_port,
                **tls(settings),
                loop="uvloop",
                http=Protocol,
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_graceful_shutdown=LAST_ANSWERS,
            )
        )
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """A stream has no end of its own that could be waited for; its client goes on elsewhere."""
        self._app.state.core.feed.end()
        await super().shutdown(sockets)
