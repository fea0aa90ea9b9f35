"""A whole API over real HTTP, on a migrated database with one agreement and a small KLE edition."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import uvicorn
from aiokafka import AIOKafkaConsumer, TopicPartition
from fastapi import FastAPI
from pydantic import SecretStr

from broker.api.app import create_app
from broker.security import Issuer
from broker.settings import Settings
from broker.store import registry
from broker.store.database import connect, migrate
from broker.stream.clients import confluent_options
from broker.stream.cluster import admin, make_topics
from broker.stream.topics import CASE_EVENTS, READ_BY_WORKERS

AUTHORITY = "55133018"
OTHER = "29189420"
CASE = "6f1b7c1e-0000-4000-8000-0000000000{:02x}"
CPR = "0101014444"
KLE = "27.36.04"
OUTSIDE = "15.20.01"
AGREEMENT = {
    "authority": AUTHORITY,
    "system": "sbsys",
    "state": "FULL",
    "kle": ["27.*"],
    "sensitivity": "FOELSOMME_PERSONOPLYSNINGER",
    "from_date": "2020-01-01",
}


@dataclass(frozen=True, slots=True)
class Running:
    """The API at work, and the ways to look behind it."""

    settings: Settings
    http: httpx.AsyncClient
    issuer: Issuer
    app: FastAPI

    def bearer(self, ttl: int = 600, **claims: Any) -> dict[str, str]:
        """The header of a vendor's token, unless claims say otherwise."""
        said = {"sub": "vendor-1", "role": "vendor", "system": "sbsys", "authorities": [AUTHORITY], **claims}
        return {"Authorization": f"Bearer {self.issuer.issue(said, ttl)}"}

    async def send(self, *events: object, **claims: Any) -> httpx.Response:
        """Post canonical events as a vendor."""
        headers = await asyncio.to_thread(self.bearer, **claims)
        return await self.http.post("/v1/case-events", json=list(events), headers=headers)

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """What the database holds."""
        with connect(self.settings.dsn, "test") as connection:
            return connection.execute(statement.encode(), values).fetchall()


@asynccontextmanager
async def running(database: str, kafka: str, *, migrated: bool = True) -> AsyncIterator[Running]:
    """Serve until the end of the block."""
    settings = Settings(kafka=kafka, database=SecretStr(database))
    if migrated:
        await asyncio.to_thread(prepare, settings)
    app = create_app(settings)
    # With the protocol named, or the loop leaves Nagle's algorithm on and every answer takes 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        try:
            async with httpx.AsyncClient(base_url=address, timeout=30) as http:
                await http.get("/healthz")  # answered only when its parts are there
                yield Running(settings, http, Issuer(settings), app)
        finally:
            server.should_exit = True
            await serving


def prepare(settings: Settings) -> None:
    """Schema, topic, bundled schemas, an agreement, a KLE edition."""
    migrate(settings.dsn)
    make_topics(admin(confluent_options(settings)), READ_BY_WORKERS, 1)
    with connect(settings.dsn, "test") as connection, connection.transaction():
        registry.seed(connection)
        connection.execute("INSERT INTO kle_edition (published) VALUES ('2020-01-01')")
        for number in (KLE, OUTSIDE):
            connection.execute(
                "INSERT INTO kle_subject (published, number, title) VALUES ('2020-01-01', %s, 'x')", [number]
            )
        agree(connection, AGREEMENT, 1)


def agree(connection: psycopg.Connection[Any], agreement: dict[str, Any], version: int) -> None:
    """Put a version of a sender agreement, as one change of the reference data."""
    connection.execute(
        "INSERT INTO sender_agreement (authority, system, version, body, put_by) VALUES (%s, %s, %s, %s, 'test')",
        [agreement["authority"], agreement["system"], version, json.dumps(agreement)],
    )
    connection.execute("UPDATE reference_revision SET revision = revision + 1")


def event(number: int = 1, **more: Any) -> dict[str, Any]:
    """A case that the agreement covers, in the JSON form."""
    return {
        "event_id": f"event-{number}",
        "system": "sbsys",
        "authority": AUTHORITY,
        "case_id": CASE.format(number),
        "registered_at": "2024-05-01T10:00:00.000001Z",
        "change": "REGISTERED",
        "properties": {"user_key": "S-1", "title": "Bevilling", "created_at": "2024-05-01T09:00:00+02:00"},
        "access": {"sensitivity": "FORTROLIGE_PERSONOPLYSNINGER"},
        "classification": {"kle": KLE, "facet": "G01"},
        "progress": [{"state": "OPSTAAET", "effective_from": "2024-05-01T09:00:00+02:00"}],
        "parties": [{"item_id": "p1", "role": "PRIMARY", "id_type": "CPR", "id": CPR}],
        **more,
    }


async def log_of(kafka: str) -> dict[tuple[int, int], tuple[bytes, bytes]]:
    """Everything in the topic: (partition, offset) -> key and value."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False, auto_offset_reset="earliest")
    await consumer.start()
    try:
        places = [TopicPartition(CASE_EVENTS.name, partition) for partition in range(CASE_EVENTS.partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        found: dict[tuple[int, int], tuple[bytes, bytes]] = {}
        while any([await consumer.position(place) < ends[place] for place in places]):
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    found[record.partition, record.offset] = (record.key, record.value)
        return found
    finally:
        await consumer.stop()
