"""What outsiders bring with them: Confluent's own clients and curl, unchanged, against a whole running Sagsbro."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from broker.cli.setup import prepare
from broker.security import Issuer
from broker.settings import Settings
from broker.store.database import connect
from broker.stream.framing import BUNDLED, Decoder, schema_text
from broker.stream.registry import Registry
from broker.stream.topics import CASE_EVENTS, OVERVIEWS
from ops.bench.faults import agree, settle
from ops.bench.storm import AUTHORITY, SYSTEM
from ops.embedded import instance
from ops.embedded.instance import Instance

SUBJECT = f"{CASE_EVENTS.name}-value"
EXAMPLES = Path(__file__).parents[2] / "consumers" / "examples"
VENDORS_EXAMPLES = Path(__file__).parents[2] / "connectors" / "examples"
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Whole:
    """A running Sagsbro, and ways to it."""

    instance: Instance
    settings: Settings

    def token(self, role: str, **claims: Any) -> str:
        return Issuer(self.settings).issue({"sub": "outside", "role": role, **claims}, 600)

    @property
    def vendor(self) -> str:
        return self.token("vendor", system=SYSTEM, authorities=[AUTHORITY])

    @contextmanager
    def registry(self, **configured: str) -> Iterator[SchemaRegistryClient]:
        with SchemaRegistryClient({"url": self.settings.registry, **configured}) as client:
            yield client

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with connect(self.settings.dsn, "test") as connection:
            return connection.execute(statement.encode(), values).fetchall()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """API, one worker, one publisher: one for all tests of this file."""

    def ready(where: Mapping[str, str]) -> None:
        for name, value in where.items():
            environment.setenv(name, value)
        prepare(Settings())
        agree(Settings())

    data = tmp_path_factory.mktemp("whole") / "data"
    with pytest.MonkeyPatch.context() as environment, instance.held(instance.Plan(data), {}) as running:
        running.start(ready)
        yield Whole(running, Settings())


def case(**more: Any) -> Event:
    """A case as a record of the registered schema: only what has no default, and what makes it visible."""
    now = time.time_ns() // 1000
    return {
        "event_id": str(uuid.uuid4()),
        "system": SYSTEM,
        "authority": AUTHORITY,
        "case_id": str(uuid.uuid4()),
        "registered_at": now,
        "change": "REGISTERED",
        "properties": {"user_key": "17/24", "title": "Bevilling", "created_at": now},
        "classification": {"kle": "27.36.04"},
        "progress": {"items": [{"state": "OPSTAAET", "effective_from": now}]},
        "parties": {"items": [{"item_id": "1", "role": "PRIMARY", "id_type": "CVR", "id": AUTHORITY}]},
        **more,
    }


def other_schema(name: str) -> str:
    """The published schema with a field more and a field less, each of which has a default."""
    schema = json.loads(schema_text("case_event"))
    schema["fields"] = [field for field in schema["fields"] if field["name"] != "security_profile"]
    schema["fields"].append({"name": name, "type": ["null", "string"], "default": None})
    return json.dumps(schema)


def produce(whole: Whole, schema: str, *events: Event, **configured: str) -> list[bytes]:
    """Serialised and sent as the documentation of the stock clients has it; the values that were sent."""
    context = SerializationContext(CASE_EVENTS.name, MessageField.VALUE)
    with whole.registry(**configured) as registry:
        serialize = AvroSerializer(registry, schema)
        values = [serialize(event, context) for event in events]
    producer = Producer({"bootstrap.servers": whole.settings.kafka, "acks": "all"})
    for event, value in zip(events, values, strict=True):
        producer.produce(CASE_EVENTS.name, key=event["case_id"], value=value)
    assert producer.flush(30) == 0
    return values


def indexed(whole: Whole, *events: Event) -> bool:
    """Whether the index has all of these cases, complete, once everything is settled."""
    assert settle(whole.settings, 60) == []
    ids = [event["case_id"] for event in events]
    return whole.rows("SELECT count(*) FROM entry WHERE complete AND case_id = ANY(%s::uuid[])", ids) == [(len(ids),)]


def test_a_stock_producer_without_a_token_is_indexed(whole: Whole) -> None:
    events = [case() for _ in range(20)]
    values = produce(whole, schema_text("case_event"), *events)
    assert {value[:5] for value in values} == {b"\x00" + BUNDLED["case_event"].to_bytes(4, "big")}
    assert indexed(whole, *events)


def test_a_stock_producer_with_a_compatible_schema_of_its_own_is_indexed(whole: Whole) -> None:
    bearer = {
        "bearer.auth.credentials.source": "STATIC_TOKEN",
        "bearer.auth.token": whole.token("operator"),
        "bearer.auth.logical.cluster": "none",
    }
    schema = other_schema("vendor_note")
    with pytest.raises(SchemaRegistryError) as refused:
        produce(whole, schema, case())
    assert refused.value.http_status_code == 401

    events = [case(vendor_note="ours") for _ in range(20)]
    values = produce(whole, schema, *events, **bearer)
    (schema_id,) = {int.from_bytes(value[1:5], "big") for value in values}
    assert schema_id >= 100
    with closing(Registry(whole.settings.registry)) as ours:
        read = Decoder("case_event", ours.schema).decode(values[0])
    assert (read["case_id"], read["security_profile"], "vendor_note" in read) == (events[0]["case_id"], None, False)
    assert indexed(whole, *events)
    assert produce(whole, schema, case())[0][:5] == values[0][:5]


def test_a_stock_client_that_knows_passwords_only_gives_the_token_as_one(whole: Whole) -> None:
    password = {"basic.auth.user.info": f"token:{whole.token('operator')}"}
    with whole.registry(**password) as registry:
        schema = Schema(other_schema("by_password"), "AVRO")
        schema_id = registry.register_schema("by-password-value", schema)
        assert registry.get_schema(schema_id).schema_str == schema.schema_str
        assert registry.lookup_schema("by-password-value", schema).version == 1
        assert registry.get_latest_version("by-password-value").schema_id == schema_id
        assert "by-password-value" in registry.get_subjects()
        assert registry.test_compatibility("by-password-value", Schema(schema_text("rejection"), "AVRO")) is False
        with pytest.raises(SchemaRegistryError) as refused:
            registry.register_schema("by-password-value", Schema(schema_text("rejection"), "AVRO"))
        assert (refused.value.http_status_code, refused.value.error_code) == (409, 409)
        assert registry.get_compatibility() == "FULL_TRANSITIVE"
        assert registry.set_compatibility("by-password-value", "NONE") == {"compatibility": "NONE"}
        assert registry.get_config("by-password-value").compatibility_level == "NONE"
        assert registry.get_global_mode() == "READWRITE"
        assert registry.get_versions("by-password-value") == [1]
        assert registry.delete_subject("by-password-value") == [1]
        assert registry.delete_subject("by-password-value", permanent=True) == [1]


def test_a_stock_consumer_reads_the_overview_topic(whole: Whole) -> None:
    events = [case() for _ in range(5)]
    produce(whole, schema_text("case_event"), *events)
    assert indexed(whole, *events)
    wanted = {f"{AUTHORITY}/{SYSTEM}/{event['case_id']}" for event in events}
    topic = OVERVIEWS["sapa"].name
    context = SerializationContext(topic, MessageField.VALUE)
    consumer = Consumer(
        {
            "bootstrap.servers": whole.settings.kafka,
            "group.id": "an-overview",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    consumer.subscribe([topic])
    found: dict[str, Event] = {}
    deadline = time.monotonic() + 60
    with whole.registry() as registry:
        deserialize = AvroDeserializer(registry)
        while not found.keys() >= wanted and time.monotonic() < deadline:
            message = consumer.poll(1.0)
            if message is not None and message.error() is None:
                found[message.key().decode()] = deserialize(message.value(), context)
    consumer.close()
    assert found.keys() >= wanted
    shown = found[f"{AUTHORITY}/{SYSTEM}/{events[0]['case_id']}"]
    assert (shown["case_id"], shown["content"]["title"]) == (events[0]["case_id"], "Bevilling")


def test_a_case_that_comes_on_two_partitions_is_one_entry_with_the_newest_of_both(whole: Whole) -> None:
    """A stock producer spreads keys otherwise than the intake does."""
    older = [case() for _ in range(20)]
    produce(whole, schema_text("case_event"), *older)
    ids = [event["case_id"] for event in older]
    newer = [sent(0, case_id=case_id, event_id=case_id) for case_id in ids]
    for event in newer:
        event["registered_at"] = event["properties"]["created_at"] = soon()
    headers = {"Authorization": f"Bearer {whole.vendor}"}
    answer = httpx.post(f"{whole.settings.api_url}/v1/case-events", json=newer, headers=headers, timeout=30)
    assert answer.json()["accepted"] == 20
    assert indexed(whole, *older)
    kept = whole.rows("SELECT user_key, count(*) FROM entry WHERE case_id = ANY(%s::uuid[]) GROUP BY 1", ids)
    assert kept == [("1", 20)]
    assert len(partitions(whole, set(ids))) > 20


@pytest.mark.parametrize(
    "command", [[sys.executable, "-m", "consumers.examples.vendor_push"], [str(EXAMPLES / "vendor_push.sh")]]
)
def test_the_examples_push_read_the_receipt_mend_and_replay(whole: Whole, command: list[str]) -> None:
    ran = subprocess.run(
        [*command, whole.settings.api_url, SYSTEM, AUTHORITY],
        env={**os.environ, "SAGSBRO_TOKEN": whole.vendor},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    told = ran.stdout.splitlines()
    assert "kle_malformed" in told[0]
    assert "/classification/kle" in told[0]
    assert told[1:] == ["first: indexed rejected", "mended: indexed", "once more: duplicate duplicate"]


@pytest.mark.parametrize(
    "command", [[sys.executable, "-m", "connectors.examples.push"], [str(VENDORS_EXAMPLES / "push.sh")]]
)
def test_the_vendors_examples_push_their_own_words_and_mend_what_was_refused(whole: Whole, command: list[str]) -> None:
    ran = subprocess.run(
        [*command, whole.settings.api_url, AUTHORITY],
        env={**os.environ, "SAGSBRO_TOKEN": whole.vendor},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    told = ran.stdout.splitlines()
    assert "state_unknown" in told[0]
    assert "/SagsStatus/Navn" in told[0]
    assert told[1:] == ["first: indexed rejected", "mended: indexed", "once more: duplicate duplicate"]


def sent(number: int, kle: str = "27.36.04", **more: Any) -> Event:
    """An event in the JSON form; the same number is the same case."""
    return {
        "event_id": f"late-{number}",
        "system": SYSTEM,
        "authority": AUTHORITY,
        "case_id": str(uuid.UUID(int=number)),
        "registered_at": "2024-05-01T10:00:00Z",
        "change": "REGISTERED",
        "properties": {"user_key": "1", "title": "Bevilling", "created_at": "2024-05-01T10:00:00Z"},
        "classification": {"kle": kle},
        "progress": [{"state": "OPSTAAET", "effective_from": "2024-05-01T10:00:00Z"}],
        **more,
    }


def test_a_receipt_tells_each_verdict_that_the_worker_came_to_later(whole: Whole) -> None:
    older = sent(1, event_id="late-0", registered_at="2024-04-01T10:00:00Z")
    events = [sent(1), sent(1), older, sent(2, kle="32.45.04"), sent(3, progress=None)]
    headers = {"Authorization": f"Bearer {whole.vendor}"}
    with httpx.Client(base_url=whole.settings.api_url, headers=headers, timeout=30) as http:
        whole.instance.supervisor.signal("worker-1", signal.SIGSTOP)
        try:
            answer = http.post("/v1/case-events", json=events).json()
            assert (answer["accepted"], answer["rejected"]) == (5, [])
            path = f"/v1/receipts/{answer['receipt_id']}"
            assert {one["status"] for one in http.get(path).json()["events"]} == {"pending"}
            _forget_number(whole, "32.45.04")
        finally:
            whole.instance.supervisor.signal("worker-1", signal.SIGCONT)
        assert settle(whole.settings, 60) == []
        told = http.get(path).json()["events"]
    assert [(one["status"], one.get("code")) for one in told] == [
        ("indexed", None),
        ("duplicate", None),
        ("stale", None),
        ("rejected", "kle_retired"),
        ("indexed", "incomplete"),
    ]
    assert told[3]["pointer"] == "/classification/kle"
    assert told[3]["detail"]


def soon() -> str:
    """Later than anything that was produced before."""
    return datetime.now(UTC).isoformat()


def partitions(whole: Whole, ids: set[str]) -> set[tuple[str, int]]:
    """On which partitions each case came."""
    consumer = Consumer({"bootstrap.servers": whole.settings.kafka, "group.id": "a-look", "enable.partition.eof": True})
    consumer.assign([TopicPartition(CASE_EVENTS.name, number, 0) for number in range(CASE_EVENTS.partitions)])
    found, ended = set(), 0
    while ended < CASE_EVENTS.partitions:
        message = consumer.poll(10.0)
        assert message is not None
        if message.error() is not None:
            ended += 1
        elif message.key().decode() in ids:
            found.add((message.key().decode(), message.partition()))
    consumer.close()
    return found


def _forget_number(whole: Whole, number: str) -> None:
    """A new edition that does not have it, as one change of the reference data."""
    with connect(whole.settings.dsn, "test") as connection, connection.transaction():
        connection.execute("INSERT INTO kle_edition (published) VALUES ('2024-01-01')")
        connection.execute(
            "INSERT INTO kle_subject SELECT '2024-01-01', number, title FROM kle_subject WHERE number <> %s", [number]
        )
        connection.execute("UPDATE reference_revision SET revision = revision + 1")
