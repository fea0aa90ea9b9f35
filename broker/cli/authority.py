"""`sagsbro authority`: the register of municipalities and other authorities."""

from pathlib import Path
from typing import BinaryIO

import click
from pydantic import TypeAdapter, ValidationError

from broker.cli.agreement import given, listed
from broker.cli.running import AS_JSON, DATA, FILE, OWNER, flaws, on_database
from broker.cli.running import show as print_json
from broker.store import reference
from broker.store.shapes import Authority


@click.group()
def authority() -> None:
    """Municipalities and other authorities, by CVR number, municipality code or SOR code."""


@authority.command()
@FILE
@DATA
@AS_JSON
def put(file: BinaryIO, data: Path | None, *, as_json: bool) -> None:
    """Put the authorities in FILE (JSON or TOML; `-` is standard input); all or none."""
    said = given(file.read())
    try:
        authorities = TypeAdapter(list[Authority]).validate_python(listed(said))
    except ValidationError as error:
        raise flaws(error, said) from None
    put = on_database(data, lambda connection: reference.put_authorities(connection, authorities, OWNER))
    if as_json:
        print_json(put)
    else:
        click.echo(f"{len(put)} authorities, {sum(one['changed'] for one in put)} changed")


@authority.command("list")
@DATA
@AS_JSON
def list_(data: Path | None, *, as_json: bool) -> None:
    """List every authority."""
    kept = on_database(data, reference.authorities)
    if as_json:
        print_json(kept)
        return
    for one in kept:
        ends = f"  until {one['valid_to']}, then {one['successor'] or 'nobody'}" if one["valid_to"] else ""
        click.echo(f"{one['cvr']}  {one['municipality_code'] or '    '}  {one['kind']}  {one['name']}{ends}")


@authority.command()
@click.argument("code")
@DATA
@AS_JSON
def show(code: str, data: Path | None, *, as_json: bool) -> None:
    """Show the authority with this CVR number, municipality code (three or four digits) or SOR code."""
    found = on_database(data, lambda connection: reference.authority(connection, code))
    if found is None:
        raise click.ClickException("no authority has this code")
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        click.echo(f"{name}: {value}")


command = authority
