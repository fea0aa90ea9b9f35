"""`sagsbro rejections`: what was not taken in, and what to do with it."""

import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from broker.api import standing
from broker.api.core import FactsCache
from broker.api.problems import Problem
from broker.cli.running import AS_JSON, DATA, Connection, on_database
from broker.cli.running import show as print_json
from broker.domain.agreement import Facts
from broker.domain.policy import Role
from broker.intake import connector
from broker.intake.connector import STANDARD, Source
from broker.intake.producer import KafkaUnavailable, Producer
from broker.intake.replay import UnreadableError, accepted, by_standard, judged_again, refused
from broker.intake.verdicts import Judged, Sender, judge_all, message, offers_of
from broker.overviews.reading import written
from broker.settings import Settings, find
from broker.store import rejections as store
from broker.store.access_log import Access
from broker.stream.clients import aiokafka_options

_ID = click.argument("rejection_id", type=click.UUID)
_NOT_ACKNOWLEDGED = "Kafka does not acknowledge just now; try again"


@click.group()
def rejections() -> None:
    """Events that were not taken in."""


@rejections.command("list")
@click.option("--authority")
@click.option("--system")
@click.option("--code")
@click.option("--state", type=click.Choice(["open", "replayed", "discarded", "all"]), default="open", show_default=True)
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@DATA
@AS_JSON
def list_(
    authority: str | None,
    system: str | None,
    code: str | None,
    state: str,
    limit: int,
    data: Path | None,
    *,
    as_json: bool,
) -> None:
    """List them, the newest first."""
    wanted = store.Filter(authority, system, code, None if state == "all" else state, limit)
    kept = on_database(data, lambda connection: store.listed(connection, wanted))
    if as_json:
        print_json(kept)
        return
    for one in kept:
        click.echo(f"{one['rejection_id']}  {one['authority']} {one['system']}  {one['code']}  {one['pointer']}")


@rejections.command()
@_ID
@click.option("--payload", "with_payload", is_flag=True, help="With the event itself: it holds personal data.")
@DATA
@AS_JSON
def show(rejection_id: UUID, data: Path | None, *, with_payload: bool, as_json: bool) -> None:
    """Show one, without the event itself unless asked."""
    kept = dict(_found(data, rejection_id))
    payload = kept.pop("payload")
    if with_payload and payload is not None:
        on_database(data, lambda connection: written(connection, _read(kept)))
    kept["payload"] = payload and (_text(payload) if with_payload else f"{len(payload)} bytes, shown with --payload")
    if as_json:
        print_json(kept)
        return
    for field, value in kept.items():
        click.echo(f"{field}: {value}")


@rejections.command()
@_ID
@DATA
@AS_JSON
def replay(rejection_id: UUID, data: Path | None, *, as_json: bool) -> None:
    """Send the kept event again, after what was wrong has been put right."""
    kept = _found(data, rejection_id)
    if kept["payload"] is None:
        raise click.ClickException("its event was not kept: the sender has to send it again")
    sent = on_database(data, lambda connection: _replayed(connection, find(data), kept))
    if as_json:
        print_json({"rejection_id": str(rejection_id), "state": "replayed", "sent": sent})
    else:
        click.echo(f"sent {sent} again")


@rejections.command()
@_ID
@DATA
@AS_JSON
def discard(rejection_id: UUID, data: Path | None, *, as_json: bool) -> None:
    """Give one up: its event is forgotten."""
    _found(data, rejection_id)
    if not on_database(data, lambda connection: store.close(connection, rejection_id, "discarded")):
        raise click.ClickException("it is not open any more")
    if as_json:
        print_json({"rejection_id": str(rejection_id), "state": "discarded"})


async def _replayed(connection: Connection, settings: Settings, kept: dict[str, Any]) -> int:
    facts = await FactsCache().current(connection)
    try:
        judged = await _judged(connection, settings, kept, facts)
    except UnreadableError as why:
        raise click.ClickException(str(why)) from None
    except Problem as problem:
        raise click.ClickException(problem.detail) from None
    except KafkaUnavailable:
        raise click.ClickException(_NOT_ACKNOWLEDGED) from None
    if (again := refused(judged)) is not None:
        raise click.ClickException(f"it would be refused again: {again.code} at {again.pointer or '/'}")
    messages = [message(one.event, one.value) for one in accepted(judged)]
    producer = Producer(aiokafka_options(settings))
    try:
        await producer.send(messages)
    except KafkaUnavailable:
        raise click.ClickException(_NOT_ACKNOWLEDGED) from None
    finally:
        await producer.close()
    await store.close(connection, kept["rejection_id"], "replayed")
    return len(messages)


async def _judged(connection: Connection, settings: Settings, kept: dict[str, Any], facts: Facts) -> list[Judged]:
    at = time.time_ns() // 1000
    standard = connector.load(STANDARD)
    again = by_standard(kept)
    if again is None or standard is None or standard.service is None:
        return judged_again(kept, settings, facts, at)
    system, authority = kept["system"], kept["authority"]
    source = Source(system, authority, settings.connector(authority, system))
    payloads = await standing.completed(lambda: nullcontext(connection), settings, standard.service, source, [again])
    return judge_all(offers_of(payloads, standard, source), Sender(system, frozenset({authority})), facts, at)


def _read(kept: dict[str, Any]) -> Access:
    """Looking at an event's bytes, in the words of the log: whom they are about nobody knows."""
    reader = {"subject": "command line", "role": str(Role.OPERATOR), "authorities": [kept["authority"]]}
    return Access(reader, "rejections", "permit", f"rejection {kept['rejection_id']}", basis="mending")


def _found(data: Path | None, rejection_id: UUID) -> dict[str, Any]:
    kept = on_database(data, lambda connection: store.one(connection, rejection_id))
    if kept is None:
        raise click.ClickException("there is no such rejection")
    return kept


def _text(payload: bytes) -> str:
    return payload.decode("utf-8", "backslashreplace")


command = rejections
