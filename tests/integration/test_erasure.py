"""A case that was another citizen's, or that is disposed of: out of sight at once, and from everywhere as was stated.

Topics are given short times here, so that what takes days in them takes seconds.
"""

import asyncio
import json
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

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
from tests.integration.running import AGREEMENT, AUTHORITY, CPR, KLE, agree, event

PATIENCE = 120
LATER = "2024-05-02T10:00:00.000001Z"
FAST = {"segment.ms": "200", "max.compaction.lag.ms": "1", "min.cleanable.dirty.ratio": "0.01"}


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

    def files(self, marker: str, folder: str) -> list[str]:
        """Those of a part in which its bytes stand; what PostgreSQL writes ahead is reused by itself."""
        return [
            str(path.relative_to(self.data))
            for path in (self.data / folder).rglob("*")
            if path.is_file() and "pg_wal" not in path.parts and marker.encode() in path.read_bytes()
        ]

    def configure(self, topic: Topic, config: dict[str, str]) -> None:
        entries = [
            ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in config.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic.name, incremental_configs=entries)
        client = admin(confluent_options(self.settings))
        for future in client.incremental_alter_configs([resource]).values():
            future.result()


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
            connection.execute(
                "INSERT INTO reader_agreement (authority, overview, client, version, body, put_by)"
                " VALUES (%s, 'sapa', '*', 1, %s, 'test')",
                [AUTHORITY, json.dumps({**AGREEMENT, "overview": "sapa", "client": "*"})],
            )

    with instance.held(instance.Plan(own_data), {}) as running:
        running.start(ready)
        yield Whole(own_data, said(running.settings))


@pytest.mark.parametrize("reason", ["WRONG_CITIZEN", "DISPOSED"])
def test_a_removed_case_is_out_of_sight_at_once_and_then_out_of_every_table_topic_and_file(
    whole: Whole, reason: str
) -> None:
    marker, overview = f"marker{uuid.uuid4().hex}", OVERVIEWS["sapa"]
    properties = {"user_key": marker, "title": marker, "created_at": "2024-05-01T09:00:00+02:00"}
    whole.configure(overview, FAST)
    whole.send(event_id="event-1", properties=properties)
    until(lambda: overview.name in whole.topics(marker) and len(whole.shown()) == 1)
    assert whole.tables(marker) == {"entry"}
    assert whole.topics(marker) == {CASE_EVENTS.name, overview.name}
    assert whole.tables(CPR) >= {"entry"}

    nothing = {"properties": None, "access": None, "classification": None, "progress": None, "parties": None}
    whole.send(event_id="event-2", registered_at=LATER, change="REMOVED", removal_reason=reason, **nothing)
    until(lambda: whole.shown() == [])

    # Out of sight, and out of every table: the number of the citizen too.
    assert whole.tables(marker) == set()
    assert whole.tables(CPR) == set()
    (key,) = {record.key for record in whole.records(overview)}
    until(lambda: [r.value for r in whole.records(overview) if r.key == key][-1] is None)
    with connect(whole.settings.dsn, "test") as connection:
        connection.execute("VACUUM FULL")
        connection.execute("CHECKPOINT")
    assert whole.files(marker, "postgres") == []

    # The overview's topic is compacted within a day and an hour; here once another record has closed the segment.
    def compacted() -> bool:
        whole.send(event_id=str(uuid.uuid4()), case_id=str(uuid.uuid4()))
        return overview.name not in whole.topics(marker)

    until(compacted)
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
