"""A long time of everything at once: a steady load, consents, searches and streams, and now and then something breaks.

The load is storms one after the other, each of cases of its own, so that what must come of one is calculated when it
has been sent; a few of all earlier records come again. It comes from a process of its own: nobody who looks is slowed.
"""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil
from confluent_kafka import KafkaException, Producer
from psycopg.types.json import Jsonb

from broker.domain.case import CaseEvent
from broker.domain.identity import EntryKey
from broker.settings import Settings, said
from broker.store.database import connect
from broker.stream.clients import confluent_options
from broker.stream.framing import encode
from broker.stream.topics import CASE_EVENTS, OVERVIEWS
from ops.bench import faults
from ops.bench.expected import fingerprint, our_table
from ops.bench.faults import Harm
from ops.bench.filled import filled
from ops.bench.latency import keep_pace
from ops.bench.storm import AUTHORITY, SYSTEM, WANTED, Storm, expected_lines
from ops.bench.witness import Asked, Seen, Watched, Witness
from ops.embedded import instance
from ops.embedded.instance import Instance

Tell = Callable[[str], None]
WINDOW: Final = 20_000
"""Events of one storm."""
AGAIN: Final = 100
"""Earlier records that come again with each storm."""
CITIZENS: Final = 10
CASES: Final = 15
OWN: Final = 1_000_000
"""Case numbers of those who are watched: registered anew all the time."""
PER_OWN: Final = 200
"""Of so many events one is of a case that is watched."""
SAMPLE_S: Final = 5.0
WORKERS: Final = (2, 3)
OURS: Final = ("api", "worker", "publisher")
LONG_S: Final = 600.0
"""From such a length on, memory must be flat."""
GREW: Final = 1.25
GREW_MB: Final = 32
MB: Final = 2**20
QUEUE_FULL_S: Final = 0.1
SENT_WITHIN_MS: Final = 600_000


@dataclass(frozen=True, slots=True)
class Scale:
    """How long and how much. settle_s: how long it may take at the end until everything is read and published."""

    minutes: float = 30.0
    rate: int = 2000
    seed: int = 1
    fault_every: float = 60.0
    settle_s: float = 900.0


@dataclass(frozen=True, slots=True)
class Fault:
    """What was done, and at which second."""

    second: float
    what: str


@dataclass(frozen=True, slots=True)
class Memory:
    """Megabytes resident of the largest process of a kind (PostgreSQL: what its processes have each to themselves).

    first, last: medians of the first and the last third. lives: processes seen. per_minute: slope of the longest life
    after its first half minute, by least squares.
    """

    process: str
    lives: int
    first: float
    last: float
    highest: float
    longest_life_s: float
    per_minute: float


@dataclass(slots=True)
class Report:
    """wrong: empty when nothing was lost, doubled or leaked, and no process of ours grew.

    late_ms: entries sent by streams after the 202 of a withdrawal, and the worst; decided before it.
    series: second, process id and megabytes of each kind.
    """

    seed: int
    rate: int
    minutes: float
    sent: int = 0
    per_second: float = 0.0
    settled_in_s: float = 0.0
    verdicts: dict[str, int] = field(default_factory=dict)
    digest: str = ""
    given: int = 0
    withdrawn: int = 0
    told: dict[str, int] = field(default_factory=dict)
    late: int = 0
    worst_late_ms: float = 0.0
    refused: dict[int, int] = field(default_factory=dict)
    searches: list[Asked] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    series: dict[str, list[tuple[float, int, float]]] = field(default_factory=dict)


@dataclass(slots=True)
class Poured:
    """What was sent, and the fingerprint of what the table must hold of it."""

    sent: int = 0
    rejected: int = 0
    fingerprint: int = 0
    seconds: float = 0.0


def run(data: Path, scale: Scale, tell: Tell = lambda _: None) -> Report:
    """On a Sagsbro of its own under `data`, with two or three workers and two publishers."""
    report = Report(scale.seed, scale.rate, scale.minutes)
    plan = instance.Plan(data, workers=WORKERS[0], publishers=2, log=data / "services.log")
    with instance.held(plan, {}) as running:
        running.start(_ready)
        settings = said(running.settings)
        citizens = [Watched(number, frozenset(map(_key, _numbers(number)))) for number in range(CITIZENS)]
        _register(settings)
        report.wrong += faults.settle(settings)
        tell("everything is there; it begins")
        poured, witness = asyncio.run(_look_on(running, citizens, scale, report, tell))
        _note(report, witness.seen)
        tell("sent; waiting until all is settled")
        began = time.monotonic()
        report.wrong += _settled(settings, scale.settle_s)
        report.settled_in_s = round(time.monotonic() - began, 1)
        report.sent, report.per_second = poured.sent, round(poured.sent / poured.seconds, 1)
        report.wrong += _check(settings, poured, witness.consenting(), report)
    report.memory = [_summed(kind, samples) for kind, samples in report.series.items()]
    if scale.minutes * 60 >= LONG_S:
        grown = [row for row in report.memory if row.process in OURS and row.last > row.first * GREW + GREW_MB]
        report.wrong += [f"{row.process} grew from {row.first} to {row.last} MB" for row in grown]
    return report


def _ready(where: Mapping[str, str]) -> None:
    """As for a storm, and the municipality has joined one more overview."""
    faults.ready(where)
    whole = {"client": "*", "state": "FULL", "kle": ["N*"], "sensitivity": "VIP_SAGER", "from_date": "2000-01-01"}
    with connect(said(where).dsn, "soak") as connection, connection.transaction():
        connection.execute(
            "INSERT INTO reader_agreement (authority, overview, client, version, body, put_by)"
            " VALUES (%s, 'hoi', '*', 1, %s, 'soak')",
            [AUTHORITY, Jsonb({"authority": AUTHORITY, "overview": "hoi", **whole})],
        )
        connection.execute("UPDATE reference_revision SET revision = revision + 1")


def _numbers(citizen: int) -> range:
    return range(OWN + citizen * CASES, OWN + (citizen + 1) * CASES)


def _own(chance: random.Random, n: int, number: int) -> CaseEvent:
    """Registration `n` of a case of one who is watched."""
    event = filled(chance, n, number)
    event["authority"], event["system"] = AUTHORITY, SYSTEM
    event["classification"] = {"kle": chance.choice(WANTED), "facet": "G01", "local_code": None}
    parties: Any = event["parties"]
    parties["items"][0]["id"] = Watched((number - OWN) // CASES, frozenset()).cpr
    return event


def _key(number: int) -> str:
    event = _own(random.Random(0), number, number)  # noqa: S311 - of the key nothing is left to chance
    return str(EntryKey(event["authority"], event["system"], event["case_id"]))


def _first() -> list[CaseEvent]:
    """The first registration of every case that is watched."""
    chance = random.Random(0)  # noqa: S311 - reproducible
    numbers = [number for citizen in range(CITIZENS) for number in _numbers(citizen)]
    return [_own(chance, n, number) for n, number in enumerate(numbers)]


def _register(settings: Settings) -> None:
    producer = _producer(settings)
    for event in _first():
        producer.produce(CASE_EVENTS.name, encode("case_event", event), event["case_id"].encode())
    producer.flush()


def _producer(settings: Settings) -> Producer:
    options = {
        "acks": "all", "enable.idempotence": True, "linger.ms": 10, "partitioner": "murmur2_random",
        "message.timeout.ms": SENT_WITHIN_MS, "on_delivery": _delivered, "log_level": 0,
    }  # fmt: skip
    return Producer(confluent_options(settings) | options)


def _delivered(error: object, _: object) -> None:
    if error is not None:
        raise KafkaException(error)


@contextmanager
def pouring(where: Mapping[str, str], scale: Scale) -> Iterator[Connection]:
    """Meanwhile, in a process of its own, the whole load; what was sent can be received when it has been."""
    processes = get_context("spawn")
    receiver, sender = processes.Pipe(duplex=False)
    process = processes.Process(target=_pour, args=(sender, dict(where), scale))
    process.start()
    sender.close()  # when that process ends without a word, there is nothing to be received
    try:
        yield receiver
    finally:
        process.kill()
        process.join()


def _pour(told: Connection, where: Mapping[str, str], scale: Scale) -> None:
    """At a steady rate; ends when Kafka has all of it."""
    poured, producer = Poured(), _producer(said(where))
    newest = {event["case_id"]: event for event in _first()}
    most, began = scale.rate * scale.minutes * 60, time.monotonic()
    with closing(_records(scale.seed, poured, newest)) as records:
        for key, value in records:
            keep_pace(producer, poured.sent, scale.rate, began)
            while not _taken(producer, key, value):
                producer.poll(QUEUE_FULL_S)
            poured.sent += 1
            if poured.sent >= most:
                break
    poured.seconds = time.monotonic() - began
    while producer.flush(1):
        pass
    poured.fingerprint += fingerprint(expected_lines(newest.values()))
    told.send(poured)


def _taken(producer: Producer, key: bytes, value: bytes) -> bool:
    """False while its queue is full, because Kafka is away."""
    try:
        producer.produce(CASE_EVENTS.name, value, key)
    except BufferError:
        return False
    return True


def _records(seed: int, poured: Poured, newest: dict[str, CaseEvent]) -> Generator[tuple[bytes, bytes], None, None]:
    """Storm after storm, without end; what must come of it goes to `newest`, and to `poured` when one is over."""
    chance = random.Random(seed)  # noqa: S311 - reproducible
    registrations = count(len(newest))
    earlier: list[tuple[bytes, bytes]] = []
    for number in count():
        storm = Storm(seed * 1_000_000 + number, WINDOW, number * WINDOW)
        again = chance.sample(earlier, min(AGAIN, len(earlier)))
        try:
            for n, record in enumerate(storm):
                yield record.key, record.value
                if record.event is not None and chance.random() < AGAIN / WINDOW:
                    earlier.append((record.key, record.value))
                if n % PER_OWN == 0:
                    event = _own(chance, next(registrations), OWN + chance.randrange(CITIZENS * CASES))
                    newest[event["case_id"]] = event
                    yield event["case_id"].encode(), encode("case_event", event)
                    if again:
                        yield again.pop()
        finally:
            poured.rejected += storm.rejected
            poured.fingerprint += fingerprint(expected_lines(storm.sent))


async def _look_on(
    running: Instance, citizens: list[Watched], scale: Scale, report: Report, tell: Tell
) -> tuple[Poured, Witness]:
    """Until everything has been sent and the last fault is over."""
    witness, over = Witness(said(running.settings), citizens, scale.seed), threading.Event()
    looking = asyncio.create_task(witness.look_on())
    begun = asyncio.create_task(witness.begun.wait())
    await asyncio.wait([looking, begun], return_when=asyncio.FIRST_COMPLETED)
    began = time.monotonic()
    breaking = asyncio.create_task(asyncio.to_thread(_break, running, scale, report, over, tell))
    weighing = asyncio.create_task(asyncio.to_thread(_weigh, running, report, began, over))
    try:
        with pouring(running.settings, scale) as receiver:
            sending = asyncio.create_task(asyncio.to_thread(receiver.recv))
            await asyncio.wait([sending, looking], return_when=asyncio.FIRST_COMPLETED)
            if looking.done():
                await looking  # which raises: it does not end by itself
            poured: Poured = await sending
    finally:
        over.set()
        await asyncio.gather(breaking, weighing)
        witness.done.set()
    await looking
    return poured, witness


def _break(running: Instance, scale: Scale, report: Report, over: threading.Event, tell: Tell) -> None:
    """One fault after the other; each kind comes as often as any other."""
    chance, began = random.Random(scale.seed), time.monotonic()  # noqa: S311 - reproducible
    harm = Harm(running, chance)
    actions = _actions(harm)
    due = scale.fault_every * chance.uniform(0.5, 1.0)
    bag: list[str] = []
    while not over.wait(max(0.0, began + due - time.monotonic())):
        bag = bag or chance.sample(list(actions), len(actions))
        what = bag.pop()
        second = round(time.monotonic() - began, 1)
        tell(f"{second:g} s: {what}")
        with suppress(ProcessLookupError):
            actions[what]()
            report.faults.append(Fault(second, what))
        due += scale.fault_every
    harm.await_late()


def _actions(harm: Harm) -> dict[str, Callable[[], None]]:
    def rebalance() -> None:
        (harm.join if len(harm.all("worker")) < WORKERS[1] else harm.leave)()

    return {
        "kill -9 a worker": partial(harm.kill, "worker"),
        "kill -9 a publisher": partial(harm.kill, "publisher"),
        "kill -9 the API": partial(harm.kill, "api"),
        "stop a worker, continue it": partial(harm.stop_awhile, "worker"),
        "stop a publisher, continue it": partial(harm.stop_awhile, "publisher"),
        "restart Kafka": harm.restart_kafka,
        "kill -9 PostgreSQL": harm.restart_postgres,
        "a worker joins or leaves": rebalance,
    }


def _weigh(running: Instance, report: Report, began: float, over: threading.Event) -> None:
    """Each kind's largest process, every few seconds."""
    while not over.wait(SAMPLE_S):
        second, largest = round(time.monotonic() - began, 1), dict[str, tuple[float, int]]()
        for name in running.supervisor.names:
            pid, kind = running.supervisor.pid(name), name.split("-")[0]
            with suppress(psutil.NoSuchProcess):
                if pid is not None:
                    largest[kind] = max(largest.get(kind, (0.0, 0)), (_megabytes(kind, pid), pid))
        for kind, (megabytes, pid) in largest.items():
            report.series.setdefault(kind, []).append((second, pid, megabytes))


def _megabytes(kind: str, pid: int) -> float:
    process = psutil.Process(pid)
    if kind != "postgres":
        return round(float(process.memory_info().rss) / MB, 1)
    own = 0.0
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            found = one.memory_info()
            own += found.rss - found.shared
    return round(own / MB, 1)


def _summed(kind: str, samples: list[tuple[float, int, float]]) -> Memory:
    third = max(1, len(samples) // 3)
    held = [megabytes for _, _, megabytes in samples]
    lives: dict[int, list[tuple[float, float]]] = {}
    for second, pid, megabytes in samples:
        lives.setdefault(pid, []).append((second, megabytes))
    longest = max(lives.values(), key=lambda life: life[-1][0] - life[0][0])
    return Memory(
        kind,
        len(lives),
        round(median(held[:third]), 1),
        round(median(held[-third:]), 1),
        max(held),
        round(longest[-1][0] - longest[0][0], 1),
        round(slope([point for point in longest if point[0] - longest[0][0] > 30]) * 60, 2),  # noqa: PLR2004 - half a minute
    )


def slope(points: list[tuple[float, float]]) -> float:
    """By least squares; 0 where two points are not there."""
    if len(points) < 2:  # noqa: PLR2004 - as said
        return 0.0
    x_mean, y_mean = (sum(values) / len(points) for values in zip(*points, strict=True))
    spread = sum((x - x_mean) ** 2 for x, _ in points)
    return float(sum((x - x_mean) * (y - y_mean) for x, y in points) / spread)


def _settled(settings: Settings, patience_s: float) -> list[str]:
    """Read and published, and published once more for what the register's sweep marks."""
    wrong, deadline = faults.settle(settings, patience_s), time.monotonic() + patience_s
    with connect(settings.dsn, "soak") as connection:
        while connection.execute("SELECT count(*) FROM register WHERE due_at IS NOT NULL").fetchone() != (0,):
            if time.monotonic() > deadline:
                return [*wrong, "changes of the register are still due"]
            threading.Event().wait(0.25)
    return wrong or faults.settle(settings, patience_s)


def _note(report: Report, seen: Seen) -> None:
    report.given, report.withdrawn, report.told = seen.given, seen.withdrawn, dict(seen.told)
    report.late, report.worst_late_ms = len(seen.late), max(seen.late, default=0.0)
    report.refused, report.searches = dict(seen.refused), seen.rows()
    report.wrong += seen.leaks


def _check(settings: Settings, poured: Poured, consenting: frozenset[str], report: Report) -> Iterator[str]:
    """Everything that stands now against what was sent and consented to."""
    sent = poured.sent + len(_first())
    with connect(settings.dsn, "soak") as connection:
        report.verdicts = faults.verdicts(connection)
        counted = sum(report.verdicts.values())
        if counted != sent:
            yield f"{sent} sent, {counted} have a verdict"
        if report.verdicts.get("rejected", 0) != poured.rejected:
            yield f"{poured.rejected} bad ones sent, {report.verdicts.get('rejected', 0)} rejected"
        held = our_table(connection)
        report.digest = f"{held % 2**256:064x}"
        if held != poured.fingerprint:
            yield "the table differs from what was sent"
        yield from faults.topic_equals_table(settings, connection)
        yield from faults.rejections(settings, connection, poured.rejected)
    shown = {key for key, value in faults.folded(settings, OVERVIEWS["hoi"].name).items() if value}
    if shown != consenting:
        yield f"the hoi topic has {len(shown - consenting)} entries too many and {len(consenting - shown)} too few"
