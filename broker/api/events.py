"""The way in over HTTP: vendors' payloads and canonical events, judged, handed to Kafka, and receipted."""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from broker import metrics
from broker.api.auth import require
from broker.api.core import Core, core_of
from broker.api.problems import Problem
from broker.domain.case import CaseEvent, key_of
from broker.domain.outcome import Code, Rejected
from broker.domain.policy import Role
from broker.intake import connector
from broker.intake.connector import Connector, Source
from broker.intake.producer import Message
from broker.intake.receipts import Receipt, receipt_of
from broker.intake.verdicts import (
    Accepted,
    Judged,
    Offer,
    Sender,
    canonical_offers,
    judge_all,
    leaves_index,
    offers_of,
    removal_of,
    unreadable,
)
from broker.security import Token
from broker.store import receipts
from broker.stream.framing import encode

router = APIRouter(prefix="/v1", tags=["intake"])

MOST_EVENTS: Final = 20_000
_BOM: Final = b"\xef\xbb\xbf"
_JSON: Final = "application/json"

Vendor = Annotated[Token, Depends(require(Role.VENDOR))]
Cored = Annotated[Core, Depends(core_of)]
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    202: {"description": "What became of each event; a receipt tells the worker's verdicts later"},
    422: {"description": "Everything was rejected; the same body"},
}


def _body(*media_types: str) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {media_type: {} for media_type in media_types}}}


@router.post("/events/{system}", status_code=202, responses=_ANSWERS, openapi_extra=_body(_JSON, "application/xml"))
async def vendor_events(
    system: str, request: Request, core: Cored, token: Vendor, authority: str | None = None
) -> JSONResponse:
    """One or many payloads in the vendor's own words; `authority` where the token names several."""
    speaking = _connector(system)
    if speaking is None:
        raise Problem(404, Code.UNKNOWN_SYSTEM, "no connector of that name is installed")
    sender = _sender(token)
    if sender.system != system:
        raise Problem(403, Code.SYSTEM_MISMATCH, "the token names another system")
    source = Source(system, _authority(sender, authority))
    _accept(request, speaking.media_types)

    def offers(body: bytes) -> Iterable[Offer]:
        payloads = _bounded(speaking.split(body))
        if isinstance(payloads, Rejected):
            return [unreadable(payloads, source.authority, system)]
        return offers_of(payloads, speaking, source)

    return await _take_in(request, core, token, sender, offers)


@router.post("/case-events", status_code=202, responses=_ANSWERS, openapi_extra=_body(_JSON))
async def case_events(request: Request, core: Cored, token: Vendor) -> JSONResponse:
    """One canonical case event, or an array of them."""
    sender = _sender(token)
    _accept(request, (_JSON,))

    def offers(body: bytes) -> Iterable[Offer]:
        payloads = _bounded(split(body))
        if isinstance(payloads, Rejected):
            return [unreadable(payloads, "", sender.system)]
        return canonical_offers(payloads)

    return await _take_in(request, core, token, sender, offers)


def split(body: bytes) -> Sequence[object] | Rejected:
    """The canonical events in a body; the parser bounds the depth."""
    try:
        parsed = orjson.loads(body.removeprefix(_BOM))
    except orjson.JSONDecodeError:
        return Rejected(Code.MALFORMED_PAYLOAD, "", "not well-formed JSON in UTF-8", covered=False)
    return parsed if isinstance(parsed, list) else [parsed]


async def _take_in(
    request: Request, core: Core, token: Token, sender: Sender, offers: Callable[[bytes], Iterable[Offer]]
) -> JSONResponse:
    with core.budget.share() as share:
        chunks = []
        async for chunk in request.stream():
            share.grow(len(chunk))
            chunks.append(chunk)
        async with core.pool.connection() as connection:
            facts = await core.facts.current(connection)
        at = time.time_ns() // 1000
        judged = await asyncio.to_thread(lambda: judge_all(offers(b"".join(chunks)), sender, facts, at))
        accepted = [one.verdict for one in judged if isinstance(one.verdict, Accepted)]
        messages = [_message(verdict.event, verdict.value) for verdict in accepted]
        leaving = [removal_of(event) for event in await _held(core, judged)]
        # What must leave goes first: should only a part arrive, then rather that.
        removals = [_message(removal, encode("case_event", removal)) for removal in leaving]
        places = (await core.producer.send([*removals, *messages]))[len(removals) :]
        receipt = receipt_of(uuid.uuid4(), judged, places, sender)
        async with core.pool.connection() as connection:
            await receipts.put(
                connection, receipt.receipt_id, (sender.system, token.subject), receipt.events, receipt.rejections
            )
    _count(sender, receipt)
    return JSONResponse(receipt.answer, receipt.status)


async def _held(core: Core, judged: Sequence[Judged]) -> list[CaseEvent]:
    """Of the events whose cases must leave, those whose cases are in the index, or coming in this very request."""
    leaving = leaves_index(judged)
    if not leaving:
        return []
    coming = {key_of(one.verdict.event) for one in judged if isinstance(one.verdict, Accepted)}
    async with core.pool.connection() as connection:
        held = await receipts.present(connection, [key_of(event) for event in leaving])
    return [event for event in leaving if key_of(event) in held | coming]


def _message(event: CaseEvent, value: bytes) -> Message:
    return Message(event["case_id"].encode(), value)


def _count(sender: Sender, receipt: Receipt) -> None:
    """Final verdicts only: what was accepted is counted by the worker."""
    label = metrics.system_label(sender.system)
    numbers = {"delimited": receipt.answer["delimited"], "rejected": len(receipt.answer["rejected"])}
    for outcome, number in numbers.items():
        if number:
            metrics.EVENTS.labels(label, outcome).inc(number)


@lru_cache(maxsize=256)
def _connector(system: str) -> Connector | None:
    return connector.load(system)


def _sender(token: Token) -> Sender:
    if token.system is None:
        raise Problem(403, Code.SYSTEM_MISMATCH, "the token names no system")
    return Sender(token.system, token.authorities)


def _authority(sender: Sender, named: str | None) -> str:
    if named is not None:
        if named not in sender.authorities:
            raise Problem(403, Code.AUTHORITY_MISMATCH, "the authority is not among those that the token names")
        return named
    match sorted(sender.authorities):
        case [only]:
            return only
        case []:
            raise Problem(403, Code.AUTHORITY_MISMATCH, "the token names no authority")
        case _:
            raise Problem(422, "authority_needed", "the token names several authorities: say which with ?authority=")


def _accept(request: Request, media_types: Sequence[str]) -> None:
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said not in media_types:
        raise Problem(415, "unsupported_media_type", f"send {' or '.join(media_types)}")


def _bounded(payloads: Sequence[object] | Rejected) -> Sequence[object] | Rejected:
    if not isinstance(payloads, Rejected) and len(payloads) > MOST_EVENTS:
        raise Problem(413, Code.TOO_LARGE, f"at most {MOST_EVENTS} payloads at once")
    return payloads
