"""Mapping rules put over HTTP are worked off by a publisher process, on a real PostgreSQL and Kafka."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from pydantic import SecretStr, TypeAdapter

from broker.domain.policy import Role
from broker.processing import applying
from broker.settings import Settings
from broker.store import batch, kle_rules
from broker.store.database import connect
from broker.store.kle_shapes import KleRules
from broker.store.reference import Putter
from broker.stream.topics import CASE_EVENTS
from ops.embedded.part import Part
from tests.integration.test_kle_rules import FOR_ALL, NEXUS, OURS, PARAGRAPH, Instance, instance, kept, owed
from tests.integration.test_rederive import ENTRIES, expected, filled_events, number, states, waiting
from tests.integration.test_rejections import sent

__all__ = ["instance"]
SEEN = "SELECT coalesce(sum(seen), 0) FROM rederivation_part"


def put(of: Instance, role: Role, *rules: object) -> None:
    """As the API does."""

    async def putting() -> None:
        async with await psycopg.AsyncConnection.connect(of.dsn) as connection:
            listed = TypeAdapter(KleRules).validate_python(list(rules))
            await kle_rules.put(connection, listed, Putter("test", role))

    asyncio.run(putting())


@contextmanager
def keeping(of: Instance, kafka: Part) -> Iterator[threading.Event]:
    stop = threading.Event()
    settings = Settings(database=SecretStr(of.dsn), kafka=kafka.address)
    thread = threading.Thread(target=applying.keep_applied, args=(settings, stop))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()


def test_what_rules_owe_is_worked_off_after_a_while(
    instance: Instance, kafka: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applying, "LOOK_S", 0.05)
    event = kept(local_code=PARAGRAPH) | {"event_id": "mended"}
    rejected = instance.reject(event, "unmapped_local_code")
    put(instance, Role.OPERATOR, FOR_ALL)
    put(instance, Role.ONBOARDING, NEXUS)
    with connect(instance.dsn, "test") as connection, keeping(instance, kafka):
        batch.prepare(connection)
        threading.Event().wait(0.5)
        assert number(connection, SEEN) == 0  # it is left to the command line for a minute
        monkeypatch.setattr(applying, "AFTER_S", 0.0)
        waiting(lambda: number(connection, "SELECT count(*) FROM kle_rules_owed") == 0)
        assert states(connection) == expected(connection, [filled_events()])
        rows = connection.execute("SELECT rejection_id::text, state FROM rejection WHERE authority = %s", [OURS])
        assert rows.fetchall() == [(rejected, "replayed")]
    assert asyncio.run(sent(kafka.address, CASE_EVENTS, event["case_id"])) >= {"mended"}


def test_one_that_is_stopped_in_the_middle_ends_and_another_goes_on(
    instance: Instance, kafka: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applying, "LOOK_S", 0.05)
    monkeypatch.setattr(applying, "AFTER_S", 0.0)
    monkeypatch.setattr(applying, "RATE", 200)
    put(instance, Role.OPERATOR, FOR_ALL)
    with connect(instance.dsn, "test") as connection:
        batch.prepare(connection)
        with keeping(instance, kafka):
            waiting(lambda: number(connection, SEEN) > 0)
        assert owed(instance) == [True]
        assert 0 < number(connection, SEEN) < ENTRIES
        monkeypatch.setattr(applying, "RATE", 50_000)
        with keeping(instance, kafka):
            waiting(lambda: number(connection, "SELECT count(*) FROM kle_rules_owed") == 0)
        assert states(connection) == expected(connection, [filled_events()])
