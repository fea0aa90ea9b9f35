"""Everything that can go wrong while a stream is taken in, and the proof that nothing was lost or doubled."""

import asyncio
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psycopg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from confluent_kafka import KafkaException

from broker.cli.setup import prepare
from broker.domain.document import NOTHING_KNOWN
from broker.domain.entry import entry_of
from broker.domain.identity import EntryKey
from broker.domain.outcome import read_verdict
from broker.domain.publication import publication
from broker.settings import Settings, said
from broker.store import facts
from broker.store.database import connect
from broker.store.document import load
from broker.stream.clients import aiokafka_options, confluent_options
from broker.stream.cluster import admin, logs, partitions_of
from broker.stream.framing import Decoder
from broker.stream.topics import CASE_EVENTS, OVERVIEWS, READ_BY_WORKERS, REJECTIONS
from ops.bench.storm import AUTHORITY, SYSTEM, WANTED, Storm, digest, expected_lines, held_line
from ops.embedded import instance
from ops.embedded.instance import Instance

Tell = Callable[[str], None]
# Longer than a consumer's session and a database session's patience: what is stopped so long has lost its place.
ZOMBIE_S: Final = 14.0
SETTLE_S: Final = 240.0


@dataclass(frozen=True, slots=True)
class Scale:
    """How much and how often."""

    events: int = 100_000
    kills: int = 10
    zombies: int = 1
    restarts: int = 1
    pause_s: float = 4.0


@dataclass(slots=True)
class Report:
    """What was done and what came of it; `wrong` is empty when all is well."""

    seed: int
    sent: int = 0
    kills: int = 0
    worker_exits: int = 0
    seconds: float = 0.0
    digest: str = ""
    verdicts: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def run(data: Path, seed: int, scale: Scale, tell: Tell = lambda _: None) -> Report:
    """One storm on a machine of its own under `data`."""
    report, began = Report(seed), time.monotonic()
    with instance.held(instance.Plan(data, publishers=2), {}) as running:
        running.start(ready)
        settings = said(running.settings)
        storm = Storm(seed, scale.events)
        chaos = Chaos(running, random.Random(seed), scale, report, tell)  # noqa: S311 - reproducible
        chaos.start()
        report.sent = asyncio.run(send(settings, storm, chaos.seconds))
        chaos.join()
        tell("sent; waiting until all is settled")
        report.wrong += settle(settings)
        report.worker_exits = sum(running.supervisor.exits(name) for name in chaos.workers)
        report.wrong += check(settings, storm, report)
    report.seconds = round(time.monotonic() - began, 1)
    return report


def ready(where: Mapping[str, str]) -> None:
    """Make an instance with these settings ready for a storm: schema, topics, reference data."""
    settings = said(where)
    prepare(settings)
    agree(settings)


def agree(settings: Settings) -> None:
    """One municipality that wants three numbers, in one edition."""
    sender = {
        "authority": AUTHORITY, "system": SYSTEM, "state": "FULL", "kle": ["N*"],
        "sensitivity": "VIP_SAGER", "from_date": "2000-01-01",
    }  # fmt: skip
    reader = {**sender, "overview": "sapa", "client": "*"}
    choices = [{"kle": list(WANTED), "from_date": "2000-01-01", "active_only": False}]
    with connect(settings.dsn, "faults") as connection, connection.transaction():
        connection.execute(
            "INSERT INTO sender_agreement (authority, system, version, body, put_by) VALUES (%s, %s, 1, %s, 'faults')",
            [AUTHORITY, SYSTEM, json.dumps(sender)],
        )
        connection.execute(
            "INSERT INTO reader_agreement (authority, overview, client, version, body, put_by)"
            " VALUES (%s, 'sapa', '*', 1, %s, 'faults')",
            [AUTHORITY, json.dumps(reader)],
        )
        connection.execute(
            "INSERT INTO delimitation (authority, version, body, put_by) VALUES (%s, 1, %s, 'faults')",
            [AUTHORITY, json.dumps(choices)],
        )
        connection.execute("INSERT INTO kle_edition (published) VALUES ('2000-01-01')")
        connection.execute(
            "INSERT INTO kle_subject SELECT '2000-01-01', unnest(%s::text[]), 'emne'", [[*WANTED, "02.00.00"]]
        )
        connection.execute("UPDATE reference_revision SET revision = revision + 1")


async def send(settings: Settings, storm: Storm, seconds: float) -> int:
    """Spread the storm over the seconds; returns when Kafka has everything."""
    producer = AIOKafkaProducer(
        **aiokafka_options(settings), acks="all", enable_idempotence=True, linger_ms=10, request_timeout_ms=60_000
    )
    await producer.start()
    began, acknowledged = time.monotonic(), []
    for n, record in enumerate(storm):
        acknowledged.append(await producer.send(CASE_EVENTS.name, key=record.key, value=record.value))
        ahead = n / storm.events * seconds - (time.monotonic() - began)
        if ahead > 0.05:  # noqa: PLR2004 - finer sleeps cost more than they smooth
            await asyncio.sleep(ahead)
    await asyncio.gather(*acknowledged)
    await producer.stop()
    return len(acknowledged)


class Chaos(threading.Thread):
    """Does one harmful thing after the other, at a pace, in an order that the seed decides."""

    def __init__(self, running: Instance, chance: random.Random, scale: Scale, report: Report, tell: Tell) -> None:
        super().__init__(name="chaos")
        self._running = running
        self._chance = chance
        self._scale = scale
        self._report = report
        self._tell = tell
        self._pause = threading.Event()
        self._late: list[threading.Timer] = []
        actions: list[Callable[[], None]] = [self._kill_worker] * scale.kills
        actions += [self._stop_worker_awhile, self._stop_publisher_awhile] * scale.zombies
        actions += [self._restart_kafka, self._restart_postgres] * scale.restarts
        chance.shuffle(actions)
        third = max(1, len(actions) // 3)
        actions[third:third] = [self._join, self._join]
        actions.insert(2 * third + 2, self._leave)
        self._actions = actions
        self.workers = {name for name in running.supervisor.names if name.startswith("worker")}

    @property
    def seconds(self) -> float:
        """How long it will take, about."""
        return (len(self._actions) + 1) * self._scale.pause_s

    def run(self) -> None:
        """All of it."""
        for act in self._actions:
            self._pause.wait(self._scale.pause_s * self._chance.uniform(0.6, 1.4))
            self._tell(act.__name__.strip("_"))
            with suppress(ProcessLookupError):
                act()
        for timer in self._late:
            timer.join()

    def _one(self, kind: str) -> str:
        return self._chance.choice([n for n in self._running.supervisor.names if n.startswith(kind)])

    def _kill_worker(self) -> None:
        self._running.supervisor.kill9(self._one("worker"))
        self._report.kills += 1

    def _awhile(self, kind: str) -> None:
        pid = self._running.supervisor.signal(self._one(kind), signal.SIGSTOP)
        timer = threading.Timer(ZOMBIE_S, _continue, [pid])
        self._late.append(timer)
        timer.start()

    def _stop_worker_awhile(self) -> None:
        self._awhile("worker")

    def _stop_publisher_awhile(self) -> None:
        self._awhile("publisher")

    def _join(self) -> None:
        self.workers.add(self._running.add("worker"))

    def _leave(self) -> None:
        self._running.supervisor.stop(self._one("worker"))

    def _restart_kafka(self) -> None:
        if self._running.kafka is not None:
            self._running.kafka.restart()

    def _restart_postgres(self) -> None:
        if self._running.postgres is not None:
            self._running.postgres.kill()
            self._running.postgres.restart()


def _continue(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def settle(settings: Settings, patience_s: float = SETTLE_S) -> list[str]:
    """Wait until every record is read and everything marked is published; what is still open after that."""
    client, deadline, pause = admin(confluent_options(settings)), time.monotonic() + patience_s, threading.Event()
    left = "nothing answered"
    while time.monotonic() < deadline:
        try:
            found = [logs(client, topic.name, partitions_of(client, topic.name)) for topic in READ_BY_WORKERS]
            end = sum(log.end for listed in found for log in listed.values())
            with connect(settings.dsn, "faults") as connection:
                row = connection.execute(
                    "SELECT (SELECT coalesce(sum(next_offset), 0) FROM position), (SELECT count(*) FROM dirty),"
                    " (SELECT count(*) FROM rejection WHERE published_at IS NULL)"
                ).fetchone()
            if row is not None and row == (end, 0, 0):
                return []
            left = f"(read, marked, unpublished rejections) = {row}, log end {end}"
        except (psycopg.Error, KafkaException) as error:
            left = type(error).__name__
        pause.wait(0.25)
    return [f"not settled after {patience_s:g} s: {left}"]


def check(settings: Settings, storm: Storm, report: Report) -> list[str]:
    """Compare table and topics with what was sent; returns what is wrong."""
    wrong = []
    with connect(settings.dsn, "faults") as connection:
        report.verdicts = verdicts(connection)
        counted = sum(report.verdicts.values())
        if counted != report.sent:
            wrong.append(f"{report.sent} sent, {counted} have a verdict")
        if report.verdicts.get("rejected", 0) != storm.rejected:
            wrong.append(f"{storm.rejected} bad ones sent, {report.verdicts.get('rejected')} rejected")
        held = {EntryKey(*key): load(document) for *key, document in connection.execute(
            "SELECT authority, system, case_id::text, document FROM entry")}  # fmt: skip
        report.digest = digest(held_line(key, state) for key, state in held.items())
        if report.digest != digest(expected_lines(storm.sent)):
            wrong.append("the table differs from what was sent")
        wrong += _topic_equals_table(settings, connection)
        rejected = {str(row[0]) for row in connection.execute("SELECT rejection_id FROM rejection")}
        topic = set(folded(settings, REJECTIONS.name))
        if rejected != topic or len(rejected) != storm.rejected:
            wrong.append(f"{storm.rejected} rejections, {len(rejected)} in the table, {len(topic)} in the topic")
    return wrong


def verdicts(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """How many events met each status."""
    counted: dict[str, int] = {}
    for (row,) in connection.execute("SELECT verdicts FROM outcome"):
        for byte in row:
            status = read_verdict(byte)[0]
            if status != "none":
                counted[status] = counted.get(status, 0) + 1
    return counted


def _topic_equals_table(settings: Settings, connection: psycopg.Connection[Any]) -> Iterator[str]:
    """The sapa topic folded by key against what each row of the table must have sent."""
    known, at = facts.load(connection), datetime.now(UTC)
    decoder, expected = Decoder("overview_entry", lambda _: None), {}
    rows = connection.execute("SELECT authority, system, case_id::text, revision, document FROM entry")
    for *parts, revision, document in rows:
        key, state = EntryKey(*parts), load(document)
        value = publication(entry_of(key, state), state, revision, "sapa", known, at, NOTHING_KNOWN)
        if value is not None:
            expected[str(key)] = value
    topic = {key: decoder.decode(value) for key, value in folded(settings, OVERVIEWS["sapa"].name).items() if value}
    if topic != expected:
        different = [key for key in topic.keys() | expected.keys() if topic.get(key) != expected.get(key)]
        yield f"{len(different)} entries differ between topic and table, {different[0]} is one"


def folded(settings: Settings, topic: str) -> dict[str, bytes | None]:
    """Key -> newest value of a whole topic, committed transactions only."""
    return asyncio.run(_fold(settings, topic))


async def _fold(settings: Settings, topic: str) -> dict[str, bytes | None]:
    consumer = AIOKafkaConsumer(
        **aiokafka_options(settings), isolation_level="read_committed", enable_auto_commit=False, fetch_max_wait_ms=100
    )
    await consumer.start()
    try:
        places = [
            TopicPartition(topic, p)
            for p in sorted(consumer.partitions_for_topic(topic) or await _known(consumer, topic))
        ]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        ends = await _written(settings, places)
        newest: dict[str, bytes | None] = {}
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                newest.update((record.key.decode(), record.value) for record in records)
        return newest
    finally:
        await consumer.stop()


async def _written(settings: Settings, places: list[TopicPartition]) -> dict[TopicPartition, int]:
    """Where each partition ends, whatever is committed: Kafka answers a commit before it has marked it in every one."""
    consumer = AIOKafkaConsumer(**aiokafka_options(settings), enable_auto_commit=False)
    await consumer.start()
    try:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
        return ends
    finally:
        await consumer.stop()


async def _known(consumer: AIOKafkaConsumer, topic: str) -> set[int]:
    await consumer._client.force_metadata_update()  # noqa: SLF001 - it has no public word for it
    consumer.subscribe([topic])
    await consumer.getmany(timeout_ms=200)
    partitions: set[int] = consumer.partitions_for_topic(topic) or set()
    consumer.unsubscribe()
    return partitions


if __name__ == "__main__":
    for seed in range(1, 4):
        made = run(
            Path(sys.argv[1]) / str(seed), seed, Scale(int(sys.argv[2])), lambda text: print(text, file=sys.stderr)
        )
        print(json.dumps(asdict(made)), flush=True)
