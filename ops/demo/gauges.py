"""How far behind the index and the publication are, read where they are kept. Blocking, made for a thread."""

from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import psycopg
from confluent_kafka import KafkaException
from prometheus_client.parser import text_string_to_metric_families

from broker.settings import Settings
from broker.store import outbox, positions
from broker.store.database import connect
from broker.stream.clients import confluent_options
from broker.stream.cluster import admin, logs
from broker.stream.topics import READ_BY_WORKERS, Topic

_VISIBLE = "sagsbro_event_to_visible_seconds"


@dataclass(frozen=True, slots=True)
class Reading:
    """Events not yet projected, entries not yet published, and a bound on 99 % of the times to visible, in seconds."""

    lag: int
    outbox: int
    p99: float | None

    @property
    def at_rest(self) -> bool:
        """Whether nothing is under way."""
        return self.lag == 0 and self.outbox == 0


class Gauges:
    """Keeps its clients between readings."""

    def __init__(self, settings: Settings, metrics: Sequence[str]) -> None:
        """`metrics`: where the services' counters are."""
        self._dsn = settings.dsn
        self._metrics = metrics
        self._admin = admin(confluent_options(settings))

    def read(self) -> Reading | None:
        """All of it now; None when a part does not answer."""
        try:
            with connect(self._dsn, "demo") as connection:
                lag = sum(self._lag(connection, topic) for topic in READ_BY_WORKERS)
                depth = outbox.depth(connection)
        except (psycopg.Error, KafkaException):
            return None
        return Reading(lag, depth, _p99([text for url in self._metrics if (text := _text(url))]))

    def _lag(self, connection: positions.Connection, topic: Topic) -> int:
        read = {partition: offset for partition, *_, offset in positions.show(connection, topic.name)}
        ends = {p: log.end for p, log in logs(self._admin, topic.name, range(topic.partitions)).items()}
        return sum(max(0, end - read.get(partition, 0)) for partition, end in ends.items())


def _text(url: str) -> str:
    try:
        return httpx.get(url, timeout=2, trust_env=False).text
    except httpx.HTTPError:
        return ""


def _p99(texts: Sequence[str]) -> float | None:
    """The smallest bucket that holds 99 % of the observations of all processes."""
    buckets: dict[float, float] = {}
    for text in texts:
        for family in text_string_to_metric_families(text):
            if family.name == _VISIBLE:
                for sample in family.samples:
                    if sample.name.endswith("_bucket"):
                        bound = float(sample.labels["le"])
                        buckets[bound] = buckets.get(bound, 0) + sample.value
    most = max(buckets.values(), default=0)
    return min((bound for bound, count in buckets.items() if count >= 0.99 * most), default=None) if most else None
