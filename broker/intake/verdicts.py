"""The intake's judgement of what one request brings: sender, form, size, agreement, classification. Pure.

The worker judges again, from the original, under the revision lock: so it is the original that goes into the log.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import orjson

from broker.domain import document
from broker.domain.agreement import AgreementState, Facts
from broker.domain.case import CaseEvent
from broker.domain.classify import Classified, judge
from broker.domain.document import DocumentEvent, DocumentKey, Event
from broker.domain.form import LONGEST_EVENT_ID, items_of
from broker.domain.identity import has_cpr
from broker.domain.outcome import Code, Delimited, Rejected, Warned
from broker.intake.canonical import as_sent, from_json, is_storable
from broker.intake.connector import Connector, Source
from broker.intake.forms import Item
from broker.intake.producer import Message
from broker.stream.framing import encode
from broker.stream.topics import DOCUMENT_EVENTS

LARGEST_EVENT: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends, as the token says."""

    system: str
    authorities: frozenset[str]


@dataclass(frozen=True, slots=True)
class Offer:
    """One event of a request, or why there is none.

    index: of its payload. authority, system: which it says it is from. payload: as it came.
    canonical: the payload is the JSON form of the event itself, so pointers lead into it.
    inside: the pointer of the payload's own place in what was sent.
    """

    index: int
    event: Event | Rejected
    authority: str
    system: str
    event_id: str | None
    payload: object
    canonical: bool
    inside: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """May go into the log: the original event, and its bytes there."""

    event: Event
    value: bytes
    warnings: tuple[Warned, ...] = ()


Verdict = Accepted | Delimited | Rejected


@dataclass(frozen=True, slots=True)
class Judged:
    """An offer and what became of it."""

    offer: Offer
    verdict: Verdict


def offers_of(payloads: Iterable[object], connector: Connector, source: Source) -> Iterator[Offer]:
    """A vendor's payloads, translated; one may become several events, or none."""
    for index, payload in enumerate(payloads):
        if isinstance(payload, Rejected):
            yield unreadable(payload, source.authority, source.system, index)
            continue
        events = connector.translate(payload, source)
        for event in [events] if isinstance(events, Rejected) else events:
            event_id = None if isinstance(event, Rejected) else shown_id(event["event_id"])
            yield Offer(index, event, source.authority, source.system, event_id, payload, canonical=False)


def canonical_offers(items: Iterable[Item], read: Callable[[object], Event | Rejected] = from_json) -> Iterator[Offer]:
    """Canonical events as parsed JSON; `read` makes one of a kind out of it."""
    for index, (payload, inside) in enumerate(items):
        if isinstance(payload, Rejected):
            yield unreadable(payload, "", "", index)
            continue
        said = payload if isinstance(payload, dict) else {}
        authority, system = (_text(said.get(name)) for name in ("authority", "system"))
        event_id = shown_id(said.get("event_id"))
        yield Offer(index, read(payload), authority, system, event_id, payload, canonical=True, inside=inside)


def unreadable(flaw: Rejected, authority: str, system: str, index: int = 0) -> Offer:
    """What a part of a body, or all of it, comes to in which no payload can be told: it is not kept."""
    return Offer(index, replace(flaw, covered=False), authority, system, None, None, canonical=False)


def judge_all(offers: Iterable[Offer], sender: Sender, facts: Facts, at: int) -> list[Judged]:
    """What becomes of each; `at`: when they were received, microseconds since 1970, UTC."""
    return [Judged(offer, _pointing(_judge(offer, sender, facts, at), offer)) for offer in offers]


def orphans(judged: Sequence[Judged]) -> dict[DocumentKey, Delimited | Rejected]:
    """Documents that came with cases none of which is taken in, and what becomes of them unless the index has them.

    Only through a case may a document be seen, and only the agreement on its case says that it may be held. One that
    comes alone may be ahead of its cases, and is none.
    """
    documents = [one for one in judged if isinstance(one.verdict, Accepted) and "case_id" not in one.verdict.event]
    if not documents:
        return {}
    refused: dict[str, Delimited | Rejected] = {}
    taken: set[str] = set()
    for one in judged:
        event = one.offer.event
        if isinstance(event, Rejected) or "case_id" not in event:
            continue
        named = [(item.get("document_id") or "").lower() for item in items_of(event, "journal")]
        if isinstance(one.verdict, Accepted):
            taken.update(named)
        else:
            refused |= dict.fromkeys(named, one.verdict)
    events = [one.offer.event for one in documents]
    keys = [document.key_of(event) for event in events if not isinstance(event, Rejected) and "case_id" not in event]
    return {key: _orphaned(refused[key.document_id]) for key in keys if key.document_id in refused.keys() - taken}


def _orphaned(case: Delimited | Rejected) -> Delimited | Rejected:
    if isinstance(case, Delimited):
        return Delimited("")
    return Rejected(
        Code.DOCUMENT_ORPHAN, "", "with a case that is taken in: those of this request are not", case.covered
    )


def without(judged: Sequence[Judged], found: Mapping[DocumentKey, Delimited | Rejected]) -> list[Judged]:
    """The same, where these documents met these verdicts."""
    return [replace(one, verdict=_instead(one.verdict, found)) for one in judged] if found else list(judged)


def _instead(verdict: Verdict, found: Mapping[DocumentKey, Delimited | Rejected]) -> Verdict:
    if not isinstance(verdict, Accepted) or "case_id" in verdict.event:
        return verdict
    return found.get(document.key_of(verdict.event), verdict)


def kept_bytes(payload: object) -> bytes | None:
    """A payload as JSON, for a rejection to keep; None when it has no such form or is too large to keep."""
    try:
        text = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    except TypeError:
        return None
    return text if len(text) <= LARGEST_EVENT else None


def removal_of(event: Event) -> Event:
    """Takes an entry out of the index, or hides a document, and says nothing of it.

    Its id is the lowest there is: the same event, sent again when it may be held, is newer.
    """
    if "case_id" not in event:
        hidden: DocumentEvent = {
            "event_id": str(uuid.UUID(int=0)),
            "system": event["system"],
            "authority": event["authority"],
            "document_id": event["document_id"],
            "registered_at": event["registered_at"],
            "sequence": event.get("sequence"),
            "removed": True,
        }
        return hidden
    removal: CaseEvent = {
        "event_id": str(uuid.UUID(int=0)),
        "system": event["system"],
        "authority": event["authority"],
        "case_id": event["case_id"],
        "registered_at": event["registered_at"],
        "sequence": event.get("sequence"),
        "change": "REMOVED",
        "removal_reason": "LEFT_INDEX",
    }
    return removal


def leaves_index(judged: Sequence[Judged]) -> list[Event]:
    """Events of cases that may not be, or no longer are wanted, in the index: if they are there, they must go.

    Of documents too: those are hidden also where only the cases' journals know of them.
    """
    return [one.offer.event for one in judged if not isinstance(one.offer.event, Rejected) and _leaves(one)]


def shown_id(event_id: object) -> str | None:
    """An event id that may be shown and kept, if it is one."""
    if not isinstance(event_id, str) or not 0 < len(event_id) <= LONGEST_EVENT_ID:
        return None
    return event_id if is_storable(event_id) and not has_cpr(event_id) else None


def _leaves(one: Judged) -> bool:
    if isinstance(one.verdict, Delimited):
        # A document is delimited only where the index does not have it.
        return not isinstance(one.offer.event, Rejected) and "case_id" in one.offer.event
    return isinstance(one.verdict, Rejected) and one.verdict.code is Code.OUTSIDE_AGREEMENT


def _judge(offer: Offer, sender: Sender, facts: Facts, at: int) -> Verdict:
    if isinstance(offer.event, Rejected):
        return _if_covered(offer.event, sender, offer, facts)
    event = offer.event
    if event["system"] != sender.system:
        return Rejected(Code.SYSTEM_MISMATCH, "/system", "not the system that the token names", covered=False)
    if event["authority"] not in sender.authorities:
        return Rejected(
            Code.AUTHORITY_MISMATCH, "/authority", "not among the authorities that the token names", covered=False
        )
    try:
        value = encoded(event)
    except ValueError:
        flaw = Rejected(Code.SCHEMA_VIOLATION, "", "does not fit the published schema")
        return _if_covered(flaw, sender, offer, facts)
    if len(value) > LARGEST_EVENT:
        return Rejected(Code.TOO_LARGE, "", f"more than {LARGEST_EVENT} bytes", covered=False)
    verdict = judge(event, facts, at) if "case_id" in event else document.judge(event, facts, at)
    if isinstance(verdict, Classified | document.Kept):
        return Accepted(event, value, verdict.warnings)
    return verdict


def encoded(event: Event) -> bytes:
    """As it goes into the log. Raises ValueError when it does not fit."""
    return encode("case_event" if "case_id" in event else "document_event", event)


def message(event: Event, value: bytes) -> Message:
    """Where it goes in the log, and under which key."""
    if "case_id" not in event:
        return Message(event["document_id"].encode(), value, DOCUMENT_EVENTS.name)
    return Message(event["case_id"].encode(), value)


def _if_covered(flaw: Rejected, sender: Sender, offer: Offer, facts: Facts) -> Rejected:
    """What cannot be read is kept only where the sender's agreement is open without restriction."""
    agreement = facts.senders.get((offer.authority, sender.system))
    covered = (
        flaw.covered
        and offer.system == sender.system
        and offer.authority in sender.authorities
        and agreement is not None
        and agreement.state is AgreementState.FULL
    )
    return replace(flaw, covered=covered)


def _pointing(verdict: Verdict, offer: Offer) -> Verdict:
    """With its pointers into what was sent."""
    if not offer.canonical or isinstance(verdict, Delimited):
        return verdict
    if isinstance(verdict, Rejected):
        return replace(verdict, pointer=sent(offer, verdict.pointer))
    warnings = [replace(warned, pointer=sent(offer, warned.pointer)) for warned in verdict.warnings]
    return replace(verdict, warnings=tuple(warnings))


def sent(offer: Offer, pointer: str) -> str:
    """The pointer into what was sent, where that is the JSON form of the event itself."""
    if not offer.canonical:
        return pointer
    return offer.inside + as_sent(offer.payload, pointer)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
