"""What cannot be read costs its sender a rejection, and nobody else anything."""

import asyncio
import random
import struct

from aiokafka import AIOKafkaProducer

from broker.settings import Settings
from broker.store.database import connect
from broker.stream.clients import aiokafka_options
from broker.stream.topics import CASE_EVENTS
from ops.bench.faults import settle, verdicts
from ops.bench.storm import Storm
from ops.embedded.instance import Instance

GOOD = 2_000
POISON = 1_000


def poison(chance: random.Random, n: int) -> bytes | None:
    """Random bytes, schema ids nobody has, and null values in turn."""
    match n % 3:
        case 0:
            return b"\x07" + chance.randbytes(chance.randrange(200))
        case 1:
            return struct.pack(">bI", 0, 1_000_000 + n) + chance.randbytes(50)
        case _:
            return None


async def send(settings: Settings, values: list[bytes | None]) -> None:
    producer = AIOKafkaProducer(**aiokafka_options(settings), acks="all", enable_idempotence=True)
    await producer.start()
    sent = [await producer.send(CASE_EVENTS.name, value=value, key=b"k", partition=0) for value in values]
    await asyncio.gather(*sent)
    await producer.stop()


def test_a_thousand_undecodable_messages_on_one_partition_stop_nothing(whole: tuple[Instance, Settings]) -> None:
    _, settings = whole
    chance = random.Random(5)  # noqa: S311 - reproducible, not secret
    storm = Storm(5, GOOD)
    values: list[bytes | None] = [record.value for record in storm]
    values += [poison(chance, n) for n in range(POISON)]
    chance.shuffle(values)
    asyncio.run(send(settings, values))

    assert settle(settings, 120) == []
    with connect(settings.dsn, "test") as connection:
        met = verdicts(connection)
        rejections = connection.execute(
            "SELECT count(*), count(payload) FILTER (WHERE code = 'malformed_payload') FROM rejection"
        ).fetchone()
    assert sum(met.values()) == GOOD + POISON
    assert met["rejected"] == POISON + storm.rejected
    assert rejections == (POISON + storm.rejected, 0)
