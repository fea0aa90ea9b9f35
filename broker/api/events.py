"""The way in over HTTP: vendors' payloads and canonical events, in each of the forms they may come in."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Header, Request
from fastapi.responses import Response

from broker.api.auth import require
from broker.api.core import Core, core_of
from broker.api.problems import Problem
from broker.api.taking import take_in
from broker.domain.outcome import Code, Rejected
from broker.domain.policy import Role
from broker.intake import connector, forms
from broker.intake.canonical import document_from_json
from broker.intake.connector import Connector, Source
from broker.intake.verdicts import Offer, Sender, canonical_offers, offers_of, unreadable
from broker.security import Token

router = APIRouter(prefix="/v1", tags=["intake"])

T = TypeVar("T")
MOST_EVENTS: Final = 20_000

Vendor = Annotated[Token, Depends(require(Role.VENDOR))]
Cored = Annotated[Core, Depends(core_of)]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Of your own making, one for each request: sent again with the same body within 30 days, it gets"
        " the first answer again, and nothing is taken in twice",
    ),
]
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    202: {"description": "What became of each event; a receipt tells the worker's verdicts later"},
    409: {"description": "The first request with this Idempotency-Key is still under way"},
    422: {"description": "Everything was rejected; the same body"},
}


def _body(*media_types: str) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {media_type: {} for media_type in media_types}}}


@router.post(
    "/events/{system}",
    status_code=202,
    responses=_ANSWERS,
    openapi_extra=_body(forms.JSON, *forms.LINES, "application/xml"),
)
async def vendor_events(
    system: str, request: Request, core: Cored, token: Vendor, authority: str | None = None, key: Key = None
) -> Response:
    """One or many payloads in the vendor's own words; `authority` where the token names several.

    Where the connector speaks JSON they may also come one a line. The body may be gzip.
    """
    speaking = connector_of(system)
    if speaking is None:
        raise Problem(404, Code.UNKNOWN_SYSTEM, "no connector of that name is installed")
    sender = sender_of(token)
    if sender.system != system:
        raise Problem(403, Code.SYSTEM_MISMATCH, "the token names another system")
    of = authority_of(sender, authority)
    source = Source(system, of, core.settings.connector(of, system))
    by_line = forms.LINES if forms.JSON in speaking.media_types else ()
    media_type = accepted(request, (*speaking.media_types, *by_line))

    def offers(body: bytes) -> Iterable[Offer]:
        if media_type in by_line and media_type not in speaking.media_types:
            return offers_of(bounded(list(forms.lines(body, speaking.split))), speaking, source)
        payloads = speaking.split(body)
        if isinstance(payloads, Rejected):
            return [unreadable(payloads, source.authority, system)]
        return offers_of(bounded(payloads), speaking, source)

    return await take_in(request, core, token, sender, offers, key)


@router.post("/case-events", status_code=202, responses=_ANSWERS, openapi_extra=_body(*forms.CANONICAL))
async def case_events(request: Request, core: Cored, token: Vendor, key: Key = None) -> Response:
    """Canonical case events: one or an array, one a line, or CloudEvents of type `dk.sagsbro.case-event.v1`.

    A CloudEvent's `data` is the event; its `id` is the `event_id`. The body may be gzip.
    """
    sender = sender_of(token)
    media_type = accepted(request, forms.CANONICAL)

    def offers(body: bytes) -> Iterable[Offer]:
        items = forms.canonical(media_type, body)
        if isinstance(items, Rejected):
            return [unreadable(items, "", sender.system)]
        return canonical_offers(bounded(items))

    return await take_in(request, core, token, sender, offers, key)


@router.post("/document-events", status_code=202, responses=_ANSWERS, openapi_extra=_body(forms.JSON, *forms.LINES))
async def document_events(request: Request, core: Cored, token: Vendor, key: Key = None) -> Response:
    """Canonical document events: one or an array, or one a line. Any number of cases may name a document.

    A case names it in its journal by `document_id`. The newest registration says all there is. The body may be gzip.
    """
    sender = sender_of(token)
    media_type = accepted(request, (forms.JSON, *forms.LINES))

    def offers(body: bytes) -> Iterable[Offer]:
        items = forms.canonical(media_type, body)
        if isinstance(items, Rejected):
            return [unreadable(items, "", sender.system)]
        return canonical_offers(bounded(items), document_from_json)

    return await take_in(request, core, token, sender, offers, key)


@lru_cache(maxsize=256)
def connector_of(system: str) -> Connector | None:
    """The installed one of that name."""
    return connector.load(system)


def sender_of(token: Token) -> Sender:
    """Who sends, as the token says. Raises Problem."""
    if token.system is None:
        raise Problem(403, Code.SYSTEM_MISMATCH, "the token names no system")
    return Sender(token.system, token.authorities)


def authority_of(sender: Sender, named: str | None) -> str:
    """The one authority that a request is for. Raises Problem."""
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
            said = "the token names several authorities: say which with ?authority="
            raise Problem(422, "authority_needed", said, pointer="/query/authority")


def accepted(request: Request, media_types: Sequence[str]) -> str:
    """The media type of the body, which is one of these. Raises Problem."""
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said not in media_types:
        raise Problem(415, "unsupported_media_type", f"send {' or '.join(media_types)}")
    return said


def bounded(payloads: Sequence[T]) -> Sequence[T]:
    """The same, where they are not too many. Raises Problem."""
    if len(payloads) > MOST_EVENTS:
        raise Problem(413, Code.TOO_LARGE, f"at most {MOST_EVENTS} payloads at once")
    return payloads
