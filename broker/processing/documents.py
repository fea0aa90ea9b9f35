"""Document events beside case events in one worker: the same lanes, each topic with work of its own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import psycopg

from broker.domain import document
from broker.domain.agreement import Facts
from broker.domain.batch import Place, Plan
from broker.processing.arrivals import decode
from broker.processing.lanes import Claimed, Turn, Work
from broker.processing.projector import Arrived, Projector
from broker.processing.registering import write_registrations
from broker.settings import Settings
from broker.store import documents
from broker.stream.topics import CASE_EVENTS, CONSENTS, DOCUMENT_EVENTS


def write_documents(connection: psycopg.Connection[Any], arrived: Arrived, facts: Facts) -> Mapping[Place, Plan]:
    """Document events."""
    plans = {}
    for place, arrivals in arrived.items():
        plans[place], said = document.plan(arrivals, facts, place)
        documents.write(connection, plans[place], said, place)
    return plans


class ByTopic:
    """Gives each topic's batches to the work of that topic."""

    def __init__(self, works: Mapping[str, Work]) -> None:
        """`works`: topic -> work."""
        self._works = works

    def claim(self, topic: str, partitions: Iterable[int]) -> Claimed:
        """Where each partition continues. Raises PositionRefused."""
        return self._works[topic].claim(topic, partitions)

    def apply(self, turns: Sequence[Turn], again: bool) -> None:  # noqa: FBT001 - the protocol's
        """Write these turns of one topic, once. Raises PositionLost, TryAgain."""
        self._works[turns[0].step.place.topic].apply(turns, again)


def work(settings: Settings) -> ByTopic:
    """All that a worker does."""
    return ByTopic(
        {
            CASE_EVENTS.name: Projector(settings),
            DOCUMENT_EVENTS.name: Projector(settings, "document_event", decode, write_documents),
            CONSENTS.name: Projector(settings, "consent_event", decode, write_registrations),
        }
    )
