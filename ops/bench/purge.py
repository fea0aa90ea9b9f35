"""How long after a withdrawal everything is gone: from search, from the overview topic, from an open stream.

Each citizen in turn is followed in a stream of their own, consents, is shown all their cases, and withdraws, while
events of other citizens come in at a steady rate. Counted from the 202 of the withdrawal, when it is committed. One
machine, so one clock.
"""

import asyncio
import json
import random
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
from confluent_kafka import Producer

from broker.domain.identity import EntryKey
from broker.security import Issuer
from broker.settings import Settings, said
from broker.stream.clients import confluent_options
from broker.stream.framing import encode
from broker.stream.topics import CASE_EVENTS
from ops.bench.faults import settle
from ops.bench.filled import AUTHORITIES, Load, case_id, filled, join, sender_of
from ops.bench.filling import fill
from ops.bench.latency import Handed, await_heard, keep_pace, reading
from ops.bench.reads import ready as reads_ready
from ops.embedded import instance

MILLI: Final = 1000
PATIENCE_S: Final = 60.0
OWN: Final = 100_000_000
"""Case numbers from here on are those of the citizens who withdraw."""
LONG_AGO: Final = "2024-01-01T00:00:00Z"
AREAS: Final = ["27.*", "29.*", "32.*"]


@dataclass(frozen=True, slots=True)
class Row:
    """Milliseconds from the 202 of a withdrawal. left: what was still there when patience was over."""

    until: str
    measured: int
    left: int
    p50: float
    p99: float
    worst: float


@dataclass(slots=True)
class Report:
    """answered: milliseconds a withdrawal took to be answered. wrong: what should not have been."""

    rate: float = 0.0
    rows: list[Row] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


class Change(NamedTuple):
    """One event of the stream: `entry` or `gone`, and of which entry."""

    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Citizen:
    """One who consents and withdraws."""

    number: int

    @property
    def cpr(self) -> str:
        """Constructed; nobody of the other cases."""
        return f"{self.number % 28 + 1:02}01{self.number // 28 % 100:02}9999"

    @property
    def effort(self) -> str:
        """Their effort's id."""
        return str(uuid.UUID(int=self.number + 1))

    def cases(self, entries: int) -> range:
        """The numbers of their cases."""
        return range(OWN + self.number * entries, OWN + (self.number + 1) * entries)

    def consent(self, **more: Any) -> dict[str, Any]:
        """For all areas there are, in all authorities."""
        return {
            "consent_id": str(uuid.UUID(int=self.number + 1_000_000)), "citizen": self.cpr, "purpose": "hoi",
            "effort_id": self.effort, "data_areas": AREAS, "data_authorities": list(AUTHORITIES),
            "recipient_areas": ["15.*"], "recipient_authorities": [AUTHORITIES[0]],
            "asked_by_authority": AUTHORITIES[0], "given_by": {"id_type": "CPR", "id": self.cpr, "capacity": "SELF"},
            "evidence": {"method": "DIGITAL"}, "registered_at": LONG_AGO, "signed_at": LONG_AGO,
            "valid_from": LONG_AGO, **more,
        }  # fmt: skip


def ready(where: Mapping[str, str]) -> None:
    """As for reading, and every authority has joined the overview."""
    reads_ready(where)
    join(said(where), "hoi")


def run(data: Path, citizens: int, entries: int, rate: int, tell: Any = lambda _: None) -> Report:
    """On a Sagsbro of its own under `data`, with one worker and one publisher."""
    report = Report()
    everyone = [Citizen(number) for number in range(citizens)]
    with instance.held(instance.Plan(data), {}) as running:
        running.start(ready)
        settings = said(running.settings)
        fill(settings, 0, 10_000)
        _send(settings, everyone, entries)
        report.wrong += settle(settings)
        tell(f"{citizens} citizens with {entries} cases each are there")
        with reading(settings, "hoi") as handed, _load(settings, rate) as sent:
            began = time.monotonic()
            told = asyncio.run(_all(settings, everyone, entries, report, tell))
            report.rate = round(sent[0] / (time.monotonic() - began), 1)
            await_heard(lambda: not _in_topic(told, handed, entries).left)
        report.rows.append(_summed("answered", [one.answered for one in told], 0))
        report.rows.append(_summed("answer of a search asked right after", [one.searched for one in told], 0))
        report.rows.append(_in_topic(told, handed, entries))
        streamed = [took for one in told for took in one.streamed]
        report.rows.append(_summed("told in the stream", streamed, entries * citizens - len(streamed)))
    return report


def _send(settings: Settings, everyone: list[Citizen], entries: int) -> None:
    chance = random.Random(1)  # noqa: S311 - reproducible
    producer = Producer(confluent_options(settings) | {"acks": "all", "partitioner": "murmur2_random"})
    for citizen in everyone:
        for number in citizen.cases(entries):
            event = filled(chance, number, number)
            parties: Any = event["parties"]
            parties["items"][0]["id"] = citizen.cpr
            producer.produce(CASE_EVENTS.name, encode("case_event", event), event["case_id"].encode())
            producer.poll(0)
    producer.flush()


@contextmanager
def _load(settings: Settings, rate: int) -> Iterator[list[int]]:
    """Meanwhile events of others at a steady rate; how many were sent."""
    done, sent = threading.Event(), [0]
    producer = Producer(confluent_options(settings) | {"acks": "all", "linger.ms": 1, "partitioner": "murmur2_random"})

    def send() -> None:
        began = time.monotonic()
        for record in Load(10_000).later(10_000):
            if done.is_set():
                return
            keep_pace(producer, sent[0], rate, began)
            producer.produce(CASE_EVENTS.name, record.value, record.key)
            sent[0] += 1

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield sent
    finally:
        done.set()
        thread.join()
        producer.flush()


@dataclass(slots=True)
class Told:
    """One withdrawal; milliseconds, and when it was answered in seconds since 1970."""

    citizen: Citizen
    at: float
    answered: float
    searched: float
    streamed: list[float]


async def _all(settings: Settings, everyone: list[Citizen], entries: int, report: Report, tell: Any) -> list[Told]:
    issuer, told = Issuer(settings), []
    async with httpx.AsyncClient(base_url=settings.api_url, timeout=30) as http:
        for citizen in everyone:
            told.append(await _one(http, settings, issuer, citizen, entries, report))
            tell(f"{citizen.number + 1} of {len(everyone)}")
    return told


async def _one(
    http: httpx.AsyncClient, settings: Settings, issuer: Issuer, citizen: Citizen, entries: int, report: Report
) -> Told:
    member = f"member-{citizen.number}"
    claims = {
        "sub": member, "role": "employee", "authorities": [AUTHORITIES[0]], "areas": ["15.2*"],
        "principal_ids": [member],
        "scopes": [{"authority": AUTHORITIES[0], "kle": ["N*"], "sensitivity": "VIP_SAGER"}],
    }  # fmt: skip
    reader = issuer.issue(claims, 3600)
    registrar = issuer.issue({"sub": "register", "role": "consent", "authorities": [AUTHORITIES[0]]}, 3600)

    async def send(method: str, path: str, token: str, body: Any) -> httpx.Response:
        answer = await http.request(method, path, json=body, headers={"Authorization": f"Bearer {token}"})
        answer.raise_for_status()
        return answer

    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    effort = {
        "effort_id": citizen.effort, "citizen": citizen.cpr, "authority": AUTHORITIES[0], "coordinator": member,
        "members": [], "valid_from": LONG_AGO, "registered_at": LONG_AGO,
    }  # fmt: skip
    follow = {"overview": "hoi", "citizens": [citizen.cpr], "purpose": "Måling", "effort_id": citizen.effort}
    await send("PUT", "/v1/subscriptions", reader, {**follow, "until": until})
    await send("POST", "/v1/efforts", registrar, effort)
    search = {"citizen": citizen.cpr, "effort_id": citizen.effort, "purpose": "Måling", "limit": 200}
    async with _stream(settings, reader) as heard:
        await send("POST", "/v1/consents", registrar, citizen.consent())
        there: set[str] = set()
        await _until(heard, there, lambda: len(there) == entries)
        if len(there) != entries:
            report.wrong.append(f"{entries - len(there)} cases were never told in the stream")
        if not (await send("POST", "/v1/overviews/hoi/search", reader, search)).json()["entries"]:
            report.wrong.append("nothing was found before the withdrawal")
        now = datetime.now(UTC).isoformat()
        began = time.time()
        await send("POST", "/v1/consents", registrar, citizen.consent(registered_at=now, withdrawn_at=now))
        at = time.time()
        found = (await send("POST", "/v1/overviews/hoi/search", reader, search)).json()["entries"]
        searched = time.time()
        if found:
            report.wrong.append(f"{len(found)} cases were found after the withdrawal was answered")
        streamed = await _until(heard, there, lambda: not there)
    return Told(citizen, at, (at - began) * MILLI, (searched - at) * MILLI, [(when - at) * MILLI for when in streamed])


@asynccontextmanager
async def _stream(settings: Settings, token: str) -> AsyncIterator[asyncio.Queue[tuple[float, Change]]]:
    """Everything that one reader is told, and when; it has told where it begins."""
    heard: asyncio.Queue[tuple[float, Change]] = asyncio.Queue()
    begun = asyncio.Event()

    async def listen() -> None:
        headers, kind = {"Authorization": f"Bearer {token}"}, ""
        async with (
            httpx.AsyncClient(base_url=settings.api_url, timeout=PATIENCE_S) as http,
            http.stream("GET", "/v1/overviews/hoi/changes", headers=headers) as answer,
        ):
            answer.raise_for_status()
            async for line in answer.aiter_lines():
                name, _, said_so = line.partition(": ")
                if name == "id":
                    begun.set()
                elif name == "event":
                    kind = said_so
                elif name == "data":
                    await heard.put((time.time(), Change(kind, json.loads(said_so))))

    listening, beginning = asyncio.create_task(listen()), asyncio.create_task(begun.wait())
    try:
        await asyncio.wait([listening, beginning], return_when=asyncio.FIRST_COMPLETED)
        yield heard
    finally:
        for task in (listening, beginning):
            task.cancel()
        await asyncio.gather(listening, beginning, return_exceptions=True)


async def _until(heard: asyncio.Queue[tuple[float, Change]], there: set[str], enough: Any) -> list[float]:
    """Keep `there` as the stream says, until it is enough or patience is over; when something went, each time."""
    gone = []
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not enough():
                at, change = await heard.get()
                key = str(EntryKey(*(change.data[name] for name in EntryKey._fields)))
                if change.kind == "entry":
                    there.add(key)
                elif key in there:
                    there.discard(key)
                    gone.append(at)
    except TimeoutError:
        pass
    return gone


def _in_topic(told: list[Told], handed: list[Handed], entries: int) -> Row:
    """The last value of each case is a tombstone: when it was read."""
    first_tombstone: dict[str, list[float]] = {}
    last: dict[str, bytes | None] = {}
    for record in handed:
        last[record.key] = record.value
        if record.value is None:
            first_tombstone.setdefault(record.key, []).append(record.at)
    took, left = [], 0
    for one in told:
        for number in one.citizen.cases(entries):
            key = str(EntryKey(*sender_of(number), case_id(number)))
            when = next((at for at in first_tombstone.get(key, ()) if at >= one.at), None)
            if when is None or last[key] is not None:
                left += 1
            else:
                took.append((when - one.at) * MILLI)
    return _summed("gone from the topic", took, left)


def _summed(until: str, took: list[float], left: int) -> Row:
    ordered = sorted(took) or [0.0]
    p50, p99 = (round(ordered[int(len(ordered) * share)], 1) for share in (0.5, 0.99))
    return Row(until, len(took), left, p50, p99, round(ordered[-1], 1))
