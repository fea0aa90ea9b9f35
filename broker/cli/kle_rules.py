"""`sagsbro kle rules`: from local codes and numbers to KLE numbers; previewed, put, and worked off."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final

import click
from pydantic import ValidationError

from broker.cli.agreement import given, listed
from broker.cli.rederive import telling
from broker.cli.running import AS_JSON, DATA, FILE, OWNER, flaws, on_database
from broker.cli.running import show as print_json
from broker.domain.kle_rules import Rule
from broker.intake.producer import KafkaUnavailable
from broker.intake.remap import Change, Counts, Mended, preview, with_rules
from broker.processing.rederiving import RederivingFailed
from broker.processing.remapping import apply
from broker.settings import find
from broker.store import facts, widening
from broker.store import kle_rules as store
from broker.store.database import connect
from broker.store.kle_rules import Key, TiedRulesError
from broker.store.kle_shapes import RULES, KleRule

SAMPLE: Final = 10
PREVIEW = click.option("--preview", is_flag=True, help="Show what would change, and change nothing.")
RATE = click.option("--rate", type=click.IntRange(1), help="Entries a second at most.")


@click.group()
def rules() -> None:
    """Mapping rules: numbers and local codes to KLE numbers."""


@rules.command()
@FILE
@PREVIEW
@RATE
@DATA
@AS_JSON
def put(file: BinaryIO, rate: int | None, data: Path | None, *, preview: bool, as_json: bool) -> None:
    """Replace the rules of every authority and system that FILE names (JSON or TOML), and derive the index by them."""
    said = given(file.read())
    try:
        wanted: list[KleRule] = RULES.validate_python(listed(said))
        sets = store.sets_of(wanted)
    except ValidationError as error:
        raise flaws(error, said) from None
    except TiedRulesError as tie:
        raise click.ClickException(f"{tie.code}: {tie}") from None
    if preview:
        _preview(data, sets, as_json=as_json)
        return
    made = on_database(data, lambda connection: store.put(connection, wanted, OWNER))
    _tell(made, as_json=as_json)
    work_off(data, rate, as_json=as_json)


@rules.command()
@click.argument("authority")
@click.argument("system")
@PREVIEW
@RATE
@DATA
@AS_JSON
def clear(authority: str, system: str, rate: int | None, data: Path | None, *, preview: bool, as_json: bool) -> None:
    """Take every rule of AUTHORITY and SYSTEM (each may be `*`) out of force, and derive the index without them."""
    if preview:
        _preview(data, {(authority, system): []}, as_json=as_json)
        return
    made = on_database(data, lambda connection: store.clear(connection, (authority, system), OWNER))
    _tell([made], as_json=as_json)
    work_off(data, rate, as_json=as_json)


@rules.command("apply")
@RATE
@DATA
@AS_JSON
def apply_(rate: int | None, data: Path | None, *, as_json: bool) -> None:
    """Do what is owed by rules and own numbers that were put over HTTP, or by a run that was broken off."""
    work_off(data, rate, as_json=as_json)


@rules.command("list")
@DATA
@AS_JSON
def list_(data: Path | None, *, as_json: bool) -> None:
    """List every set in its newest version."""
    kept = on_database(data, store.every)
    owed = {(one.authority, one.system) for one in on_database(data, store.owed)}
    for one in kept:
        one["owed"] = (one["authority"], one["system"]) in owed
    if as_json:
        print_json(kept)
        return
    for one in kept:
        click.echo(f"{one['authority']} {one['system']}  version {one['version']}{'  (owed)' if one['owed'] else ''}")
        for rule in one["rules"]:
            click.echo(f"  {_shown(rule)}")


@rules.command()
@click.argument("authority")
@click.argument("system")
@DATA
@AS_JSON
def show(authority: str, system: str, data: Path | None, *, as_json: bool) -> None:
    """Show every version of the rules of AUTHORITY and SYSTEM, the newest first."""
    kept = on_database(data, lambda connection: store.versions(connection, (authority, system)))
    if not kept:
        raise click.ClickException("there are no such rules")
    if as_json:
        print_json(kept)
        return
    for one in kept:
        click.echo(f"version {one['version']}  {one['put_at']}  {one['put_by']}")
        for rule in one["rules"]:
            click.echo(f"  {_shown(rule)}")


def _preview(data: Path | None, sets: Mapping[Key, Sequence[Rule]], *, as_json: bool) -> None:
    """Count, and show a few; as JSON, every one on a line."""
    settings, counts, samples = find(data), Counts(), {Change: 0, Mended: 0}
    with closing(connect(settings.dsn, "preview")) as connection:
        known = facts.load(connection)
        wanted = with_rules(known, sets)
        scopes = [store.scope_of(key) for key in sorted(sets)]
        for one in preview(connection, settings, wanted, scopes, time.time_ns() // 1000, counts):
            samples[type(one)] += 1
            if as_json:
                print_json(_as_dict(one))
            elif samples[type(one)] <= SAMPLE:
                click.echo(_line(one))
    unknown = store.unknown(known.kle, chain.from_iterable(sets.values()))
    asks = widening.told(widening.would_bring_in(known, wanted.kle))
    if as_json:
        print_json({"event": "preview", **counts.as_dict(), "unknown_numbers": unknown, "asks_again": asks})
        return
    for (before, after), number in counts.moves.most_common(SAMPLE):
        click.echo(f"{number} entries: {before or 'unmapped'} -> {after or 'unmapped'}")
    click.echo(
        f"{counts.changed} of {counts.entries} entries would change, {counts.unmapped} of all would be unmapped;"
        f" {counts.solved} of {counts.rejections} rejections would be solved. Nothing has been done."
    )
    _tell_unknown(unknown)
    tell_asked(asks, "would be asked")


def _tell_unknown(numbers: Sequence[str]) -> None:
    """A slip of the pen, or an edition that is still to come."""
    if numbers:
        click.echo(
            f"No edition knows {' '.join(numbers)}: what these rules map is refused (kle_unknown) until one does."
        )


def tell_asked(asks: Sequence[Mapping[str, Any]], asked: str = "is asked") -> None:
    """Whom, and for what: it was outside, and not kept."""
    for one in asks:
        click.echo(f"{one['authority']} {one['system']} {asked} again for {' '.join(one['kle'])}")


def work_off(data: Path | None, rate: int | None, *, as_json: bool) -> None:
    """Do what is owed, and tell how far it has come."""
    lines = as_json or not sys.stderr.isatty()
    try:
        with telling(lines=lines) as tell:
            done = apply(find(data), rate, tell)
    except RederivingFailed as why:
        raise click.ClickException(f"{why} (sagsbro kle rules apply)") from None
    except KafkaUnavailable:
        raise click.ClickException("Kafka does not acknowledge; go on with: sagsbro kle rules apply") from None
    if lines:
        click.echo(json.dumps({"event": "applied", **done.as_dict()}))
    else:
        click.echo(
            f"{done.seen} entries, {done.changed} changed, {done.unmapped} without a number that maps;"
            f" {done.replayed} of {done.rejections} rejections replayed"
        )
    if done.behind:
        click.echo("Reference data changed all the while: run sagsbro kle rules apply when they stand still.", err=True)


def _tell(made: list[dict[str, Any]], *, as_json: bool) -> None:
    for one in made:
        if as_json:
            print_json({"event": "put", **one})
        else:
            unchanged = "" if one["changed"] else " (unchanged)"
            click.echo(f"{one['authority']} {one['system']}  {one['count']} rules  version {one['version']}{unchanged}")
            _tell_unknown(one["unknown_numbers"])
            tell_asked(one["asks_again"])


def _as_dict(one: Change | Mended) -> dict[str, Any]:
    if isinstance(one, Change):
        sides = {"before": one.before._asdict(), "after": one.after._asdict()}
        return {"event": "entry", **one.key._asdict(), **sides}
    return {
        "event": "rejection",
        "rejection_id": one.rejection_id,
        "authority": one.authority,
        "system": one.system,
        "code": one.code,
        "events": len(one.events),
    }


def _line(one: Change | Mended) -> str:
    if isinstance(one, Change):
        return f"{one.key}  {one.before.kle or 'unmapped'} -> {one.after.kle or 'unmapped'}  {one.after.rule or ''}"
    return f"{one.rejection_id}  {one.authority} {one.system}  {one.code}  solved"


def _shown(rule: dict[str, Any]) -> str:
    match, to = rule["match"], rule["to"]
    period = f"{rule['from']} - {rule['to_date'] or ''}"
    return f"{match['kle'] or match['local_code']}  ->  {to['kle']} {to['facet'] or ''}  {period}"
