"""`sagsbro citizen-view`: what municipalities let their citizens see."""

from pathlib import Path
from typing import BinaryIO

import click
from pydantic import TypeAdapter, ValidationError

from broker.cli.agreement import given, listed
from broker.cli.running import AS_JSON, DATA, FILE, OWNER, flaws, on_database, show
from broker.store import reference
from broker.store.shapes import CitizenView


@click.group()
def citizen_view() -> None:
    """The switches of what citizens see of their own cases."""


@citizen_view.command()
@FILE
@DATA
@AS_JSON
def put(file: BinaryIO, data: Path | None, *, as_json: bool) -> None:
    """Put the switches in FILE (JSON or TOML; `-` is standard input): all of every authority that is named."""
    said = given(file.read())
    try:
        views = TypeAdapter(list[CitizenView]).validate_python(listed(said))
    except ValidationError as error:
        raise flaws(error, said) from None
    put = on_database(data, lambda connection: reference.put_citizen_views(connection, views, OWNER))
    if as_json:
        show(put)
        return
    for one in put:
        click.echo(f"{one['authority']}  version {one['version']}{'' if one['changed'] else ' (unchanged)'}")


@citizen_view.command("list")
@DATA
@AS_JSON
def list_(data: Path | None, *, as_json: bool) -> None:
    """List every switch."""
    kept = on_database(data, reference.citizen_views)
    if as_json:
        show(kept)
        return
    for one in kept:
        sources = " ".join(one["systems"]) or "every system"
        shown = f"from {one['from_date']}  {one['title']}  {sources}" if one["on"] else "off"
        click.echo(f"{one['authority']}  {one['kle']}  {shown}")


command = citizen_view
