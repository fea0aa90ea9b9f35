"""The way of one event, or of all events of a case: each step with its time. Metadata only, and logged as a read.

Received and answered are known of what came over HTTP; what was decided was committed with it, in one transaction.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from broker import tracing
from broker.domain.document import Event
from broker.domain.identity import EntryKey, is_uuid, without_cpr
from broker.overviews.reading import Connection, written
from broker.overviews.shown import text
from broker.store import search as index
from broker.store import traces
from broker.store.access_log import Access
from broker.stream.framing import Decoder, Undecodable
from broker.stream.past import Past, partition_of, past
from broker.stream.topics import CASE_EVENTS, DOCUMENT_EVENTS, OVERVIEWS, Topic

LOG: Final = "trace"
BASIS: Final = "operation"
EVENTS: Final[Mapping[str, Topic]] = {topic.name: topic for topic in (CASE_EVENTS, DOCUMENT_EVENTS)}
MOST: Final = 100
MILLISECOND: Final = timedelta(milliseconds=1)
"""What Kafka cuts off its times."""
Steps = list[dict[str, Any]]


async def traced(
    connection: Connection, options: Mapping[str, Any], reader: dict[str, Any], which: str, since: datetime
) -> dict[str, Any]:
    """Every event of that id, or of the case of that id, since a moment; the cases they are of.

    Raises NotLoggedError, and what reading Kafka raises.

    Args:
        options: reach Kafka.
        reader: who asks, as the log names them.
    """
    refused = await traces.refused(connection, which, since)
    events: list[dict[str, Any]] = [_refused(one) for one in refused]
    cases: dict[EntryKey, dict[str, Any]] = {}
    async with past(options) as log:
        anywhere = not refused or any(one["state"] == "replayed" for one in refused)
        found = await _records(connection, log, which, since, anywhere=anywhere)
        for record in found:
            event = _read(record)
            key = _key(event)
            events.append(await _event(connection, log, record, event, key))
            if key is not None and key not in cases:
                cases[key] = await _case(connection, key, since)
    if cases:
        await written(connection, Access(reader, LOG, "permit", basis=BASIS, cases=[str(key) for key in cases]))
    return {"id": which, "since": text(since), "events": events, "cases": list(cases.values())}


async def _records(connection: Connection, log: Past, which: str, since: datetime, *, anywhere: bool) -> list[Any]:
    """By their receipts; else by the key of a case or a document; else, if wanted, by what stands in them."""
    places = await traces.places(connection, which, since)
    if places:
        held = [await log.at(EVENTS[name], partition, offset) for name, partition, offset in places]
        return [record for record in held if record is not None]
    key, keyed = which.encode(), [(topic, [partition_of(topic, which)]) for topic in EVENTS.values()]
    found = await _matching(log, keyed, since, lambda record: record.key == key)
    if found or not anywhere:
        return found
    everywhere = [(topic, range(topic.partitions)) for topic in EVENTS.values()]
    return await _matching(log, everywhere, since, lambda record: _is_of(record, which))


async def _matching(
    log: Past, where: Iterable[tuple[Topic, Sequence[int]]], since: datetime, matches: Callable[[Any], bool]
) -> list[Any]:
    found: list[Any] = []
    for topic, partitions in where:
        async with aclosing(log.since(topic, partitions, int(since.timestamp() * 1000))) as records:
            async for record in records:
                if matches(record):
                    found.append(record)
                if len(found) == MOST:
                    return found
    return found


def _is_of(record: Any, event_id: str) -> bool:
    """Its bytes are looked at first: most are of others."""
    event = _read(record) if event_id.encode() in (record.value or b"") else None
    return event is not None and event["event_id"] == event_id


async def _event(
    connection: Connection, log: Past, record: Any, event: Event | None, key: EntryKey | None
) -> dict[str, Any]:
    place = record.topic, record.partition, record.offset
    produced = datetime.fromtimestamp(record.timestamp / 1000, UTC)
    came, decided = await traces.receipt(connection, place, produced), await traces.outcome(connection, place)
    steps: Steps = []
    _step(steps, "received", came.get("received_at"))
    _step(steps, "produced", produced)
    _step(steps, "answered", came.get("at"))
    if decided:
        why = {name: decided[name] for name in ("code", "pointer", "rejection_id") if decided[name] is not None}
        _step(steps, "decided", decided["at"], verdict=decided["status"], **why)
        _step(steps, "committed", decided["at"])
        _step(steps, decided["state"] or "", decided["closed_at"])
        if key is not None and decided["status"] == "indexed":
            steps += await _published(log, key, decided["at"])
    trace_id = tracing.id_in(record.headers)
    said: Mapping[str, Any] = event or {}
    return {
        **{name: said.get(name) and without_cpr(said[name]) for name in ("event_id", "authority", "system")},
        "case_id": None if key is None else key.case_id,
        "place": f"{record.topic}/{record.partition}/{record.offset}",
        "trace_id": None if trace_id is None else trace_id.hex,
        "steps": steps,
    }


async def _published(log: Past, key: EntryKey, committed: datetime) -> Steps:
    """The first that went out to each overview after the commit."""
    steps: Steps = []
    for topic in OVERVIEWS.values():
        begins = int(committed.timestamp() * 1000)
        async with aclosing(log.since(topic, [partition_of(topic, str(key))], begins)) as records:
            async for record in records:
                at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
                if record.key == str(key).encode() and at > committed - MILLISECOND:
                    _step(steps, "published" if record.value is not None else "withdrawn", at, topic=topic.name)
                    break
    return sorted(steps, key=lambda step: str(step["at"]))


async def _case(connection: Connection, key: EntryKey, since: datetime) -> dict[str, Any]:
    """How the entry stands, whether it waits for the publisher, and when it was read."""
    found, waits = await index.by_key(connection, key), await traces.marked(connection, key)
    reads = await traces.reads(connection, key, since)
    return {
        **key._asdict(),
        "indexed_at": None if found is None else text(found.indexed_at),
        "newest_event_id": None if found is None else found.state().source[1].get("event_id"),
        "waits_since": None if waits is None else text(waits),
        "reads": [{"at": text(one["at"]), "overview": one["overview"]} for one in reads],
    }


def _refused(one: Mapping[str, Any]) -> dict[str, Any]:
    """An event that the intake did not take."""
    steps: Steps = []
    _step(steps, "received", one["received_at"])
    why = {name: one[name] for name in ("code", "pointer", "rejection_id")}
    _step(steps, "decided", one["at"], verdict="rejected", **why)
    _step(steps, one["state"], one["closed_at"])
    told = {name: one[name] for name in ("event_id", "authority", "system", "trace_id")}
    return {**told, "case_id": None, "place": None, "steps": steps}


def _step(steps: Steps, name: str, at: datetime | None, **more: object) -> None:
    if at is not None:
        steps.append({"step": name, "at": text(at), **more})


def _read(record: Any) -> Event | None:
    schema = DOCUMENT_EVENTS.subject if record.topic == DOCUMENT_EVENTS.name else CASE_EVENTS.subject
    try:
        event: Event = Decoder(str(schema), lambda _: None).decode(record.value)  # type: ignore[assignment]
    except Undecodable:
        return None
    return event


def _key(event: Event | None) -> EntryKey | None:
    if event is None or "case_id" not in event or not is_uuid(event["case_id"]):
        return None
    return EntryKey(event["authority"], event["system"], event["case_id"])
