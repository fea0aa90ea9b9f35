"""`sagsbro kle`: editions of the municipalities' subject classification, own numbers, and the mapping review."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import click
from pydantic import ValidationError

from broker.api.core import FactsCache
from broker.cli.agreement import given, listed
from broker.cli.kle_rules import rules, tell_asked, work_off
from broker.cli.running import AS_JSON, DATA, FILE, OWNER, Connection, flaws, on_database
from broker.cli.running import show as print_json
from broker.domain.identity import is_cvr, is_system
from broker.domain.kle import is_number
from broker.intake.codes import FlawedListError, read_codes, review
from broker.intake.edition import FlawedEditionError, read
from broker.store import kle as store
from broker.store.kle_shapes import LOCAL

FOUND_WRONG = 3
DAY = click.DateTime(["%Y-%m-%d"])


@click.group()
def kle() -> None:
    """KLE numbers, editions and mapping rules."""


kle.add_command(rules)


@kle.command("import")
@FILE
@click.option("--edition", type=DAY, help="The date of the edition, where the file does not say it.")
@DATA
@AS_JSON
def import_(file: BinaryIO, edition: datetime | None, data: Path | None, *, as_json: bool) -> None:
    """Import subjects or facets from FILE: the plan in XML, the REST service's lists, CSV; `-` is standard input."""
    try:
        reading = read(file.read())
        read_edition = reading.edition(None if edition is None else edition.date())
    except FlawedEditionError as flaw:
        raise click.ClickException(str(flaw)) from None
    if not reading.titles:
        put: dict[str, Any] = {"edition": read_edition.published.isoformat(), "numbers": 0, "changed": 0}
    elif reading.kind == "facets":
        put = on_database(data, lambda connection: store.put_facets(connection, read_edition, OWNER))
    else:
        put = on_database(data, lambda connection: store.put_edition(connection, read_edition, OWNER))
    if as_json:
        print_json(put)
    elif not reading.titles:
        click.echo(f"edition {put['edition']}: nothing but its date is in the file; nothing is imported")
    elif "facets" in put:
        click.echo(f"facets {put['edition']}: {put['facets']} facets, {put['changed']} changed")
    else:
        click.echo(f"edition {put['edition']}: {put['numbers']} subjects, {put['changed']} changed")
        if (was := put["replaced"]) is not None:
            counts = ", ".join(f"{was[kind]} {kind}" for kind in ("added", "removed", "retitled"))
            click.echo(f"It takes the place of an edition of that date with {was['numbers']} subjects: {counts}.")
            if was["removed"]:
                click.echo(
                    f"{was['removed']} numbers are in it no more: check that FILE is the whole edition.", err=True
                )
        tell_asked(put["asks_again"])


@kle.command()
@click.argument("number")
@DATA
@AS_JSON
def show(number: str, data: Path | None, *, as_json: bool) -> None:
    """Show what every edition says of NUMBER."""
    if not is_number(number):
        raise click.BadParameter("a KLE number: NN.NN.NN", param_hint="NUMBER")
    known = on_database(data, lambda connection: store.number(connection, number))
    if known is None:
        raise click.ClickException("no edition knows the number")
    if as_json:
        print_json(known)
        return
    click.echo(f"{known['number']}  {known['title'] or '-'}{'' if known['in_newest_edition'] else '  (retired)'}")
    for one in known["editions"]:
        gone = f"  gone from {one['retired']}" if one["retired"] else ""
        successors = f"  -> {' '.join(one['successors'])}" if one["successors"] else ""
        click.echo(f"  {one['edition']}  {one['title'] or '-'}{gone}{successors}")


@kle.command()
@click.argument("before", type=DAY)
@click.argument("after", type=DAY)
@DATA
@AS_JSON
def diff(before: datetime, after: datetime, data: Path | None, *, as_json: bool) -> None:
    """Show what changed from the edition BEFORE to the edition AFTER, and the live entries on each number."""
    try:
        changes = on_database(data, lambda connection: store.compared(connection, before.date(), after.date()))
    except store.NoSuchEditionError as missing:
        raise click.ClickException(str(missing)) from None
    if as_json:
        print_json(changes)
        return
    for one in changes["added"]:
        click.echo(f"+ {one['number']}  {one['title']}{_live(one)}")
    for one in changes["removed"]:
        successors = f"  -> {' '.join(one['successors'])}" if one["successors"] else ""
        click.echo(f"- {one['number']}  {one['title']}{successors}{_live(one)}")
    for one in changes["retitled"]:
        click.echo(f"~ {one['number']}  {one['before']}  ->  {one['after']}{_live(one)}")
    click.echo(", ".join(f"{len(changes[kind])} {kind}" for kind in ("added", "removed", "retitled")))


@kle.command()
@FILE
@click.option("--authority", metavar="CVR", required=True)
@click.option("--system", required=True)
@click.option("--on", "day", type=DAY, help="The date of the cases. [default: today]")
@DATA
@AS_JSON
def check(
    file: BinaryIO, authority: str, system: str, day: datetime | None, data: Path | None, *, as_json: bool
) -> None:
    """Map the codes in FILE (CSV code[,title,count]), and print those that map to nothing; exit 3 when there are any.

    The result is kept: it is the mapping check that an agreement may ask for.
    """
    if not (is_cvr(authority) and is_system(system)):
        raise click.UsageError("--authority is a CVR number of 8 digits, --system a known sending system")
    try:
        used = read_codes(file.read())
    except FlawedListError as flaw:
        raise click.ClickException(str(flaw)) from None
    on = (day or datetime.now(UTC)).date()

    async def reviewed(connection: Connection) -> dict[str, Any]:
        return await review(connection, await FactsCache().current(connection), used, authority, system, on)

    told = on_database(data, reviewed)
    if as_json:
        print_json(told)
    else:
        for one in told["unmapped"]:
            cases = "" if one["count"] is None else f"  {one['count']} cases"
            click.echo(f"{one['code']}  {one['title']}{cases}  {one['reason']}: {one['detail']}")
        click.echo(f"{told['codes']} codes, {len(told['unmapped'])} unmapped")
    if told["unmapped"]:
        raise SystemExit(FOUND_WRONG)


@kle.group()
def local() -> None:
    """Authorities' own numbers, inside KL's groups."""


@local.command("put")
@FILE
@DATA
@AS_JSON
def put_local(file: BinaryIO, data: Path | None, *, as_json: bool) -> None:
    """Replace the list of every authority that FILE names (JSON or TOML), and derive the index by it."""
    said = given(file.read())
    try:
        numbers = LOCAL.validate_python(listed(said))
        put = on_database(data, lambda connection: store.put_local(connection, numbers, OWNER))
    except ValidationError as error:
        raise flaws(error, said) from None
    except store.NotInAGroupError as why:
        raise click.ClickException(str(why)) from None
    if as_json:
        print_json(put)
    else:
        for one in put:
            click.echo(f"{one['authority']}  {one['count']} numbers  version {one['version']}")
            tell_asked(one["asks_again"])
    work_off(data, None, as_json=as_json)


@local.command("list")
@DATA
@AS_JSON
def list_local(data: Path | None, *, as_json: bool) -> None:
    """List every authority's own numbers."""
    kept = on_database(data, store.local_numbers)
    if as_json:
        print_json(kept)
        return
    for one in kept:
        click.echo(f"{one['authority']}  {one['number']}  {one['title']}  {one['from']} - {one['to_date'] or ''}")


@local.command("clear")
@click.argument("authority")
@DATA
@AS_JSON
def clear_local(authority: str, data: Path | None, *, as_json: bool) -> None:
    """AUTHORITY has no numbers of its own any more."""
    put = on_database(data, lambda connection: store.clear_local(connection, authority, OWNER))
    if as_json:
        print_json(put)
    else:
        click.echo(f"{authority}  version {put['version']}")
        tell_asked(put["asks_again"])
    work_off(data, None, as_json=as_json)


def _live(one: dict[str, Any]) -> str:
    return f"  ({one['entries']} entries, {one['since']} since)" if one["entries"] else ""


command = kle
