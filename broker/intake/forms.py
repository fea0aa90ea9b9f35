"""The forms in which events may come: JSON, one JSON value a line, CloudEvents. Pure; whatever comes, it is answered.

A CloudEvent (1.0, structured or batched) of type `dk.sagsbro.case-event.v1` has the canonical event as its `data`.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import orjson

from broker.domain.outcome import Code, Rejected
from broker.intake.canonical import micros

JSON: Final = "application/json"
LINES: Final = ("application/x-ndjson", "application/ndjson")
CLOUD_EVENT: Final = "application/cloudevents+json"
CLOUD_EVENTS: Final = "application/cloudevents-batch+json"
CANONICAL: Final = (JSON, *LINES, CLOUD_EVENT, CLOUD_EVENTS)
CLOUD_EVENT_TYPE: Final = "dk.sagsbro.case-event.v1"
DATA: Final = "/data"
_BOM: Final = b"\xef\xbb\xbf"


class Item(NamedTuple):
    """One event of a body, or why it cannot be told; `inside`: the pointer of its place in what was sent."""

    said: object
    inside: str = ""


def canonical(media_type: str, body: bytes) -> Sequence[Item] | Rejected:
    """The canonical events in a body, not yet judged; Rejected when they cannot even be told apart."""
    if media_type in LINES:
        return [Item(said) for said in lines(body, _one)]
    parsed = _parsed(body)
    if isinstance(parsed, Rejected):
        return parsed
    if media_type == CLOUD_EVENT:
        return [_unwrapped(parsed)]
    if media_type == CLOUD_EVENTS:
        return [_unwrapped(one) for one in parsed] if isinstance(parsed, list) else _flaw("", "a batch is an array")
    return [Item(one) for one in (parsed if isinstance(parsed, list) else [parsed])]


def lines(body: bytes, split: Callable[[bytes], Sequence[object] | Rejected]) -> Iterator[object]:
    """What `split` finds in each line; a line that it cannot read is one Rejected. Blank lines do not count."""
    for line in body.removeprefix(_BOM).split(b"\n"):
        if line.strip():
            found = split(line)
            if isinstance(found, Rejected):
                yield found
            else:
                yield from found


def _one(line: bytes) -> Sequence[object] | Rejected:
    parsed = _parsed(line)
    return parsed if isinstance(parsed, Rejected) else [parsed]


def _parsed(body: bytes) -> Any:
    """The parser bounds the depth."""
    try:
        return orjson.loads(body.removeprefix(_BOM))
    except orjson.JSONDecodeError:
        return Rejected(Code.MALFORMED_PAYLOAD, "", "not well-formed JSON in UTF-8", covered=False)


def _unwrapped(envelope: object) -> Item:
    if not isinstance(envelope, dict):
        return Item(_flaw("", "a CloudEvent is an object"))
    flaw = _envelope_flaw(envelope)
    if flaw is not None:
        return Item(flaw)
    data = envelope["data"]
    if isinstance(data, dict):
        if "event_id" in data and data["event_id"] != envelope["id"]:
            return Item(_flaw("/id", "not the event_id of the data"))
        data = {"event_id": envelope["id"], **data}
    return Item(data, DATA)


def _envelope_flaw(envelope: dict[str, Any]) -> Rejected | None:
    for name in ("specversion", "id", "source", "type"):
        if name not in envelope:
            return Rejected(Code.MANDATORY_MISSING, f"/{name}", "a CloudEvent always has it", covered=False)
        if not isinstance(envelope[name], str) or not envelope[name]:
            return _flaw(f"/{name}", "a text that is not empty")
    if envelope["specversion"] != "1.0":
        return _flaw("/specversion", "1.0")
    if envelope["type"] != CLOUD_EVENT_TYPE:
        return _flaw("/type", CLOUD_EVENT_TYPE)
    if not _is_time(envelope.get("time")):
        return _flaw("/time", "no time with a zone")
    if not _is_json(envelope.get("datacontenttype")):
        return _flaw("/datacontenttype", "the data are JSON")
    if "data" not in envelope:
        return Rejected(Code.MANDATORY_MISSING, DATA, "the canonical event, as JSON", covered=False)
    return None


def _is_time(said: object) -> bool:
    try:
        return said is None or micros(said) is not None
    except ValueError:
        return False


def _is_json(said: object) -> bool:
    if said is None:
        return True
    name = said.partition(";")[0].strip().lower() if isinstance(said, str) else ""
    return name == JSON or name.endswith("+json")


def _flaw(pointer: str, wanted: str) -> Rejected:
    return Rejected(Code.SCHEMA_VIOLATION, pointer, wanted, covered=False)
