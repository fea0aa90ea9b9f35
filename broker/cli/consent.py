"""`sagsbro consent`: consents that come as documents."""

from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import click

from broker.cli.running import AS_JSON, DATA, FILE, show
from broker.domain.consent import Kind
from broker.domain.outcome import Rejected
from broker.intake import os2forms
from broker.intake.persons import read
from broker.settings import find
from broker.store import persons
from broker.store.database import connect
from broker.store.persons import Author

AREA = "A KLE pattern; repeatable."
AUTHORITY = "A CVR number; repeatable."


@click.group()
def consent() -> None:
    """Consents that come as documents."""


@consent.command("import")
@FILE
@click.option("--effort", "effort_id", required=True, metavar="UUID", help="The effort it is for.")
@click.option("--data-area", "data_areas", multiple=True, required=True, metavar="PATTERN", help=AREA)
@click.option("--data-authority", "data_authorities", multiple=True, required=True, metavar="CVR", help=AUTHORITY)
@click.option("--recipient-area", "recipient_areas", multiple=True, required=True, metavar="PATTERN", help=AREA)
@click.option("--recipient-authority", "recipients", multiple=True, required=True, metavar="CVR", help=AUTHORITY)
@click.option("--valid-to", help="With a zone. [default: until it is withdrawn]")
@DATA
@AS_JSON
def import_(
    file: BinaryIO,
    effort_id: str,
    data_areas: tuple[str, ...],
    data_authorities: tuple[str, ...],
    recipient_areas: tuple[str, ...],
    recipients: tuple[str, ...],
    valid_to: str | None,
    data: Path | None,
    *,
    as_json: bool,
) -> None:
    """Register the OS2Forms declaration of consent in FILE. Say what it has no field for, as the signed text has it."""
    besides = {
        "effort_id": effort_id,
        "data_areas": list(data_areas),
        "data_authorities": list(data_authorities),
        "recipient_areas": list(recipient_areas),
        "recipient_authorities": list(recipients),
        "valid_to": valid_to,
    }
    made = os2forms.read(file.read(), besides)
    registration = made if isinstance(made, Rejected) else read(Kind.CONSENT, made, datetime.now(UTC))
    if not isinstance(registration, Rejected):
        with connect(find(data).dsn, "command") as connection, connection.transaction():
            # Whoever has the database's address may do all of it: the command line needs no token.
            flaws = persons.put(connection, [registration], Author("command line", None))
        if not flaws:
            click.echo(registration.id) if not as_json else show({"consent_id": registration.id})
            return
        registration = flaws[0]
    raise click.ClickException(f"{registration.code} {registration.pointer}: {registration.detail}")


command = consent
