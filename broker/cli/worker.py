"""`sagsbro worker`: one stream processor."""

import click

from broker.cli.fitting import check_schema
from broker.logs import configure
from broker.settings import Settings


@click.command()
def worker() -> None:
    """Run one processor of the case-events topic."""
    from broker.processing.worker import run  # noqa: PLC0415 - Faust is slow to import

    configure("worker")
    settings = Settings()
    check_schema(settings)
    run(settings)
