"""`sagsbro up`: all services in the foreground."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import FrameType

import click

from ops.embedded import instance
from ops.embedded.errors import EmbeddedError

_PORT = click.IntRange(0, 65535)
_COUNT = click.IntRange(0, 64)


class StopAskedError(BaseException):
    """SIGTERM or SIGINT came while the parts were starting."""


@click.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=".sagsbro",
    show_default=True,
    help="Where the data are kept.",
)
@click.option("--api-port", type=_PORT, default=8470, show_default=True, help="0 = a free one.")
@click.option("--kafka-port", type=_PORT, default=0, show_default=True, help="0 = a free one.")
@click.option("--postgres-port", type=_PORT, default=0, show_default=True, help="0 = a free one.")
@click.option("--workers", type=_COUNT, default=1, show_default=True, help="How many processors.")
@click.option("--publishers", type=_COUNT, default=1, show_default=True, help="How many publishers.")
@click.option("--only-infrastructure", is_flag=True, help="Kafka and PostgreSQL alone.")
def up(
    *,
    data: Path,
    api_port: int,
    kafka_port: int,
    postgres_port: int,
    workers: int,
    publishers: int,
    only_infrastructure: bool,
) -> None:
    """Start everything and run until SIGTERM or Ctrl-C; the first line on stdout says where everything is."""
    plan = instance.Plan(data.resolve(), api_port, kafka_port, postgres_port, workers, publishers, only_infrastructure)
    asked = Asked()
    try:
        with instance.held(plan, os.environ) as running:
            ready = running.start(prepare)
            click.echo(ready.json())
            asked.wait()
    except StopAskedError:
        pass
    except EmbeddedError as error:
        raise click.ClickException(str(error)) from error


class Asked:
    """The wish to stop, which interrupts the start or ends the waiting, once."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._instead: Callable[[], object] | None = None
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def wait(self) -> None:
        """Raises StopAskedError when it comes."""
        self._event.wait()

    @contextmanager
    def calling(self, stop: Callable[[], object]) -> Iterator[None]:
        """Within the block the wish calls `stop`: an event loop must not be broken off in the middle of a step."""
        self._instead = stop
        try:
            yield
        finally:
            self._instead = None

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        del signum, frame
        if not self._event.is_set():  # a second signal must not cut the stopping short
            self._event.set()
            if self._instead is None:
                raise StopAskedError
            self._instead()


def prepare(settings: Mapping[str, str]) -> None:
    """Run the migrations and make the topics, on the settings the services will see."""
    os.environ.update(settings)
    import_module("broker.cli.setup").prepare(import_module("broker.settings").Settings())
