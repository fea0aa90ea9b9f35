"""The parts of a payload, as `split` makes them and anybody may have changed them since. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

# Only pointers as `split` writes them are repeated: a pointer is shown to people.
_AT: Final = re.compile(r"(?:/[A-Za-z]{1,20}|/[0-9]{1,7})*")


class Part(NamedTuple):
    """A resource, and the pointer to it in the bundle."""

    at: str
    said: Mapping[str, Any]

    @property
    def resource(self) -> Mapping[str, Any]:
        """Empty when there is none."""
        found = self.said.get("resource")
        return found if isinstance(found, dict) else {}


def part_of(payload: Mapping[str, Any], name: str) -> Part | None:
    """The part of that name."""
    return _part(payload.get(name))


def parts_of(payload: Mapping[str, Any], name: str) -> list[Part]:
    """The list of parts of that name."""
    listed = payload.get(name)
    found = (_part(one) for one in (listed if isinstance(listed, list) else ()))
    return [part for part in found if part is not None]


def _part(said: object) -> Part | None:
    if not isinstance(said, dict):
        return None
    at = said.get("at")
    return Part(at if isinstance(at, str) and _AT.fullmatch(at) else "", said)
