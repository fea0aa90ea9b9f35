"""Consents come and go while cases come in and publishers are stopped and continued: the topic is right after it."""

import os
import random
import signal
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer

from broker.domain.document import NOTHING_KNOWN
from broker.domain.entry import entry_of
from broker.domain.identity import EntryKey
from broker.domain.publication import publication
from broker.settings import Settings, said
from broker.store import facts, persons
from broker.store.database import connect
from broker.store.document import load
from broker.stream.clients import confluent_options
from broker.stream.framing import Decoder, encode
from broker.stream.topics import CASE_EVENTS, OVERVIEWS
from ops.bench.faults import folded, settle
from ops.bench.filled import AUTHORITIES, filled
from ops.bench.purge import LONG_AGO, OWN, Citizen, ready
from ops.embedded import instance
from ops.embedded.instance import Instance
from tests.integration.registering import an_id, kind_of, registration

CITIZENS = [Citizen(number) for number in range(12)]
CASES_EACH = 15
SECONDS = 30.0
STOPPED_S = 9.0
"""Longer than a stopped publisher keeps its shards."""
REGISTRAR = persons.Author("Register", frozenset(AUTHORITIES))


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_nothing_is_left_behind_with_events_in_flight_and_stopped_publishers(tmp_path: Path) -> None:
    chance = seeded(8)
    with instance.held(instance.Plan(tmp_path / "data", workers=2, publishers=2), {}) as running:
        running.start(ready)
        settings = said(running.settings)
        until = time.monotonic() + SECONDS
        work = [
            threading.Thread(target=send, args=(settings, seeded(1), until)),
            threading.Thread(target=consent_and_withdraw, args=(settings, seeded(2), until)),
        ]
        for thread in work:
            thread.start()
        while time.monotonic() < until:
            stopped = [stop_one(running, kind, chance) for kind in ("publisher", "worker")]
            threading.Event().wait(STOPPED_S)
            for pid in stopped:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        for thread in work:
            thread.join()
        assert settle(settings) == []
        with connect(settings.dsn, "test") as connection:
            while connection.execute("SELECT count(*) FROM register WHERE due_at IS NOT NULL").fetchone() != (0,):
                threading.Event().wait(0.1)
        assert settle(settings) == []
        held, expected = in_topic(settings), should_be(settings)
    assert held == expected
    assert 0 < len(expected) < len(CITIZENS) * CASES_EACH


def stop_one(running: Instance, kind: str, chance: random.Random) -> int:
    """One of a kind, waiting for it where it is between two lives; its pid."""
    name = chance.choice([name for name in running.supervisor.names if name.startswith(kind)])
    running.supervisor.await_restart(name, former=0, timeout=60)
    return running.supervisor.signal(name, signal.SIGSTOP)


def seeded(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - reproducible


def send(settings: Settings, chance: random.Random, until: float) -> None:
    """Registrations of the cases, again and again: of other areas, hidden, and each time somebody else's."""
    producer = Producer(confluent_options(settings) | {"acks": "all", "partitioner": "murmur2_random"})
    registration_number = 0
    while time.monotonic() < until:
        registration_number += 1
        number = OWN + chance.randrange(len(CITIZENS) * CASES_EACH)
        event = filled(chance, OWN + registration_number, number)
        parties: Any = event["parties"]
        parties["items"][0]["id"] = chance.choice(CITIZENS).cpr
        producer.produce(CASE_EVENTS.name, encode("case_event", event), event["case_id"].encode())
        producer.poll(0.005)
    producer.flush()


def consent_and_withdraw(settings: Settings, chance: random.Random, until: float) -> None:
    """Each consent is withdrawn at some time, mostly for another to come; some object for a while."""
    consents = dict.fromkeys(CITIZENS, 0)
    with connect(settings.dsn, "test") as connection:
        for citizen in CITIZENS:
            effort = {"coordinator": "member", "authority": AUTHORITIES[0], "registered_at": LONG_AGO}
            _put(
                connection,
                {"effort_id": citizen.effort, "citizen": citizen.cpr, "valid_from": LONG_AGO, "members": [], **effort},
            )
        while time.monotonic() < until:
            citizen = chance.choice(CITIZENS)
            now = datetime.now(UTC).isoformat()
            own = {"consent_id": an_id(1000 * citizen.number + consents[citizen])}
            match chance.randrange(4):
                case 0:
                    _put(connection, citizen.consent(**own, registered_at=now, withdrawn_at=now))
                    consents[citizen] += 1
                case 1:
                    lifted = chance.choice((None, now))
                    _put(connection, _objection(citizen, lifted_at=lifted, registered_at=now))
                case _:
                    _put(connection, citizen.consent(**own))
            threading.Event().wait(chance.uniform(0, 0.1))
        # However it has gone so far, something is to be seen in the end, and not all of it.
        for citizen in CITIZENS[:4]:
            now = datetime.now(UTC).isoformat()
            _put(connection, _objection(citizen, lifted_at=now, registered_at=now))
            _put(connection, citizen.consent(consent_id=an_id(1000 * citizen.number + consents[citizen])))


def _objection(citizen: Citizen, **said: Any) -> dict[str, Any]:
    number = an_id(citizen.number + 1)
    return {"objection_id": number, "citizen": citizen.cpr, "overview": "hoi", "from": LONG_AGO, **said}


def _put(connection: psycopg.Connection[Any], body: dict[str, Any]) -> None:
    """As often as it takes, as the caller of an API that says 503: a stopped worker may hold the same marks."""
    while True:
        with suppress(psycopg.errors.DeadlockDetected, psycopg.errors.LockNotAvailable), connection.transaction():
            assert persons.put(connection, [registration(kind_of(body), body)], REGISTRAR) == {}
            return


def in_topic(settings: Settings) -> dict[str, dict[str, Any]]:
    decoder = Decoder("overview_entry", lambda _: None)
    return {
        key: decoder.decode(value)["audience"]
        for key, value in folded(settings, OVERVIEWS["hoi"].name).items()
        if value
    }


def should_be(settings: Settings) -> dict[str, dict[str, Any]]:
    """What each row of the table must have sent, by the register as it stands."""
    audiences = {}
    with connect(settings.dsn, "test") as connection:
        known = facts.load(connection)
        rows = connection.execute("SELECT authority, system, case_id::text, revision, document FROM entry").fetchall()
        for *parts, revision, document in rows:
            key, state = EntryKey(*parts), load(document)
            entry = entry_of(key, state)
            at, registered = persons.load(connection, [party for _, party in entry.parties])
            by = replace(known, persons=registered)
            value = publication(entry, state, revision, "hoi", by, at, NOTHING_KNOWN)
            if value is not None:
                audiences[str(key)] = value["audience"]
    return audiences
