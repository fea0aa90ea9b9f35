"""The case event, and how events become an entry. Pure.

An entry's state is a join-semilattice: `merge` is commutative, associative and idempotent, so any order and
any duplication of events give the same entry. The newest registration wins, group by group.
"""

import hashlib
import struct
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NotRequired, TypedDict, TypeVar, cast

from broker.domain.identity import EVENT_NAMESPACE, EntryKey, is_uuid

STATES: Final = ("OPSTAAET", "OPLYST", "AFGJORT", "AFSLUTTET")
SENSITIVITY: Final = {
    "IKKE_FORTROLIGE_DATA": 1,
    "FORTROLIGE_PERSONOPLYSNINGER": 2,
    "FOELSOMME_PERSONOPLYSNINGER": 3,
    "VIP_SAGER": 4,
}
SENSITIVITY_NAMES: Final = {level: name for name, level in SENSITIVITY.items()}
# A case that names no level is treated as sensitive: closed is the safe mistake.
SENSITIVITY_UNSAID: Final = SENSITIVITY["FOELSOMME_PERSONOPLYSNINGER"]

SCALAR_GROUPS: Final = ("properties", "access", "classification", "replaced_by")
ITEM_GROUPS: Final = ("progress", "parties", "actors", "journal", "security_profile")
GROUPS: Final = (*SCALAR_GROUPS, *ITEM_GROUPS)
MANDATORY: Final = ("properties", "progress", "classification")

# Plain dicts in the canonical shape, straight from the Avro reader: building objects costs more than deciding.
Content = Any
Item = Mapping[str, Any]


class ItemGroup(TypedDict):
    """`complete`: the list is all there is."""

    complete: bool
    items: list[dict[str, Any]]


class CaseEvent(TypedDict):
    """`dk.sagsbro.v1.CaseEvent`: times are microseconds since 1970, UTC."""

    event_id: str
    system: str
    authority: str
    case_id: str
    registered_at: int
    sequence: NotRequired[int | None]
    change: str
    removal_reason: NotRequired[str | None]
    replaced_by: NotRequired[dict[str, str] | None]
    properties: NotRequired[dict[str, Any] | None]
    access: NotRequired[dict[str, Any] | None]
    classification: NotRequired[dict[str, Any] | None]
    progress: NotRequired[ItemGroup | None]
    parties: NotRequired[ItemGroup | None]
    actors: NotRequired[ItemGroup | None]
    journal: NotRequired[ItemGroup | None]
    security_profile: NotRequired[ItemGroup | None]


K = TypeVar("K")

Stamp = bytes
"""When a registration was made, as bytes that sort: newer is greater. `b""` is never."""
NEVER: Final[Stamp] = b""
EVENT_ID_BYTES: Final = 16


def key_of(event: CaseEvent) -> EntryKey:
    """The entry that the event is about."""
    return EntryKey(event["authority"], event["system"], event["case_id"])


def content_hash(encoded: bytes) -> bytes:
    """Eight bytes that tell two contents under one event id apart; of the encoded event without its framing."""
    return hashlib.blake2b(encoded, digest_size=8).digest()


def stamp_of(event: CaseEvent, digest: bytes) -> Stamp:
    """Orders as (registered_at, sequence, event_id, content hash); no sequence sorts before any.

    An event id that is no UUID is ordered by its UUID v5.
    """
    event_id = event["event_id"]
    identity = (
        bytes.fromhex(event_id.replace("-", "")) if is_uuid(event_id) else uuid.uuid5(EVENT_NAMESPACE, event_id).bytes
    )
    return stamp_at(event["registered_at"], event.get("sequence"), identity, digest)


def stamp_at(registered_at: int, sequence: int | None, identity: bytes, digest: bytes) -> Stamp:
    """The same of its parts; `identity` is the 16 bytes of the event's id."""
    tie = b"\0" if sequence is None else b"\1" + struct.pack(">Q", sequence + (1 << 63))
    return struct.pack(">Q", registered_at + (1 << 63)) + tie + identity + digest


def just_before(event: CaseEvent) -> Stamp:
    """Newer than every registration of an earlier time or sequence, older than any of the event's own."""
    return stamp_of(event, b"")[:-EVENT_ID_BYTES]


Groups = dict[str, tuple[Stamp, Content]]
Items = dict[tuple[str, str], tuple[Stamp, Item | None]]


@dataclass(init=False)
class State:
    """All that is known of one entry; also what one event, or a batch of them, says of it. Never changed once made.

    A complete list counts as one value; items sent alone (`complete: false`) lie over it by their own stamps.
    An item that is None is removed.
    """

    groups: Groups
    items: Items
    removed: tuple[Stamp, Content]
    source: tuple[Stamp, Content]

    # Written out, here and in the other values of the hot path: a generated one is not compiled.
    def __init__(
        self,
        groups: Groups | None = None,
        items: Items | None = None,
        removed: tuple[Stamp, Content] = (NEVER, None),
        source: tuple[Stamp, Content] = (NEVER, None),
    ) -> None:
        self.groups = {} if groups is None else groups
        self.items = {} if items is None else items
        self.removed = removed
        self.source = source

    @property
    def mandatory_missing(self) -> tuple[str, ...]:
        """Groups without which nobody is shown the entry."""
        return tuple([group for group in MANDATORY if group not in self.groups and not _in_items(self, group)])


EMPTY: Final = State()


def said_by(event: CaseEvent, stamp: Stamp, source: Content = None) -> State:
    """What one judged event says of its entry; `source` is provenance, kept with the newest registration."""
    origin = (stamp, source)
    if event["change"] == "REMOVED":
        return State(
            removed=(stamp, {"reason": event.get("removal_reason"), "replaced_by": event.get("replaced_by")}),
            source=origin,
        )
    groups: Groups = {}
    items: Items = {}
    for group in SCALAR_GROUPS:
        content = event.get(group)
        if content is not None:
            groups[group] = (stamp, content)
    for group in ITEM_GROUPS:
        listed = cast("ItemGroup | None", event.get(group))
        if listed is None:
            continue
        if listed["complete"]:
            groups[group] = (stamp, [item for item in listed["items"] if not item.get("removed")])
        else:
            for item in listed["items"]:
                items[group, item_id(group, item)] = (stamp, None if item.get("removed") else item)
    return State(groups, items, source=origin)


def item_id(group: str, item: Item) -> str:
    """What makes an item the same item; a step of progress is its state and when it began."""
    return f"{item['state']}@{item['effective_from']}" if group == "progress" else item["item_id"]


def merge(one: State, other: State) -> State:
    """The newest of both, group by group and item by item; a removal takes all that is older with it."""
    removed = max(one.removed, other.removed, key=_stamp)
    groups = _newest(one.groups, other.groups)
    items = _newest(one.items, other.items)
    gone = removed[0]
    return State(
        {group: value for group, value in groups.items() if value[0] >= gone},
        {
            (group, name): value
            for (group, name), value in items.items()
            if value[0] >= gone and value[0] > groups.get(group, (NEVER, None))[0]
        },
        removed,
        max(one.source, other.source, key=_stamp),
    )


def merge_all(states: Iterable[State]) -> State:
    """The entry that a number of events make, whatever their order."""
    merged = EMPTY
    for state in states:
        merged = merge(merged, state)
    return merged


def visible_items(state: State, group: str) -> list[Item]:
    """The items of a group that stand: the complete list, under the items sent alone since."""
    standing = {item_id(group, item): item for item in state.groups.get(group, (NEVER, []))[1]}
    for (of, name), (_, item) in sorted(state.items.items()):
        if of == group:
            if item is None:
                standing.pop(name, None)
            else:
                standing[name] = item
    return list(standing.values())


def stamps(state: State) -> set[Stamp]:
    """Every registration that still stands somewhere in the entry."""
    return {
        state.removed[0],
        state.source[0],
        *(value[0] for value in state.groups.values()),
        *(value[0] for value in state.items.values()),
    }


def outcome_of(before: State, said: State) -> tuple[str, State]:
    """What one event did to an entry: (indexed | stale | duplicate, the entry after it)."""
    after = merge(before, said)
    stamp = said.source[0]
    if stamp in stamps(before):
        return "duplicate", before
    return ("stale", before) if after == before else ("indexed", after)


def _stamp(value: tuple[Stamp, Content]) -> Stamp:
    return value[0]


def _newest(
    one: Mapping[K, tuple[Stamp, Content]], other: Mapping[K, tuple[Stamp, Content]]
) -> dict[K, tuple[Stamp, Content]]:
    newest = dict(one)
    for name, value in other.items():
        if name not in newest or value[0] > newest[name][0]:
            newest[name] = value
    return newest


def _in_items(state: State, group: str) -> bool:
    return bool(state.items) and any([of == group for of, _ in state.items])  # noqa: C419 - quicker than a generator
