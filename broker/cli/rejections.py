"""`sagsbro rejections`: what was not taken in, and what to do with it."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import click
import orjson

from broker.api.core import FactsCache
from broker.cli.running import AS_JSON, DATA, Connection, on_database
from broker.cli.running import show as print_json
from broker.domain.document import Event
from broker.domain.outcome import Rejected
from broker.domain.policy import Role
from broker.intake import connector
from broker.intake.canonical import document_from_json
from broker.intake.connector import Source
from broker.intake.forms import Item
from broker.intake.producer import KafkaUnavailable, Producer
from broker.intake.verdicts import (
    Accepted,
    Judged,
    Offer,
    Sender,
    canonical_offers,
    judge_all,
    message,
    offers_of,
)
from broker.overviews.reading import written
from broker.settings import Settings, find
from broker.store import rejections as store
from broker.store.access_log import Access
from broker.stream.clients import aiokafka_options
from broker.stream.framing import Decoder, Undecodable
from broker.stream.topics import DOCUMENT_EVENTS

_ID = click.argument("rejection_id", type=click.UUID)
_CANONICAL = frozenset({"event_id", "authority", "case_id"})
_DOCUMENT = frozenset({"event_id", "authority", "document_id"})


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


def offers(kept: dict[str, Any], settings: Settings) -> Iterable[Offer]:
    """What the kept bytes say: an event from the log, canonical JSON, or a payload in the vendor's words."""
    payload, system, authority = bytes(kept["payload"]), kept["system"], kept["authority"]
    if kept["topic"] is not None:
        schema = "document_event" if kept["topic"] == DOCUMENT_EVENTS.name else "case_event"
        event = cast("Event", Decoder(schema, lambda _: None).decode(payload))
        return [Offer(0, event, authority, system, kept["event_id"], event, canonical=False)]
    try:
        said: object = orjson.loads(payload)
    except orjson.JSONDecodeError:
        said = payload
    if isinstance(said, dict) and said.keys() >= _CANONICAL:
        return canonical_offers([Item(said)])
    if isinstance(said, dict) and said.keys() >= _DOCUMENT:
        return canonical_offers([Item(said)], document_from_json)
    speaking = connector.load(system)
    if speaking is None:
        raise click.ClickException("the system's connector is not installed")
    return offers_of([said], speaking, Source(system, authority, settings.connector(authority, system)))


async def _replayed(connection: Connection, settings: Settings, kept: dict[str, Any]) -> int:
    facts = await FactsCache().current(connection)
    sender = Sender(kept["system"], frozenset({kept["authority"]}))
    try:
        judged = judge_all(offers(kept, settings), sender, facts, time.time_ns() // 1000)
    except Undecodable as flaw:
        raise click.ClickException(f"it cannot be read, so the sender has to send it again: {flaw}") from None
    messages = [message(one.event, one.value) for one in _accepted(judged)]
    producer = Producer(aiokafka_options(settings))
    try:
        await producer.send(messages)
    except KafkaUnavailable:
        raise click.ClickException("Kafka does not acknowledge just now; try again") from None
    finally:
        await producer.close()
    await store.close(connection, kept["rejection_id"], "replayed")
    return len(messages)


def _accepted(judged: Sequence[Judged]) -> list[Accepted]:
    """All of them; ends the command when one would be refused again."""
    for one in judged:
        if isinstance(one.verdict, Rejected):
            raise click.ClickException(f"it would be refused again: {one.verdict.code} at {one.verdict.pointer or '/'}")
    return [one.verdict for one in judged if isinstance(one.verdict, Accepted)]


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
