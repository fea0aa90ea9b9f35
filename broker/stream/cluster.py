"""What Kafka itself says of its cluster, topics and logs; aiokafka shows no topic ids."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import IsolationLevel, KafkaException, TopicCollection
from confluent_kafka import TopicPartition as Partition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec
from confluent_kafka.error import KafkaError

from broker.stream.topics import Topic

TIMEOUT_S = 10.0
EVERYTHING = IsolationLevel.READ_UNCOMMITTED


@dataclass(frozen=True, slots=True)
class Log:
    """One partition as Kafka has it now: offsets from `start` up to, not including, `end`."""

    cluster_id: str
    topic_id: str
    start: int
    end: int


def admin(options: dict[str, Any]) -> AdminClient:
    """A client of its own; it reconnects by itself."""
    return AdminClient({**options, "socket.timeout.ms": int(TIMEOUT_S * 1000), "log_level": 0})


def make_topics(client: AdminClient, topics: Iterable[Topic], replication: int) -> list[str]:
    """Make those that are missing; returns their names. Raises KafkaException."""
    wanted = [NewTopic(t.name, t.partitions, replication, config=t.config) for t in topics]
    made = []
    for name, future in client.create_topics(wanted, request_timeout=TIMEOUT_S).items():
        try:
            future.result()
            made.append(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    return made


def logs(
    client: AdminClient,
    topic: str,
    partitions: Iterable[int],
    isolation: IsolationLevel = EVERYTHING,
) -> dict[int, Log]:
    """The logs of some partitions of one topic. Raises KafkaException when Kafka does not answer.

    isolation: READ_COMMITTED: they end where the oldest open transaction begins, for a reader of ours gets no further.
    """
    wanted, deadline = list(partitions), time.monotonic() + TIMEOUT_S
    while True:
        try:
            return _logs(client, topic, wanted, isolation)
        except KafkaException:
            # A topic just made, or a broker just back, has no leaders for a moment; the error does not say so.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _logs(client: AdminClient, topic: str, wanted: list[int], isolation: IsolationLevel) -> dict[int, Log]:
    described = client.describe_topics(TopicCollection([topic]), request_timeout=TIMEOUT_S)[topic].result()
    # Not `describe_cluster`: librdkafka aborts the whole process when a broker that has just come out of a stall, and
    # counts itself as dead, names no broker at all. Asked of a topic that is there, so that none is made by asking.
    cluster_id = client.list_topics(topic, timeout=TIMEOUT_S).cluster_id
    bounds = {
        spec: client.list_offsets(
            {Partition(topic, p): offset for p in wanted}, isolation_level=isolation, request_timeout=TIMEOUT_S
        )
        for spec, offset in (("start", OffsetSpec.earliest()), ("end", OffsetSpec.latest()))
    }
    found = {
        spec: {partition.partition: future.result().offset for partition, future in futures.items()}
        for spec, futures in bounds.items()
    }
    return {p: Log(cluster_id, str(described.topic_id), found["start"][p], found["end"][p]) for p in wanted}


def partitions_of(client: AdminClient, topic: str) -> list[int]:
    """The partitions of a topic. Raises KafkaException."""
    described = client.describe_topics(TopicCollection([topic]), request_timeout=TIMEOUT_S)[topic].result()
    return [partition.id for partition in described.partitions]
