"""What the processes tell of themselves agrees with what is in the tables, however many they are."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

import httpx
from aiokafka import AIOKafkaProducer
from prometheus_client.parser import text_string_to_metric_families

from broker.processing.housekeeping import MEASURE_S
from broker.security import Issuer
from broker.settings import Settings
from broker.store.database import connect
from broker.stream.clients import aiokafka_options
from broker.stream.topics import CASE_EVENTS, READ_BY_WORKERS
from ops.bench.faults import settle, verdicts
from ops.bench.storm import AUTHORITY, SYSTEM, Storm
from ops.embedded.instance import TARGETS, Instance

EVENTS = 3_000
KEPT = ("outbox_depth", "source_last_event_timestamp_seconds", "rejections_open", "agreement_state")


class Told(NamedTuple):
    """One sample: who told it, of what, and how much."""

    url: str
    labels: Mapping[str, str]
    value: float


class Scrape:
    """Every process's metrics, at one time."""

    def __init__(self, urls: list[str]) -> None:
        self._told: dict[str, list[Told]] = {}
        for url in urls:
            text = httpx.get(url, timeout=30, trust_env=False).raise_for_status().text
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    self._told.setdefault(sample.name, []).append(Told(url, sample.labels, sample.value))

    def all(self, name: str) -> list[Told]:
        return self._told.get(f"sagsbro_{name}", [])

    def total(self, name: str, label: str) -> Counter[str]:
        counted: Counter[str] = Counter()
        for told in self.all(name):
            counted[told.labels[label]] += int(told.value)
        return +counted

    @property
    def partitions(self) -> list[str]:
        return sorted(told.labels["partition"] for told in self.all("projection_lag_events"))

    @property
    def keepers(self) -> set[str]:
        return {told.url for name in KEPT for told in self.all(name)}


def until(urls: list[str], holds: Callable[[Scrape], bool]) -> Scrape:
    """The first scrape of which it holds: what is measured is some seconds old."""
    pause = threading.Event()
    for _ in range(120):
        with suppress(httpx.TransportError):  # a process that has just been started
            scrape = Scrape(urls)
            if holds(scrape):
                return scrape
        pause.wait(MEASURE_S / 10)
    raise AssertionError("it does not come to hold")


async def send(settings: Settings, storm: Storm) -> None:
    producer = AIOKafkaProducer(**aiokafka_options(settings), acks="all", enable_idempotence=True)
    await producer.start()
    sent = [await producer.send(CASE_EVENTS.name, key=record.key, value=record.value) for record in storm]
    await asyncio.gather(*sent)
    await producer.stop()


def refused_at_intake(settings: Settings) -> None:
    """One event of an authority that the token does not name."""
    token = Issuer(settings).issue({"sub": "t", "role": "vendor", "system": SYSTEM, "authorities": [AUTHORITY]}, 60)
    event = {
        "event_id": "e",
        "system": SYSTEM,
        "authority": "12345678",
        "case_id": "00000000-0000-4000-8000-000000000001",
        "registered_at": "2024-01-01T00:00:00Z",
        "change": "REGISTERED",
    }
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.post(f"{settings.api_url}/v1/case-events", json=event, headers=headers, timeout=30, trust_env=False)
    assert answer.json()["rejected"][0]["code"] == "authority_mismatch"


def searched(settings: Settings, role: str) -> int:
    token = Issuer(settings).issue({"sub": "t", "role": role}, 60)
    return httpx.post(
        f"{settings.api_url}/v1/overviews/sapa/search",
        json={"user_key": "none", "purpose": "test"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
        trust_env=False,
    ).status_code


def test_what_two_workers_and_two_publishers_tell_adds_up_to_what_happened(whole: tuple[Instance, Settings]) -> None:
    running, settings = whole
    running.add("worker")
    running.add("publisher")
    storm = Storm(3, EVENTS)
    asyncio.run(send(settings, storm))
    refused_at_intake(settings)
    assert (searched(settings, "employee"), searched(settings, "citizen")) == (200, 403)
    assert settle(settings, 120) == []

    with connect(settings.dsn, "test") as connection:
        happened = Counter(verdicts(connection)) + Counter(rejected=1)
        open_ = Counter(dict(connection.execute("SELECT code, count(*) FROM rejection GROUP BY code").fetchall()))
        newest = connection.execute("SELECT max(last_registered_at) / 1e6::float8 FROM source_freshness").fetchone()
    urls = [f"{settings.api_url}/metrics", *running.metrics]
    partitions = sorted(str(partition) for topic in READ_BY_WORKERS for partition in range(topic.partitions))

    def has_settled(now: Scrape) -> bool:
        depths = [told.value for told in now.all("outbox_depth")]
        return now.partitions == partitions and now.total("rejections_open", "code") == open_ and depths == [0]

    scrape = until(urls, has_settled)

    assert scrape.total("events_total", "outcome") == happened
    for stage in ("intake", "event_to_visible", "entry_to_topic"):
        assert sum(told.value for told in scrape.all(f"{stage}_seconds_count")) > 0
    assert scrape.total("rejections_last_hour", "code") == open_
    assert [told.value for told in scrape.all("consent_purge_waiting_seconds")] == [0]
    assert sum(told.value for told in scrape.all("projection_lag_events")) == 0
    assert len(scrape.keepers) == 1
    assert [told[1:] for told in scrape.all("agreement_state")] == [
        ({"authority": AUTHORITY, "system": SYSTEM, "state": "FULL"}, 1)
    ]
    assert newest is not None
    assert [told[1:] for told in scrape.all("source_last_event_timestamp_seconds")] == [
        ({"authority": AUTHORITY, "system": SYSTEM}, newest[0])
    ]
    assert {(told.labels["decision"], told.labels["reason"], told.value) for told in scrape.all("access_total")} == {
        ("deny", "nothing_permitted", 1),
        ("deny", "role", 1),
    }
    assert [told.value for told in scrape.all("overview_search_seconds_count")] == [2]
    assert len(scrape.all("worker_position_timestamp_seconds")) == 2

    (keeper,) = scrape.keepers
    name = running.name_at(keeper)
    running.supervisor.stop(name)
    rest = [url for url in urls if url != keeper]
    after = until(rest, lambda now: len(now.keepers) == 1)
    assert after.total("rejections_open", "code") == open_


def test_a_worker_and_a_publisher_say_that_they_live(whole: tuple[Instance, Settings]) -> None:
    running, _ = whole
    for url in running.metrics:
        until([url], lambda _: True)
        base = url.removesuffix("/metrics")
        assert httpx.get(f"{base}/healthz", timeout=30, trust_env=False).json() == {"status": "alive"}
        assert httpx.get(f"{base}/elsewhere", timeout=30, trust_env=False).status_code == 404


def test_prometheus_is_told_of_every_process_that_runs(whole: tuple[Instance, Settings]) -> None:
    running, settings = whole
    running.add("worker")
    listed = json.loads((running.plan.data / TARGETS).read_text())
    asked = {f"http://{address}/metrics": one["labels"]["process"] for one in listed for address in one["targets"]}
    assert asked.keys() == {f"{settings.api_url}/metrics", *running.metrics}
    assert sorted(asked.values()) == ["api", "publisher", "worker", "worker"]
    running.stop()
    assert not (running.plan.data / TARGETS).exists()
