"""`sagsbro coverage`: who delivers what, and how complete it is."""

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from broker.cli.running import AS_JSON, DATA, on_database, show
from broker.store import coverage as store

_COLUMNS = {
    "authority": "authority",
    "system": "system",
    "kle_area": "KLE",
    "state": "state",
    "entries": "entries",
    "incomplete": "incomplete",
    "retention_overdue": "kept too long",
    "announced_retired": "to be retired",
    "last_event_at": "last event",
    "rejections_open": "rejected",
    "reconciled_at": "reconciled",
    "difference": "difference",
    "dispensation_until": "dispensed until",
    "ask_again": "ask again",
}


@click.command()
@click.option("--authority", "authorities", multiple=True, metavar="CVR", help="Only these; repeatable.")
@click.option("--system", help="Only this one.")
@DATA
@AS_JSON
def coverage(authorities: tuple[str, ...], system: str | None, data: Path | None, *, as_json: bool) -> None:
    """Authorities x systems x KLE areas: state, entries, last event, rejections, completeness, dispensations."""
    today = datetime.now(UTC).date()
    rows = [
        row
        for row in on_database(data, lambda connection: store.rows(connection, authorities or None, today))
        if system in (None, row["system"])
    ]
    if as_json:
        show(rows)
        return
    table = Table(*_COLUMNS.values())
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in _COLUMNS))
    Console(width=None if Console().is_terminal else 200).print(table)


def _cell(value: object) -> str:
    match value:
        case None | False:
            return ""
        case True:
            return "yes"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"
        case _:
            return str(value)


command = coverage
