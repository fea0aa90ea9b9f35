"""`sagsbro connector`: the vendors' connectors, looked at, tried on files, run, and begun."""

import asyncio
import hashlib
import inspect
import json
import logging
import os
import signal
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final

import click

from broker import logs
from broker.cli.running import AS_JSON
from broker.cli.running import show as print_json
from broker.domain.agreement import AgreementState, Authority, Facts, SenderAgreement
from broker.domain.identity import SYSTEMS, is_cvr, without_cpr
from broker.domain.kle import Edition, KleBook, Patterns
from broker.domain.outcome import Delimited, Rejected
from broker.intake import connector as installed
from broker.intake.connector import Connector, Source
from broker.intake.verdicts import Accepted, Judged, Offer, Sender, judge_all, offers_of
from broker.settings import find

WOULD_BE_REJECTED: Final = 3
_EXAMPLE: Final = "55133018"
_GRACE_S: Final = 5.0
_TIMES: Final = frozenset({"created_at", "registered_at", "effective_from", "effective_to"})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONG_AGO: Final = date(1900, 1, 1)
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
    own = find().connector(authority, system) if config is None else _read(config)
    source = Source(system, authority, own)
    seen = [one for file in files for one in _checked(speaking, source, getattr(file, "name", "-"), file.read())]
    for one in seen:
        said = _shown(asdict(one), (lambda text: text) if show_numbers else without_cpr)
        if as_json:
            print_json(said)
        else:
            _print(said)
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
    help="`broker {url, token}` (or SAGSBRO_TOKEN), `cursor` (a file), `every` (seconds), `vendor {...}`.",
)
def run(system: str, config: Path) -> None:
    """Poll a vendor's system until SIGTERM or Ctrl-C. How far it has come stands in the file `cursor`."""
    speaking = _loaded(system)
    if speaking.poller is None:
        raise click.ClickException(f"{system} is not polled: it pushes to /v1/events/{system}")
    said = _with_token(_read(config))
    missing = [name for name in ("broker", "cursor", "vendor") if name not in said]
    if missing:
        raise click.ClickException(f"the configuration lacks {', '.join(missing)}")
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


@dataclass(frozen=True, slots=True)
class Checked:
    """One payload of a file, at every stage; of a file that cannot be read, the whole of it."""

    file: str
    raw: dict[str, Any]
    index: int
    parsed: object
    left_out: dict[str, int]
    events: list[Any]
    verdicts: list[dict[str, Any]]

    @property
    def is_wrong(self) -> bool:
        """Whether any part of it would be rejected."""
        return any(verdict["verdict"] == "rejected" for verdict in self.verdicts)


def _checked(speaking: Connector, source: Source, name: str, body: bytes) -> Iterator[Checked]:
    raw = {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    payloads = speaking.split(body)
    if isinstance(payloads, Rejected):
        yield Checked(name, raw, 0, None, {}, [], [_verdict(payloads)])
        return
    for index, payload in enumerate(payloads):
        judged = _judged(list(offers_of([payload], speaking, source)), source)
        left_out = {} if speaking.unknown is None else dict(speaking.unknown(payload))
        events = [_readable(one.offer.event) for one in judged if not isinstance(one.offer.event, Rejected)]
        verdicts = [_verdict(one.verdict) for one in judged]
        yield Checked(name, raw, index, payload, left_out, events, verdicts)


def _judged(offers: list[Offer], source: Source) -> list[Judged]:
    """By an agreement that covers everything and an edition that has every number that is named: form remains."""
    agreement = SenderAgreement(
        source.authority, source.system, 1, AgreementState.FULL, Patterns.of(["N*"]), 4, _LONG_AGO
    )
    named = [one.event.get("classification") or {} for one in offers if not isinstance(one.event, Rejected)]
    titles = {number: "" for one in named if isinstance(number := one.get("kle"), str)}
    facts = Facts(
        senders={(source.authority, source.system): agreement},
        authorities={source.authority: Authority(source.authority, "")},
        kle=KleBook((Edition(_LONG_AGO, titles),)),
    )
    sender = Sender(source.system, frozenset({source.authority}))
    return judge_all(offers, sender, facts, time.time_ns() // 1000)


def _verdict(verdict: Accepted | Delimited | Rejected) -> dict[str, Any]:
    match verdict:
        case Rejected():
            said = {"code": str(verdict.code), "pointer": verdict.pointer, "detail": verdict.detail}
            return {"verdict": "rejected", **said, "remedy": verdict.remedy}
        case Accepted():
            return {"verdict": "accepted", "warnings": [asdict(one) for one in verdict.warnings]}
        case Delimited():
            return {"verdict": "delimited"}


def _readable(value: Any, name: str = "") -> Any:
    """The JSON form of an event: times as text."""
    match value:
        case dict():
            return {key: _readable(inner, key) for key, inner in value.items()}
        case list():
            return [_readable(inner) for inner in value]
        case int() if name in _TIMES:
            try:
                moment = _EPOCH + timedelta(microseconds=value)
            except OverflowError:
                return value
            return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
        case _:
            return value


def _shown(value: Any, masked: Callable[[str], str]) -> Any:
    match value:
        case dict():
            return {masked(str(key)): _shown(inner, masked) for key, inner in value.items()}
        case list() | tuple():
            return [_shown(inner, masked) for inner in value]
        case str():
            return masked(value)
        case _:
            return value


def _print(said: Mapping[str, Any]) -> None:
    click.echo(f"raw       {said['file']}, {said['raw']['bytes']} bytes, payload {said['index']}")
    if said["parsed"] is not None:
        click.echo(f"parsed    {_text(said['parsed'])}")
    if said["left_out"]:
        click.echo("left out  " + ", ".join(f"{name} ({count})" for name, count in said["left_out"].items()))
    for event in said["events"]:
        click.echo(f"event     {_text(event)}")
    for verdict in said["verdicts"]:
        if verdict["verdict"] == "rejected":
            where = verdict["pointer"] or "/"
            click.echo(f"verdict   rejected: {verdict['code']} at {where}: {verdict['detail']}. {verdict['remedy']}")
        else:
            warnings = "".join(f"; {one['code']} at {one['pointer']}" for one in verdict.get("warnings", ()))
            click.echo(f"verdict   {verdict['verdict']}{warnings}")
    click.echo()


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2).replace("\n", "\n          ")


def _loaded(system: str) -> Connector:
    found = installed.load(system)
    if found is None:
        raise click.ClickException(f"no connector {system} is installed; there are {', '.join(installed.names())}")
    return found


def _summary(one: Connector) -> dict[str, Any]:
    delivers = "pushes" if one.poller is None else "polled"
    return {"name": one.name, "kind": one.kind, "delivers": delivers, "media_types": list(one.media_types)}


def _read(config: Path) -> dict[str, Any]:
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
