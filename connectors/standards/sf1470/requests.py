"""A SOAP 1.1 request, or the bare element of an operation -> the operation and its objects. Pure."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from lxml import etree

from broker.domain.outcome import Code, Rejected
from broker.intake.xml import Element, parse
from connectors.standards.sf1470.names import ADDRESSING, HEADER, OPERATIONS, SECURITY, SOAP, qualified
from connectors.standards.sf1470.translate import AGAIN
from connectors.standards.sf1470.tree import local, plain

_BY_ELEMENT: Final = {qualified(operation.asked): name for name, operation in OPERATIONS.items()}
_WRITES: Final = {
    "importer": frozenset({"SagIndeks", "DokumentIndeks"}),
    "opdater": frozenset({"OpdaterSagIndeks", "OpdaterDokumentIndeks"}),
    "fjern": frozenset({"SagUuid"}),
    "kasser": frozenset({"Kasser"}),
}
# Flags that change nothing here: notifications and benefits are other services', documents go with their cases.
_FLAGS: Final = frozenset({"EfterladSagsloeseDokumenter", "FjernOgsaaYdelse"})
# Headers that may demand to be understood: whoever sends was identified before this is read.
_HEADERS: Final = frozenset({HEADER, SECURITY, ADDRESSING})


class Request(NamedTuple):
    """transaction: None when the header names none. digest: of what is asked, whatever the envelope around it."""

    operation: str
    transaction: str | None
    digest: bytes
    payloads: Sequence[dict[str, Any]]


def read(body: bytes) -> Request | Rejected:
    """The request in a body."""
    root = parse(body)
    if isinstance(root, Rejected):
        return root
    if root.tag == f"{{{SOAP}}}Envelope":
        return _enveloped(root)
    return _of(root, None)


def split(body: bytes) -> Sequence[object] | Rejected:
    """The objects in a body of `POST /v1/events/sf1470`."""
    found = read(body)
    if isinstance(found, Rejected):
        return found
    if found.operation not in _WRITES:
        return Rejected(Code.MALFORMED_PAYLOAD, "", "importer, opdater, fjern or kasser")
    return found.payloads


def _enveloped(envelope: Element) -> Request | Rejected:
    header, body = envelope.find(f"{{{SOAP}}}Header"), envelope.find(f"{{{SOAP}}}Body")
    if body is None or len(body) != 1:
        return Rejected(Code.MALFORMED_PAYLOAD, "/Envelope/Body", "one element of the service")
    transaction = None
    for one in header if header is not None else ():
        namespace = etree.QName(one).namespace
        if one.get(f"{{{SOAP}}}mustUnderstand") in ("1", "true") and namespace not in _HEADERS:
            return Rejected(Code.MALFORMED_PAYLOAD, "/Envelope/Header", "no header that must be understood is unknown")
        if one.tag == f"{{{HEADER}}}RequestHeader":
            transaction = one.findtext(f"{{{HEADER}}}TransactionUUID")
    return _of(body[0], (transaction or "").strip() or None)


def _of(element: Element, transaction: str | None) -> Request | Rejected:
    operation = _BY_ELEMENT.get(str(element.tag))
    if operation is None:
        return Rejected(Code.MALFORMED_PAYLOAD, "/Envelope/Body", "an element of the service")
    try:
        canonical = etree.tostring(element, method="c14n", exclusive=True)
    except etree.C14NError:
        return Rejected(Code.MALFORMED_PAYLOAD, "", "no namespace is relative")
    digest = hashlib.sha256(canonical).digest()
    if operation == "fremsoeg":
        said = plain(element)
        return Request(operation, transaction, digest, [said if isinstance(said, dict) else {}])
    payloads = []
    for child in element:
        name = local(child)
        if name in _WRITES[operation]:
            said = plain(child)
            payloads.append({name: {} if said is None else said})
        elif name not in _FLAGS:
            return Rejected(Code.SCHEMA_VIOLATION, f"/{local(element)}", f"only {' '.join(sorted(_WRITES[operation]))}")
    return Request(operation, transaction, digest, list(_marked(payloads)))


def _marked(payloads: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Changes of a case that has been changed earlier in the same request are marked."""
    seen: set[str] = set()
    for one in payloads:
        case = _uuid(one.get("OpdaterSagIndeks"))
        yield {**one, AGAIN: True} if case and case in seen else one
        seen.add(case)


def _uuid(said: object) -> str:
    found = said.get("UUIDIdentifikator") if isinstance(said, dict) else None
    return found.lower() if isinstance(found, str) else ""
