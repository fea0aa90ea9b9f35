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
    said = given(file.read())
    try:
        agreements = AGREEMENTS.validate_python(listed(said))
    except ValidationError as error:
        raise flaws(error, said) from None
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
@click.option("--history", is_flag=True, help="Every version, the newest first.")
@DATA
@AS_JSON
def show_(authority: str, system_or_overview: str, data: Path | None, *, history: bool, as_json: bool) -> None:
    """Show the agreements of an AUTHORITY with one system, or for one overview."""
    kept = on_database(data, lambda connection: reference.history(connection, authority, system_or_overview))
    if not kept:
        raise click.ClickException("there is no such agreement")
    if not history:
        newest = {_name(one): one for one in reversed(kept)}
        click.echo(json.dumps(list(newest.values()), ensure_ascii=False, indent=None if as_json else 2))
    elif as_json:
        show(kept)
    else:
        for one in kept:
            click.echo(f"{_name(one)}  version {one['version']}  {one['state']}{_how(one)}")


def _how(one: dict[str, Any]) -> str:
    """Who signed it, who did it, when, why."""
    signed = f"  signed by {one['signed_by']}" if one.get("signed_by") else ""
    past = f"  by override ({one['overrides']})" if one.get("overrides") else ""
    why = f"  {one['reason']}" if one.get("reason") else ""
    ends = f"  deleted on {one['deleted_on']}" if one.get("deleted_on") else ""
    return f"  {one['put_at']}  {one['put_by']} ({one['put_as'] or 'not noted'}){signed}{past}{why}{ends}"


def given(content: bytes) -> Any:
    """One agreement or a list of them; in TOML a list is an array of tables of any name."""
    try:
        text = content.decode("utf-8-sig")
        read: Any = json.loads(text) if text.lstrip()[:1] in ("{", "[") and _is_json(text) else tomllib.loads(text)
    except ValueError:
        raise click.ClickException("neither JSON nor TOML") from None
    if isinstance(read, dict) and len(read) == 1 and isinstance(tables := next(iter(read.values())), list):
        return tables
    return read


def listed(said: Any) -> list[Any]:
    """The same as a list."""
    return said if isinstance(said, list) else [said]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _name(one: dict[str, Any]) -> str:
    return " ".join(str(one[field]) for field in ("authority", "system", "overview", "client") if field in one)


command = agreement
