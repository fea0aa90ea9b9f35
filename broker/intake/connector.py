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
class Call:
    """One request to a service of a connector's own.

    key: the sender's own name of the request, under which it is answered once; None when it has none.
    digest: of what is asked, without what may differ when the same is sent again.
    asked: what the connector made of the request; its own business.
    """

    searches: bool
    key: str | None
    digest: bytes
    payloads: Sequence[object]
    asked: Any


@dataclass(frozen=True, slots=True)
class Service:
    """What a standard needs whose clients expect more than a body and a receipt. Pure, all of it; bodies are bytes.

    read: a request body -> the call, or why it cannot be read.
    before: a payload -> (case, whether everything said of it must be in the index by then) where `completed` needs to
        know what the index holds of the case; None for most.
    completed: (payload, what stands or None, when received) -> the payload to translate; times in microseconds since
        1970, UTC. What stands: the scalar groups as they were sent, and `registered_at` of the newest registration.
    returned: (call, the rejections of a receipt's answer) -> the reply to a call that brought payloads.
    search: call -> the body of `POST /v1/overviews/sapa/search`, or why it cannot be asked.
    found: (call, entries) -> the reply to a search.
    not_searched: (call, code, detail, pointer) -> the reply to a search that was not made.
    fault: (code, detail, the sender is to blame) -> the reply when there is no other.
    described: (what, address) -> a description that is served under `?what`, or None.
    """

    media_type: str
    read: Callable[[bytes], Call | Rejected]
    before: Callable[[object], tuple[str, bool] | None]
    completed: Callable[[object, Mapping[str, Any] | None, int], object]
    returned: Callable[[Call, Sequence[Mapping[str, Any]]], bytes]
    search: Callable[[Call], Mapping[str, Any] | Rejected]
    found: Callable[[Call, Sequence[Mapping[str, Any]]], bytes]
    not_searched: Callable[[Call, str, str, str], bytes]
    fault: Callable[[str, str, bool], bytes]
    described: Callable[[str, str], bytes | None]


@dataclass(frozen=True, slots=True)
class Connector:
    """One vendor system's language.

    split: a request body -> the payloads in it (parsed, vendor's words), or why it cannot be read.
    translate: one payload -> canonical events, or why it cannot be translated. Pure; never raises, whatever comes.
    service: how it is called at an address of its own, where it is.
    """

    name: str
    kind: Literal["esdh", "eoj", "standard"]
    media_types: tuple[str, ...]
    split: Callable[[bytes], Sequence[object] | Rejected]
    translate: Callable[[object, Source], Sequence[CaseEvent] | Rejected]
    service: Service | None = None


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
