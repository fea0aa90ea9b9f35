"""`sagsbro api`: the HTTP surface, one process."""

import signal
import sys

import click
import uvicorn

from broker import logs
from broker.api.app import create_app
from broker.settings import Settings

LAST_ANSWERS = 5  # seconds that requests under way are given at the end


@click.command()
def api() -> None:
    """Serve HTTP on `api_host:api_port` of the settings until SIGTERM."""
    logs.configure("api")
    settings = Settings()
    # The server raises the signal again when it has stopped: then it is no accident but the end that was asked for.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(0))
    uvicorn.run(
        create_app(settings),
        host=settings.api_host,
        port=settings.api_port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=LAST_ANSWERS,
    )


command = api
