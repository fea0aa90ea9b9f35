"""Ends the process when a partition of ours has lag and does not move while everything else answers.

Consumers are known to fall silent. The watch runs in a thread of its own, with its own clients, and counts only the
probes in which both Kafka and the database answered: an outage is not a stall.
"""

import os
import threading
from collections.abc import Callable, Mapping
from typing import Final

import psycopg
from confluent_kafka import IsolationLevel, KafkaException

from broker.logs import tell
from broker.metrics import LAG
from broker.settings import Settings
from broker.store import positions
from broker.store.database import connect
from broker.stream.clients import confluent_options
from broker.stream.cluster import admin, logs

PROBE_S: Final = 1.0
COMMITTED: Final = IsolationLevel.READ_COMMITTED
Partitions = Callable[[], set[int]]


class Stalls:
    """Counts for each partition the answered probes in which it had lag and stood still. Pure."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int, int]] = {}

    def probe(self, position: Mapping[int, int], end: Mapping[int, int]) -> Mapping[int, int]:
        """Partition -> how many probes it has now stood still."""
        now = {}
        for partition, offset in position.items():
            before, still = self._seen.get(partition, (offset, 0))
            now[partition] = (offset, still + 1 if offset == before and offset < end.get(partition, 0) else 0)
        self._seen = now
        return {partition: still for partition, (_, still) in now.items()}


class Lags:
    """The gauge of our partitions' lags: one that is no longer ours is another worker's to tell of."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._told: set[int] = set()

    def tell(self, lag: Mapping[int, int]) -> None:
        """These, and no others."""
        for partition in self._told - lag.keys():
            LAG.remove(self._topic, partition)
        for partition, events in lag.items():
            LAG.labels(self._topic, partition).set(events)
        self._told = set(lag)


def watch(
    settings: Settings,
    topic: str,
    owned: Partitions,
    waiting: Partitions,
    end: Callable[[int], object] = os._exit,
) -> None:
    """Start the watch; it lives as long as the process. What is `waiting` for the world to come back need not move."""
    arguments = (settings, topic, owned, waiting, end)
    threading.Thread(target=_watch, args=arguments, daemon=True, name="watchdog").start()


def _watch(
    settings: Settings, topic: str, owned: Partitions, waiting: Partitions, end: Callable[[int], object]
) -> None:
    stalls, lags, client = Stalls(), Lags(topic), admin(confluent_options(settings))
    pause = threading.Event()
    while not pause.wait(PROBE_S):
        try:
            mine = owned()
            with connect(settings.dsn, "watchdog") as connection:
                written = {p: offset for p, *_, offset in positions.show(connection, topic) if p in mine}
            ends = {p: log.end for p, log in logs(client, topic, written, COMMITTED).items()} if written else {}
        except (psycopg.Error, KafkaException):
            lags.tell({})
            continue
        lags.tell({partition: max(0, ends[partition] - offset) for partition, offset in written.items()})
        must_move = {partition: offset for partition, offset in written.items() if partition not in waiting()}
        for partition, still in stalls.probe(must_move, ends).items():
            if still * PROBE_S >= settings.stall_seconds:
                tell("stalled", partition=partition, position=written[partition], log_end=ends[partition])
                end(1)
