"""Any Confluent-compatible registry can stand in for ours: here another Sagsbro's, which alone knows the schema."""

import asyncio
import io
import json
import uuid
from pathlib import Path

import fastavro
from aiokafka import AIOKafkaProducer

from broker.settings import Settings, said
from broker.store.database import connect
from broker.stream.clients import aiokafka_options
from broker.stream.framing import HEADER, schema_text
from broker.stream.topics import CASE_EVENTS
from ops.bench.faults import ready, settle
from ops.bench.storm import AUTHORITY, START, SYSTEM, WANTED
from ops.embedded import instance
from ops.embedded.part import Part
from tests.integration.running import running

SUBJECT = f"{CASE_EVENTS.name}-value"
CASE = str(uuid.UUID(int=77))


def evolved() -> str:
    """Our schema with one more field, as a vendor's next release may have it."""
    schema = json.loads(schema_text("case_event"))
    schema["fields"].append({"name": "vendor_build", "type": ["null", "string"], "default": None})
    return json.dumps(schema)


def framed(schema_id: int) -> bytes:
    event = {
        "event_id": "from-elsewhere",
        "system": SYSTEM,
        "authority": AUTHORITY,
        "case_id": CASE,
        "registered_at": START,
        "change": "REGISTERED",
        "properties": {"user_key": "S-1", "title": "ansøgning", "created_at": START},
        "classification": {"kle": WANTED[0]},
        "progress": {"complete": True, "items": [{"state": "OPSTAAET", "effective_from": START}]},
        "vendor_build": "2.0",
    }
    out = io.BytesIO(HEADER.pack(0, schema_id))
    out.seek(0, io.SEEK_END)
    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(evolved())), event)
    return out.getvalue()


async def send(settings: Settings, value: bytes) -> None:
    producer = AIOKafkaProducer(**aiokafka_options(settings), acks="all")
    await producer.start()
    await producer.send_and_wait(CASE_EVENTS.name, key=CASE.encode(), value=value)
    await producer.stop()


def indexed(data: Path, registry: str, schema_id: int) -> list[str]:
    """Run a whole Sagsbro on that registry and send it the event."""
    with instance.held(instance.Plan(data), {"SAGSBRO_REGISTRY": registry}) as here:
        here.start(ready)
        settings = said(here.settings)
        assert settings.registry == registry
        asyncio.run(send(settings, framed(schema_id)))
        assert settle(settings, 60) == []
        with connect(settings.dsn, "test") as connection:
            return [case_id for (case_id,) in connection.execute("SELECT case_id::text FROM entry")]


async def test_an_event_whose_schema_only_an_outside_registry_knows_is_indexed(
    database: str, kafka: Part, tmp_path: Path
) -> None:
    async with running(database, kafka.address) as outside:
        headers = await asyncio.to_thread(outside.bearer, role="operator")
        answer = await outside.http.post(
            f"/registry/subjects/{SUBJECT}/versions", json={"schema": evolved()}, headers=headers
        )
        registry = f"{outside.http.base_url}/registry".replace("//registry", "/registry")
        cases = await asyncio.to_thread(indexed, tmp_path / "data", registry, answer.json()["id"])
    assert cases == [CASE]
