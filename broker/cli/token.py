"""`sagsbro token`: a token of the development issuer."""

from pathlib import Path
from typing import Any

import click
import psycopg

from broker.cli.running import AS_JSON, DATA, away
from broker.cli.running import show as print_json
from broker.domain.policy import Role
from broker.security import BadToken, Issuer, read_claims
from broker.settings import find

_PARTS = 3


@click.command()
@click.option("--role", type=click.Choice([str(role) for role in Role]), required=True)
@click.option("--system", help="The sending system, for a vendor.")
@click.option("--authority", "authorities", multiple=True, help="A CVR number; repeatable.")
@click.option("--scope", "scopes", multiple=True, metavar="CVR:PATTERN[,PATTERN]:LEVEL", help="Repeatable.")
@click.option("--area", "areas", multiple=True, metavar="PATTERN", help="Repeatable.")
@click.option("--principal", "principals", multiple=True, metavar="UUID", help="Repeatable.")
@click.option("--citizen", metavar="CPR", help="`-` asks for it, so that it stands in no shell history.")
@click.option("--client", metavar="ID", help="The overview system that asks for the user.")
@click.option("--name", help="Who it is for; also the subject.")
@click.option("--ttl", type=click.IntRange(min=1), default=3600, show_default=True, help="Seconds.")
@DATA
@AS_JSON
def token(
    role: str,
    system: str | None,
    authorities: tuple[str, ...],
    scopes: tuple[str, ...],
    areas: tuple[str, ...],
    principals: tuple[str, ...],
    citizen: str | None,
    client: str | None,
    name: str | None,
    ttl: int,
    data: Path | None,
    *,
    as_json: bool,
) -> None:
    """Print a bearer token that says what the options say."""
    if citizen == "-":
        citizen = click.prompt("CPR", hide_input=True, err=True)
    claims: dict[str, Any] = {
        "sub": name or role,
        "role": role,
        "name": name,
        "system": system,
        "authorities": list(authorities),
        "scopes": [scope_claim(text) for text in scopes],
        "areas": list(areas),
        "principal_ids": list(principals),
        "citizen": citizen,
        "client": None if client is None else {"id": client},
    }
    claims = {claim: value for claim, value in claims.items() if value not in (None, [])}
    try:
        # What would be refused when it is used is refused here, where it can be mended.
        read_claims({**claims, "exp": ttl})
    except BadToken as flaw:
        raise click.UsageError(str(flaw)) from None
    try:
        made = Issuer(find(data)).issue(claims, ttl)
    except psycopg.OperationalError as error:
        raise away(data, error) from None
    if as_json:
        print_json({"token": made, "expires_in": ttl})
    else:
        click.echo(made)


def scope_claim(text: str) -> dict[str, Any]:
    """From CVR:PATTERN[,PATTERN]:LEVEL."""
    parts = text.split(":")
    if len(parts) != _PARTS:
        raise click.UsageError("a scope is CVR:PATTERN[,PATTERN]:LEVEL")
    authority, patterns, level = parts
    return {"authority": authority, "kle": patterns.split(","), "sensitivity": level}


command = token
