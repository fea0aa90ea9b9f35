"""What a vendor connector is to the broker; connectors announce themselves as entry points. Pure."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Literal

from broker.domain.case import CaseEvent
from broker.domain.outcome import Rejected

GROUP = "sagsbro.connectors"
KIT = "sagsbro.kit"
"""What the command line offers of the connectors' own tools: the broker knows them by name only."""


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
    notes: what is publicly known of the system, what is assumed, how it is asked. For people.
    settings: what `Source.config` may hold, each with its meaning.
    poller: from the configuration's table `vendor` -> what the poll loop asks; None where the vendor pushes.
    unknown: the fields of a payload that nothing reads, and how often each stands there.
    """

    name: str
    kind: Literal["esdh", "eoj", "standard"]
    media_types: tuple[str, ...]
    split: Callable[[bytes], Sequence[object] | Rejected]
    translate: Callable[[object, Source], Sequence[CaseEvent] | Rejected]
    notes: str = ""
    settings: Mapping[str, str] = field(default_factory=dict, hash=False)
    poller: Callable[[Mapping[str, Any]], Any] | None = None
    unknown: Callable[[object], Mapping[str, int]] | None = None

    def unknown_in(self, body: bytes) -> Mapping[str, int]:
        """The same of all payloads in a body."""
        if self.unknown is None or isinstance(payloads := self.split(body), Rejected):
            return {}
        found: Counter[str] = Counter()
        for payload in payloads:
            found.update(self.unknown(payload))
        return found


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


def serve() -> Callable[..., Awaitable[None]]:
    """Return the connectors' poll loop. Raises LookupError where none is installed."""
    return _tool("serve")


def scaffold() -> Callable[..., Sequence[str]]:
    """Return what writes a new connector's files. Raises LookupError where none is installed."""
    return _tool("scaffold")


def _tool(name: str) -> Callable[..., Any]:
    for found in entry_points(group=KIT, name=name):
        tool: Callable[..., Any] = found.load()
        return tool
    raise LookupError(f"no {name} is installed")
