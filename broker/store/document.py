"""An entry's state as the JSON in the table, stamps as hexadecimal. Pure."""

from collections.abc import Mapping
from typing import Any

import orjson

from broker.domain.case import NEVER, Content, Stamp, State


def dump(state: State) -> bytes:
    """The same state gives the same bytes but for the order in which its groups came."""
    document: dict[str, Any] = {
        "source": _pair(state.source),
        "groups": {group: _pair(value) for group, value in state.groups.items()},
    }
    if state.removed[0] != NEVER:
        document["removed"] = _pair(state.removed)
    if state.items:
        document["items"] = [[*name, *_pair(value)] for name, value in sorted(state.items.items())]
    return orjson.dumps(document)


def load(document: bytes | str | Mapping[str, Any]) -> State:
    """The state behind what `dump` wrote."""
    read: Mapping[str, Any] = orjson.loads(document) if isinstance(document, bytes | str) else document
    return State(
        {group: _read(pair) for group, pair in read["groups"].items()},
        {(group, name): _read(pair) for group, name, *pair in read.get("items", ())},
        _read(read["removed"]) if "removed" in read else (NEVER, None),
        _read(read["source"]),
    )


def _pair(value: tuple[Stamp, Content]) -> tuple[str, Content]:
    return value[0].hex(), value[1]


def _read(pair: Any) -> tuple[Stamp, Content]:
    return bytes.fromhex(pair[0]), pair[1]
