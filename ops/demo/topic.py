"""Counts what an overview topic holds for its readers. Blocking, made for a thread."""

import time
from typing import Final

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from confluent_kafka.error import KafkaError

from broker.settings import Settings
from broker.stream.clients import confluent_options
from broker.stream.topics import Topic

_AT_ONCE: Final = 5_000
_GATHER_S: Final = 0.3
_PATIENCE_S: Final = 15.0


def live_keys(settings: Settings, topic: Topic) -> int | None:
    """How many keys have a value and no tombstone after it; None when Kafka does not tell."""
    consumer = Consumer(
        {
            **confluent_options(settings),
            "group.id": "sagsbro-demo-count",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": "read_committed",
            "log_level": 0,
        }
    )
    try:
        consumer.assign([TopicPartition(topic.name, p, OFFSET_BEGINNING) for p in range(topic.partitions)])
        return _count(consumer, set(range(topic.partitions)))
    finally:
        consumer.close()


def _count(consumer: Consumer, unread: set[int]) -> int | None:
    live: set[bytes] = set()
    deadline = time.monotonic() + _PATIENCE_S
    while unread:
        messages = consumer.consume(_AT_ONCE, _GATHER_S)
        if not messages and time.monotonic() > deadline:
            return None
        for message in messages:
            if message.error() is not None:
                if message.error().code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 - so it is called
                    return None
                unread.discard(message.partition())
            elif message.value() is None:
                live.discard(message.key())
            else:
                live.add(message.key())
    return len(live)
