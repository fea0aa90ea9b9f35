"""Registrations out of the log: every one once in the register, though the worker is killed on the way."""

import uuid

from confluent_kafka import Producer

from broker.settings import Settings
from broker.store.database import connect
from broker.stream.clients import confluent_options
from broker.stream.framing import encode
from broker.stream.topics import CONSENTS
from ops.bench.faults import settle
from ops.embedded.instance import Instance
from tests.integration.registering import an_id, consent, withdrawn
from tests.integration.test_register import on_the_wire

CONSENTED = 300


def test_registrations_of_the_log_are_in_the_register_once_and_a_bad_one_is_rejected_alone(
    whole: tuple[Instance, Settings],
) -> None:
    running, settings = whole
    producer = Producer(confluent_options(settings) | {"acks": "all", "partitioner": "murmur2_random"})
    for number in range(CONSENTED):
        key = str(uuid.uuid4()).encode()
        for said in (consent(consent_id=an_id(number)), withdrawn(consent_id=an_id(number))):
            for _ in range(2):
                producer.produce(CONSENTS.name, encode("consent_event", on_the_wire(said)), key)
        if number == CONSENTED // 2:
            producer.flush()
            running.supervisor.await_restart("worker-1", former=0, timeout=60)
            running.supervisor.kill9("worker-1")
    producer.produce(CONSENTS.name, b"x", b"x")
    producer.produce(CONSENTS.name, encode("consent_event", on_the_wire(consent(data_areas=["N*"]))), b"x")
    producer.flush()
    assert settle(settings) == []
    with connect(settings.dsn, "test") as connection:
        stands = connection.execute("SELECT count(*), count(body ->> 'withdrawn_at') FROM register").fetchone()
        history = connection.execute("SELECT count(*) FROM register_history").fetchone()
        codes = connection.execute("SELECT code, payload FROM rejection ORDER BY code").fetchall()
    assert (stands, history) == ((CONSENTED, CONSENTED), (2 * CONSENTED,))
    assert codes == [("consent_not_specific", None), ("malformed_payload", None)]
