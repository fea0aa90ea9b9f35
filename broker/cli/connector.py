"""`sagsbro connector`: the vendors' connectors, looked at, tried on files, run, and begun."""

import asyncio
import inspect
import json
import logging
import os
import signal
import sys
import time
import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, Final

import click

from broker import logs
from broker.cli.checking import checked, lines, shown
from broker.cli.running import AS_JSON
from broker.cli.running import show as print_json
from broker.domain.identity import SYSTEMS, is_cvr, without_cpr
from broker.intake import connector as installed
from broker.intake.connector import Connector, Source
from broker.settings import find

WOULD_BE_REJECTED: Final = 3
_EXAMPLE: Final = "55133018"
_GRACE_S: Final = 5.0
_HEADER: Final = '[project.entry-points."sagsbro.connectors"]'
_CONFIG = click.option(
    "--config", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="JSON, or TOML by its name."
)


@click.group()
def connector() -> None:
    """Vendors' connectors."""


@connector.command("list")
@AS_JSON
def list_(*, as_json: bool) -> None:
    """List those that are installed."""
    rows = [_summary(_loaded(name)) for name in installed.names()]
    if as_json:
        print_json(rows)
    for row in () if as_json else rows:
        click.echo(f"{row['name']:<14} {row['kind']:<9} {row['delivers']:<7} {', '.join(row['media_types'])}")


@connector.command()
@click.argument("system")
@AS_JSON
def show(system: str, *, as_json: bool) -> None:
    """Show what is known of a system and what is assumed, how it is asked, and what may be configured."""
    one = _loaded(system)
    polling = None if one.poller is None else inspect.getdoc(one.poller)
    said = _summary(one) | {"notes": one.notes, "settings": dict(one.settings), "polling": polling}
    if as_json:
        print_json(said)
        return
    click.echo(f"{one.name} ({one.kind}), {said['delivers']}, {', '.join(one.media_types)}\n\n{one.notes}\n")
    click.echo("Settings of a sender (`connectors` in sagsbro.toml, or --config):")
    for name, meaning in one.settings.items():
        click.echo(f"  {name}: {meaning}")
    if polling is not None:
        click.echo(f"\nThe table `vendor` of `connector run`:\n  {polling}")
    if one.receiver is not None:
        click.echo(f"\nWith `listen` it takes there what the vendor tells by itself:\n  {inspect.getdoc(one.receiver)}")


@connector.command()
@click.argument("system")
@click.argument("files", type=click.File("rb"), nargs=-1, required=True, metavar="FILE...")
@click.option("--authority", default=_EXAMPLE, show_default=True, metavar="CVR", help="Whose events they would be.")
@_CONFIG
@click.option("--show-numbers", is_flag=True, help="Leave CPR numbers as they are: the output is personal data.")
@AS_JSON
@click.pass_context
def check(
    context: click.Context,
    system: str,
    files: tuple[IO[bytes], ...],
    authority: str,
    config: Path | None,
    *,
    show_numbers: bool,
    as_json: bool,
) -> None:
    """Show what would become of payload files: raw, parsed, event, verdict. Nothing is sent.

    Agreements, delimitations and the edition of KLE in force are a running Sagsbro's to judge. Ends with 3 when
    something would be rejected.
    """
    if not is_cvr(authority):
        raise click.BadParameter("a CVR number has 8 digits", param_hint="--authority")
    speaking = _loaded(system)
    own = find().connector(authority, system) if config is None else read_config(config)
    source = Source(system, authority, own)
    now = time.time_ns() // 1000
    seen = [one for file in files for one in checked(speaking, source, getattr(file, "name", "-"), file.read(), now)]
    for one in seen:
        said = shown(asdict(one), (lambda text: text) if show_numbers else without_cpr)
        if as_json:
            print_json(said)
        else:
            click.echo("\n".join(lines(said)))
    wrong = sum(one.is_wrong for one in seen)
    if not as_json:
        click.echo(f"{len(seen)} payloads, of which {wrong} would be rejected")
    if wrong:
        context.exit(WOULD_BE_REJECTED)


@connector.command()
@click.argument("system")
@click.option(
    "--config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    required=True,
    help="`broker {url, token}` (or SAGSBRO_TOKEN), `cursor` (a file), `every` (seconds), `vendor {...}`; for webhooks"
    " `listen {port, host}`.",
)
def run(system: str, config: Path) -> None:
    """Poll a vendor's system until SIGTERM or Ctrl-C. How far it has come stands in the file `cursor`.

    With `listen`, webhooks of a vendor that has some are taken there meanwhile, as plain HTTP; on 127.0.0.1 where no
    host is said.
    """
    speaking = _loaded(system)
    if speaking.poller is None:
        raise click.ClickException(f"{system} is not polled: it pushes to /v1/events/{system}")
    said = _with_token(read_config(config))
    missing = [name for name in ("broker", "cursor", "vendor") if name not in said]
    if missing:
        raise click.ClickException(f"the configuration lacks {', '.join(missing)}")
    if "listen" in said and speaking.receiver is None:
        raise click.ClickException(f"{system} tells of nothing by itself: there is nothing to listen for")
    _log_to_stderr(system)
    logs.tell("started", system=system)
    try:
        asyncio.run(_serve(speaking, system, said))
    except KeyError as error:
        raise click.ClickException(f"the configuration lacks {without_cpr(str(error))}") from None
    except Exception as error:  # noqa: BLE001 - whatever it was ends the command, and must not say too much
        # A connector's own errors carry statuses and names only; the text of others may quote an address or a body.
        ours = type(error).__module__.startswith("connectors.")
        said_of_it = f"{type(error).__name__}: {error}" if ours else type(error).__name__
        raise click.ClickException(without_cpr(said_of_it)) from None
    logs.tell("stopped", system=system)


@connector.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(["esdh", "eoj", "standards"]), default="esdh", show_default=True)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=Path("connectors"),
    show_default=True,
    help="The connectors' own folder in a checkout.",
)
@click.option("--insert", is_flag=True, help="Announce it in pyproject.toml beside the folder.")
def new(name: str, kind: str, folder: Path, *, insert: bool) -> None:
    """Begin a connector: payloads, mapping, translate, and golden payloads that say what is still missing."""
    try:
        written = installed.scaffold()(name, kind, folder)
    except (LookupError, ValueError, FileExistsError) as error:
        raise click.ClickException(str(error)) from None
    for path in written:
        click.echo(path)
    line = f'{name} = "connectors.{kind}.{name}:CONNECTOR"'
    project = folder.parent / "pyproject.toml"
    if insert:
        project.write_text(_announced(project.read_text(encoding="utf-8"), line), encoding="utf-8")
    click.echo(f"\n{'Announced' if insert else 'Announce it'} in pyproject.toml, under {_HEADER}:\n  {line}")
    click.echo("and install: .venv/bin/pip install --no-deps --no-build-isolation --editable .")
    if name not in SYSTEMS:
        click.echo(f"`{name}` is no sending system yet: add it to SYSTEMS in broker/domain/identity.py.")
    click.echo(f"Then fill in {folder / kind / name / 'translate.py'} until `pytest tests/contract -k {name}` passes.")


def _loaded(system: str) -> Connector:
    found = installed.load(system)
    if found is None:
        raise click.UsageError(f"no connector {system} is installed; there are {', '.join(installed.names())}")
    return found


def _summary(one: Connector) -> dict[str, Any]:
    delivers = "pushes" if one.poller is None else "polled"
    return {"name": one.name, "kind": one.kind, "delivers": delivers, "media_types": list(one.media_types)}


def read_config(config: Path) -> dict[str, Any]:
    """A connector's configuration. Raises ClickException."""
    text = config.read_text(encoding="utf-8")
    try:
        said = tomllib.loads(text) if config.suffix == ".toml" else json.loads(text)
    except ValueError as error:
        raise click.ClickException(f"the configuration is no {config.suffix[1:] or 'json'}: {error}") from None
    if not isinstance(said, dict):
        raise click.ClickException("the configuration is a table")
    return said


def _with_token(config: dict[str, Any]) -> dict[str, Any]:
    """The broker's token may come from the environment, so that the file holds no secret of ours."""
    token = os.environ.get("SAGSBRO_TOKEN")
    if token is not None and isinstance(config.get("broker"), dict):
        return {**config, "broker": {"token": token, **config["broker"]}}
    return config


def _announced(project: str, line: str) -> str:
    """With the line under the connectors' header, in order. Raises ClickException where there is no such header."""
    before, header, after = project.partition(_HEADER + "\n")
    if not header:
        raise click.ClickException(f"pyproject.toml has no {_HEADER}")
    block, blank, rest = after.partition("\n\n")
    return before + header + "\n".join(sorted({*block.splitlines(), line})) + blank + rest


async def _serve(speaking: Connector, system: str, config: Mapping[str, Any]) -> None:
    """Until a signal: the round under way gets a little time, and the cursor is right even when that is too short."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for wish in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(wish, stop.set)
    serving = asyncio.ensure_future(installed.serve()(system, speaking.poller, config, stop, speaking.unknown_in))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not serving.done():
        await asyncio.wait({serving}, timeout=_GRACE_S)
        serving.cancel()
    stopping.cancel()
    try:
        await serving
    except asyncio.CancelledError:
        logs.tell("stopping", system=system)


class _Lines(logging.Handler):
    """What connectors say of their work; they name counts and fields, never values."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        logs.tell("library", logger=record.name, message=without_cpr(record.getMessage()))


def _log_to_stderr(system: str) -> None:
    logs.configure(f"connector {system}")
    ours = logging.getLogger("connectors")
    ours.setLevel(logging.INFO)
    ours.handlers[:] = [_Lines()]
    ours.propagate = False
    sys.stdout.flush()


command = connector
