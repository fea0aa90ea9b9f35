"""Marks leave the dirty set only as they were read, and a shard's older publisher is fenced: on a real Kafka."""

import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

import psycopg
import pytest
from confluent_kafka import KafkaException
from pydantic import SecretStr

from broker.domain.agreement import Facts
from broker.domain.identity import EntryKey
from broker.processing.publisher import Shard
from broker.settings import Settings
from broker.store import outbox
from broker.store.database import connect, migrate, query
from broker.stream.clients import confluent_options
from broker.stream.cluster import admin, make_topics
from broker.stream.topics import OVERVIEWS
from ops.embedded.part import Part
from tests.integration.following import MARK, a_case
from tests.integration.searching import INSERT, row

MANY = 20_000


@pytest.fixture
def store(database: str) -> Iterator[psycopg.Connection[Any]]:
    migrate(database)
    with connect(database, "test") as connection:
        yield connection


def put(store: psycopg.Connection[Any], number: int = 1) -> EntryKey:
    """One entry, marked."""
    key, state = a_case(number)
    store.execute(INSERT.encode(), row(key, state))
    store.execute(MARK.encode(), key)
    return key


def claimed(store: psycopg.Connection[Any]) -> tuple[int, outbox.Claim]:
    """The one shard in which anything is marked, and what is."""
    claims = [outbox.claim(store, shard, outbox.START, 10, Facts(revision=-1)) for shard in range(outbox.SHARDS)]
    ((shard, claim),) = [(shard, claim) for shard, claim in enumerate(claims) if claim.entries]
    return shard, claim


def test_a_mark_that_was_set_again_meanwhile_stays_until_it_is_published_again(
    store: psycopg.Connection[Any],
) -> None:
    key = put(store)
    shard, claim = claimed(store)
    store.execute(MARK.encode(), key)
    outbox.settle(store, shard, claim.entries)
    assert outbox.depth(store) == 1
    outbox.settle(store, *_again(store))
    assert outbox.depth(store) == 0


def _again(store: psycopg.Connection[Any]) -> tuple[int, tuple[outbox.Marked, ...]]:
    shard, claim = claimed(store)
    return shard, claim.entries


def test_a_mark_that_somebody_holds_stays_and_nobody_waits(store: psycopg.Connection[Any], database: str) -> None:
    key = put(store)
    shard, claim = claimed(store)
    store.execute("SET lock_timeout = '1s'")
    with connect(database, "test") as other, other.transaction():
        other.execute(MARK.encode(), key)
        outbox.settle(store, shard, claim.entries)
    assert outbox.depth(store) == 1


def test_facts_are_read_anew_only_when_the_reference_data_have_changed(store: psycopg.Connection[Any]) -> None:
    put(store)
    shard, claim = claimed(store)
    assert outbox.claim(store, shard, outbox.START, 10, claim.facts).facts is claim.facts
    store.execute("UPDATE reference_revision SET revision = revision + 1")
    assert outbox.claim(store, shard, outbox.START, 10, claim.facts).facts.revision == claim.facts.revision + 1


@pytest.mark.parametrize("name", ["claim_dirty", "settle_dirty"])
def test_however_many_are_marked_a_claim_looks_at_its_own_alone(name: str, store: psycopg.Connection[Any]) -> None:
    store.execute(
        "INSERT INTO dirty (authority, system, case_id, revision)"
        " SELECT 'a', 's', gen_random_uuid(), 1 FROM generate_series(1, %s)",
        [MANY],
    )
    store.execute("ANALYZE dirty")
    marks = store.execute("SELECT case_id, xmin::text FROM dirty WHERE shard = 0 LIMIT 10").fetchall()
    which = {
        "shard": 0,
        "limit": 10,
        **outbox.START._asdict(),
        "authorities": ["a"] * 10,
        "systems": ["s"] * 10,
        "case_ids": [case_id for case_id, _ in marks],
        "marks": [mark for _, mark in marks],
    }
    plan = store.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + query(name), which).fetchone()
    assert plan is not None
    read = [node["Actual Rows"] * node["Actual Loops"] for node in nodes(plan[0][0]["Plan"]) if "Relation Name" in node]
    assert read
    assert max(read) <= len(marks)


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every node of a plan."""
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def test_a_shard_that_another_has_begun_is_fenced(store: psycopg.Connection[Any], database: str, kafka: Part) -> None:
    settings = Settings(kafka=kafka.address, database=SecretStr(database))
    make_topics(admin(confluent_options(settings)), list(OVERVIEWS.values()), 1)
    key = put(store)
    shard, _ = claimed(store)
    stop = threading.Event()
    with connect(database, "older") as first, connect(database, "newer") as second, ThreadPoolExecutor(2) as threads:
        try:
            older = threads.submit(Shard(settings, shard, first).run, stop)
            while outbox.depth(store):
                assert not older.done()
            newer = threads.submit(Shard(settings, shard, second).run, stop)
            while not older.done():
                store.execute(MARK.encode(), key)
                wait([older, newer], 0.1, FIRST_COMPLETED)
            with pytest.raises(KafkaException) as fenced:
                older.result()
            assert fenced.value.args[0].name() == "_FENCED"
            while outbox.depth(store):
                assert not newer.done()
        finally:
            stop.set()
        assert newer.exception() is None
