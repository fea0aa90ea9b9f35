"""What a vendor connector is to the broker; connectors announce themselves as entry points. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Literal

from broker.domain.case import CaseEvent
from broker.domain.outcome import Rejected

GROUP = "sagsbro.connectors"


@dataclass(frozen=True, slots=True)
class Source:
    """Who sends: what the token or the connector's configuration says, never the payload."""

    system: str
    authority: str
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Connector:
    """One vendor system's language.

    split: a request body -> the payloads in it (parsed, vendor's words), or why it cannot be read.
    translate: one payload -> canonical events, or why it cannot be translated. Pure; never raises, whatever comes.
    """

    name: str
    kind: Literal["esdh", "eoj", "standard"]
    media_types: tuple[str, ...]
    split: Callable[[bytes], Sequence[object] | Rejected]
    translate: Callable[[object, Source], Sequence[CaseEvent] | Rejected]


def load(name: str) -> Connector | None:
    """The installed connector of that system (`system` or `system:instance`), or None."""
    base = name.partition(":")[0]
    for found in entry_points(group=GROUP, name=base):
        connector = found.load()
        if isinstance(connector, Connector):
            return connector
    return None


def names() -> tuple[str, ...]:
    """Every installed connector, in order."""
    return tuple(sorted(entry_points(group=GROUP).names))
