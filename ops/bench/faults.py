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
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import partial
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
from ops.bench.expected import rows_of
from ops.bench.storm import AUTHORITY, HELD, SYSTEM, WANTED, Storm, digest, expected_lines, held_lines
from ops.embedded import instance, nodes
from ops.embedded.instance import Instance
from ops.embedded.nodes import Nodes

Tell = Callable[[str], None]
# Longer than a consumer's session and a database session's patience: what is stopped so long has lost its place.
ZOMBIE_S: Final = 14.0
# Longer than a node's session: others have taken over what it led.
NODE_AWAY_S: Final = 12.0
SETTLE_S: Final = 240.0


@dataclass(frozen=True, slots=True)
class Scale:
    """How much and how often."""

    events: int = 100_000
    kills: int = 10
    zombies: int = 1
    restarts: int = 1
    pause_s: float = 4.0
    node_kills: int = 0
    """Where it is not 0 Kafka has three nodes, of which one is killed so often, and one restarted in an orderly way."""


@dataclass(slots=True)
class Report:
    """What was done and what came of it; `wrong` is empty when all is well."""

    seed: int
    sent: int = 0
    kills: int = 0
    worker_exits: int = 0
    node_kills: int = 0
    seconds: float = 0.0
    digest: str = ""
    verdicts: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def run(data: Path, seed: int, scale: Scale, tell: Tell = lambda _: None) -> Report:
    """One storm on a Sagsbro of its own under `data`; beside it, where it is to have three nodes, Kafka's."""
    report, began = Report(seed), time.monotonic()
    with ExitStack() as stack:
        cluster = stack.enter_context(nodes.held(data.with_name("nodes"))) if scale.node_kills else None
        given = {} if cluster is None else cluster.settings
        running = stack.enter_context(instance.held(instance.Plan(data, publishers=2), given))
        running.start(lambda where: ready({**where, **given}))
        settings = said(running.settings)
        storm = Storm(seed, scale.events)
        chance = random.Random(seed)  # noqa: S311 - reproducible
        chaos = Chaos(Harm(running, chance, cluster), chance, scale, report, tell)
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


class Harm:
    """What can be done to a running Sagsbro; to which of several is left to chance."""

    def __init__(self, running: Instance, chance: random.Random, cluster: Nodes | None = None) -> None:
        self._running = running
        self._nodes = cluster
        self._chance = chance
        self._late: list[threading.Timer] = []
        self.workers = {name for name in running.supervisor.names if name.startswith("worker")}

    def await_late(self) -> None:
        """Until what was stopped for a while goes on."""
        for timer in self._late:
            timer.join()

    def all(self, kind: str) -> list[str]:
        """The names of these services."""
        return [name for name in self._running.supervisor.names if name.startswith(kind)]

    def kill(self, kind: str) -> None:
        """SIGKILL."""
        self._running.supervisor.kill9(self._chance.choice(self.all(kind)))

    def stop_awhile(self, kind: str) -> None:
        """So long that it has lost its place when it goes on."""
        pid = self._running.supervisor.signal(self._chance.choice(self.all(kind)), signal.SIGSTOP)
        timer = threading.Timer(ZOMBIE_S, _continue, [pid])
        self._late.append(timer)
        timer.start()

    def join(self) -> None:
        """One more worker."""
        self.workers.add(self._running.add("worker"))

    def leave(self) -> None:
        """One worker fewer."""
        self._running.supervisor.stop(self._chance.choice(self.all("worker")))

    def restart_kafka(self) -> None:
        """Cleanly."""
        if self._running.kafka is not None:
            self._running.kafka.restart()

    def kill_node(self) -> None:
        """SIGKILL one of Kafka's nodes, and start it again when others lead what it led."""
        if self._nodes is not None:
            self._nodes.await_in_sync()
            node = self._chance.choice(self._nodes.parts)
            node.kill()
            time.sleep(NODE_AWAY_S)
            node.restart()

    def restart_node(self) -> None:
        """One of Kafka's nodes ends in an orderly way, and is started again."""
        if self._nodes is not None:
            self._nodes.await_in_sync()
            self._chance.choice(self._nodes.parts).restart()

    def restart_postgres(self) -> None:
        """After SIGKILL."""
        if self._running.postgres is not None:
            self._running.postgres.kill()
            self._running.postgres.restart()


class Chaos(threading.Thread):
    """Does one harmful thing after the other, at a pace, in an order that the seed decides."""

    def __init__(self, harm: Harm, chance: random.Random, scale: Scale, report: Report, tell: Tell) -> None:
        super().__init__(name="chaos")
        self._harm = harm
        self._chance = chance
        self._scale = scale
        self._report = report
        self._tell = tell
        self._pause = threading.Event()
        stop_worker, stop_publisher = partial(harm.stop_awhile, "worker"), partial(harm.stop_awhile, "publisher")
        actions: list[tuple[str, Callable[[], None]]] = [("kill worker", self._kill_worker)] * scale.kills
        actions += [("stop worker", stop_worker), ("stop publisher", stop_publisher)] * scale.zombies
        actions += [("restart PostgreSQL", harm.restart_postgres)] * scale.restarts
        if scale.node_kills:
            kafka = [("kill a Kafka node", self._kill_node), ("restart a Kafka node", harm.restart_node)]
            actions += kafka * scale.node_kills
        else:
            actions += [("restart Kafka", harm.restart_kafka)] * scale.restarts
        chance.shuffle(actions)
        third = max(1, len(actions) // 3)
        actions[third:third] = [("join", harm.join)] * 2
        actions.insert(2 * third + 2, ("leave", harm.leave))
        self._actions = actions

    @property
    def workers(self) -> set[str]:
        """All there have been."""
        return self._harm.workers

    @property
    def seconds(self) -> float:
        """How long it will take, about."""
        return (len(self._actions) + 1) * self._scale.pause_s + 2 * self._scale.node_kills * NODE_AWAY_S

    def run(self) -> None:
        """All of it."""
        for what, act in self._actions:
            self._pause.wait(self._scale.pause_s * self._chance.uniform(0.6, 1.4))
            self._tell(what)
            with suppress(ProcessLookupError):
                act()
        self._harm.await_late()

    def _kill_worker(self) -> None:
        self._harm.kill("worker")
        self._report.kills += 1

    def _kill_node(self) -> None:
        self._harm.kill_node()
        self._report.node_kills += 1


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
        report.digest = digest(held_lines(connection.execute(HELD)))
        if report.digest != digest(expected_lines(storm.sent)):
            wrong.append("the table differs from what was sent")
        wrong += topic_equals_table(settings, connection)
        wrong += rejections(settings, connection, storm.rejected)
    return wrong


def rejections(settings: Settings, connection: psycopg.Connection[Any], wanted: int) -> Iterator[str]:
    """As many as are wanted, the same in table and topic."""
    held = {str(row[0]) for row in connection.execute("SELECT rejection_id FROM rejection")}
    topic = set(folded(settings, REJECTIONS.name))
    if held != topic or len(held) != wanted:
        yield f"{wanted} rejections, {len(held)} in the table, {len(topic)} in the topic"


def judged(settings: Settings, sent: int, refused: int) -> list[str]:
    """What is wrong with the verdicts on so many events, of which so many were to be refused."""
    with connect(settings.dsn, "faults") as connection:
        counted = verdicts(connection)
    if (sum(counted.values()), counted.get("rejected", 0)) == (sent, refused):
        return []
    return [f"{sent} sent, {refused} to be refused: {counted}"]


def verdicts(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """How many events met each status."""
    counted: dict[str, int] = {}
    for (row,) in connection.execute("SELECT verdicts FROM outcome"):
        for byte in row:
            status = read_verdict(byte)[0]
            if status != "none":
                counted[status] = counted.get(status, 0) + 1
    return counted


def topic_equals_table(settings: Settings, connection: psycopg.Connection[Any]) -> Iterator[str]:
    """The sapa topic folded by key against what each row of the table must have sent."""
    known, at = facts.load(connection), datetime.now(UTC)
    decoder, different = Decoder("overview_entry", lambda _: None), []
    topic = {key: value for key, value in folded(settings, OVERVIEWS["sapa"].name).items() if value}
    with rows_of(connection, "SELECT authority, system, case_id::text, revision, document FROM entry") as rows:
        for *parts, revision, document in rows:
            key, state = EntryKey(*parts), load(document)
            value = publication(entry_of(key, state), state, revision, "sapa", known, at, NOTHING_KNOWN)
            held = topic.pop(str(key), None)
            if (None if held is None else decoder.decode(held)) != value:
                different.append(str(key))
    different += topic
    if different:
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
