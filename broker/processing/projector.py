"""From batches of bytes to one committed transaction: decode, judge under the revision lock, write, commit.

What is wrong with an event becomes its verdict; what is wrong with the world is tried again in place.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import psycopg

from broker import tracing
from broker.domain.agreement import Facts
from broker.domain.batch import Arrival, Place, Plan, plan
from broker.domain.outcome import read_verdict
from broker.logs import tell
from broker.metrics import EVENT_TO_VISIBLE, EVENTS, WORKER_POSITION, system_label
from broker.processing.arrivals import Read, closer, look
from broker.processing.lanes import Claimed, TryAgain, Turn
from broker.settings import Settings
from broker.store import batch as store
from broker.store import facts, positions
from broker.store.database import connect
from broker.stream.clients import confluent_options
from broker.stream.cluster import admin, logs
from broker.stream.framing import Decoder
from broker.stream.registry import Registry, RegistryUnreachable

Arrived = Mapping[Place, list[Arrival]]
Write = Callable[[psycopg.Connection[Any], Arrived, Facts], Mapping[Place, Plan]]
"""Judges arrivals by the facts and writes all but the positions."""
# What may be wrong with the world; a session that Postgres ended for idling counts as an internal error there.
WORLD: Final = (psycopg.OperationalError, psycopg.InternalError, psycopg.InterfaceError)


@dataclass(slots=True)
class Session:
    """What one thread keeps between batches."""

    connection: psycopg.Connection[Any]
    facts: Facts


def write_cases(connection: psycopg.Connection[Any], arrived: Arrived, facts: Facts) -> Mapping[Place, Plan]:
    """Case events."""
    made = {place: plan(arrivals, facts, place, closer) for place, arrivals in arrived.items()}
    store.write(connection, made)
    return made


class Projector:
    """Does the work of the lanes for one kind of event; each thread has a database session of its own."""

    def __init__(
        self, settings: Settings, schema: str = "case_event", read: Read = look, write: Write = write_cases
    ) -> None:
        self._settings = settings
        self._admin = admin(confluent_options(settings))
        self._decoder = Decoder(schema, Registry(settings.registry).schema)
        self._read = read
        self._write = write
        self._mine = threading.local()
        self._unheard: dict[Place, tuple[Plan, list[Arrival]]] = {}

    def claim(self, topic: str, partitions: Iterable[int]) -> Claimed:
        """Ask Kafka and the database where each partition continues. Raises PositionRefused."""
        with connect(self._settings.dsn, "worker") as connection:
            return positions.claim(connection, topic, logs(self._admin, topic, partitions))

    def apply(self, turns: Sequence[Turn], again: bool) -> None:  # noqa: FBT001 - from the lane's thread
        """Write the turns, once. Raises PositionLost, TryAgain."""
        try:
            if not (again and all(self._committed(turn.step) for turn in turns)):
                self._commit(turns)
        except RegistryUnreachable as why:
            tell("registry_unreachable", detail=str(why))
            raise TryAgain from None
        except WORLD as why:
            self.forget()
            if isinstance(why, psycopg.errors.ProgramLimitExceeded):
                raise
            if not isinstance(why, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure):
                partitions = [turn.step.place.partition for turn in turns]
                tell("batch_retried", partitions=partitions, error=type(why).__name__)
            raise TryAgain from None
        for turn in turns:
            if (made := self._unheard.pop(turn.step.place, None)) is not None:
                _measure(*made)

    def _commit(self, turns: Sequence[Turn]) -> None:
        arrived = {turn.step.place: self._read(turn.records, self._decoder) for turn in turns if turn.records}
        for turn in turns:
            self._unheard.pop(turn.step.place, None)
        session = self._session()
        with store.moving(session.connection, *(turn.step for turn in turns)) as revision:
            if revision != session.facts.revision:
                session.facts = facts.load(session.connection)
            made = self._write(session.connection, arrived, session.facts)
            for turn in turns:
                if (said := made.get(turn.step.place)) and said.rejections:
                    store.note_traces(session.connection, turn.step.place, _traces(said, turn))
            # Counted when its commit is known, be it that nobody heard of it at first.
            self._unheard |= {place: (made[place], arrivals) for place, arrivals in arrived.items()}

    def _committed(self, step: store.Advance) -> bool:
        """Whether a commit that was never answered took place after all."""
        with connect(self._settings.dsn, "worker") as connection:
            rows = positions.show(connection, step.place.topic)
        return any(
            partition == step.place.partition and topic_id == step.place.topic_id and next_offset == step.next_offset
            for partition, _, topic_id, next_offset in rows
        )

    def _session(self) -> Session:
        session: Session | None = getattr(self._mine, "session", None)
        if session is None:
            connection = connect(self._settings.dsn, "worker")
            store.prepare(connection)
            session = self._mine.session = Session(connection, Facts(revision=-1))
        return session

    def forget(self) -> None:
        """End this thread's session."""
        session: Session | None = getattr(self._mine, "session", None)
        if session is not None:
            session.connection.close()
            self._mine.session = None


def _traces(made: Plan, turn: Turn) -> dict[int, UUID]:
    """The trace ids that rejected events came with, by offset."""
    rejected = {one["log_offset"] for one in made.rejections}
    found = {r.offset: tracing.id_in(r.headers) for r in turn.fetched if r.offset in rejected}
    return {offset: trace_id for offset, trace_id in found.items() if trace_id is not None}


def _measure(made: Plan, arrivals: list[Arrival]) -> None:
    now = time.time()
    counted = Counter(
        (
            system_label(made.systems.get(arrival.offset - made.first_offset, "")),
            made.verdicts[arrival.offset - made.first_offset],
        )
        for arrival in arrivals
    )
    for (system, verdict), number in counted.items():
        EVENTS.labels(system, read_verdict(verdict)[0]).inc(number)
    # One observation for each millisecond of arrivals: a histogram costs more than an event otherwise.
    for received_ms in {arrival.received_ms for arrival in arrivals}:
        EVENT_TO_VISIBLE.observe(max(0.0, now - received_ms / 1000))
    WORKER_POSITION.set(now)
