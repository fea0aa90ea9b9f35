"""What is kept of an entry: the event as it came, where one registration says all; else its whole state as JSON. Pure.

An event as it came has before it one line of JSON: what judging it has added. Stamps in a state are hexadecimal.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

import orjson

from broker.domain.case import NEVER, CaseEvent, Content, Stamp, State, content_hash, said_by, stamp_of
from broker.domain.classify import case_date
from broker.domain.kle import Mapped
from broker.stream.framing import BUNDLED, HEADER, Decoder

_OURS: Final = HEADER.pack(0, BUNDLED["case_event"])
_DECODER: Final = Decoder("case_event", lambda _: None)
_STATE: Final = b"{"


def dump(state: State, original: bytes | None = None) -> bytes:
    """The same state gives the same bytes but for the order in which its groups came.

    Args:
        original: the framed event that alone made the state; taken when it is of the bundled schema.
    """
    if original is not None and original.startswith(_OURS):
        return b"%b\n%b" % (_judged(state), original)
    document: dict[str, Any] = {
        "source": _pair(state.source),
        "groups": {group: _pair(value) for group, value in state.groups.items()},
    }
    if state.removed[0] != NEVER:
        document["removed"] = _pair(state.removed)
    if state.items:
        document["items"] = [[*name, *_pair(value)] for name, value in sorted(state.items.items())]
    return orjson.dumps(document)


def load(document: bytes) -> State:
    """The state behind what `dump` wrote."""
    original = original_of(document)
    if original is not None:
        return _as_it_came(orjson.loads(document[: -len(original)]), original)
    read: Mapping[str, Any] = orjson.loads(document)
    return State(
        {group: _read(pair) for group, pair in read["groups"].items()},
        {(group, name): _read(pair) for group, name, *pair in read.get("items", ())},
        _read(read["removed"]) if "removed" in read else (NEVER, None),
        _read(read["source"]),
    )


def original_of(document: bytes) -> bytes | None:
    """The framed event, where that is what is kept; None where it is a state."""
    return None if document.startswith(_STATE) else document.partition(b"\n")[2]


def judged(agreement_version: int | None, mapped: Mapped | None) -> bytes:
    """What judging an event has added, behind when it was received: the rest of the line."""
    classified = None if mapped is None else [mapped.number, mapped.facet, mapped.rule, mapped.edition.isoformat()]
    return b",%b" % orjson.dumps([agreement_version, classified])[1:]


def _judged(state: State) -> bytes:
    source = state.source[1]
    mapped = None
    if (classification := state.groups.get("classification")) is not None:
        of = classification[1]
        mapped = [of["kle"], of["facet"], of["rule"], of["edition"]]
    return orjson.dumps([source["received_at"], source["agreement_version"], mapped])


def _as_it_came(judged: list[Any], original: bytes) -> State:
    received_at, agreement_version, mapped = judged
    event = cast("CaseEvent", _DECODER.decode(original))
    source = {
        "event_id": event["event_id"],
        "registered_at": event["registered_at"],
        "received_at": received_at,
        "agreement_version": agreement_version,
    }
    if mapped is not None:
        kle, facet, rule, edition = mapped
        classification = event["classification"]
        event["classification"] = {
            "kle": kle, "facet": facet, "original": classification, "rule": rule, "edition": edition,
            "on": case_date(event).isoformat(),
        }  # fmt: skip
    return said_by(event, stamp_of(event, content_hash(original[HEADER.size :])), source)


def _pair(value: tuple[Stamp, Content]) -> tuple[str, Content]:
    return value[0].hex(), value[1]


def _read(pair: Any) -> tuple[Stamp, Content]:
    return bytes.fromhex(pair[0]), pair[1]
