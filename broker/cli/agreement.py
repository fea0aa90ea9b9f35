"""`sagsbro agreement`: what municipalities have agreed to, put and shown."""

import json
import tomllib
from pathlib import Path
from typing import Any, BinaryIO

import click
from pydantic import ValidationError

from broker.cli.running import AS_JSON, DATA, FILE, OWNER, flaws, on_database, show
from broker.store import reference
from broker.store.shapes import AGREEMENTS


@click.group()
def agreement() -> None:
    """Sender and reader agreements."""


@agreement.command()
@FILE
@DATA
@AS_JSON
def put(file: BinaryIO, data: Path | None, *, as_json: bool) -> None:
    """Put the agreements in FILE (JSON or TOML; `-` is standard input); all or none."""
    try:
        agreements = AGREEMENTS.validate_python(listed(file.read()))
    except ValidationError as error:
        raise flaws(error) from None
    put = on_database(data, lambda connection: reference.put_agreements(connection, agreements, OWNER))
    if as_json:
        show(put)
        return
    for one in put:
        click.echo(f"{_name(one)}  {one['state']}  version {one['version']}{'' if one['changed'] else ' (unchanged)'}")


@agreement.command("list")
@DATA
@AS_JSON
def list_(data: Path | None, *, as_json: bool) -> None:
    """List the newest version of every agreement."""
    kept = on_database(data, reference.agreements)
    if as_json:
        show(kept)
        return
    for one in kept:
        click.echo(f"{_name(one)}  {one['state']}  version {one['version']}  {' '.join(one['kle'])}")


@agreement.command("show")
@click.argument("authority")
@click.argument("system_or_overview")
@DATA
@AS_JSON
def show_(authority: str, system_or_overview: str, data: Path | None, *, as_json: bool) -> None:
    """Show the agreements of an AUTHORITY with one system, or for one overview."""
    kept = [
        one
        for one in on_database(data, reference.agreements)
        if one["authority"] == authority and system_or_overview in (one.get("system"), one.get("overview"))
    ]
    if not kept:
        raise click.ClickException("there is no such agreement")
    click.echo(json.dumps(kept, ensure_ascii=False, indent=None if as_json else 2))


def listed(content: bytes) -> list[Any]:
    """One agreement or a list of them; in TOML a list is an array of tables of any name."""
    try:
        text = content.decode("utf-8-sig")
        read: Any = json.loads(text) if text.lstrip()[:1] in ("{", "[") and _is_json(text) else tomllib.loads(text)
    except ValueError:
        raise click.ClickException("neither JSON nor TOML") from None
    if isinstance(read, dict) and len(read) == 1 and isinstance(tables := next(iter(read.values())), list):
        return tables
    return read if isinstance(read, list) else [read]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _name(one: dict[str, Any]) -> str:
    return " ".join(str(one[field]) for field in ("authority", "system", "overview", "client") if field in one)


command = agreement
