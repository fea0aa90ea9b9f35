"""The service as the API serves it: requests read, replies written. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from broker.domain.outcome import Rejected
from broker.intake.connector import Call, Service
from connectors.standards.sf1470 import replies, requests, schema, search
from connectors.standards.sf1470.translate import AGAIN, BEFORE, OBJECTS, RECEIVED, changes_part, removes
from connectors.standards.sf1470.tree import without


def _read(body: bytes) -> Call | Rejected:
    found = requests.read(body)
    if isinstance(found, Rejected):
        return found
    return Call(found.operation == "fremsoeg", found.transaction, found.digest, found.payloads, found)


def _before(payload: object) -> tuple[str, bool] | None:
    """A change of a part needs all of the rest; a removal only wants to be newer than what it removes."""
    if (case := changes_part(payload)) is not None:
        return case, True
    return None if (case := removes(payload)) is None else (case, False)


def _completed(payload: object, before: Mapping[str, Any] | None, received: int) -> object:
    """A change of a part gets the rest; a removal, which names no time, gets one, once.

    A sender's clock may be ahead of ours: the removal is never older than what is held.
    """
    if not isinstance(payload, dict) or RECEIVED in payload:
        return payload
    if removes(payload) is not None:
        return {**payload, RECEIVED: max(received, (before or {}).get("registered_at", received))}
    return payload if before is None else {**payload, BEFORE: dict(before)}


def _kept(payload: object) -> object | None:
    """Without what the index held then. A removal stays as of when it came: what was sent since is newer."""
    if not isinstance(payload, dict) or len(payload.keys() & OBJECTS) != 1:
        return None
    said = without(payload, BEFORE, AGAIN)
    return said if said.keys() <= {*OBJECTS, RECEIVED} else None


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
    _before,
    _completed,
    _kept,
    _returned,
    _search,
    _found,
    _not_searched,
    _fault,
    _described,
)
