"""The national index's own service, SF1470 v6: its senders and readers point their client here instead.

What is XML is the connector's; here is who calls, what may be taken, and what is shown.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import ValidationError

from broker.api import bodies, standing
from broker.api.auth import verified
from broker.api.core import Core, core_of
from broker.api.events import accepted, authority_of, bounded, connector_of, sender_of
from broker.api.overviews import reader_of
from broker.api.problems import Problem, unavailable
from broker.api.taking import answered_once
from broker.domain.outcome import Rejected
from broker.domain.policy import POLICY, Role
from broker.intake.connector import STANDARD, Call, Connector, Service, Source
from broker.intake.pointers import pointer_of
from broker.intake.verdicts import Offer, offers_of
from broker.overviews.reading import NotLoggedError
from broker.overviews.request import SearchRequest
from broker.overviews.search import Refused, search
from broker.security import Token
from broker.settings import Certificates

router = APIRouter(prefix="/sf1470", tags=["sf1470"])

OVERVIEW: Final = "sapa"
SOAP_FAULT: Final = 500
"""What SOAP 1.1 demands for a request that cannot be read, though that is its sender's fault."""
_SESSION: Final = timedelta(minutes=1)

Cored = Annotated[Core, Depends(core_of)]


@router.get("/v6", response_class=Response)
async def description(request: Request) -> Response:
    """Its WSDL (`?wsdl`) and schemas (`?xsd=PREFIX`)."""
    _, service = _installed()
    found = service.described(request.url.query, str(request.url.replace(query="", fragment="")))
    if found is None:
        raise Problem(404, "not_found", "ask for ?wsdl")
    return Response(found, media_type=service.media_type)


@router.post("/v6", response_class=Response, openapi_extra={"requestBody": {"content": {"text/xml": {}}}})
async def call(request: Request, core: Cored, authority: str | None = None) -> Response:
    """`importer`, `opdater`, `fjern`, `kasser` of a sender, or `fremsoeg` of an employee, in SOAP 1.1."""
    connector, service = _installed()
    try:
        token = await _identified(request, core)
        accepted(request, connector.media_types)
        with core.budget.share(token.subject) as share:
            body = await bodies.read(request, share)
            asked = await _read(service, body)
            if asked.searches:
                return _reply(service, await _found(core, service, token, asked))
            return await _taken(core, connector, token, asked, authority)
    except Problem as problem:
        fault = service.fault(problem.code, problem.detail, problem.status_code <= SOAP_FAULT)
        return Response(fault, problem.status_code, problem.headers, service.media_type)


async def _read(service: Service, body: bytes) -> Call:
    found = await asyncio.to_thread(service.read, body)
    if isinstance(found, Rejected):
        raise Problem(SOAP_FAULT, str(found.code), found.detail)
    return found


def _installed() -> tuple[Connector, Service]:
    found = connector_of(STANDARD)
    if found is None or found.service is None:
        raise Problem(404, "not_found", "the connector is not installed")
    return found, found.service


def _reply(service: Service, body: bytes, headers: dict[str, str] | None = None) -> Response:
    return Response(body, 200, headers, service.media_type)


async def _identified(request: Request, core: Core) -> Token:
    """Who calls, by what the transport says: a bearer token, or a certificate that a trusted proxy has checked.

    Security headers in the envelope count for nothing, so nothing of the envelope is read before.
    """
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return await verified(core, bearer.strip(), tuple(Role))
    if (token := _by_certificate(request, core)) is not None:
        return token
    return await verified(core, None, ())


def _by_certificate(request: Request, core: Core) -> Token | None:
    configured = core.settings.certificates
    shown = () if configured is None else _thumbprints(request, configured)
    for thumbprint in shown:
        for known, sender in configured.senders.items() if configured else ():
            if hmac.compare_digest(known.encode(), thumbprint.encode()):
                until = datetime.now(UTC) + _SESSION
                authorities = frozenset(sender.authorities)
                return Token(f"certificate:{known}", Role.VENDOR, until, system=sender.system, authorities=authorities)
    return None


def _thumbprints(request: Request, configured: Certificates) -> Iterable[str]:
    """Of the certificate that was shown in TLS; without one, of that which a trusted proxy says it has checked."""
    chain: tuple[bytes, ...] = request.scope.get("extensions", {}).get("tls", {}).get("client_cert_chain", ())
    if chain:
        # SHA-1 too: it only tells apart what a trusted authority has signed, and is what many know theirs by.
        return hashlib.sha256(chain[0]).hexdigest(), hashlib.sha1(chain[0], usedforsecurity=False).hexdigest()
    if configured.header is None or request.client is None or request.client.host not in configured.proxies:
        return ()
    said = request.headers.getlist(configured.header)
    return (said[0].replace(":", "").strip().lower(),) if len(said) == 1 else ()


async def _taken(core: Core, connector: Connector, token: Token, asked: Call, authority: str | None) -> Response:
    """The same way that all events take, once for each TransactionUUID; a code for each object."""
    service = connector.service
    if token.role is not Role.VENDOR or service is None:
        raise Problem(403, "forbidden", "the token's role may not do this")
    if asked.key is None:
        raise Problem(SOAP_FAULT, "mandatory_missing", "RequestHeader/TransactionUUID names the request")
    sender = sender_of(token)
    of = authority_of(sender, authority)
    source = Source(sender.system, of, core.settings.connector(of, sender.system))
    bounded(asked.payloads)
    payloads = await standing.completed(core.pool.connection, core.settings, service, source, asked.payloads)

    def offers() -> Iterable[Offer]:
        return offers_of(payloads, connector, source)

    answer = await answered_once(core, token, sender, offers, asked.key, of.encode() + asked.digest)
    receipt: dict[str, Any] = orjson.loads(answer.answer)
    headers = {"Sagsbro-Receipt": receipt["receipt_id"]}
    return _reply(service, service.returned(asked, receipt["rejected"]), headers)


async def _found(core: Core, service: Service, token: Token, asked: Call) -> bytes:
    """The one way out of the index, with the employee's own token."""
    wish = service.search(asked)
    if isinstance(wish, Rejected):
        return service.not_searched(asked, str(wish.code), wish.detail, wish.pointer)
    try:
        request = SearchRequest.model_validate(wish)
    except ValidationError as error:
        flaw = error.errors(include_url=False, include_input=False, include_context=False)[0]
        return service.not_searched(asked, "invalid_request", "not of a form that is known", pointer_of(flaw["loc"]))
    try:
        outcome = await search(core, reader_of(token), POLICY[OVERVIEW], request, datetime.now(UTC))
    except NotLoggedError:
        raise unavailable("access_log_unavailable", "the read cannot be logged just now, so nothing is read") from None
    if isinstance(outcome, Refused):
        raise Problem(403, "forbidden", "the token's role does not read this overview")
    return service.found(asked, outcome.entries)
