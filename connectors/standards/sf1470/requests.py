"""A SOAP 1.1 request, or the bare element of an operation -> the operation and its objects. Pure."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from lxml import etree

from broker.domain.outcome import Code, Rejected
from broker.intake.xml import Element, parse
from connectors.standards.sf1470.documents import REFERRED
from connectors.standards.sf1470.names import ADDRESSING, HEADER, OPERATIONS, SECURITY, SOAP, qualified
from connectors.standards.sf1470.translate import AGAIN, DOCUMENTS
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
    digest = hashlib.sha256(etree.tostring(element, method="c14n", exclusive=True)).digest()
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
    return Request(operation, transaction, digest, list(_related(payloads)))


def _related(payloads: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Cases with the documents of the request that they refer to, and the other way round."""
    documents = {_uuid(one["DokumentIndeks"]): one["DokumentIndeks"] for one in payloads if "DokumentIndeks" in one}
    referred = {id(one): set(_references(one)) & documents.keys() for one in payloads}
    everything = set().union(*referred.values()) if referred else set()
    times = Counter(_uuid(one.get("OpdaterSagIndeks")) for one in payloads)
    seen: set[str] = set()
    for one in payloads:
        if "DokumentIndeks" in one and _uuid(one["DokumentIndeks"]) in everything:
            yield {**one, REFERRED: True}
        elif referred[id(one)]:
            yield {**one, DOCUMENTS: {name: documents[name] for name in sorted(referred[id(one)])}}
        elif times[case := _uuid(one.get("OpdaterSagIndeks"))] > 1 and case:
            yield {**one, AGAIN: True} if case in seen else one
            seen.add(case)
        else:
            yield one


def _uuid(said: object) -> str:
    found = said.get("UUIDIdentifikator") if isinstance(said, dict) else None
    return found.lower() if isinstance(found, str) else ""


def _references(payload: dict[str, Any]) -> Iterator[str]:
    """The documents that a case's journal refers to, read tolerantly."""
    case = payload.get("SagIndeks")
    for registration in _list(case, "Registrering"):
        relations = registration.get("RelationListe") if isinstance(registration, dict) else None
        for entry in _list(relations, "Journalpost"):
            yield _uuid(entry.get("ReferenceID") if isinstance(entry, dict) else None)


def _list(said: object, name: str) -> list[Any]:
    found = said.get(name) if isinstance(said, dict) else None
    return found if isinstance(found, list) else []
