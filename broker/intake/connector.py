"""What a vendor connector is to the broker; connectors announce themselves as entry points. Pure."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any, Literal

from broker.domain.document import Event
from broker.domain.outcome import Rejected

GROUP = "sagsbro.connectors"
STANDARD = "sf1470"
"""The connector that has a service of its own."""
KIT = "sagsbro.kit"
"""What the command line offers of the connectors' own tools: the broker knows them by name only."""


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
    kept: a payload as a rejection kept it -> the one to complete anew; None for what is no payload of the service.
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
    kept: Callable[[object], object | None]
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
    translate: one payload -> canonical events, of cases or documents, or why it cannot be translated. Pure; never
        raises, whatever comes.
    notes: what is publicly known of the system, what is assumed, how it is asked. For people.
    settings: what `Source.config` may hold, each with its meaning.
    poller: from the configuration's table `vendor` -> what the poll loop asks; None where the vendor pushes.
    receiver: from the same table -> an ASGI application for what the vendor tells by itself, served beside the poll
        loop; None where it tells of nothing.
    unknown: the fields of a payload that nothing reads, and how often each stands there.
    service: how it is called at an address of its own, where it is.
    tells_changes_only: the poller takes them out of a queue, so it cannot be asked for all that the system has.
    cannot: numbers of compliance requirements that the system has no words for, each with why.
    """

    name: str
    kind: Literal["esdh", "eoj", "standard"]
    media_types: tuple[str, ...]
    split: Callable[[bytes], Sequence[object] | Rejected]
    translate: Callable[[object, Source], Sequence[Event] | Rejected]
    notes: str = ""
    settings: Mapping[str, str] = field(default_factory=dict, hash=False)
    poller: Callable[[Mapping[str, Any]], Any] | None = None
    unknown: Callable[[object], Mapping[str, int]] | None = None
    service: Service | None = None
    tells_changes_only: bool = False
    cannot: Mapping[str, str] = field(default_factory=dict, hash=False)
    receiver: Callable[[Mapping[str, Any]], Any] | None = None

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
