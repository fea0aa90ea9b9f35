"""A stream of case events with everything that happens in practice, and what must come of it, calculated apart.

The oracle knows nothing of stamps, merges and rows: it puts every event of a case in order, replays them one by one and
reads off what is searched and filtered by. No rule maps anything where it is used: a KLE number is mapped to itself.
"""

import hashlib
import json
import random
import struct
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, cast

from broker.domain.case import GROUPS, ITEM_GROUPS, SENSITIVITY, CaseEvent, State, visible_items
from broker.domain.identity import EntryKey
from broker.store.document import load
from broker.stream.framing import BUNDLED, encode

AUTHORITY: Final = "55133018"
SYSTEM: Final = "sbsys"
WANTED: Final = ("27.36.04", "27.35.08", "32.45.04")
UNWANTED: Final = "02.00.00"
START: Final = 1_700_000_000_000_000
DOUBLED: Final = 0.05
LATE: Final = 0.05
BAD: Final = 0.02
HELD: Final = (
    "SELECT authority, system, case_id::text, document, complete, kle, sensitivity, primary_party, parties, principals,"
    " user_key, created_at, shape & 2048 <> 0 FROM entry"
)
"""What `held_lines` reads."""
LEVELS: Final = ("FORTROLIGE_PERSONOPLYSNINGER", "FOELSOMME_PERSONOPLYSNINGER")
Group = Any


@dataclass(frozen=True, slots=True)
class Sent:
    """One record for the log; `event` is None where it must be rejected or delimited."""

    key: bytes
    value: bytes
    event: CaseEvent | None
    verdict: str


@dataclass(slots=True)
class Storm:
    """Seeded; iterating gives `events` records and remembers what was sent. Cases are numbered from `first` on."""

    seed: int
    events: int
    first: int = 0
    sent: list[CaseEvent] = field(default_factory=list)
    rejected: int = 0

    def __iter__(self) -> Iterator[Sent]:
        """Each in the order it goes out: some late, some doubled, some bad."""
        chance = random.Random(self.seed)  # noqa: S311 - reproducible, not secret
        held: list[Sent] = []
        made = 0
        while made < self.events:
            if held and chance.random() < LATE:
                record = held.pop(chance.randrange(len(held)))
            elif self.sent and chance.random() < DOUBLED:
                record = _good(chance.choice(self.sent))
            elif chance.random() < BAD:
                record = _bad(chance, self.first + made)
            else:
                record = _good(_event(chance, made, self.first, max(1, self.events // 4)))
                if chance.random() < LATE:
                    held.append(record)
                    continue
            made += 1
            if record.event is not None:
                self.sent.append(record.event)
            self.rejected += record.verdict == "rejected"
            yield record


def _good(event: CaseEvent) -> Sent:
    return Sent(event["case_id"].encode(), encode("case_event", event), event, "")


def _bad(chance: random.Random, n: int) -> Sent:
    """Bytes that are no event, schemas nobody has, and events that an agreement or a rule refuses."""
    case_id = str(uuid.UUID(int=(1 << 100) + n))
    kind = chance.randrange(5)
    if kind == 0:
        return Sent(b"x", chance.choice((b"\x01", b"\x00\x00\x00\xff")) + chance.randbytes(40), None, "rejected")
    if kind == 1:
        return Sent(b"x", struct.pack(">bI", 0, BUNDLED["case_event"]) + b"\xff" * 9, None, "rejected")
    event = _whole(chance, n, case_id)
    match kind:
        case 2:
            event["classification"] = {"kle": "99.99.99"}
        case 3:
            event["authority"] = "12345678"
        case _:
            event["classification"] = {"kle": UNWANTED}
            return Sent(case_id.encode(), encode("case_event", event), None, "delimited")
    return Sent(case_id.encode(), encode("case_event", event), None, "rejected")


def _event(chance: random.Random, n: int, first: int, cases: int) -> CaseEvent:
    case_id = str(uuid.UUID(int=(1 << 90) + first + chance.randrange(cases)))
    event = _whole(chance, n, case_id)
    kind = chance.random()
    if kind < 0.05:  # noqa: PLR2004 - one in twenty is a removal
        head = {name: said for name, said in event.items() if name in _HEAD}
        return cast("CaseEvent", {**head, "change": "REMOVED", "removal_reason": "LEFT_INDEX"})
    if kind < 0.35:  # noqa: PLR2004 - three in ten say only part of the case
        for group in chance.sample(GROUPS_SENT, 3):
            event[group] = None  # type: ignore[literal-required]
        if all(event.get(group) is None for group in GROUPS_SENT):
            event["access"] = {"sensitivity": None, "hidden_from_citizen": False}
    return event


_HEAD: Final = ("event_id", "system", "authority", "case_id", "registered_at", "sequence")
GROUPS_SENT: Final = ("properties", "access", "classification", "progress", "parties", "actors")


def _whole(chance: random.Random, n: int, case_id: str) -> CaseEvent:
    registered = START + 100_000 + n * 1_000 + chance.randrange(-50_000, 50_000)
    return {
        "event_id": str(uuid.UUID(int=chance.getrandbits(128))),
        "system": SYSTEM,
        "authority": AUTHORITY,
        "case_id": case_id,
        "registered_at": registered,
        "sequence": chance.choice((None, 1, 2)),
        "change": "REGISTERED",
        "properties": {"user_key": f"S-{n}", "title": "Ansøgning om hjælp", "created_at": START + n},
        "access": {"sensitivity": LEVELS[n % len(LEVELS)], "hidden_from_citizen": n % 7 == 0},
        "classification": {"kle": chance.choice(WANTED), "facet": "G01", "local_code": None},
        "progress": {
            "complete": True,
            "items": [
                {"state": "OPSTAAET", "effective_from": START, "effective_to": registered},
                {"state": "OPLYST", "effective_from": registered, "effective_to": None},
            ],
        },
        "parties": {
            "complete": True,
            "items": [
                {"item_id": "p", "role": "PRIMARY", "id_type": "CPR", "id": f"0101{chance.randrange(10**6):06}"},
                *(
                    [{"item_id": "s", "role": "SECONDARY", "id_type": "CPR", "id": f"0201{n % 10**6:06}"}]
                    if n % 3 == 0
                    else []
                ),
            ],
        },
        "actors": {
            "complete": chance.random() < 0.5,  # noqa: PLR2004 - half of them are additions
            "items": [
                {"item_id": chance.choice("abc"), "role": "HANDLER", "id": f"u{n}", "removed": chance.random() < 0.2}  # noqa: PLR2004
            ],
        },
        "security_profile": {
            "complete": True,
            "items": [{"item_id": "g", "principal_id": f"g{n}"}] if n % 5 == 0 else [],
        },
    }


def replay(sent: Iterable[CaseEvent]) -> dict[EntryKey, dict[str, Group]]:
    """What each case must look like: its events in order of registration, one after the other."""
    cases: dict[EntryKey, list[CaseEvent]] = defaultdict(list)
    for event in sent:
        cases[EntryKey(event["authority"], event["system"], event["case_id"])].append(event)
    return {key: _replay(events) for key, events in cases.items()}


def _replay(events: list[CaseEvent]) -> dict[str, Group]:
    standing: dict[str, Group] = {}
    for event in sorted(events, key=_moment):
        if event["change"] == "REMOVED":
            standing = {}
            continue
        for group in GROUPS:
            said: Any = event.get(group)
            if said is None:
                continue
            if group not in ITEM_GROUPS or said["complete"]:
                standing[group] = said if group not in ITEM_GROUPS else _listed(group, said["items"])
            else:
                items = dict(standing.get(group, {}))
                for item in said["items"]:
                    items.pop(item["item_id"], None)
                standing[group] = {**items, **_listed(group, said["items"])}
    return standing


def _listed(group: str, items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    name = "state" if group == "progress" else "item_id"
    return {item[name]: item for item in items if not item.get("removed")}


def _moment(event: CaseEvent) -> tuple[int, int, str]:
    sequence = event.get("sequence")
    return event["registered_at"], -(1 << 62) if sequence is None else sequence, event["event_id"]


def expected_lines(sent: Iterable[CaseEvent]) -> Iterator[str]:
    """One line a case, as `held_lines` writes them; one that is removed ends with {}."""
    for key, groups in replay(sent).items():
        yield _line(key, _searched(groups), groups)


def held_lines(rows: Iterable[tuple[Any, ...]]) -> Iterator[str]:
    """One line for each row of HELD: what stands in it, without when it was indexed."""
    for authority, system, case_id, document, *columns in rows:
        state = load(document)
        classified = state.groups.get("classification", (b"", {}))[1]
        mapped = [classified.get("kle"), classified.get("facet")]
        yield _line(EntryKey(authority, system, case_id), [*mapped, *columns], _held(state))


def _searched(groups: dict[str, Group]) -> list[Any]:
    """The mapped number and facet, and the columns of HELD behind the document."""
    properties, access, classification = (groups.get(name, {}) for name in ("properties", "access", "classification"))
    parties = list(groups.get("parties", {}).values())
    primary = next((party for party in parties if party["role"] == "PRIMARY"), None)
    others = [f"{party['role']}|{party['id_type']}:{party['id']}" for party in parties if party is not primary]
    profile = groups.get("security_profile", {}).values()
    return [
        classification.get("kle"),
        classification.get("facet"),
        groups.keys() >= {"properties", "progress", "classification"} and "replaced_by" not in groups,
        classification.get("kle"),
        SENSITIVITY[access.get("sensitivity") or "FOELSOMME_PERSONOPLYSNINGER"],
        None if primary is None else f"{primary['id_type']}:{primary['id']}",
        others or None,
        sorted({one["principal_id"] for one in profile}) or None,
        properties.get("user_key"),
        properties.get("created_at"),
        bool(access.get("hidden_from_citizen")),
    ]


def _held(state: State) -> dict[str, Group]:
    groups: dict[str, Group] = {}
    for group in GROUPS:
        if group in ITEM_GROUPS:
            if items := visible_items(state, group):
                groups[group] = _listed(group, [dict(item) for item in items])
            elif group in state.groups or any(of == group for of, _ in state.items):
                groups[group] = {}
        elif group in state.groups:
            content = state.groups[group][1]
            groups[group] = content["original"] if group == "classification" else content
    return groups


def _line(key: EntryKey, searched: list[Any], groups: dict[str, Group]) -> str:
    return f"{key} {json.dumps(searched)} {json.dumps(_bare(groups), sort_keys=True)}"


def _bare(value: Any) -> Any:
    """Without what is null or false: the wire fills in defaults that the sender left out."""
    if isinstance(value, dict):
        return {name: _bare(inner) for name, inner in value.items() if inner is not None and inner is not False}
    return [_bare(inner) for inner in value] if isinstance(value, list) else value


def digest(lines: Iterable[str]) -> str:
    """The same lines in any order give the same digest."""
    total = hashlib.sha256()
    for line in sorted(lines):
        total.update(line.encode() + b"\n")
    return total.hexdigest()
