"""What the kept bytes of a rejection say, judged again by the reference data of now. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import orjson

from broker.domain.agreement import Facts
from broker.domain.document import Event
from broker.domain.outcome import Rejected
from broker.intake import connector
from broker.intake.canonical import document_from_json
from broker.intake.connector import STANDARD, Source
from broker.intake.forms import Item
from broker.intake.verdicts import Accepted, Judged, Offer, Sender, canonical_offers, judge_all, offers_of
from broker.settings import Settings
from broker.stream.framing import Decoder, Undecodable
from broker.stream.topics import DOCUMENT_EVENTS

_CANONICAL = frozenset({"event_id", "authority", "case_id"})
_DOCUMENT = frozenset({"event_id", "authority", "document_id"})
Kept = Mapping[str, Any]
"""`authority`, `system`, `event_id`, `topic` and `payload` of a rejection."""


class UnreadableError(Exception):
    """Nobody here can read it: the sender has to send it again."""


def judged_again(kept: Kept, settings: Settings, facts: Facts, at: int) -> list[Judged]:
    """Every event in it. Raises UnreadableError.

    Args:
        at: now, microseconds since 1970, UTC.
    """
    sender = Sender(kept["system"], frozenset({kept["authority"]}))
    try:
        return judge_all(_offers(kept, settings), sender, facts, at)
    except Undecodable as flaw:
        raise UnreadableError(f"it cannot be read, so the sender has to send it again: {flaw}") from None


def refused(judged: Iterable[Judged]) -> Rejected | None:
    """The first that would be rejected again."""
    return next((one.verdict for one in judged if isinstance(one.verdict, Rejected)), None)


def accepted(judged: Sequence[Judged]) -> list[Accepted]:
    """What would go into the log."""
    return [one.verdict for one in judged if isinstance(one.verdict, Accepted)]


def said(kept: Kept) -> object:
    """The payload as JSON, else its bytes."""
    payload = bytes(kept["payload"])
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        return payload


def by_standard(kept: Kept) -> Any:
    """The request, when it came over SF1470, from whatever system; None when it did not."""
    standard = connector.load(STANDARD)
    if kept["topic"] is not None or standard is None or standard.service is None:
        return None
    return standard.service.kept(said(kept))


def _offers(kept: Kept, settings: Settings) -> Iterable[Offer]:
    """An event from the log, canonical JSON, or a payload in the vendor's words."""
    system, authority = kept["system"], kept["authority"]
    if kept["topic"] is not None:
        schema = "document_event" if kept["topic"] == DOCUMENT_EVENTS.name else "case_event"
        event = cast("Event", Decoder(schema, lambda _: None).decode(bytes(kept["payload"])))
        return [Offer(0, event, authority, system, kept["event_id"], event, canonical=False)]
    payload = said(kept)
    if isinstance(payload, dict) and payload.keys() >= _CANONICAL:
        return canonical_offers([Item(payload)])
    if isinstance(payload, dict) and payload.keys() >= _DOCUMENT:
        return canonical_offers([Item(payload)], document_from_json)
    if by_standard(kept) is not None:
        raise UnreadableError("a change by SF1470 is replayed by itself: it is completed by what the index holds")
    speaking = connector.load(system)
    if speaking is None:
        raise UnreadableError("the system's connector is not installed")
    return offers_of([payload], speaking, Source(system, authority, settings.connector(authority, system)))
