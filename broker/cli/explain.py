"""`sagsbro explain`: why a case is, or is not, shown to a reader."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import click
from pydantic import ValidationError

from broker.api.core import FactsCache
from broker.api.overviews import caller_of, reader_of
from broker.cli.running import AS_JSON, DATA, Connection, flaws, on_database
from broker.cli.running import show as print_json
from broker.domain.policy import POLICY
from broker.overviews.explaining import ExplainRequest, NotFound, explained
from broker.security import BadToken, read_claims


@click.command("explain")
@click.argument("authority")
@click.argument("system")
@click.argument("case_id")
@click.option("--overview", default="sapa", show_default=True)
@click.option("--reader", type=click.File("rb"), help="The reader's claims as JSON, as in a token; `-` is stdin.")
@click.option("--at", type=click.DateTime(), help="A past moment, UTC. [default: now]")
@DATA
@AS_JSON
def command(
    authority: str,
    system: str,
    case_id: str,
    overview: str,
    reader: BinaryIO | None,
    at: datetime | None,
    data: Path | None,
    *,
    as_json: bool,
) -> None:
    """Every test of the policy in order, without personal data; it is logged as a read."""
    said = {
        "authority": authority,
        "system": system,
        "case_id": case_id,
        "overview": overview,
        "at": None if at is None else at.replace(tzinfo=UTC),
    }
    try:
        asked = ExplainRequest.model_validate(said)
        of = read_claims({"sub": "described", "role": "employee", **_claims(reader), "exp": 0})
    except ValidationError as error:
        raise flaws(error, said) from None
    except BadToken as flaw:
        raise click.UsageError(str(flaw)) from None
    operator = read_claims({"sub": "command line", "role": "operator", "authorities": [authority], "exp": 0})

    async def work(connection: Connection) -> dict[str, Any] | NotFound:
        caller = caller_of(operator)
        return await explained(connection, FactsCache(), caller, asked, reader_of(of), datetime.now(UTC))

    outcome = on_database(data, work)
    if isinstance(outcome, NotFound):
        raise click.ClickException("there is no such case" if overview in POLICY else "there is no such overview")
    if as_json:
        print_json(outcome)
        return
    for step in outcome["steps"]:
        click.echo(
            f"{step['verdict']:8} {step['step']}: {step['because']}" + (f" ({step['ref']})" if step["ref"] else "")
        )
    click.echo(f"{outcome['verdict']}")


def _claims(reader: BinaryIO | None) -> dict[str, Any]:
    if reader is None:
        return {}
    try:
        said = json.loads(reader.read())
    except ValueError:
        raise click.UsageError("the reader is not JSON") from None
    if not isinstance(said, dict):
        raise click.UsageError("the reader is not an object of claims")
    return said
