"""`sagsbro dossier`: everything that is held on one citizen in one authority."""

from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from broker.api.overviews import caller_of
from broker.cli.running import DATA, Connection, flaws, on_database
from broker.cli.running import show as print_json
from broker.overviews.access import NotYours
from broker.overviews.dossier import DossierRequest, dossier
from broker.security import read_claims


@click.command("dossier")
@click.argument("authority")
@click.option("--citizen", metavar="CPR", default="-", help="`-`, the default, asks for it: it stands in no history.")
@click.option("--purpose", help="Why it is asked for; stands in the log.")
@DATA
def command(authority: str, citizen: str, purpose: str | None, data: Path | None) -> None:
    """Print it as JSON; it is logged as a read before it is printed."""
    if citizen == "-":
        citizen = click.prompt("CPR", hide_input=True, err=True)
    said = {"citizen": citizen, "authority": authority, "purpose": purpose}
    try:
        asked = DossierRequest.model_validate(said)
    except ValidationError as error:
        raise flaws(error, said) from None
    owner = read_claims({"sub": "command line", "role": "auditor", "authorities": [authority], "exp": 0})

    async def work(connection: Connection) -> dict[str, Any] | NotYours:
        return await dossier(connection, caller_of(owner), asked)

    print_json(on_database(data, work))
