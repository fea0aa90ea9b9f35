"""A case that was another citizen's, or that is disposed of: out of sight at once, and from everywhere as was stated.

Topics are given short times here, so that what takes days in them takes seconds.
"""

import asyncio
import json
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, LiteralString

import httpx
import pytest
from click.testing import CliRunner
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from psycopg import sql

from broker.cli import main
from broker.cli.setup import prepare
from broker.security import Issuer
from broker.settings import SEAL_KEY, Settings, said
from broker.store.database import connect
from broker.stream.clients import aiokafka_options, confluent_options
from broker.stream.cluster import admin
from broker.stream.tail import Record, tail
from broker.stream.topics import CASE_EVENTS, DAY, OVERVIEWS, REJECTIONS, TOPICS, Topic
from ops.embedded import instance
from tests.integration.following import READER
from tests.integration.registering import consent, effort, put
from tests.integration.running import AGREEMENT, AUTHORITY, CPR, KLE, agree, event

PATIENCE = 120
LATER = "2024-05-02T10:00:00.000001Z"
FAST = {
    "segment.ms": "200",
    "max.compaction.lag.ms": "1",
    "min.cleanable.dirty.ratio": "0.01",
    "file.delete.delay.ms": "100",
}
EVERYWHERE = {topic.name for topic in OVERVIEWS.values()}
VIEW = {"authority": AUTHORITY, "kle": "N*", "on": True, "from_date": "2020-01-01", "active_exempt": True}
VIEW |= {"systems": [], "title": "TITLE", "documents": True}


class Whole:
    """A running Sagsbro, and every place where something may lie."""

    def __init__(self, data: Path, settings: Settings) -> None:
        self.data, self.settings = data, settings
        issuer = Issuer(settings)
        vendor = {"sub": "vendor-1", "role": "vendor", "system": "sbsys", "authorities": [AUTHORITY]}
        self._vendor, self._reader = issuer.issue(vendor, 3600), issuer.issue(READER, 3600)

    def send(self, **said_so: Any) -> None:
        one = {name: value for name, value in event(1, **said_so).items() if value is not None}
        answer = self._post("/v1/case-events", [one], self._vendor)
        assert (answer.status_code, answer.json()["accepted"]) == (202, 1)

    def shown(self) -> list[Any]:
        return list(self._post("/v1/overviews/sapa/search", {"citizen": CPR}, self._reader).json()["entries"])

    def _post(self, path: str, body: Any, token: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.post(self.settings.api_url + path, json=body, headers=headers, timeout=30)

    def tables(self, marker: str) -> set[str]:
        """Those in which it stands, as text or as bytes."""
        with connect(self.settings.dsn, "test") as connection:
            names = [
                name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            ]
            look = "SELECT EXISTS (SELECT FROM {t} WHERE strpos({t}::text, %s) > 0 OR strpos({t}::text, %s) > 0)"
            asked = [marker, marker.encode().hex()]
            found = {
                name: connection.execute(sql.SQL(look).format(t=sql.Identifier(name)), asked).fetchone()
                for name in names
            }
        return {name for name, row in found.items() if row == (True,)}

    def topics(self, marker: str) -> set[str]:
        """Those in which it can be read."""
        return {topic.name for topic in TOPICS if any(marker.encode() in (r.value or b"") for r in self.records(topic))}

    def sql(self, statement: LiteralString) -> None:
        with connect(self.settings.dsn, "test") as connection:
            connection.execute(statement)

    def records(self, topic: Topic) -> list[Record]:
        async def read() -> list[Record]:
            async with tail(aiokafka_options(self.settings), [topic]) as log:
                first, ends = await log.bounds(topic)
                log.begin(topic, first)
                found: list[Record] = []
                while any(at < end for at, end in zip(await log.reached(topic), ends, strict=True)):
                    found += await log.poll(500)
                return found

        return asyncio.run(read())

    def files(self, marker: str) -> set[str]:
        """The folders of every part and service that have files with its bytes in them.

        But for what PostgreSQL writes ahead and reuses by itself, and for the events as they came, kept as was stated.
        """
        found = set()
        for path in self.data.rglob("*"):
            within = path.relative_to(self.data)
            if "pg_wal" in within.parts or any(part.startswith(CASE_EVENTS.name) for part in within.parts):
                continue
            with suppress(OSError):  # one that has gone meanwhile
                if path.is_file() and marker.encode() in path.read_bytes():
                    found.add(str(within.parent))
        return found

    def configure(self, topic: Topic, config: dict[str, str]) -> None:
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in config.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=entries)
        client = admin(confluent_options(self.settings))
        for future in client.incremental_alter_configs([resource]).values():
            future.result()


def everywhere_in_it(marker: str) -> dict[str, Any]:
    """A case that names it wherever a case has words."""
    words = {"user_key": marker, "title": marker, "confidential_title": marker, "link": f"https://example.org/{marker}"}
    at = "2024-05-01T09:00:00+02:00"
    note = {"item_id": "j1", "kind": "NOTE", "title": marker, "registered_at": at}
    document = {"item_id": "j2", "kind": "DOCUMENT", "document_id": str(uuid.uuid4()), "title": marker}
    return {
        "properties": {**words, "legal_basis": marker, "local_status": marker, "decision": marker, "created_at": at},
        "parties": [{"item_id": "p1", "role": "PRIMARY", "id_type": "CPR", "id": CPR, "name": marker}],
        "actors": [{"item_id": "a1", "role": "RESPONSIBLE", "id": marker, "name": marker, "contact": marker}],
        "journal": [note, {**document, "registered_at": at}],
    }


def until(holds: Callable[[], bool]) -> None:
    """Ask until it does."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end


@pytest.fixture
def whole(own_data: Path) -> Iterator[Whole]:
    def ready(where: Any) -> None:
        settings = said(where)
        prepare(settings)
        with connect(settings.dsn, "test") as connection, connection.transaction():
            connection.execute("INSERT INTO kle_edition (published) VALUES ('2020-01-01')")
            connection.execute("INSERT INTO kle_subject VALUES ('2020-01-01', %s, 'x')", [KLE])
            agree(connection, AGREEMENT, 1)
            for overview in OVERVIEWS:
                connection.execute(
                    "INSERT INTO reader_agreement (authority, overview, client, version, body, put_by)"
                    " VALUES (%s, %s, '*', 1, %s, 'test')",
                    [AUTHORITY, overview, json.dumps({**AGREEMENT, "overview": overview, "client": "*"})],
                )
            connection.execute("INSERT INTO citizen_view VALUES (%s, 1, %s, 'test')", [AUTHORITY, json.dumps([VIEW])])

    with instance.held(instance.Plan(own_data, log=own_data / "services.log"), {}) as running:
        running.start(ready)
        yield Whole(own_data, said(running.settings))


@pytest.mark.parametrize("reason", ["WRONG_CITIZEN", "DISPOSED"])
def test_a_removed_case_is_out_of_sight_at_once_and_then_out_of_every_table_topic_and_file(
    whole: Whole, reason: str
) -> None:
    marker, overview = f"marker{uuid.uuid4().hex}", OVERVIEWS["sapa"]
    put(whole.settings.dsn, effort(), consent())
    registered = whole.tables(CPR)
    for topic in OVERVIEWS.values():
        whole.configure(topic, FAST)
    whole.send(event_id="event-1", **everywhere_in_it(marker))
    until(lambda: whole.topics(marker) >= EVERYWHERE and len(whole.shown()) == 1)
    assert whole.tables(marker) == {"entry"}
    assert whole.topics(marker) == {CASE_EVENTS.name, *EVERYWHERE}
    assert whole.tables(CPR) == registered | {"entry"}
    whole.sql("CHECKPOINT")
    # What is looked for later is there to be found now.
    before = whole.files(marker)
    assert all(any(part in folder for folder in before) for part in ("postgres", *EVERYWHERE))

    nothing = {"properties": None, "access": None, "classification": None, "progress": None, "parties": None}
    nothing |= {"actors": None, "journal": None}
    whole.send(event_id="event-2", registered_at=LATER, change="REMOVED", removal_reason=reason, **nothing)
    until(lambda: whole.shown() == [])

    # Out of sight, and out of every table: the number of the citizen too.
    assert whole.tables(marker) == set()
    assert whole.tables(CPR) == registered
    (key,) = {record.key for record in whole.records(overview)}

    def taken_back() -> bool:
        newest = [[r.value for r in whole.records(topic) if r.key == key][-1] for topic in OVERVIEWS.values()]
        return newest == [None] * len(OVERVIEWS)

    until(taken_back)
    # Overview topics are compacted within a day and an hour; here once another record has closed the segment.

    def compacted() -> bool:
        whole.send(event_id=str(uuid.uuid4()), case_id=str(uuid.uuid4()))
        return not whole.topics(marker) & EVERYWHERE

    until(compacted)
    whole.sql("VACUUM FULL")
    whole.sql("CHECKPOINT")
    until(lambda: whole.files(marker) == set())
    # What is left lies in topics that keep nothing longer than was stated.
    assert whole.topics(marker) == {CASE_EVENTS.name}
    kept = {topic.name: int(topic.config["retention.ms"]) for topic in (CASE_EVENTS, REJECTIONS)}
    assert kept == {CASE_EVENTS.name: 35 * DAY, REJECTIONS.name: 30 * DAY}


def test_a_running_instance_seals_what_is_read_and_the_command_finds_it_whole(whole: Whole) -> None:
    whole.shown()
    unsealed = "SELECT count(*) FROM access_unsealed"
    unanchored = "SELECT count(*) FROM access_segment WHERE NOT anchored"
    with connect(whole.settings.dsn, "test") as connection:
        until(lambda: connection.execute(unsealed).fetchone() == connection.execute(unanchored).fetchone() == (0,))
    said = CliRunner().invoke(main, ["verify", "--data", str(whole.data), "--json"])
    report = json.loads(said.stdout)
    assert (said.exit_code, report["rows"], report["segments"], report["anchors"]) == (0, 1, 1, 1)
    key = whole.data / SEAL_KEY
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert whole.tables(key.read_text().splitlines()[1]) == set()
