"""What an operator does with rejections on the command line."""

import asyncio
import csv
import io
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
from broker.stream.tail import tail
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

    def keep(self, payload: bytes | None, topic: str | None = None, code: str = "kle_unknown", **said: str) -> str:
        rejection_id = str(uuid.uuid4())
        told = {"system": "sbsys", "event_id": "e-1", "pointer": "/classification/kle", **said}
        with database.connect(self.dsn, "test") as connection:
            connection.execute(
                b"INSERT INTO rejection"
                b" (rejection_id, authority, system, event_id, code, pointer, detail, payload, topic)"
                b" VALUES (%s, %s, %s, %s, %s, %s, 'unknown', %s, %s)",
                [rejection_id, AARHUS, told["system"], told["event_id"], code, told["pointer"], payload, topic],
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
    form = rejections.does("show", kept)[1]["payload"]
    assert (form["event_id"], form["classification"]) == ("<text 3>", {"kle": "27.36.04"})
    assert rejections.does("show", kept, "--payload")[1]["payload"] == EVENT
    with database.connect(rejections.dsn, "test") as connection:
        logged = connection.execute("SELECT overview, purpose, authorities FROM access_log").fetchall()
    assert logged == [("rejections", f"rejection {kept}", [AARHUS])]
    assert rejections.does("show", str(uuid.uuid4()))[0] == 1


def test_a_discarded_rejection_is_closed_its_event_forgotten_and_who_and_why_kept(rejections: Rejections) -> None:
    kept = rejections.keep(orjson.dumps(EVENT))
    assert rejections.does("discard", kept)[0] == 2
    assert rejections.does("discard", kept, "--reason", "a test of 0101014444")[0] == 0
    assert rejections.does("discard", kept, "--reason", "again")[0] == 1
    assert rejections.does("list")[1] == []
    assert rejections.does("show", kept)[1]["payload"] is None
    (one,) = rejections.does("list", "--state", "discarded")[1]
    assert (one["rejection_id"], one["closed_by"], one["closed_because"]) == (kept, "command line", "a test of <cpr>")
    assert one["closed_at"] is not None


def test_what_is_alike_is_counted_together_wherever_it_stands_in_a_list(rejections: Rejections) -> None:
    rejections.keep(None, pointer="/parties/items/0/id")
    rejections.keep(orjson.dumps(EVENT), pointer="/parties/items/12/id")
    rejections.keep(None, pointer="/parties/items/0/role")
    rejections.keep(None, pointer="/parties/items/0/id", code="kle_malformed")
    alike = {(one["code"], one["pointer"]): one for one in rejections.does("causes")[1]}
    assert {cause: one["rejections"] for cause, one in alike.items()} == {
        ("kle_unknown", "/parties/items/*/id"): 2,
        ("kle_unknown", "/parties/items/*/role"): 1,
        ("kle_malformed", "/parties/items/*/id"): 1,
    }
    assert alike["kle_unknown", "/parties/items/*/id"]["with_event"] == 1
    for pointer in ("/parties/items/*/id", "/parties/items/7/id"):
        assert len(rejections.does("list", "--code", "kle_unknown", "--pointer", pointer)[1]) == 2
    assert len(rejections.does("list", "--from", "2020-01-01", "--to", "2021-01-01")[1]) == 0


def test_people_are_told_in_lines(rejections: Rejections) -> None:
    kept = rejections.keep(orjson.dumps(EVENT), pointer="/parties/items/0/id")
    rejections.run("UPDATE rejection SET at = TIMESTAMPTZ '2026-10-25 12:00Z'")
    day = ("report", "--system", "sbsys", "--day", "2026-10-25")
    for asked, told in (
        (("list",), f"{kept}  {AARHUS} sbsys  kle_unknown  /parties/items/0/id"),
        (("causes",), f"       1  {AARHUS} sbsys  kle_unknown  /parties/items/*/id"),
        (("show", kept), f"rejection_id: {kept}"),
        (day, "sbsys  2026-10-25  1 refused"),
        (("discard", "--system", "sbsys", "--reason", "x", "--yes"), "1 open, the event of 1 is kept"),
    ):
        ran = CliRunner().invoke(main, ["rejections", *asked, "--data", str(rejections.data)])
        assert (ran.exit_code, ran.stdout.splitlines()[0]) == (0, told)


def test_a_group_is_given_up_only_after_it_was_said_how_many_they_are(rejections: Rejections) -> None:
    for _ in range(3):
        rejections.keep(orjson.dumps(EVENT))
    other = rejections.keep(None, code="kle_malformed")
    group = ("discard", "--code", "kle_unknown", "--reason", "test data")
    assert rejections.does("discard", "--reason", "neither ids nor a filter")[0] == 2
    assert rejections.does(*group)[1] == {"found": 3, "with_event": 3, "done": False}
    assert len(rejections.does("list")[1]) == 4
    asked = CliRunner().invoke(main, ["rejections", *group, "--data", str(rejections.data)], input="n\n")
    assert (asked.output.splitlines()[0], len(rejections.does("list")[1])) == ("3 open, the event of 3 is kept", 4)
    assert rejections.does(*group, "--yes")[1] == {"discarded": 3, "done": True}
    assert [one["rejection_id"] for one in rejections.does("list")[1]] == [other]


def test_a_vendor_s_report_is_of_its_own_day_and_says_nothing_of_anybody(rejections: Rejections) -> None:
    kept = rejections.keep(orjson.dumps(EVENT), event_id="=cmd|'0101014444'")
    rejections.keep(None, system="nexus")
    rejections.run(
        "UPDATE rejection SET detail = 'Kirsten 0101014444', at = TIMESTAMPTZ '2026-10-24 22:30Z'",
        "INSERT INTO rejection (rejection_id, authority, system, code, pointer, detail, at) VALUES"
        " (gen_random_uuid(), '55133018', 'sbsys', 'no_agreement', '', '', TIMESTAMPTZ '2026-10-25 23:00Z')",
    )
    of = ("report", "--system", "sbsys", "--day", "2026-10-25")
    _, told = rejections.does(*of)
    assert (told["rejections"], told["left_out"], len(told["causes"])) == (1, 0, 1)
    (event,) = told["events"]
    assert (event["rejection_id"], event["event_id"]) == (kept, "=cmd|'<cpr>'")
    assert "Kirsten" not in json.dumps(told)
    ran = CliRunner().invoke(main, ["rejections", *of, "--csv", "--data", str(rejections.data)])
    (line,) = csv.DictReader(io.StringIO(ran.stdout))
    assert line["event_id"] == "'=cmd|'<cpr>'"
    assert [
        rejections.does("report", "--system", "sbsys", "--day", f"2026-10-{day}")[1]["rejections"] for day in (24, 26)
    ] == [0, 1]


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
    before = await ends(kafka.address)
    again = await in_thread(rejections, "replay", from_log)
    assert (again, await ends(kafka.address)) == (
        (0, {"rejection_id": from_log, "state": "replayed", "sent": 0}),
        before,
    )

    known = [rejections.keep(orjson.dumps(CANONICAL | {"event_id": f"e-{n}"})) for n in (3, 4)]
    unknown = rejections.keep(orjson.dumps(CANONICAL | {"classification": {"kle": "99.99.99"}}))
    rejections.keep(None)
    group = ("replay", "--system", "sbsys", "--code", "kle_unknown")
    assert await in_thread(rejections, *group) == (0, {"found": 4, "with_event": 3, "done": False})
    assert await ends(kafka.address) == before
    _, done = await in_thread(rejections, *group, "--yes")
    assert done == {"found": 4, "replayed": 2, "sent": 2, "stays": {"kle_unknown": 1, "not_kept": 1}, "done": True}
    assert await sent(kafka.address, CASE_EVENTS) >= {"e-3", "e-4"}
    assert unknown in {one["rejection_id"] for one in (await in_thread(rejections, "list"))[1]}
    after = await ends(kafka.address)
    _, done = await in_thread(rejections, *group, "--yes")
    assert (done["found"], done["sent"], await ends(kafka.address)) == (2, 0, after)
    (closed, *_) = (await in_thread(rejections, "list", "--state", "replayed", "--limit", "1"))[1]
    assert (closed["rejection_id"] in known, closed["closed_by"]) == (True, "command line")


async def test_a_replay_takes_out_what_its_event_moves_out(database: str, tmp_path: Path, kafka: Part) -> None:
    """The case is here by its older number; the newer one was not known when it came, and is not wanted."""
    settings = Settings(kafka=kafka.address, database=SecretStr(database))
    make_topics(admin(confluent_options(settings)), READ_BY_WORKERS, 1)
    rejections = running(database, tmp_path, kafka.address)
    agreed = {"authority": AARHUS, "system": "sbsys", "state": "FULL", "kle": ["27.*"]}
    agreed |= {"sensitivity": "VIP_SAGER", "from_date": "2020-01-01"}
    choice = {"authority": AARHUS, "kle": ["27.36.*"], "from_date": "2020-01-01", "active_only": False}
    choice |= {"effective_from": None, "effective_to": None}
    unwanted, outside, another = (str(uuid.UUID(int=number)) for number in (21, 22, 23))
    rejections.run(
        f"INSERT INTO sender_agreement VALUES ('{AARHUS}', 'sbsys', 1, '{json.dumps(agreed)}', 'test')",
        f"INSERT INTO delimitation VALUES ('{AARHUS}', 1, '{json.dumps([choice])}', 'test')",
        "INSERT INTO kle_edition VALUES ('2020-01-01')",
        "INSERT INTO kle_subject SELECT '2020-01-01', unnest(ARRAY['27.36.04', '27.42.00', '15.20.01']), 'Emne'",
        *(
            "INSERT INTO entry (authority, system, case_id, newest, shape, complete, kle, sensitivity, received_at,"
            f" document) VALUES ('{AARHUS}', 'sbsys', '{case}', '', 7, true, '27.36.04', 1, now(), '')"
            for case in (unwanted, outside)
        ),
    )
    kept = [
        rejections.keep(orjson.dumps(CANONICAL | {"case_id": case, "classification": {"kle": number}}))
        for case, number in ((unwanted, "27.42.00"), (outside, "15.20.01"), (another, "27.42.00"))
    ]
    assert await in_thread(rejections, "replay", kept[0]) == (
        0,
        {"rejection_id": kept[0], "state": "replayed", "sent": 1},
    )
    _, done = await in_thread(rejections, "replay", "--system", "sbsys", "--yes")
    assert done == {"found": 2, "replayed": 1, "sent": 1, "stays": {"outside_agreement": 1}, "done": True}
    gone = {case: await sent(kafka.address, CASE_EVENTS, case) for case in (unwanted, outside, another)}
    assert gone == {unwanted: {str(uuid.UUID(int=0))}, outside: {str(uuid.UUID(int=0))}, another: set()}


async def in_thread(rejections: Rejections, *arguments: str) -> tuple[int, Any]:
    """The command has an event loop of its own."""
    return await asyncio.to_thread(rejections.does, *arguments)


async def ends(address: str) -> int:
    """How much was ever put into the topic of case events."""
    async with tail({"bootstrap_servers": address}, [CASE_EVENTS]) as log:
        return sum((await log.bounds(CASE_EVENTS))[1])


async def sent(address: str, topic: Topic, case_id: str = CASE) -> set[str]:
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
            found |= {decoder.decode(record.value)["event_id"] for record in records if record.key == case_id.encode()}
    await consumer.stop()
    return found
