"""The service as the API serves it: requests read, replies written. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from broker.domain.outcome import Rejected
from broker.intake.connector import Call, Service
from connectors.standards.sf1470 import replies, requests, schema, search
from connectors.standards.sf1470.translate import BEFORE, RECEIVED, changes_part

_UNTIMED = frozenset({"SagUuid", "Kasser"})


def _read(body: bytes) -> Call | Rejected:
    found = requests.read(body)
    if isinstance(found, Rejected):
        return found
    return Call(found.operation == "fremsoeg", found.transaction, found.digest, found.payloads, found)


def _completed(payload: object, before: Mapping[str, Any] | None, received: str) -> object:
    """A change of a part gets the rest, an operation that names no time gets one."""
    if not isinstance(payload, dict):
        return payload
    made = dict(payload)
    if before is not None:
        made[BEFORE] = dict(before)
    if _UNTIMED & payload.keys():
        made[RECEIVED] = received
    return made


def _returned(call: Call, rejected: Sequence[Mapping[str, Any]]) -> bytes:
    return replies.returned(call.asked, rejected)


def _search(call: Call) -> Mapping[str, Any] | Rejected:
    return search.asked(call.asked.payloads[0])


def _found(call: Call, entries: Sequence[Mapping[str, Any]]) -> bytes:
    return replies.found(call.asked, entries, search.shown(call.asked.payloads[0]))


def _not_searched(call: Call, code: str, detail: str, pointer: str) -> bytes:
    return replies.not_searched(call.asked, code, detail, pointer)


def _fault(code: str, detail: str, by_sender: bool) -> bytes:  # noqa: FBT001 - the service's signature
    return replies.fault(code, detail, by_sender=by_sender)


def _described(what: str, address: str) -> bytes | None:
    """`wsdl`, or `xsd=PREFIX`."""
    if what.lower() == "wsdl":
        return schema.wsdl(address)
    try:
        return schema.xsd(what.removeprefix("xsd="), address)
    except KeyError:
        return None


SERVICE = Service(
    "text/xml",
    _read,
    changes_part,
    _completed,
    _returned,
    _search,
    _found,
    _not_searched,
    _fault,
    _described,
)
