"""`sagsbro positions`: where the log continues, and the way out when database and log do not belong together."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from broker.cli.running import AS_JSON, DATA
from broker.settings import Settings, find
from broker.store import positions as store
from broker.store.database import connect
from broker.store.outbox import mark_all
from broker.stream.clients import confluent_options
from broker.stream.cluster import Log, admin, logs, partitions_of
from broker.stream.topics import CASE_EVENTS, READ_BY_WORKERS

TOPICS = [topic.name for topic in READ_BY_WORKERS]
Partition = tuple[str, int]


@click.group()
def positions() -> None:
    """Show or set where each partition of the topics that workers read is read on."""


@positions.command()
@DATA
@AS_JSON
def show(*, data: Path | None, as_json: bool) -> None:
    """Each partition's position, its log, and whether they belong together; exit 3 when one does not."""
    rows = list(_rows(find(data)))
    for row in rows:
        click.echo(json.dumps(row) if as_json else _line(row))
    if any(row["problem"] for row in rows):
        raise SystemExit(3)


@positions.command()
@DATA
@click.option("--keep-topics", is_flag=True, help="The overview topics are still there: publish nothing again.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def adopt(*, data: Path | None, keep_topics: bool, yes: bool) -> None:
    """Read on from the START of the log that is there now, wherever the positions do not fit it.

    For a log that was lost or replaced, after `sagsbro setup` has made its topics. Every entry and rejection is marked
    for publication again; events that only the old log had must be asked of their sources again: `sagsbro reconcile`.
    """
    settings = find(data)
    wrong = {(row["topic"], row["partition"]) for row in _rows(settings) if row["problem"]}
    _set(settings, {p: log.start for p, log in _logs(settings).items() if p in wrong}, yes=yes)
    if wrong and not keep_topics:
        with connect(settings.dsn, "positions") as connection:
            click.echo(f"{mark_all(connection)} entries will be published again")


@positions.command()
@click.argument("partition", type=int)
@click.argument("offset", type=int)
@click.option("--topic", type=click.Choice(TOPICS), default=CASE_EVENTS.name, show_default=True)
@DATA
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(partition: int, offset: int, topic: str, *, data: Path | None, yes: bool) -> None:
    """Read PARTITION on from OFFSET: earlier is harmless (duplicates), later leaves events out."""
    settings = find(data)
    log = _logs(settings).get((topic, partition))
    if log is None or not log.start <= offset <= log.end:
        raise click.UsageError(f"{topic}/{partition} has no offset {offset}")
    _set(settings, {(topic, partition): offset}, yes=yes)


def _set(settings: Settings, offsets: dict[Partition, int], *, yes: bool) -> None:
    if not offsets:
        click.echo("Every position fits its log; nothing to do.")
        return
    for (topic, partition), offset in offsets.items():
        click.echo(f"{topic}/{partition} will be read on from {offset}")
    if not yes:
        click.confirm("Stop the workers first. Go on?", abort=True)
    found = _logs(settings)
    with connect(settings.dsn, "positions") as connection, connection.transaction():
        for (topic, partition), offset in offsets.items():
            store.put(connection, topic, partition, found[topic, partition], offset)


def _logs(settings: Settings) -> dict[Partition, Log]:
    client = admin(confluent_options(settings))
    found = {topic: logs(client, topic, partitions_of(client, topic)) for topic in TOPICS}
    return {(topic, partition): log for topic, listed in found.items() for partition, log in listed.items()}


def _rows(settings: Settings) -> Iterator[dict[str, Any]]:
    found = _logs(settings)
    with connect(settings.dsn, "positions") as connection:
        rows = [(topic, *row) for topic in TOPICS for row in store.show(connection, topic)]
    for topic, partition, cluster_id, topic_id, next_offset in rows:
        log = found.get((topic, partition))
        yield {
            "topic": topic,
            "partition": partition,
            "next_offset": next_offset,
            "log_start": None if log is None else log.start,
            "log_end": None if log is None else log.end,
            "lag": None if log is None else log.end - next_offset,
            "problem": "no such partition" if log is None else store.mismatch(cluster_id, topic_id, next_offset, log),
        }


def _line(row: dict[str, Any]) -> str:
    said = row["problem"] or f"lag {row['lag']}"
    return f"{row['topic']}/{row['partition']}  {row['next_offset']}  (log {row['log_start']}-{row['log_end']})  {said}"


command = positions
