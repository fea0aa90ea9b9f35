"""What an operator does with rejections on the command line."""

import asyncio
import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from click.testing import CliRunner
from pydantic import SecretStr

from broker.cli import main
from broker.settings import Settings
from broker.store import database
from broker.stream.clients import confluent_options
from broker.stream.cluster import admin, make_topics
from broker.stream.framing import Decoder, encode
from broker.stream.topics import CASE_EVENTS, DOCUMENT_EVENTS, READ_BY_WORKERS, Topic
from ops.embedded.part import Part

AARHUS = "55133018"
CASE = str(uuid.UUID(int=7))
EVENT: dict[str, Any] = {
    "event_id": "e-1",
    "system": "sbsys",
    "authority": AARHUS,
    "case_id": CASE,
    "registered_at": 1_700_000_000_000_000,
    "change": "REGISTERED",
    "classification": {"kle": "27.36.04"},
}
CANONICAL = EVENT | {"event_id": "e-2", "registered_at": "2024-01-01T00:00:00Z"}


@dataclass(frozen=True)
class Rejections:
    """A database with rejections, and the command line on it."""

    dsn: str
    data: Path

    def keep(self, payload: bytes | None, topic: str | None = None, code: str = "kle_unknown") -> str:
        rejection_id = str(uuid.uuid4())
        with database.connect(self.dsn, "test") as connection:
            connection.execute(
                b"INSERT INTO rejection"
                b" (rejection_id, authority, system, event_id, code, pointer, detail, payload, topic)"
                b" VALUES (%s, %s, 'sbsys', 'e-1', %s, '/classification/kle', 'unknown', %s, %s)",
                [rejection_id, AARHUS, code, payload, topic],
            )
        return rejection_id

    def does(self, *arguments: str) -> tuple[int, Any]:
        ran = CliRunner().invoke(main, ["rejections", *arguments, "--json", "--data", str(self.data)])
        return ran.exit_code, json.loads(ran.stdout) if ran.exit_code == 0 else ran.output

    def run(self, *statements: str) -> None:
        with database.connect(self.dsn, "test") as connection:
            for statement in statements:
                connection.execute(statement.encode())


def running(dsn: str, data: Path, kafka: str) -> Rejections:
    database.migrate(dsn)
    where = {"api": "http://127.0.0.1:9", "registry": "http://127.0.0.1:9", "kafka": kafka, "database": dsn}
    (data / "instance.json").write_text(json.dumps(where))
    return Rejections(dsn, data)


@pytest.fixture
def rejections(database: str, tmp_path: Path) -> Rejections:
    return running(database, tmp_path, "127.0.0.1:9")


def test_rejections_are_listed_and_shown_without_the_event_unless_asked(rejections: Rejections) -> None:
    kept = rejections.keep(orjson.dumps(EVENT))
    other = rejections.keep(None, code="kle_malformed")

    assert {one["rejection_id"] for one in rejections.does("list")[1]} == {kept, other}
    ((one,),) = [rejections.does("list", "--code", "kle_unknown")[1]]
    assert (one["payload_bytes"], "payload" in one) == (len(orjson.dumps(EVENT)), False)
    assert one["remedy"].startswith("Use a number")
    assert "e-1" not in rejections.does("show", kept)[1]["payload"]
    assert json.loads(rejections.does("show", kept, "--payload")[1]["payload"]) == EVENT
    with database.connect(rejections.dsn, "test") as connection:
        logged = connection.execute("SELECT overview, purpose, authorities FROM access_log").fetchall()
    assert logged == [("rejections", f"rejection {kept}", [AARHUS])]
    assert rejections.does("show", str(uuid.uuid4()))[0] == 1


def test_a_discarded_rejection_is_closed_and_its_event_forgotten(rejections: Rejections) -> None:
    kept = rejections.keep(orjson.dumps(EVENT))
    assert rejections.does("discard", kept)[0] == 0
    assert rejections.does("discard", kept)[0] == 1
    assert rejections.does("list")[1] == []
    assert rejections.does("show", kept)[1]["payload"] is None
    assert rejections.does("list", "--state", "discarded")[1][0]["rejection_id"] == kept


def test_what_would_be_refused_again_or_cannot_be_read_is_not_sent(rejections: Rejections) -> None:
    for payload, topic, why in (
        (None, None, "was not kept"),
        (orjson.dumps(CANONICAL), None, "no_agreement"),
        (b"no framing", CASE_EVENTS.name, "cannot be read"),
    ):
        code, output = rejections.does("replay", rejections.keep(payload, topic))
        assert (code, why in output) == (1, True)
    assert len(rejections.does("list")[1]) == 3


async def test_after_the_cause_is_mended_a_replay_puts_the_event_into_the_log(
    database: str, tmp_path: Path, kafka: Part
) -> None:
    settings = Settings(kafka=kafka.address, database=SecretStr(database))
    make_topics(admin(confluent_options(settings)), READ_BY_WORKERS, 1)
    rejections = running(database, tmp_path, kafka.address)
    agreed = {"authority": AARHUS, "system": "sbsys", "state": "FULL", "kle": ["27.*"]}
    agreed |= {"sensitivity": "VIP_SAGER", "from_date": "2020-01-01"}
    rejections.run(
        f"INSERT INTO sender_agreement VALUES ('{AARHUS}', 'sbsys', 1, '{json.dumps(agreed)}', 'test')",
        "INSERT INTO kle_edition VALUES ('2020-01-01')",
        "INSERT INTO kle_subject VALUES ('2020-01-01', '27.36.04', 'Hjemmehjælp')",
    )
    from_log = rejections.keep(encode("case_event", EVENT), CASE_EVENTS.name)
    from_intake = rejections.keep(orjson.dumps(CANONICAL))
    document = {"event_id": "d-1", "system": "sbsys", "authority": AARHUS, "document_id": CASE, "registered_at": 0}
    document_from_log = rejections.keep(encode("document_event", document | {"removed": False}), DOCUMENT_EVENTS.name)
    document_from_intake = rejections.keep(
        orjson.dumps(document | {"event_id": "d-2", "registered_at": "2024-05-01T10:00:00Z"})
    )

    for kept in (from_log, from_intake, document_from_log, document_from_intake):
        assert await in_thread(rejections, "replay", kept) == (
            0,
            {"rejection_id": kept, "state": "replayed", "sent": 1},
        )

    assert await sent(kafka.address, CASE_EVENTS) >= {"e-1", "e-2"}
    assert await sent(kafka.address, DOCUMENT_EVENTS) == {"d-1", "d-2"}
    assert await in_thread(rejections, "list") == (0, [])


async def in_thread(rejections: Rejections, *arguments: str) -> tuple[int, Any]:
    """The command has an event loop of its own."""
    return await asyncio.to_thread(rejections.does, *arguments)


async def sent(address: str, topic: Topic) -> set[str]:
    """The ids of all events of the case, or the document, in the log."""
    assert topic.subject is not None
    decoder = Decoder(topic.subject, lambda _: None)
    consumer = AIOKafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
    consumer.assign(partitions)
    ends = await consumer.end_offsets(partitions)
    found: set[str] = set()
    while any([await consumer.position(partition) < ends[partition] for partition in partitions]):
        for records in (await consumer.getmany(timeout_ms=500)).values():
            found |= {decoder.decode(record.value)["event_id"] for record in records if record.key == CASE.encode()}
    await consumer.stop()
    return found
