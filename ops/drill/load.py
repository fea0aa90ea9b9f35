"""A small load: six sources, each an event a second by its own clock, and what a bad sender sends."""

import random
import threading
import time
from typing import Any, Final

from confluent_kafka import Producer

from broker.settings import Settings
from broker.stream.clients import confluent_options
from broker.stream.framing import encode
from broker.stream.topics import CASE_EVENTS
from ops.bench.filled import AUTHORITIES, SYSTEMS, UNKNOWN, filled
from ops.bench.purge import Citizen

Source = tuple[str, str]
EACH_S: Final = 1.0
CASES: Final = 50
_ROUND: Final = len(AUTHORITIES) * len(SYSTEMS)
SOURCES: Final = tuple(place + len(AUTHORITIES) * system for place in range(2) for system in range(len(SYSTEMS)))
"""The first case number of each."""


class Load(threading.Thread):
    """Sends until it is told to stop; who stands in `silent` does not send."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(name="load", daemon=True)
        self.silent: set[Source] = set()
        self.stop = threading.Event()
        self._chance = random.Random(1)  # noqa: S311 - reproducible
        self._sent = 0
        self._lock = threading.Lock()
        self._producer = Producer(
            confluent_options(settings)
            | {"acks": "all", "linger.ms": 5, "partitioner": "murmur2_random", "log_level": 0}
        )

    def run(self) -> None:
        """Each source once a second."""
        while not self.stop.wait(EACH_S):
            for first in SOURCES:
                event = self._event(first + _ROUND * self._chance.randrange(CASES))
                if (event["authority"], event["system"]) not in self.silent:
                    self._send(event)

    def cases(self, citizen: Citizen, entries: int) -> None:
        """So many cases of one citizen."""
        for number in citizen.cases(entries):
            event = self._event(number)
            event["parties"]["items"][0]["id"] = citizen.cpr
            self._send(event)
        self._producer.flush()

    def unknown_numbers(self, events: int) -> Source:
        """Events with a KLE number that nobody has; returns whose."""
        for _ in range(events):
            event = self._event(SOURCES[-1])
            event["classification"] = {"kle": UNKNOWN, "facet": "G01", "local_code": None}
            self._send(event)
        self._producer.flush()
        return event["authority"], event["system"]

    def poison(self, events: int) -> None:
        """Bytes that are no event at all."""
        for number in range(events):
            self._producer.produce(CASE_EVENTS.name, b"\x00\x00\x00\x00\x01poison", str(number).encode())
        self._producer.flush()

    def _event(self, number: int) -> Any:
        with self._lock:
            self._sent += 1
            return {**filled(self._chance, self._sent, number), "registered_at": time.time_ns() // 1000}

    def _send(self, event: Any) -> None:
        self._producer.produce(CASE_EVENTS.name, encode("case_event", event), event["case_id"].encode())
        self._producer.poll(0)
