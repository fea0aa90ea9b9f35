"""The HTTP server: it ends its streams before it waits for what is under way."""

import socket

import uvicorn
from fastapi import FastAPI

LAST_ANSWERS = 5  # seconds that requests under way are given at the end


class Server(uvicorn.Server):
    """Serves the app until it is told to stop."""

    def __init__(self, app: FastAPI, host: str, port: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                loop="uvloop",
                http="httptools",
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
