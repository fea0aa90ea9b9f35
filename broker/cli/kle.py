"""`sagsbro kle`: editions of the municipalities' subject classification."""

from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import click

from broker.cli.running import AS_JSON, DATA, FILE, OWNER, on_database
from broker.cli.running import show as print_json
from broker.store import reference
from broker.store.edition import FlawedEditionError, read_csv


@click.group()
def kle() -> None:
    """KLE numbers and editions."""


@kle.command("import")
@FILE
@click.option("--edition", type=click.DateTime(["%Y-%m-%d"]), required=True, help="The date of the edition.")
@DATA
@AS_JSON
def import_(file: BinaryIO, edition: datetime, data: Path | None, *, as_json: bool) -> None:
    """Import an edition from FILE (CSV with the header emnenr,titel[,…]; `-` is standard input)."""
    try:
        titles = read_csv(file.read())
    except FlawedEditionError as flaw:
        raise click.ClickException(str(flaw)) from None
    put = on_database(data, lambda connection: reference.put_edition(connection, edition.date(), titles, OWNER))
    if as_json:
        print_json(put)
    else:
        click.echo(f"edition {put['edition']}: {put['numbers']} subjects, {put['changed']} changed")


@kle.command()
@click.argument("number")
@DATA
@AS_JSON
def show(number: str, data: Path | None, *, as_json: bool) -> None:
    """Show what every edition calls NUMBER."""
    known = on_database(data, lambda connection: reference.kle_number(connection, number))
    if known is None:
        raise click.ClickException("no edition knows the number")
    if as_json:
        print_json(known)
        return
    click.echo(f"{known['number']}  {known['title']}{'' if known['in_newest_edition'] else '  (retired)'}")
    for one in known["editions"]:
        click.echo(f"  {one['edition']}  {one['title']}")


command = kle
