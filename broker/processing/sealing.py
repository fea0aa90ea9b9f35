"""The one sealer: chains the log of reads each second, signs the head and anchors it in a topic.

It runs in a publisher process; whoever holds the advisory lock does it. Sealing goes on while Kafka is away: what is
not anchored yet is when it is back. Without a key nothing is sealed, and the lag says so.
"""

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from broker import metrics, sealing_key
from broker.logs import tell
from broker.sealing_key import SealingKey
from broker.settings import Settings
from broker.store import chain
from broker.store.chain import Connection, Signed
from broker.store.database import alone
from broker.stream.clients import confluent_options
from broker.stream.topics import ANCHORS

LOCK: Final = 7_346_003
EACH_S: Final = 1.0
RETRY_S: Final = 2.0
CUT_S: Final = 3600.0
CHAIN: Final = b"access-log"
MOST_IN_FLIGHT: Final = 100
# A stopped sealer's session must end, or its lock would bar the chain for ever.
LOCK_IDLE_S: Final = 10


class Anchors:
    """Sends signed heads to the topic; a head is settled when every in-sync replica has it."""

    def __init__(self, settings: Settings) -> None:
        options = {"acks": "all", "enable.idempotence": True, "message.timeout.ms": 10_000, "log_level": 0}
        self._producer = Producer(confluent_options(settings) | options)
        self._under_way: set[int] = set()
        self._there: list[int] = []

    def send(self, connection: Connection) -> None:
        """What is not known to be there; what has arrived meanwhile is noted. Does not wait for Kafka."""
        self._producer.poll(0)
        if self._there:
            chain.anchored(connection, self._there)
            self._there.clear()
        for number, at, head, signed in chain.unanchored(connection, MOST_IN_FLIGHT):
            if number not in self._under_way:
                self._under_way.add(number)
                value = json.dumps(anchor(number, at, head, signed)).encode()
                self._producer.produce(ANCHORS.name, value, CHAIN, on_delivery=self._settled(number))

    def wait(self, seconds: float) -> None:
        """Let what is under way arrive."""
        self._producer.flush(seconds)

    def _settled(self, number: int) -> Any:
        def settle(error: KafkaError | None, _message: Message) -> None:
            self._under_way.discard(number)
            if error is None:
                self._there.append(number)

        return settle


def anchor(number: int, sealed_at: int, head: bytes, signed: Signed) -> dict[str, Any]:
    """What stands in the topic: no personal data. Times in microseconds since 1970."""
    said = {"number": number, "sealed_at": sealed_at, "head": head.hex()}
    return {**said, "key_id": signed.key_id, "signature": signed.signature.hex()}


class Sealer:
    """The chain while its lock is held. Everything blocks."""

    def __init__(self, settings: Settings, connection: Connection, key: SealingKey) -> None:
        self._connection, self._key = connection, key
        self._anchors = Anchors(settings)
        self._kept_for = timedelta(days=settings.access_log_days)
        self._cut_at = float("-inf")

    def run(self, stop: threading.Event) -> None:
        """Until told to stop."""
        while not stop.is_set():
            began = time.monotonic()
            full = self.step() == chain.MOST_ROWS
            if began - self._cut_at >= CUT_S:
                while chain.cut(self._connection, self._sign, datetime.now(UTC) - self._kept_for) and not stop.is_set():
                    pass
                self._cut_at = began
            if not full:
                stop.wait(began + EACH_S - time.monotonic())

    def step(self) -> int:
        """Seal what waits, and send what is not anchored; returns how many rows were sealed."""
        done = chain.seal(self._connection, self._sign)
        for rule, number in done.alarms.items():
            metrics.ALARMS.labels(rule).inc(number)
        self._anchors.send(self._connection)
        return done.rows

    def settle(self, seconds: float) -> None:
        """Wait for the anchors that are under way."""
        self._anchors.wait(seconds)
        self._anchors.send(self._connection)

    def _sign(self, statement: bytes) -> Signed:
        return Signed(self._key.id, self._key.sign(statement))


def keep(settings: Settings, stop: threading.Event) -> None:
    """Take the chain whenever it is free; after any trouble let it go and begin again."""
    if settings.seal_key is None:
        tell("access_log_not_sealed", why="SAGSBRO_SEAL_KEY is not set")
        return
    key = sealing_key.load(settings.seal_key)
    while not stop.is_set():
        try:
            connection = alone(settings.dsn, "publisher-sealer", (LOCK,), LOCK_IDLE_S)
            if connection is not None:
                with connection:
                    tell("sealing_taken", key=key.id)
                    Sealer(settings, connection, key).run(stop)
        except (psycopg.Error, KafkaException) as why:
            tell("sealing_lost", error=type(why).__name__)
        stop.wait(RETRY_S)
