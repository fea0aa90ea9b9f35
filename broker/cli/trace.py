"""`sagsbro trace`: the way of one event, or of all events of a case, step by step."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from broker.cli.running import AS_JSON, DATA, OWNER, on_database
from broker.cli.running import show as print_json
from broker.domain.identity import has_cpr
from broker.domain.policy import Role
from broker.overviews.traced import traced
from broker.settings import find
from broker.stream.clients import aiokafka_options
from broker.stream.tail import AWAY


@click.command()
@click.argument("which", metavar="EVENT_ID|CASE_ID")
@click.option("--days", type=click.IntRange(1, 35), default=1, show_default=True, help="How far back to look.")
@DATA
@AS_JSON
def command(which: str, days: int, data: Path | None, *, as_json: bool) -> None:
    """Show every step with its time: received, produced, decided and why, committed, published, read.

    Of reads only when and where, never by whom: auditors search the access log for that.
    """
    if has_cpr(which):
        raise click.UsageError("that reads as a civil registration number: give the id of an event or a case")
    since, options = datetime.now(UTC) - timedelta(days=days), aiokafka_options(find(data))
    reader = {"subject": OWNER.name, "role": str(Role.OPERATOR), "authorities": []}
    try:
        told = on_database(data, lambda connection: traced(connection, options, reader, which, since))
    except AWAY as error:
        raise click.ClickException(f"Kafka does not answer ({type(error).__name__})") from None
    if as_json:
        print_json(told)
    elif told["events"]:
        _print(told)
    if not told["events"]:
        raise click.ClickException(f"nothing of it in the last {days} days: look further back with --days")


def _print(told: dict[str, Any]) -> None:
    for event in told["events"]:
        whose = f"{event['authority']} {event['system']}"
        click.echo(f"event {event['event_id']}  {whose}  {event['place'] or 'refused at intake'}")
        if event["trace_id"] is not None:
            click.echo(f"  trace {event['trace_id']}")
        for step in event["steps"]:
            more = "  ".join(str(value) for name, value in step.items() if name not in ("at", "step"))
            click.echo(f"  {step['at']}  {step['step']:<10} {more}".rstrip())
    for case in told["cases"]:
        click.echo(f"case {case['authority']}/{case['system']}/{case['case_id']}  newest {case['newest_event_id']}")
        if case["waits_since"] is not None:
            click.echo(f"  {case['waits_since']}  waits for the publisher")
        for read in case["reads"]:
            click.echo(f"  {read['at']}  read       {read['overview']}")
