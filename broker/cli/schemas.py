"""`sagsbro schemas check`: no change of a schema goes unrecorded, and none breaks what is in the log."""

from importlib.resources import files
from pathlib import Path

import click

from broker.cli.running import AS_JSON
from broker.cli.running import show as print_json
from broker.stream import history

WRONG = 3


@click.group()
def schemas() -> None:
    """The Avro schemas on the wire."""


@schemas.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Where the schemas and their history are. [default: those of this program]",
)
@AS_JSON
@click.pass_context
def check(context: click.Context, folder: Path | None, *, as_json: bool) -> None:
    """Compare the schemas with their history; ends with 3 when a change is not recorded or not compatible."""
    found = history.flaws(folder or files("schemas"))
    if as_json:
        print_json({"ok": not found, "flaws": [one._asdict() for one in found]})
    elif not found:
        click.echo("Every schema is recorded, and every version understands all others.")
    for one in () if as_json else found:
        click.echo(f"{one.schema}: {one.why}")
    if found:
        context.exit(WRONG)


command = schemas
