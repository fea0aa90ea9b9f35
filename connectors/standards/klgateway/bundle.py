"""A FHIR bundle -> one payload for each planned intervention, with the resources it stands on. Pure.

Payloads: `plan` with `citizen`, `conditions` and `procedures`, and `delivered`, the bundle's own time, where the plan
has none; `note`, a condition or completed intervention, to be
judged by itself, so that a bad one is told of and costs no other; `unread`, what cannot be told apart. Each part has
the resource and, in `at`, the pointer to it in the bundle as it was sent.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import orjson

from broker.domain.outcome import Code, Rejected
from connectors.payload import parsed
from connectors.standards.klgateway.care import Care
from connectors.standards.klgateway.references import Found

_TYPES: Final = ("collection", "transaction", "batch")
_LARGEST: Final = 64 * 1024
_JUDGED: Final = ("CarePlan", "Condition", "Procedure")


def split(body: bytes) -> Sequence[object] | Rejected:
    """The payloads of a bundle, or of a delivery of bundles; each bundle's references stay within it."""
    whole = parsed(body)
    if isinstance(whole, Rejected):
        return whole
    if not isinstance(whole, dict) or whole.get("resourceType") != "Bundle":
        return Rejected(Code.MALFORMED_PAYLOAD, "", "a FHIR Bundle")
    return [payload for at, bundle in _bundles(whole) for payload in _payloads(at, bundle)]


def _bundles(whole: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The bundle and those inside it, without recursion: depth is the sender's to choose."""
    waiting = deque([("", whole)])
    while waiting:
        at, bundle = waiting.popleft()
        yield at, bundle
        for where, entry in _entries(at, bundle):
            inner = entry.get("resource") if isinstance(entry, dict) else None
            if isinstance(inner, dict) and inner.get("resourceType") == "Bundle":
                waiting.append((f"{where}/resource", inner))


def _entries(at: str, bundle: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    listed = bundle.get("entry")
    for index, entry in enumerate(listed if isinstance(listed, list) else ()):
        yield f"{at}/entry/{index}", entry


def _payloads(at: str, bundle: Mapping[str, Any]) -> Iterator[dict[str, object]]:
    if bundle.get("type") not in _TYPES:
        yield _unread(f"{at}/type", "type")
        return
    if not isinstance(bundle.get("entry", []), list):
        yield _unread(f"{at}/entry", "list")
        return
    delivered = bundle.get("timestamp")
    care = Care(delivered if isinstance(delivered, str) else None)
    unread = []
    for where, entry in _entries(at, bundle):
        flaw = _flaw(where, entry)
        if flaw is not None:
            unread.append(flaw)
        elif entry.get("resource") is not None and entry["resource"]["resourceType"] != "Bundle":
            address = entry.get("fullUrl")
            care.put(Found(f"{where}/resource", entry["resource"], address if isinstance(address, str) else ""))
    yield from care.payloads()
    yield from unread


def _flaw(where: str, entry: object) -> dict[str, object] | None:
    if not isinstance(entry, dict):
        return _unread(where, "resource")
    resource, request = entry.get("resource"), entry.get("request")
    if isinstance(request, dict) and request.get("method") == "DELETE":
        url = request.get("url")
        # A deletion says neither when nor of whom: the profiles withdraw by entered-in-error.
        touches = isinstance(url, str) and url.rsplit("/", 2)[-2:][0].startswith(_JUDGED)
        return _unread(f"{where}/request/method", "method") if touches else None
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        return _unread(f"{where}/resource", "resource")
    return None if resource["resourceType"] == "Bundle" or _is_small(resource) else _unread(f"{where}/resource", "size")


def _is_small(resource: Mapping[str, Any]) -> bool:
    """A resource goes along with every plan that refers to it, so its size counts many times."""
    try:
        return len(orjson.dumps(resource)) <= _LARGEST
    except TypeError:  # nested deeper than can be written
        return False


def _unread(at: str, expected: str) -> dict[str, object]:
    return {"unread": {"at": at, "expected": expected}}
