"""What the kept bytes of a rejection say, judged again by the reference data of now. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import orjson

from broker.domain.agreement import Facts
from broker.domain.document import Event
from broker.domain.outcome import Rejected
from broker.intake import connector
from broker.intake.canonical import document_from_json
from broker.intake.connector import Source
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


def _offers(kept: Kept, settings: Settings) -> Iterable[Offer]:
    """An event from the log, canonical JSON, or a payload in the vendor's words."""
    payload, system, authority = bytes(kept["payload"]), kept["system"], kept["authority"]
    if kept["topic"] is not None:
        schema = "document_event" if kept["topic"] == DOCUMENT_EVENTS.name else "case_event"
        event = cast("Event", Decoder(schema, lambda _: None).decode(payload))
        return [Offer(0, event, authority, system, kept["event_id"], event, canonical=False)]
    try:
        said: object = orjson.loads(payload)
    except orjson.JSONDecodeError:
        said = payload
    if isinstance(said, dict) and said.keys() >= _CANONICAL:
        return canonical_offers([Item(said)])
    if isinstance(said, dict) and said.keys() >= _DOCUMENT:
        return canonical_offers([Item(said)], document_from_json)
    speaking = connector.load(system)
    if speaking is None:
        raise UnreadableError("the system's connector is not installed")
    return offers_of([said], speaking, Source(system, authority, settings.connector(authority, system)))
