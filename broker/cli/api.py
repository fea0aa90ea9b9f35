"""`sagsbro api`: the HTTP surface, one process."""

import gc
import signal
import sys
from typing import Final

import click

from broker import logs
from broker.api.app import create_app
from broker.api.server import Server
from broker.settings import Settings

GC_THRESHOLDS: Final = (20_000, 20, 20)
"""An answer is thousands of values without a cycle."""


@click.command()
def api() -> None:
    """Serve HTTP on `api_host:api_port` of the settings until SIGTERM."""
    settings = Settings()
    if settings.jwks_url and not settings.audience:
        raise click.ClickException(
            "SAGSBRO_JWKS_URL is set and SAGSBRO_AUDIENCE is not: tokens made for others would be taken"
        )
    logs.configure("api")
    # The server raises the signal again when it has stopped: then it is no accident but the end that was asked for.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(0))
    server = Server(create_app(settings), settings.api_host, settings.api_port)
    gc.set_threshold(*GC_THRESHOLDS)
    server.run()
    if not server.started:
        sys.exit(1)


command = api
