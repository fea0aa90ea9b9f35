"""How long an event is under way at a steady rate: to where a search finds it, and to who reads the overview topic.

Received is the time that Kafka gave the record when it took it in (LogAppendTime), so what the sender did before does
not count. Visible is when a session beside the worker's first sees the partition's position behind the record: entry
and position are committed together, so this holds for every event and not for a sample; a look every ten milliseconds
makes it later than it was, never earlier. In the topic is when a consumer of committed records has been handed that
registration of the case, or a later one that has overtaken it. One machine, so one clock.

Sending, looking and reading share the machine with what is measured. With a look every two milliseconds, and
a record at a time sent and read, they took more of it than the worker, the publisher and the database together.

Nine of ten events are of cases that are there. What is refused is sent and not counted.
"""

import threading
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from broker.domain.identity import EntryKey
from broker.settings import Settings, said
from broker.store import positions
from broker.store.database import connect
from broker.stream.clients import confluent_options
from broker.stream.cluster import admin, logs, partitions_of
from broker.stream.framing import Decoder
from broker.stream.topics import CASE_EVENTS, OVERVIEWS
from ops.bench.faults import judged, settle
from ops.bench.filled import Filled, Load
from ops.bench.filling import fill
from ops.bench.reads import ready
from ops.embedded import instance

MILLI: Final = 1000
LOOK_S: Final = 0.01
TICK_S: Final = 0.005
AT_ONCE: Final = 1000
POLL_S: Final = 0.02
LAST_S: Final = 1.0
LAST_WITHIN_S: Final = 60.0
WARM_RATE: Final = 200
WARM_S: Final = 3.0

Tell = Callable[[str], None]
Looks = dict[int, tuple[list[int], list[float]]]


@dataclass(frozen=True, slots=True)
class Row:
    """Milliseconds since received; None where not every event got there. missing: events that never did."""

    rate: int
    sent_per_second: float
    until: str
    events: int
    missing: int
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    p999: float | None = None
    worst: float | None = None


@dataclass(slots=True)
class Report:
    """wrong: what was missing, refused or still open when all should have been settled."""

    rows: list[Row] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Sent(NamedTuple):
    """One event that may come in, and where and when Kafka says that it took it."""

    key: str
    registered_at: int
    partition: int
    offset: int
    received_ms: int


class Handed(NamedTuple):
    """One record of the topic, and the seconds since 1970 when its reader had it."""

    at: float
    key: str
    value: bytes | None


def run(data: Path, rates: Sequence[int], seconds: float, entries: int, tell: Tell = lambda _: None) -> Report:
    """Each rate in turn, on a Sagsbro of its own under `data`, with one worker and one publisher."""
    report, load, registration, refused = Report(), Load(entries), entries, 0
    with instance.held(instance.Plan(data), {}) as running:
        running.start(ready)
        settings = said(running.settings)
        fill(settings, 0, entries)
        tell(f"{entries} entries are there")
        for rate, length in ((WARM_RATE, WARM_S), *((rate, seconds) for rate in rates)):
            records = list(islice(load.later(registration), int(rate * length)))
            registration += len(records)
            refused += sum(not record.taken for record in records)
            with looking(settings) as looks, reading(settings) as handed:
                sent, took = send(settings, records, rate)
                report.wrong += settle(settings) or judged(settings, registration - entries, refused)
                await_heard(partial(_all_got_there, sent, looks, handed))
            if rate != WARM_RATE:
                per_second = round(len(records) / took, 1)
                rows = [
                    summed(rate, per_second, "visible in search", visible(sent, looks)),
                    summed(rate, per_second, "in the topic", in_topic(sent, handed)),
                ]
                report.rows += rows
                report.wrong += [
                    f"{rate}/s: {row.missing} of {row.events} never {row.until}" for row in rows if row.missing
                ]
                tell(f"{rate} a second: done")
    return report


def await_heard(everything: Callable[[], bool]) -> None:
    """Until the readers have heard of what is settled, or patience is over: what they have not is then missing."""
    deadline, pause = time.monotonic() + LAST_WITHIN_S, threading.Event()
    pause.wait(LAST_S)  # the question costs what they read with
    while not everything() and time.monotonic() < deadline:
        pause.wait(LAST_S)


def send(settings: Settings, records: Iterable[Filled], rate: int) -> tuple[list[Sent], float]:
    """At a steady rate; those that may come in, in the order of sending, and the seconds it took."""
    options = {"acks": "all", "linger.ms": 5, "partitioner": "murmur2_random"}
    producer = Producer(confluent_options(settings) | options)
    acknowledged: dict[int, Sent] = {}

    def take(number: int, record: Filled, error: object, message: Message) -> None:
        if error is not None:
            raise KafkaException(error)
        if record.taken:
            event = record.event
            key = str(EntryKey(event["authority"], event["system"], event["case_id"]))
            _, received_ms = message.timestamp()
            acknowledged[number] = Sent(key, event["registered_at"], message.partition(), message.offset(), received_ms)

    began = time.monotonic()
    for number, record in enumerate(records):
        keep_pace(producer, number, rate, began)
        producer.produce(CASE_EVENTS.name, record.value, record.key, on_delivery=partial(take, number, record))
    took = time.monotonic() - began
    producer.flush()
    return [acknowledged[number] for number in sorted(acknowledged)], took


@contextmanager
def looking(settings: Settings) -> Iterator[Looks]:
    """Meanwhile, by partition: each position that was seen, and when it was seen first."""
    looks: Looks = defaultdict(lambda: ([], []))
    with connect(settings.dsn, "bench") as connection, _meanwhile(lambda: _look(connection, looks), LOOK_S):
        yield looks


def _look(connection: positions.Connection, looks: Looks) -> None:
    found = positions.show(connection, CASE_EVENTS.name)
    now = time.time()
    for partition, _, _, next_offset in found:
        offsets, times = looks[partition]
        if not offsets or next_offset > offsets[-1]:
            offsets.append(next_offset)
            times.append(now)


@contextmanager
def reading(settings: Settings, overview: str = "sapa") -> Iterator[list[Handed]]:
    """Meanwhile: everything that comes to the end of an overview's topic."""
    topic, handed = OVERVIEWS[overview].name, []
    client = admin(confluent_options(settings))
    ends = logs(client, topic, partitions_of(client, topic))
    options = {"group.id": "bench", "enable.auto.commit": False, "isolation.level": "read_committed"}
    consumer = Consumer(confluent_options(settings) | options)
    consumer.assign([TopicPartition(topic, partition, log.end) for partition, log in ends.items()])

    def read() -> None:
        messages = consumer.consume(AT_ONCE, POLL_S)
        now = time.time()
        for message in messages:
            if message.error() is not None:
                raise KafkaException(message.error())
            handed.append(Handed(now, message.key().decode(), message.value()))

    with _meanwhile(read, 0):
        yield handed
    consumer.close()


@contextmanager
def _meanwhile(step: Callable[[], None], pause_s: float) -> Iterator[None]:
    """Again and again in a thread of its own; what goes wrong there is raised at the end."""
    done, wrong = threading.Event(), []

    def again() -> None:
        try:
            while not done.is_set():
                step()
                if pause_s:
                    done.wait(pause_s)
        except Exception as error:  # noqa: BLE001 - handed over to who waits
            wrong.append(error)

    thread = threading.Thread(target=again)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    if wrong:
        raise wrong[0]


def visible(sent: Sequence[Sent], looks: Looks) -> list[float | None]:
    """Milliseconds until the position was seen behind each event; None: never."""
    took: list[float | None] = []
    for one in sent:
        offsets, times = looks[one.partition]
        place = bisect_right(offsets, one.offset)
        took.append(times[place] * MILLI - one.received_ms if place < len(times) else None)
    return took


def in_topic(sent: Sequence[Sent], handed: Sequence[Handed]) -> list[float | None]:
    """Milliseconds until that registration of the case, or one that overtook it, was read; None: never."""
    decoder = Decoder("overview_entry", lambda _: None)
    seen: dict[str, tuple[list[int], list[float]]] = defaultdict(lambda: ([], []))
    for record in handed:
        if record.value is not None:
            registrations, times = seen[record.key]
            registrations.append(decoder.decode(record.value)["registered_at"])
            times.append(record.at)
    took: list[float | None] = []
    for one in sent:
        registrations, times = seen[one.key]
        first = next((at for said, at in zip(registrations, times, strict=True) if said >= one.registered_at), None)
        took.append(None if first is None else first * MILLI - one.received_ms)
    return took


def keep_pace(producer: Producer, sent: int, rate: float, began: float) -> None:
    """Sleep while more was sent than `rate` a second since `began`, on the monotonic clock."""
    while sent / rate > time.monotonic() - began:
        time.sleep(TICK_S)
        producer.poll(0)


def _all_got_there(sent: Sequence[Sent], looks: Looks, handed: Sequence[Handed]) -> bool:
    return None not in visible(sent, looks) and None not in in_topic(sent, handed)


def summed(rate: int, per_second: float, until: str, took: Sequence[float | None]) -> Row:
    """Quantiles, when every event got there."""
    there = sorted(one for one in took if one is not None)
    row = Row(rate, per_second, until, len(took), len(took) - len(there))
    if row.missing or not there:
        return row
    p50, p95, p99, p999 = (round(there[int(len(there) * share)], 1) for share in (0.5, 0.95, 0.99, 0.999))
    return replace(row, p50=p50, p95=p95, p99=p99, p999=p999, worst=round(there[-1], 1))
