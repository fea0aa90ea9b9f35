"""Changing cases in a real index, publishing them as the publisher does, and reading the stream over real HTTP."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer

from broker.domain.agreement import Facts
from broker.domain.case import State
from broker.domain.identity import EntryKey
from broker.processing.publisher import Message, messages
from broker.store import outbox
from broker.store.database import connect
from broker.stream.clients import aiokafka_options, confluent_options
from broker.stream.cluster import admin, make_topics
from broker.stream.topics import OVERVIEWS
from consumers.changes import Block, blocks
from tests.integration.running import AUTHORITY, CPR, KLE, Running, running
from tests.integration.searching import INSERT, row, state_like
from tests.unit.worlds import an_entry

PATIENCE = 60
CREATED = 1_714_550_400_000_000
READER = {
    "sub": "employee-1",
    "role": "employee",
    "name": "Ea Eksempel",
    "system": None,
    "scopes": [{"authority": AUTHORITY, "kle": ["N*"], "sensitivity": "VIP_SAGER"}],
}
MARK = """
    INSERT INTO dirty (authority, system, case_id, revision) VALUES (%s, %s, %s, 1)
    ON CONFLICT (shard, authority, system, case_id) DO UPDATE SET revision = dirty.revision + 1
"""


def a_case(number: int, party: str = f"CPR:{CPR}", **more: Any) -> tuple[EntryKey, State]:
    """A case that everybody with a scope may see, unless said otherwise."""
    groups = more.pop("groups", {})
    plain: dict[str, Any] = {"created_at": CREATED, "user_key": "S-1", "parties": (("PRIMARY", party),)}
    entry = an_entry(AUTHORITY, more.pop("kle", KLE), more.pop("level", 2), **plain | more)
    key, state = state_like(entry, number, **groups)
    stamp, source = state.source
    return key, replace(state, source=(stamp, {**source, "registered_at": CREATED}))


@dataclass
class Heard:
    """An open stream."""

    answer: httpx.Response
    _blocks: AsyncIterator[Block]
    after: str = ""

    async def block(self) -> Block:
        """The next block of any kind. Raises StopAsyncIteration at the end, TimeoutError when none comes."""
        async with asyncio.timeout(PATIENCE):
            block = await anext(self._blocks)
        self.after = block.after or self.after
        return block

    async def told(self) -> tuple[str, Any]:
        """The next event: its kind and data."""
        while (block := await self.block()).kind is None:
            pass
        return block.kind, json.loads(block.data)

    async def case(self) -> tuple[str, int]:
        """The next event: its kind and the number of its case."""
        kind, data = await self.told()
        return kind, int(data["case_id"].replace("-", ""), 16)

    async def end(self) -> list[str | None]:
        """What else comes until the stream ends."""
        async with asyncio.timeout(PATIENCE):
            return [block.kind async for block in self._blocks if block.kind is not None]


@dataclass
class World:
    """The API, and what changes behind it."""

    api: Running
    claims: dict[str, Any] = field(default_factory=lambda: dict(READER))

    async def bearer(self, ttl: int = 600, **claims: Any) -> dict[str, str]:
        """The reader's header."""
        return await asyncio.to_thread(self.api.bearer, ttl, **{**self.claims, **claims})

    async def subscribe(self, *citizens: str, **more: Any) -> httpx.Response:
        """Follow; `claims` are put over the reader's."""
        claims = more.pop("claims", {})
        until = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        said = {"overview": "sapa", "citizens": list(citizens or (CPR,)), "purpose": "Sagsbehandling", "until": until}
        headers = await self.bearer(**claims)
        return await self.api.http.put("/v1/subscriptions", json=said | more, headers=headers)

    @asynccontextmanager
    async def stream(
        self, after: str | None = None, ttl: int = 600, overview: str = "sapa", **claims: Any
    ) -> AsyncIterator[Heard]:
        """An open stream that has told where it begins."""
        headers = await self.bearer(ttl, **claims)
        if after is not None:
            headers["Last-Event-ID"] = after
        async with self.api.http.stream("GET", f"/v1/overviews/{overview}/changes", headers=headers) as answer:
            if answer.is_error:
                await answer.aread()
                yield Heard(answer, blocks(answer.aiter_bytes()))
                return
            heard = Heard(answer, blocks(answer.aiter_bytes()))
            await heard.block()
            yield heard

    async def change(self, *cases: tuple[EntryKey, State]) -> None:
        """Let the cases stand so, and publish them."""
        await asyncio.to_thread(self.put, cases)
        await self.publish()

    async def publish(self, times: int = 1) -> None:
        """What is marked, as the publisher does it: a transaction for each shard."""
        for shard in range(outbox.SHARDS):
            claim, sent = await asyncio.to_thread(self.claim, shard)
            if sent:
                await self.send(sent * times)
                await asyncio.to_thread(self._settle, shard, claim)

    async def send(self, sent: list[Message]) -> None:
        options = aiokafka_options(self.api.settings)
        producer = AIOKafkaProducer(**options, transactional_id=f"test-{time.monotonic_ns()}")
        await producer.start()
        try:
            async with producer.transaction():
                for topic, key, value in sent:
                    await producer.send(topic, key=key, value=value)
        finally:
            await producer.stop()

    def put(self, cases: tuple[tuple[EntryKey, State], ...]) -> None:
        with connect(self.api.settings.dsn, "test") as connection, connection.transaction():
            for key, state in cases:
                connection.execute("DELETE FROM entry WHERE (authority, system, case_id) = (%s, %s, %s)", key)
                connection.execute(INSERT.encode(), row(key, state))
                connection.execute(MARK.encode(), key)

    def claim(self, shard: int) -> tuple[outbox.Claim, list[Message]]:
        with connect(self.api.settings.dsn, "test") as connection:
            claim = outbox.claim(connection, shard, outbox.START, 500, Facts(revision=-1))
            sent, new, broken = messages(claim)
            assert not broken
            outbox.note_published(connection, new)
        return claim, sent

    def _settle(self, shard: int, claim: outbox.Claim) -> None:
        with connect(self.api.settings.dsn, "test") as connection:
            outbox.settle(connection, shard, claim.entries)

    def logged(self) -> list[dict[str, Any]]:
        """The access log, oldest first."""
        return [logged for (logged,) in self.api.rows("SELECT to_jsonb(l) FROM access_log l ORDER BY id")]

    async def sql(self, statement: str) -> None:
        """Change something behind everybody's back."""

        def run() -> None:
            with connect(self.api.settings.dsn, "test") as connection:
                connection.execute(statement.encode())

        await asyncio.to_thread(run)


@asynccontextmanager
async def world(database: str, kafka: str) -> AsyncIterator[World]:
    """An API whose municipality lets its cases be read in the overview."""
    async with running(database, kafka) as api:
        reads = {
            "authority": AUTHORITY,
            "overview": "sapa",
            "client": "*",
            "state": "FULL",
            "kle": ["N*"],
            "sensitivity": "VIP_SAGER",
            "from_date": "2020-01-01",
        }

        def prepare() -> None:
            make_topics(admin(confluent_options(api.settings)), list(OVERVIEWS.values()), 1)
            with connect(api.settings.dsn, "test") as connection, connection.transaction():
                connection.execute(
                    "INSERT INTO reader_agreement (authority, overview, client, version, body, put_by)"
                    " VALUES (%s, 'sapa', '*', 1, %s, 'test')",
                    [AUTHORITY, json.dumps(reads)],
                )
                connection.execute("UPDATE reference_revision SET revision = revision + 1")

        await asyncio.to_thread(prepare)
        yield World(api)
