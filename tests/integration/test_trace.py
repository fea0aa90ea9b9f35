"""One event's way as it is told, and the trace that goes along with it: through a real log, worker and publisher."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from click.testing import CliRunner

from broker.cli import main
from broker.domain.trace import TRACEPARENT, read
from broker.processing.lanes import Turn
from broker.processing.projector import Projector
from broker.processing.publisher import REJECTION_SHARD, keep
from broker.store import outbox
from broker.store.batch import Advance
from broker.store.database import connect
from broker.stream.clients import aiokafka_options, confluent_options
from broker.stream.cluster import admin, logs, make_topics
from broker.stream.past import past
from broker.stream.topics import CASE_EVENTS, OVERVIEWS, REJECTIONS
from ops.embedded.part import Part
from tests.integration.logging_reads import Logged, logging
from tests.integration.running import AGREEMENT, CPR, agree, event

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SENT = f"00-{TRACE}-00f067aa0ba902b7-01"
PARTITIONS = range(CASE_EVENTS.partitions)


def of_nobody_else(number: int) -> dict[str, Any]:
    """A case, and an event of it, that no other test has in the same log."""
    return event(number, event_id=str(uuid4()), case_id=str(uuid4()))


@dataclass
class Broker:
    """An API, and what reads and publishes behind it, a step at a time."""

    logged: Logged
    began: datetime
    projector: Projector
    first: dict[str, Any] = field(default_factory=lambda: of_nobody_else(1))
    second: dict[str, Any] = field(default_factory=lambda: of_nobody_else(2))

    async def send(self, said: dict[str, Any], **headers: str) -> int:
        bearer = await asyncio.to_thread(self.logged.api.bearer)
        answer = await self.logged.api.http.post("/v1/case-events", json=said, headers={**bearer, **headers})
        return answer.status_code

    async def sent(self) -> list[Any]:
        """What this test's requests put into the log."""
        own = {self.first["case_id"].encode(), self.second["case_id"].encode()}
        return [record for record in await self.records(CASE_EVENTS) if record.key in own]

    async def records(self, topic: Any) -> list[Any]:
        async with past(aiokafka_options(self.logged.api.settings)) as log:
            since = log.since(topic, range(topic.partitions), int(self.began.timestamp() * 1000))
            async with aclosing(since) as records:
                return [record async for record in records]

    async def work(self) -> None:
        """A worker takes what has come."""
        fetched: dict[int, list[Any]] = {}
        for record in await self.sent():
            fetched.setdefault(record.partition, []).append(record)
        claimed = await asyncio.to_thread(self.projector.claim, CASE_EVENTS.name, PARTITIONS)
        for partition, records in fetched.items():
            place, position = claimed[partition]
            new = [record for record in records if record.offset >= position]
            if new:
                end = new[-1].offset + 1
                raw = [(record.offset, record.timestamp, record.value) for record in new]
                await asyncio.to_thread(self.apply, Turn(Advance(place, position, end), raw, new))

    def apply(self, turn: Turn) -> None:
        try:
            self.projector.apply([turn], again=False)
        finally:
            self.projector.forget()

    def publish(self) -> None:
        """Publishers run until nothing waits."""
        settings, stop = self.logged.api.settings, threading.Event()
        shards = (*range(outbox.SHARDS), REJECTION_SHARD)
        with connect(settings.dsn, "test") as store, ThreadPoolExecutor(len(shards)) as threads:
            # As the process does: what Kafka refuses while it is busy is tried again.
            at_work = [threads.submit(keep, settings, shard, stop) for shard in shards]
            try:
                while outbox.depth(store) or outbox.claim_rejections(store, 1):
                    assert not any(one.done() for one in at_work)
            finally:
                stop.set()

    async def trace(self, which: str) -> dict[str, Any]:
        code, said = await self.command(which, "--json")
        assert code == 0, said
        return dict(json.loads(said))

    async def command(self, *arguments: str) -> tuple[int, str]:
        settings = self.logged.api.settings
        environment = {"SAGSBRO_DATABASE": settings.dsn, "SAGSBRO_KAFKA": settings.kafka}
        ran = await asyncio.to_thread(CliRunner().invoke, main, ["trace", *arguments], env=environment)
        assert not any(secret in ran.output for secret in (CPR, "Bevilling", "employee-1", "Ea Eksempel"))
        return ran.exit_code, ran.output


@pytest.fixture
async def broker(database: str, kafka: Part) -> AsyncIterator[Broker]:
    async with logging(database, kafka.address) as logged:
        settings = logged.api.settings
        make_topics(admin(confluent_options(settings)), [REJECTIONS, *OVERVIEWS.values()], 1)
        projector = Projector(settings)
        await asyncio.to_thread(projector.claim, CASE_EVENTS.name, PARTITIONS)
        for partition, log in logs(admin(confluent_options(settings)), CASE_EVENTS.name, PARTITIONS).items():
            logged.execute("UPDATE position SET next_offset = %s WHERE partition = %s", log.end, partition)
        yield Broker(logged, datetime.now(UTC), projector)


def steps(told: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(step["step"], step.get("verdict") or step.get("topic")) for step in told["steps"]]


async def test_every_step_of_an_event_is_told_with_its_time_and_of_nobody(broker: Broker) -> None:
    assert await broker.send(broker.first, traceparent=SENT) == 202
    await broker.work()
    await asyncio.to_thread(broker.publish)
    await broker.logged.read({"citizen": CPR})

    told = await broker.trace(broker.first["event_id"])

    (one,) = told["events"]
    assert steps(one) == [
        ("received", None),
        ("produced", None),
        ("answered", None),
        ("decided", "indexed"),
        ("committed", None),
        ("published", OVERVIEWS["sapa"].name),
    ]
    times = [datetime.fromisoformat(step["at"]) for step in one["steps"]]
    slack = timedelta(milliseconds=1)  # Kafka cuts its times to the millisecond
    assert all(before <= after + slack for before, after in pairwise(times))
    assert broker.began - slack <= times[0]
    assert (one["trace_id"], one["case_id"]) == (TRACE, broker.first["case_id"])
    (case,) = told["cases"]
    assert (case["newest_event_id"], case["waits_since"]) == (broker.first["event_id"], None)
    assert [read["overview"] for read in case["reads"]] == ["sapa"]
    by_case = await broker.trace(broker.first["case_id"])
    assert by_case["events"] == told["events"]
    assert [read["overview"] for read in by_case["cases"][0]["reads"]] == ["sapa"], "looking is no read of an overview"
    looked = broker.logged.api.rows("SELECT basis, cases FROM access_log WHERE overview = 'trace'")
    assert looked == [("operation", [f"{AGREEMENT['authority']}/sbsys/{broker.first['case_id']}"])] * 2


async def test_what_is_refused_is_told_with_its_reason_wherever_it_was_refused(broker: Broker) -> None:
    assert await broker.send({**broker.first, "classification": {"kle": "27.99.99"}}, traceparent=SENT) == 422
    assert await broker.send(broker.second, traceparent=SENT) == 202
    with connect(broker.logged.api.settings.dsn, "test") as connection:
        agree(connection, {**AGREEMENT, "state": "SUSPENDED"}, 2)
    await broker.work()
    await asyncio.to_thread(broker.publish)

    (at_intake,) = (await broker.trace(broker.first["event_id"]))["events"]
    (by_worker,) = (await broker.trace(broker.second["event_id"]))["events"]

    assert steps(at_intake) == [("received", None), ("decided", "rejected")]
    assert (at_intake["steps"][1]["code"], at_intake["steps"][1]["pointer"]) == ("kle_unknown", "/classification/kle")
    assert ("decided", "rejected") in steps(by_worker)
    assert not any(step == "published" for step, _ in steps(by_worker))
    kept = broker.logged.api.rows("SELECT trace_id::text, topic IS NULL, rejection_id::text FROM rejection ORDER BY at")
    assert [(one[0].replace("-", ""), one[1]) for one in kept] == [(TRACE, True), (TRACE, False)]
    told = {record.key.decode(): dict(record.headers) for record in await broker.records(REJECTIONS)}
    for *_, rejection_id in kept:
        went = read(told[rejection_id][TRACEPARENT].decode())
        assert went is not None
        assert went.trace_id == TRACE


async def test_a_trace_goes_into_the_log_by_a_step_of_our_own_and_a_false_one_is_replaced(broker: Broker) -> None:
    person = f"00-{CPR:0<32}-00f067aa0ba902b7-01"
    assert await broker.send(broker.first, traceparent=SENT) == 202
    for bad in (person, "nonsense", SENT.upper()):
        assert await broker.send(broker.second, traceparent=bad) == 202
    went = [read(dict(record.headers)[TRACEPARENT].decode()) for record in await broker.sent()]
    assert None not in went
    own = [trace for trace in went if trace is not None and trace.trace_id == TRACE]
    assert (len(own), own[0].sampled, own[0].span_id == SENT[36:52]) == (1, True, False)
    assert len({trace.trace_id for trace in went if trace is not None}) == 4
    assert not any(CPR in str(trace) for trace in went)


async def test_people_are_told_in_lines_and_of_what_is_not_there_how_to_look_further(broker: Broker) -> None:
    assert await broker.send(broker.first, traceparent=SENT) == 202
    await broker.work()
    code, said = await broker.command(broker.first["case_id"])
    event_line, trace_line, *steps_told, case_line, waits = said.splitlines()
    assert (code, broker.first["event_id"] in event_line, trace_line) == (0, True, f"  trace {TRACE}")
    assert [line.split(maxsplit=1)[1] for line in steps_told] == [
        "received",
        "produced",
        "answered",
        "decided    indexed",
        "committed",
    ]
    assert (case_line.startswith("case "), waits.endswith("waits for the publisher")) == (True, True)
    code, said = await broker.command(str(uuid4()))
    assert (code, said) == (1, "Error: nothing of it in the last 1 days: look further back with --days\n")


async def test_an_event_sent_straight_to_kafka_is_found_by_what_stands_in_it(broker: Broker) -> None:
    assert await broker.send(broker.first, traceparent=SENT) == 202
    broker.logged.execute("DELETE FROM receipt")
    (one,) = (await broker.trace(broker.first["event_id"]))["events"]
    assert steps(one) == [("produced", None)]


def test_a_person_s_number_is_no_id_and_is_not_repeated() -> None:
    ran = CliRunner().invoke(main, ["trace", CPR])
    assert (ran.exit_code, CPR in ran.output) == (2, False)
