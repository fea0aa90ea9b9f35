"""`sagsbro rejections`: what was not taken in, and what to do with it."""

import sys
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

import click

from broker.api.core import FactsCache
from broker.api.mending import Desk, Stays
from broker.api.problems import Problem
from broker.cli.running import AS_JSON, DATA, OWNER, Connection, on_database
from broker.cli.running import show as print_json
from broker.domain import refusals
from broker.domain.outcome import Code
from broker.domain.policy import Role
from broker.intake.producer import KafkaUnavailable, Producer
from broker.overviews import rejected
from broker.overviews.own_log import COPENHAGEN
from broker.settings import find
from broker.store import rejections as store
from broker.store.rejections import Filter
from broker.stream.clients import aiokafka_options

T = TypeVar("T")
MOST_TOLD: Final = 1_000_000
IDS = click.argument("rejection_ids", type=click.UUID, nargs=-1, metavar="[REJECTION_ID]...")
YES = click.option("--yes", is_flag=True, help="Do it without asking; without it, JSON only says how many they are.")
_NOT_ACKNOWLEDGED = "Kafka does not acknowledge just now; try again"


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which rejections are meant."""
    moment = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"])
    for option in (
        click.option("--to", "until", type=moment, help="Refused before then, UTC."),
        click.option("--from", "since", type=moment, help="Refused from then on, UTC."),
        click.option("--pointer", help="As `causes` shows it: * is any place in a list."),
        click.option("--code", type=click.Choice([str(code) for code in Code]), metavar="CODE"),
        click.option("--system"),
        click.option("--authority"),
    ):
        command = option(command)
    return command


STATE = click.option(
    "--state", type=click.Choice(["open", "replayed", "discarded", "all"]), default="open", show_default=True
)


@click.group()
def rejections() -> None:
    """Events that were not taken in."""


@rejections.command("list")
@filtered
@STATE
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@DATA
@AS_JSON
def list_(limit: int, state: str, data: Path | None, *, as_json: bool, **said: Any) -> None:
    """List them, the newest first."""
    kept = on_database(data, lambda connection: store.listed(connection, _filter(said, state), limit))
    if as_json:
        print_json(kept)
        return
    for one in kept:
        click.echo(f"{one['rejection_id']}  {one['authority']} {one['system']}  {one['code']}  {one['pointer']}")


@rejections.command()
@filtered
@STATE
@DATA
@AS_JSON
def causes(state: str, data: Path | None, *, as_json: bool, **said: Any) -> None:
    """Count what is alike: code, pointer, system and authority, the most frequent first."""
    alike = on_database(data, lambda connection: store.causes(connection, _filter(said, state)))
    if as_json:
        print_json(alike)
        return
    for one in alike:
        click.echo(f"{one['rejections']:>8}  {one['authority']} {one['system']}  {one['code']}  {one['pointer']}")
        click.echo(f"{'':>8}  {one['remedy']}")


@rejections.command()
@click.argument("rejection_id", type=click.UUID)
@click.option("--payload", "with_payload", is_flag=True, help="With the event as it came: personal data, and logged.")
@DATA
@AS_JSON
def show(rejection_id: UUID, data: Path | None, *, with_payload: bool, as_json: bool) -> None:
    """Show one, with the form of its event; every word of a person is masked."""
    kept = _found(data, rejection_id)
    if with_payload:
        reader = {"subject": "command line", "role": str(Role.OPERATOR), "authorities": [kept["authority"]]}
        payload = on_database(data, lambda connection: rejected.in_clear(connection, reader, kept))
    else:
        payload = rejected.in_form(kept)
    kept = {**kept, "payload": payload}
    if as_json:
        print_json(kept)
        return
    for field, value in kept.items():
        click.echo(f"{field}: {value}")


@rejections.command()
@IDS
@filtered
@YES
@DATA
@AS_JSON
def replay(rejection_ids: tuple[UUID, ...], data: Path | None, *, yes: bool, as_json: bool, **said: Any) -> None:
    """Send kept events again, after what was wrong has been put right: these, or all that the filter means.

    What was replayed before is not sent again; what would be refused again stays open.
    """
    wanted = _either(rejection_ids, said)
    if wanted is None:
        for rejection_id in rejection_ids:
            _replay_one(data, rejection_id, as_json=as_json)
        return
    if not _sure(data, wanted, "sent again", yes=yes, as_json=as_json):
        return
    done = _at_the_desk(data, lambda desk: desk.replay(wanted)).as_dict()
    if as_json:
        print_json({**done, "done": True})
        return
    click.echo(f"{done['replayed']} of {done['found']} replayed, {done['sent']} events sent")
    for why, number in done["stays"].items():
        click.echo(f"{number} stay open: {why}")


@rejections.command()
@IDS
@filtered
@click.option("--reason", required=True, help="Why they are given up; it is kept.")
@YES
@DATA
@AS_JSON
def discard(
    rejection_ids: tuple[UUID, ...], reason: str, data: Path | None, *, yes: bool, as_json: bool, **said: Any
) -> None:
    """Give up these, or all that the filter means: their events are forgotten, the rest is kept, with who and why."""
    wanted = _either(rejection_ids, said)
    if wanted is None:
        for rejection_id in rejection_ids:
            _found(data, rejection_id)
            if not on_database(data, partial(_discard, rejection_ids=[str(rejection_id)], reason=reason)):
                raise click.ClickException("it is not open any more")
            if as_json:
                print_json({"rejection_id": str(rejection_id), "state": "discarded"})
        return
    if not _sure(data, wanted, "given up", yes=yes, as_json=as_json):
        return
    number = on_database(data, lambda connection: _discard_all(connection, wanted, reason))
    if as_json:
        print_json({"discarded": number, "done": True})
    else:
        click.echo(f"{number} given up")


@rejections.command()
@click.option("--system", required=True, help="Whose events.")
@click.option("--authority")
@click.option("--day", type=click.DateTime(["%Y-%m-%d"]), help="By the Danish calendar.  [default: yesterday]")
@click.option("--csv", "as_csv", is_flag=True, help="A line for each event.")
@DATA
@AS_JSON
def report(
    system: str, authority: str | None, day: datetime | None, data: Path | None, *, as_csv: bool, as_json: bool
) -> None:
    """Say what of one vendor's events was refused on a day, and why: without personal data, for the vendor."""
    wanted = datetime.now(COPENHAGEN).date() - timedelta(days=1) if day is None else day.date()
    told = on_database(
        data,
        lambda connection: store.of_day(connection, Filter(authority), system, wanted, COPENHAGEN, MOST_TOLD),
    )
    if as_csv:
        sys.stdout.write(refusals.as_csv(told["events"]))
    elif as_json:
        print_json(told)
    else:
        click.echo(f"{told['system']}  {told['day']}  {told['rejections']} refused")
        for one in told["causes"]:
            click.echo(f"{one['rejections']:>8}  {one['authority']}  {one['code']}  {one['pointer']}  {one['remedy']}")


def _replay_one(data: Path | None, rejection_id: UUID, *, as_json: bool) -> None:
    kept = _found(data, rejection_id)
    if kept["state"] == "open":
        sent = _at_the_desk(data, lambda desk: desk.replay_one(kept))
        if isinstance(sent, Stays):
            raise click.ClickException(sent.detail)
    elif kept["state"] == "replayed":
        sent = 0
    else:
        raise click.ClickException("it was given up")
    if as_json:
        print_json({"rejection_id": str(rejection_id), "state": "replayed", "sent": sent})
    else:
        click.echo(f"sent {sent} again")


def _at_the_desk(data: Path | None, work: Callable[[Desk], Awaitable[T]]) -> T:
    settings = find(data)

    async def working(connection: Connection) -> T:
        producer = Producer(aiokafka_options(settings))
        try:
            return await work(Desk(lambda: nullcontext(connection), settings, FactsCache(), producer, OWNER.name))
        finally:
            await producer.close()

    try:
        return on_database(data, working)
    except Problem as problem:
        raise click.ClickException(problem.detail) from None
    except KafkaUnavailable:
        raise click.ClickException(_NOT_ACKNOWLEDGED) from None


def _filter(said: dict[str, Any], state: str = "open") -> Filter:
    times = {name: moment and moment.replace(tzinfo=UTC) for name in ("since", "until") for moment in [said[name]]}
    return replace(Filter(**{**said, **times}), state=None if state == "all" else state)  # type: ignore[arg-type]


def _either(rejection_ids: tuple[UUID, ...], said: dict[str, Any]) -> Filter | None:
    """The filter; None where ids say which."""
    filtering = any(value is not None for value in said.values())
    if filtering == bool(rejection_ids):
        raise click.UsageError("say which: by their ids, or by a filter")
    return _filter(said) if filtering else None


def _sure(data: Path | None, wanted: Filter, what: str, *, yes: bool, as_json: bool) -> bool:
    """How many they are, said before anything is done."""
    found, with_event = on_database(data, lambda connection: store.count(connection, wanted))
    if as_json:
        if not yes:
            print_json({"found": found, "with_event": with_event, "done": False})
        return yes
    click.echo(f"{found} open, the event of {with_event} is kept")
    return yes or (found > 0 and click.confirm(f"Shall they be {what}?"))


async def _discard(connection: Connection, rejection_ids: list[str], reason: str) -> int:
    return await store.close(connection, rejection_ids, "discarded", OWNER.name, reason)


async def _discard_all(connection: Connection, wanted: Filter, reason: str) -> int:
    number = 0
    while page := await store.listed(connection, wanted, 1000):
        number += await _discard(connection, [one["rejection_id"] for one in page], reason)
    return number


def _found(data: Path | None, rejection_id: UUID) -> dict[str, Any]:
    kept = on_database(data, lambda connection: store.one(connection, rejection_id))
    if kept is None:
        raise click.ClickException("there is no such rejection")
    return kept


command = rejections
