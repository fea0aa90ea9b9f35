"""What a comparison is played on: one instance, one filled topic, tables that are emptied, put back and checked."""

import json
import threading
import time
import uuid
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from confluent_kafka import Consumer, Producer, TopicPartition

from broker.settings import said
from broker.store import outbox, positions
from broker.store.database import connect
from broker.stream.clients import confluent_options
from broker.stream.cluster import Log, admin, logs, partitions_of
from broker.stream.framing import Decoder
from broker.stream.topics import CASE_EVENTS, OVERVIEWS, READ_BY_WORKERS, Topic
from ops.bench.expected import Expected, our_table, peers_table
from ops.bench.faults import verdicts
from ops.bench.filled import Filled
from ops.bench.meter import Meter, Used
from ops.embedded.instance import Instance
from ops.embedded.part import Part

LOOK_S: Final = 0.02
LISTEN_S: Final = 0.005
GATHER_MS: Final = 3_000
EMPTY_S: Final = 0.1
PATIENCE_S: Final = 60.0
SLOWEST: Final = 300
"""Events a second; what is slower is given up."""
UNSENT: Final = 50_000
FILLED: Final = "entry, dirty, outcome, rejection, source_freshness, receipt"
Measure = tuple[int, float, Used]
"""Events, seconds, and what the processes used."""


class Stage:
    """`running` has its parts, no service, and an empty, prepared database; its services log to its plan's `log`."""

    def __init__(self, running: Instance, log: Path) -> None:
        self.settings = said(running.settings)
        self.expected = Expected()
        self._running = running
        self._log = log
        self._admin = admin(confluent_options(self.settings))
        self._starts: dict[int, Log] = {}
        self._ends: dict[int, Log] = {}
        self._connection = connect(self.settings.dsn, "bench")
        self._connection.execute("SET transaction_timeout = 0")  # putting back millions of entries takes longer
        self._pause = threading.Event()
        _let_groups_gather(running.kafka)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def fill(self, records: Iterable[Filled]) -> None:
        """Send one pass; from here on the topic is read from where it begins."""
        self._starts = self._logs(CASE_EVENTS)
        self.expected.next_pass()
        failed: list[object] = []
        producer = Producer(
            {**confluent_options(self.settings), "partitioner": "murmur2_random", "linger.ms": 20, "acks": "all"}
        )

        def delivered(error: object, _: object) -> None:
            if error is not None:
                failed.append(error)

        for record in records:
            self.expected.note(record)
            producer.poll(0)
            while len(producer) > UNSENT:
                producer.poll(0.1)
            producer.produce(CASE_EVENTS.name, record.value, record.key, on_delivery=delivered)
        producer.flush()
        self._ends = self._logs(CASE_EVENTS)
        if failed or self.left(self._start_offsets()) != self.expected.sent:
            raise RuntimeError("the topic has not got what was sent")

    def empty(self) -> None:
        """An index that has seen nothing, and a peers' table that is new."""
        self._connection.execute(f"TRUNCATE {FILLED}".encode())
        self._connection.execute((Path(__file__).parent / "peers" / "table.sql").read_bytes())
        self._begin()

    def keep(self) -> None:
        """Remember the index as it is, for `restore`."""
        self._connection.execute("CREATE TABLE bench_entry AS TABLE entry")

    def restore(self) -> None:
        """The index as it was kept, everything published; the pass before is over."""
        self._connection.execute(f"TRUNCATE {FILLED}".encode())
        self._connection.execute("INSERT INTO entry TABLE bench_entry")
        self._connection.execute("VACUUM ANALYZE entry")
        self._begin()

    def project(self, workers: int, *, publisher: bool = False) -> Measure:
        """Let so many workers read the pass; with a publisher beside them, until nothing is left to publish."""
        with _Services(self._running, self._log) as services:
            if publisher:
                services.start("publisher", 1)
                services.await_shards()
            services.start("worker", workers)
            meter = Meter(*services.pids)
            began, events, shared = 0.0, 0, False
            deadline = self._deadline()
            while True:
                left, now, shares = self.left(self._positions()), time.monotonic(), services.shares()
                if (shares and not began) or (left and not shared and _all_share(shares, workers)):
                    meter.begin()
                    began, events, shared = now, left, _all_share(shares, workers)
                if not left and not (publisher and self._marked()):
                    return events, now - began, meter.end()
                _not_later_than(deadline)
                self._pause.wait(LOOK_S if shared or not left else LISTEN_S)

    def publish(self) -> Measure:
        """Let a publisher work off what is marked; from the first shard it has taken."""
        marked = outbox.depth(self._connection)
        with _Services(self._running, self._log) as services:
            services.start("publisher", 1)
            meter = Meter(*services.pids)
            services.await_shards(1)
            meter.begin()
            began, deadline = time.monotonic(), self._deadline()
            while self._marked():
                _not_later_than(deadline)
                self._pause.wait(EMPTY_S)
            return marked, time.monotonic() - began, meter.end()

    def wrong(self, *, published: dict[int, int] | None = None) -> str:
        """What is wrong in our tables after a pass, or nothing. `published`: where the sapa topic ended before it."""
        wrong, counted, sent = [], verdicts(self._connection), self.expected
        rejections = self._number("SELECT count(*) FROM rejection")
        if (sum(counted.values()), counted.get("rejected", 0), rejections) != (sent.sent, sent.refused, sent.refused):
            wrong.append(f"{sent.sent} sent, {sent.refused} to be refused: {counted}, {rejections} rejections")
        wrong += filter(None, [self.wrong_entries()])
        marked = 0 if published is not None else len(sent.touched)
        if outbox.depth(self._connection) != marked:
            wrong.append(f"{marked} entries should be marked")
        if published is not None and self._shown_since(published) != {
            str(key): at for key, (at, *_) in sent.entries.items()
        }:
            wrong.append("the overview topic differs from what was sent")
        return "; ".join(wrong)

    def wrong_entries(self) -> str:
        """What is wrong with our entries alone, or nothing."""
        return "" if our_table(self._connection) == self.expected.ours else "the entries differ from what was sent"

    def wrong_peer(self) -> str:
        """What is wrong in the peers' table, or nothing."""
        return "" if peers_table(self._connection) == self.expected.peers else "the table differs from what was sent"

    def ends_of(self, topic: Topic) -> dict[int, int]:
        """Where each partition ends."""
        return {partition: log.end for partition, log in self._logs(topic).items()}

    def left(self, read: dict[int, int]) -> int:
        """How many events lie behind these positions."""
        return sum(log.end - read.get(partition, log.end) for partition, log in self._ends.items())

    def _begin(self) -> None:
        """Positions at the start of the pass, and no checkpoint of what lies before in its middle."""
        for partition, log in self._starts.items():
            positions.put(self._connection, CASE_EVENTS.name, partition, log, log.end)
        self._connection.execute("CHECKPOINT")

    def _start_offsets(self) -> dict[int, int]:
        return {partition: log.end for partition, log in self._starts.items()}

    def _positions(self) -> dict[int, int]:
        return {partition: read for partition, _, _, read in positions.show(self._connection, CASE_EVENTS.name)}

    def _logs(self, topic: Topic) -> dict[int, Log]:
        return logs(self._admin, topic.name, partitions_of(self._admin, topic.name))

    def _marked(self) -> bool:
        return self._number("SELECT count(*) FROM (SELECT FROM dirty LIMIT 1) AS one") > 0

    def _number(self, statement: str) -> int:
        (number,) = self._connection.execute(statement.encode()).fetchone() or (0,)
        return int(number)

    def _deadline(self) -> float:
        return time.monotonic() + PATIENCE_S + self.expected.sent / SLOWEST

    def _shown_since(self, ends: dict[int, int]) -> dict[str, int]:
        """Key -> registration of what the sapa topic has got since then; what was taken out is not in it."""
        topic, shown, decoder = OVERVIEWS["sapa"], dict[str, int](), Decoder("overview_entry", lambda _: None)
        consumer = Consumer(
            {
                **confluent_options(self.settings),
                "group.id": f"bench-{uuid.uuid4()}",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
            }
        )
        consumer.assign([TopicPartition(topic.name, partition, offset) for partition, offset in ends.items()])
        open_ends = set(ends)
        while open_ends:
            for message in consumer.consume(10_000, 1.0):
                if message.error() is not None:
                    open_ends.discard(message.partition())
                elif message.value() is None:
                    shown.pop(message.key().decode(), None)
                else:
                    shown[message.key().decode()] = decoder.decode(message.value())["registered_at"]
        consumer.close()
        return shown


class _Services:
    """Workers and publishers that end with the block, and what they say in the log."""

    def __init__(self, running: Instance, log: Path) -> None:
        self._running = running
        self._log = log.open("rb") if log.exists() else None
        self._path = log
        self._names: list[str] = []
        self._shares: dict[int, int] = {}
        self._shards = 0
        if self._log is not None:
            self._log.seek(0, 2)

    def __enter__(self) -> Self:
        self._running.settings["SAGSBRO_CONSUMER_GROUP"] = f"bench-{uuid.uuid4()}"
        return self

    def __exit__(self, *_: object) -> None:
        self._running.supervisor.stop(*self._names)
        if self._log is not None:
            self._log.close()

    def start(self, kind: str, number: int) -> None:
        self._names += [self._running.add(kind) for _ in range(number)]

    @property
    def pids(self) -> list[int]:
        return [pid for name in self._names if (pid := self._running.supervisor.pid(name)) is not None]

    def shares(self) -> dict[int, int]:
        """How many partitions each worker has been given."""
        self._listen()
        return self._shares

    def await_shards(self, number: int = outbox.SHARDS + 1) -> None:
        deadline, pause = time.monotonic() + PATIENCE_S, threading.Event()
        while self._shards < number:
            self._listen()
            _not_later_than(deadline)
            pause.wait(LISTEN_S)

    def _listen(self) -> None:
        if self._log is None:
            if not self._path.exists():
                return
            self._log = self._path.open("rb")
        for line in self._log:
            said = json.loads(line) if line.startswith(b'{"at"') else {}
            if said.get("event") == "assigned":
                self._shares[said["pid"]] = len(said["partitions"])
            self._shards += said.get("event") == "shard_taken"


def _let_groups_gather(kafka: Part | None) -> None:
    """Start Kafka anew so that a new group waits for all its members: else the first has read much before the last."""
    if kafka is not None:
        kafka.stop()
        wait = ("--override", f"group.initial.rebalance.delay.ms={GATHER_MS}")
        kafka.supervisor.start(replace(kafka.service, argv=(*kafka.service.argv, *wait)))
        kafka.wait_ready()


def _all_share(shares: dict[int, int], workers: int) -> bool:
    return len(shares) == workers and sum(shares.values()) == sum(topic.partitions for topic in READ_BY_WORKERS)


def _not_later_than(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError("a row does not come to its end")
