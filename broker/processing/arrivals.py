"""Records of the log, decoded. Pure but for the decoder's schema source."""

from typing import cast

from broker.domain.batch import Arrival
from broker.domain.case import CaseEvent, content_hash
from broker.stream.framing import HEADER, Decoder, Undecodable


def decode(records: list[tuple[int, int, bytes | None]], decoder: Decoder) -> list[Arrival]:
    """Records are (offset, received ms, value). What the schema source raises passes through."""
    arrivals: list[Arrival] = []
    for offset, received_ms, value in records:
        try:
            event = cast("CaseEvent", decoder.decode(value))
        except Undecodable as flaw:
            arrivals.append(Arrival(offset, received_ms, value, None, flaw=str(flaw)))
        else:
            digest = content_hash((value or b"")[HEADER.size :])
            arrivals.append(Arrival(offset, received_ms, value, event, digest))
    return arrivals
