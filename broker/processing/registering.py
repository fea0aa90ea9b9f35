"""Registrations of persons out of the log: into the same register as those over HTTP. A bad one is rejected alone.

Who may write to the topic is trusted to have asked: give that right to nobody but a register.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, cast

import psycopg

from broker.domain.agreement import Facts
from broker.domain.batch import Arrival, Place, Plan, reject
from broker.domain.consent import Registration
from broker.domain.outcome import VERDICT_BYTE, Code, Rejected
from broker.intake.persons import read_wire
from broker.processing.projector import Arrived
from broker.store import batch, persons
from broker.store.persons import Author
from broker.stream.topics import CONSENTS

PRODUCER: Final = Author(CONSENTS.name, None)


def write_registrations(connection: psycopg.Connection[Any], arrived: Arrived, _facts: Facts) -> Mapping[Place, Plan]:
    """Registrations, everything but the positions. Nothing of what is rejected is kept."""
    made = {place: _put(connection, arrivals, place) for place, arrivals in arrived.items()}
    batch.write(connection, made)
    return made


def _put(connection: psycopg.Connection[Any], arrivals: list[Arrival], place: Place) -> Plan:
    made = Plan(arrivals[0].offset, bytearray(arrivals[-1].offset - arrivals[0].offset + 1))
    read = [(arrival, _read(arrival)) for arrival in arrivals]
    good = [(arrival, said) for arrival, said in read if isinstance(said, Registration)]
    refused = persons.put(connection, [said for _, said in good], PRODUCER)
    verdicts = {arrival.offset: said for arrival, said in read if isinstance(said, Rejected)}
    verdicts |= {good[number][0].offset: flaw for number, flaw in refused.items()}
    for arrival in arrivals:
        index = arrival.offset - made.first_offset
        if (flaw := verdicts.get(arrival.offset)) is None:
            made.verdicts[index] = VERDICT_BYTE["indexed"]
        else:
            reject(made, index, Arrival(arrival.offset, arrival.received_ms, None, None), flaw, place)
    return made


def _read(arrival: Arrival) -> Registration | Rejected:
    if arrival.event is None:
        return Rejected(Code.MALFORMED_PAYLOAD, "", arrival.flaw, covered=False)
    at = datetime.fromtimestamp(arrival.received_ms / 1000, UTC)
    return read_wire(cast("dict[str, Any]", arrival.event), at)
