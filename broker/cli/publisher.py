"""`sagsbro publisher`: keeps the overview topics equal to the index."""

import click

from broker.cli.fitting import check_schema
from broker.logs import configure
from broker.settings import Settings


@click.command()
def publisher() -> None:
    """Publish what has changed to the overview topics."""
    from broker.processing.publisher import run  # noqa: PLC0415 - start-up of the other commands stays fast

    configure("publisher")
    settings = Settings()
    check_schema(settings)
    run(settings)
