"""Records of the log, seen at a glance or decoded. Pure but for the decoder's schema source."""

from collections.abc import Callable
from typing import Final, cast

from broker.domain.batch import Arrival
from broker.domain.case import CaseEvent, content_hash
from broker.stream.framing import HEADER, Decoder, Undecodable
from broker.stream.glance import glance

Records = list[tuple[int, int, bytes | None]]
"""As (offset, received ms, value)."""
Read = Callable[[Records, Decoder], list[Arrival]]
_BUNDLED: Final = Decoder("case_event", lambda _: None)


def decode(records: Records, decoder: Decoder) -> list[Arrival]:
    """Every one, whole. What the schema source raises passes through."""
    return [_decoded(offset, received_ms, value, decoder) for offset, received_ms, value in records]


def look(records: Records, decoder: Decoder) -> list[Arrival]:
    """The same, but of plain case events only what a glance tells."""
    arrivals: list[Arrival] = []
    for offset, received_ms, value in records:
        plain = glance(value)
        if plain is None:
            arrivals.append(_decoded(offset, received_ms, value, decoder))
        else:
            arrivals.append(Arrival(offset, received_ms, value, None, plain=plain))
    return arrivals


def closer(arrival: Arrival) -> Arrival:
    """One that was glanced at, decoded; others as they are."""
    if arrival.plain is None:
        return arrival
    return _decoded(arrival.offset, arrival.received_ms, arrival.value, _BUNDLED)


def _decoded(offset: int, received_ms: int, value: bytes | None, decoder: Decoder) -> Arrival:
    try:
        event = cast("CaseEvent", decoder.decode(value))
    except Undecodable as flaw:
        return Arrival(offset, received_ms, value, None, flaw=str(flaw))
    return Arrival(offset, received_ms, value, event, content_hash((value or b"")[HEADER.size :]))
