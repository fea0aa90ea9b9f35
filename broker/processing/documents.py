"""Document events beside case events in one worker: the same lanes, each topic with work of its own."""

from collections.abc import Iterable, Mapping
from typing import Any

import psycopg

from broker.domain import document
from broker.domain.agreement import Facts
from broker.domain.batch import Arrival, Place, Plan
from broker.processing.arrivals import decode
from broker.processing.batching import Batch
from broker.processing.lanes import Claimed, Work
from broker.processing.projector import Projector
from broker.processing.registering import write_registrations
from broker.settings import Settings
from broker.store import documents
from broker.stream.topics import CASE_EVENTS, CONSENTS, DOCUMENT_EVENTS


def write_documents(connection: psycopg.Connection[Any], arrivals: list[Arrival], facts: Facts, place: Place) -> Plan:
    """A batch of document events."""
    made, said = document.plan(arrivals, facts, place)
    documents.write(connection, made, said, place)
    return made


class ByTopic:
    """Gives each topic's batches to the work of that topic."""

    def __init__(self, works: Mapping[str, Work]) -> None:
        """`works`: topic -> work."""
        self._works = works

    def claim(self, topic: str, partitions: Iterable[int]) -> Claimed:
        """Where each partition continues. Raises PositionRefused."""
        return self._works[topic].claim(topic, partitions)

    def apply(self, batch: Batch, place: Place, position: int, again: bool) -> None:  # noqa: FBT001 - the protocol's
        """Write the batch, once. Raises PositionLost, TryAgain."""
        self._works[place.topic].apply(batch, place, position, again)


def work(settings: Settings) -> ByTopic:
    """All that a worker does."""
    return ByTopic(
        {
            CASE_EVENTS.name: Projector(settings),
            DOCUMENT_EVENTS.name: Projector(settings, "document_event", decode, write_documents),
            CONSENTS.name: Projector(settings, "consent_event", decode, write_registrations),
        }
    )
