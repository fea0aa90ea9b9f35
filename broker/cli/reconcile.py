"""`sagsbro reconcile`: a source's own list of its cases against the index, and what differs mended."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import click

from broker.cli.running import AS_JSON, DATA
from broker.cli.sending import AUTHORITY, VENDOR, Sending, show_line
from broker.domain.reconcile import DIFFERENCES, WRONG, too_many
from broker.intake.canonical import micros
from broker.intake.loading import from_source
from broker.intake.manifest import FlawedManifest, Manifest
from broker.intake.reconciling import Claim, Miscounted, NotOpen, answer
from broker.intake.reconciling import reconcile as run
from broker.intake.repairing import remove_vanished, send_missing
from broker.store.reconciliation import Compared, Connection, Overtaken

DIFFERS: Final = 3
_PIECE: Final = 1 << 20
_SHOWN: Final = 5


@click.command()
@click.argument("system")
@click.argument("file", type=click.File("rb"))
@AUTHORITY
@click.option("--as-of", required=True, metavar="TIME", help="When the source began to read its list: ISO 8601.")
@click.option(
    "--area", "areas", multiple=True, metavar="PATTERN", help="Whole for these of the source's numbers; repeatable."
)
@click.option("--count", type=click.IntRange(0), help="Lines of the list: a torn one is refused.")
@click.option("--csv", "as_csv", is_flag=True, help="The list is CSV. [default: by the file's name]")
@click.option("--repair", is_flag=True, help="Remove what vanished at the source; ask for the missing with --config.")
@click.option("--remove-many", is_flag=True, help="Even where more than a tenth of what stands would go.")
@VENDOR
@DATA
@AS_JSON
@click.pass_context
def reconcile(
    context: click.Context,
    system: str,
    file: BinaryIO,
    authority: str,
    as_of: str,
    areas: tuple[str, ...],
    count: int | None,
    config: Path | None,
    data: Path | None,
    *,
    as_csv: bool,
    repair: bool,
    remove_many: bool,
    as_json: bool,
) -> None:
    """Compare FILE, every case that SYSTEM has (JSON lines or CSV: case_id, registered_at, kle), with the index.

    Ends with 3 when something is missing, superfluous or older here. What is newer here has overtaken the list.
    """
    sending = Sending(system, authority, data)
    try:
        moment = max(0, min(micros(as_of), time.time_ns() // 1000))
    except ValueError:
        raise click.BadParameter("a time with a zone", param_hint="--as-of") from None
    claim = Claim(authority, system, moment, areas, count)
    reader = Manifest(as_csv=as_csv or Path(file.name).suffix == ".csv")

    async def work(connection: Connection) -> tuple[Compared, dict[str, Any]]:
        @asynccontextmanager
        async def connect() -> AsyncIterator[Connection]:
            yield connection

        found = await run(connect, sending.facts_of, claim, reader, _pieces(file))
        return found, await answer(connection, found)

    try:
        found, said = sending.run(work)
    except (FlawedManifest, Miscounted, NotOpen) as why:
        raise click.ClickException(str(why)) from None
    except Overtaken:
        raise click.ClickException("another list of the same sender was begun meanwhile") from None
    except ValueError as flaw:
        raise click.BadParameter(str(flaw), param_hint="--area") from None
    if as_json:
        show_line(said)
    else:
        _show(said)
    if repair:
        _repair(sending, found, config, remove_many=remove_many, as_json=as_json)
    if any(found.total(kind) for kind in WRONG):
        context.exit(DIFFERS)


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    while piece := file.read(_PIECE):
        yield piece


def _repair(sending: Sending, found: Compared, config: Path | None, *, remove_many: bool, as_json: bool) -> None:
    """After it was shown."""
    superfluous = found.total("superfluous")
    if too_many(superfluous, superfluous + sum(found.total(kind) for kind in ("same", "older", "newer"))):
        if not remove_many:
            raise click.ClickException(f"{superfluous} cases would go, more than a tenth: say --remove-many to mean it")
        click.echo(f"removing {superfluous} cases, more than a tenth", err=True)

    async def work(connection: Connection) -> tuple[int, int | None]:
        hand = sending.hand(connection)
        removed = await remove_vanished(hand, connection, found)
        if config is None:
            return removed, None
        speaking, vendor = sending.polled(config)
        return removed, await send_missing(hand, connection, found, from_source(speaking, sending.source, vendor, {}))

    removed, sent = sending.run(work)
    wanted = found.total("missing") + found.total("older")
    if as_json:
        show_line({"event": "repaired", "removed": removed, "sent_again": sent, "wanted": wanted})
        return
    click.echo(f"{removed} removals sent")
    if sent is not None:
        click.echo(f"{sent} of {wanted} sent again by the source")
    elif wanted:
        click.echo(
            f"{wanted} cases for the vendor to send again: GET /v1/reconcile/{found.id}/missing and /older list them"
        )


def _show(said: dict[str, Any]) -> None:
    click.echo(f"{said['system']} of {said['authority']} as of {said['as_of']}: {said['same']} the same")
    for kind in DIFFERENCES:
        one = said[kind]
        click.echo(f"  {kind:<12} {one['count']:>9,}")
        for case in one["cases"][:_SHOWN] if one["count"] else ():
            click.echo(f"    {case['case_id']}  {case['kle_area']:<5} here {case['here']}  there {case['there']}")
    click.echo(f"  {'outside':<12} {said['outside']:>9,}  (listed, and not to be in the index)")
    for area in said["areas"]:
        differs = ", ".join(f"{area[kind]} {kind}" for kind in DIFFERENCES if area[kind])
        click.echo(f"  {area['kle_area']:<5} {area['same']:>9,} the same; {differs or 'nothing differs'}")


command = reconcile
