"""What a sender is told, and what is kept of a request: the receipt, and its rejections. Pure.

Of what no agreement covers only authority, system, event id, code (with its remedy), pointer and KLE number are kept.
"""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, assert_never

from broker.domain.identity import EVENT_NAMESPACE, is_cvr, without_cpr
from broker.domain.kle import is_pattern
from broker.domain.outcome import Code, Delimited, Rejected
from broker.intake.producer import Place
from broker.intake.verdicts import Accepted, Judged, Sender, kept_bytes
from broker.stream.topics import DOCUMENT_EVENTS

_FULL_NUMBER: Final = 8  # characters of NN.NN.NN


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to one request, and the rows behind it.

    events: for each event its authority, index, id, and its place in the log (of case events, unless a topic is said)
    or the verdict it met.
    """

    receipt_id: uuid.UUID
    events: list[dict[str, Any]]
    rejections: list[dict[str, Any]]
    answer: dict[str, Any]

    @property
    def status(self) -> int:
        """422 when there was something and everything of it was rejected."""
        return 422 if self.events and len(self.answer["rejected"]) == len(self.events) else 202


def receipt_of(
    receipt_id: uuid.UUID,
    judged: Sequence[Judged],
    places: Sequence[Place],
    sender: Sender,
    trace_id: uuid.UUID | None = None,
) -> Receipt:
    """The receipt of a request; `places` are those of the accepted events, in order."""
    where = iter(places)
    events = [_whose(one, sender) | _event(one, where) for one in judged]
    rejected = [(one, one.verdict) for one in judged if isinstance(one.verdict, Rejected)]
    answer = {
        "receipt_id": str(receipt_id),
        "accepted": sum(isinstance(one.verdict, Accepted) for one in judged),
        "delimited": sum(isinstance(one.verdict, Delimited) for one in judged),
        "rejected": [{**_named(one), **_why(flaw), "remedy": flaw.remedy} for one, flaw in rejected],
        "warnings": list(_warnings(judged)),
    }
    return Receipt(receipt_id, events, rejections_of(receipt_id, judged, sender, trace_id), answer)


def rejections_of(
    receipt_id: uuid.UUID, judged: Sequence[Judged], sender: Sender, trace_id: uuid.UUID | None = None
) -> list[dict[str, Any]]:
    """What is kept of the refused events of a request; the same request makes the same rows."""
    rows = [_rejection(receipt_id, place, one, sender) for place, one in enumerate(judged)]
    return [{**row, "trace_id": trace_id} for row in rows if row is not None]


def _whose(one: Judged, sender: Sender) -> dict[str, Any]:
    """The authority whose event it is; one that the sender may not speak for says nothing of anybody."""
    return {"authority": one.offer.authority} if one.offer.authority in sender.authorities else {}


def _event(one: Judged, places: Iterator[Place]) -> dict[str, Any]:
    match one.verdict:
        case Accepted():
            place = next(places)
            kind = {} if "case_id" in one.verdict.event else {"topic": DOCUMENT_EVENTS.name}
            return {**_named(one), **kind, "partition": place.partition, "offset": place.offset}
        case Delimited(pointer):
            return {**_named(one), "status": "delimited", "pointer": pointer}
        case Rejected():
            return {**_named(one), "status": "rejected", **_kept(one.verdict)}
        case _:
            assert_never(one.verdict)


def _warnings(judged: Sequence[Judged]) -> Iterator[dict[str, Any]]:
    for one in judged:
        if isinstance(one.verdict, Accepted):
            for warned in one.verdict.warnings:
                detail = without_cpr(warned.detail)
                yield {**_named(one), "code": str(warned.code), "detail": detail, "pointer": warned.pointer}


def _named(one: Judged) -> dict[str, Any]:
    return {"index": one.offer.index, "event_id": one.offer.event_id}


def _why(flaw: Rejected) -> dict[str, Any]:
    return {"code": str(flaw.code), "detail": without_cpr(flaw.detail), "pointer": without_cpr(flaw.pointer)}


def _kept(flaw: Rejected) -> dict[str, Any]:
    """What may be stored of the reasons: a detail may speak of the case."""
    return _why(flaw) if flaw.covered else {**_why(flaw), "detail": flaw.remedy}


def _rejection(receipt_id: uuid.UUID, place: int, one: Judged, sender: Sender) -> dict[str, Any] | None:
    flaw = one.verdict
    if not isinstance(flaw, Rejected):
        return None
    return {
        # Of several events of one payload each has a rejection of its own: the place among the events, not the index.
        "rejection_id": uuid.uuid5(EVENT_NAMESPACE, f"{receipt_id}:{place}"),
        "authority": one.offer.authority if is_cvr(one.offer.authority) else "",
        "system": sender.system,
        "event_id": one.offer.event_id,
        **_kept(flaw),
        "kle": _kle(one),
        "payload": kept_bytes(one.offer.payload) if flaw.covered and flaw.code is not Code.TOO_LARGE else None,
        "receipt_id": receipt_id,
    }


def _kle(one: Judged) -> str | None:
    event = one.offer.event
    classification = None if isinstance(event, Rejected) or "case_id" not in event else event.get("classification")
    number = None if classification is None else classification.get("kle")
    return number if number is not None and len(number) == _FULL_NUMBER and is_pattern(number) else None
