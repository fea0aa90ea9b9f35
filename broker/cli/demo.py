"""`sagsbro demo`: everything at once, on constructed cases."""

import asyncio
import json
import os
import time
from collections.abc import Coroutine
from contextlib import redirect_stderr
from pathlib import Path

import click

from broker.cli.up import Asked, StopAskedError, prepare
from broker.settings import find
from ops.demo import directory, mix
from ops.demo.run import Demo, Wanted
from ops.demo.telling import Teller
from ops.embedded import instance
from ops.embedded.errors import EmbeddedError
from ops.embedded.ports import is_free

_PORT = 8470
_OWN = "SAGSBRO_"
_LOOKING = "SAGSBRO_PROMETHEUS"  # holds nothing of anybody's: the operations page reads what it tells


@click.command()
@click.option("--events", type=click.IntRange(min=1), default=20_000, show_default=True, help="How many events.")
@click.option("--once", is_flag=True, help="End after them; exit code 0 only when each is accounted for.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=".sagsbro/demo",
    show_default=True,
    help="A directory of the demo's own; it is emptied at the start.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON value a line; the last one is the summary.")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, other cases.")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="How many processors.")
@click.option("--api-port", type=click.IntRange(0, 65535), default=None, help=f"[default: {_PORT}, or a free one]")
def demo(*, events: int, once: bool, data: Path, as_json: bool, seed: int, workers: int, api_port: int | None) -> None:
    """Start everything, onboard example municipalities, stream constructed cases, and account for each of them."""
    _forget_settings()
    plan = instance.Plan(
        data.resolve(), _port() if api_port is None else api_port, workers=workers, log=directory.log_of(data.resolve())
    )
    teller = Teller(data, as_json=as_json)
    asked, course = Asked(), None
    try:
        directory.check(plan.data)
        with instance.held(plan, {}) as running:
            directory.renew(plan.data)
            running.settings["SAGSBRO_CONNECTORS"] = json.dumps(mix.configuration())
            ready = _started(running, teller)
            course = Demo(ready, find(plan.data), Wanted(events, seed, once), teller)
            asyncio.run(_until(asked, course.run()))
    except (StopAskedError, asyncio.CancelledError):
        if once:
            raise click.ClickException("it was stopped before every payload was accounted for") from None
    except EmbeddedError as error:
        raise click.ClickException(str(error)) from error
    if course is not None and course.flawed:
        raise SystemExit(1)


def _started(running: instance.Instance, teller: Teller) -> instance.Ready:
    teller.line("Starting Kafka, PostgreSQL and the services ...")
    began = time.monotonic()
    with directory.log_of(running.plan.data).open("a") as log, redirect_stderr(log):
        ready = running.start(prepare)
    teller.ready(ready, time.monotonic() - began)
    return ready


async def _until(asked: Asked, work: Coroutine[None, None, None]) -> None:
    """Do the work; the wish to stop cancels it between two steps."""
    loop, task = asyncio.get_running_loop(), asyncio.ensure_future(work)
    with asked.calling(lambda: loop.call_soon_threadsafe(task.cancel)):
        await task


def _port() -> int:
    """The usual port, so that the printed addresses are the documented ones; a demo does not insist on it."""
    if is_free(_PORT):
        return _PORT
    click.echo(f"Port {_PORT} is taken; a free one is used.", err=True)
    return 0


def _forget_settings() -> None:
    """The demo has parts of its own: constructed cases must never come into somebody's database or Kafka."""
    named = sorted(name for name in os.environ if name.startswith(_OWN) and name != _LOOKING)
    for name in named:
        del os.environ[name]
    if named:
        click.echo(f"The demo runs on parts of its own; not looked at: {', '.join(named)}", err=True)


command = demo
