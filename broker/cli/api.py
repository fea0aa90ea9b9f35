"""`sagsbro api`: the HTTP surface, one process."""

import gc
import signal
import sys
import threading
from typing import Final

import click

from broker import logs
from broker.api.app import create_app
from broker.api.server import Server
from broker.cli.fitting import check_schema
from broker.settings import OWN_ISSUER, Settings
from broker.stream.clients import refusal

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
    if settings.jwks_url and settings.issuer == OWN_ISSUER:
        raise click.ClickException(
            "SAGSBRO_JWKS_URL is set and SAGSBRO_ISSUER is not: none of its tokens would be taken"
        )
    logs.configure("api")
    check_schema(settings)
    # It serves without Kafka as well as it can, and meanwhile says what Kafka has against the settings.
    threading.Thread(target=_tell_refusal, args=(settings,), daemon=True).start()
    # The server raises the signal again when it has stopped: then it is no accident but the end that was asked for.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(0))
    server = Server(create_app(settings), settings)
    gc.set_threshold(*GC_THRESHOLDS)
    server.run()
    if not server.started:
        sys.exit(1)


def _tell_refusal(settings: Settings) -> None:
    if (why := refusal(settings)) is not None:
        logs.tell("kafka_unreachable", because=why)


command = api
