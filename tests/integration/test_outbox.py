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
from broker.domain.entry import Entry
from broker.domain.identity import EntryKey
from broker.domain.publication import publication
from broker.metrics import registry
from broker.processing import publisher
from broker.processing.publisher import Shard, messages
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
REGISTRY = registry("publisher")
Captured = pytest.CaptureFixture[str]


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


def test_a_mark_without_an_entry_is_taken_out(store: psycopg.Connection[Any]) -> None:
    key, lost = put(store), EntryKey("29189668", "sbsys", "00000000-0000-0000-0000-00000000dead")
    store.execute("INSERT INTO dirty (authority, system, case_id, revision) VALUES (%s, %s, %s, 1)", lost)
    shard, claim = claimed(store)
    assert [marked.key for marked in claim.entries] == [key]
    outbox.settle(store, shard, claim.entries)
    assert outbox.depth(store) == 0


def test_an_entry_of_which_no_publication_can_be_made_is_a_tombstone_and_costs_no_other(
    store: psycopg.Connection[Any], database: str, kafka: Part, monkeypatch: pytest.MonkeyPatch, capfd: Captured
) -> None:
    settings = Settings(kafka=kafka.address, database=SecretStr(database))
    make_topics(admin(confluent_options(settings)), list(OVERVIEWS.values()), 1)
    bad = put(store, 1)
    shard, _ = claimed(store)
    good = next(key for key in (put(store, number) for number in range(2, 50)) if _shard_of(store, key) == shard)

    def or_fail(entry: Entry, *facts: Any) -> Any:
        if entry.key == bad:
            raise OverflowError("the text of an error may quote what it is about")
        return publication(entry, *facts)

    monkeypatch.setattr(publisher, "publication", or_fail)
    told = messages(outbox.claim(store, shard, outbox.START, 10, Facts(revision=-1)))
    assert {value for _, key, value in told.sent if key == str(bad).encode()} == {None}
    assert set(told.broken) == {bad}
    assert str(good).encode() in {key for _, key, _ in told.sent}

    stop = threading.Event()
    with connect(database, "shard") as own, ThreadPoolExecutor(1) as threads:
        try:
            running = threads.submit(Shard(settings, shard, own).run, stop)
            while _marked(store, shard) != [bad]:
                assert not running.done()
            assert _told(shard) == 1
            monkeypatch.undo()
            store.execute(MARK.encode(), bad)
            while _marked(store, shard):
                assert not running.done()
            assert _told(shard) == 0
        finally:
            stop.set()
    said = capfd.readouterr().err
    assert said.count("entry_not_publishable") == 1
    assert "OverflowError" in said
    assert "quote" not in said


def _told(shard: int) -> float | None:
    return REGISTRY.get_sample_value("sagsbro_entries_not_publishable", {"shard": str(shard)})


def _shard_of(store: psycopg.Connection[Any], key: EntryKey) -> int:
    ((shard,),) = store.execute(
        "SELECT shard FROM dirty WHERE (authority, system, case_id) = (%s, %s, %s)", key
    ).fetchall()
    return int(shard)


def _marked(store: psycopg.Connection[Any], shard: int) -> list[EntryKey]:
    rows = store.execute("SELECT authority, system, case_id::text FROM dirty WHERE shard = %s", [shard])
    return [EntryKey(*row) for row in rows]


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
