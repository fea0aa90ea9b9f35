"""What a batch of records comes to: verdicts, rejections, and what is said of each case. Pure.

The batch runs on plain tuples and dicts: it is the measured hot path.
"""

import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from broker.domain.agreement import Facts
from broker.domain.case import CaseEvent, State, just_before, key_of, said_by, stamp_of
from broker.domain.classify import Classified, judge
from broker.domain.identity import EntryKey, without_cpr
from broker.domain.outcome import VERDICT_BYTE, Code, Delimited, Rejected
from broker.domain.plain import Admitted, Door, Plain

REJECTION_NAMESPACE = uuid.UUID("0d6c4f53-58cb-5b6b-8d4c-0a54ad6f2f5e")
NOBODY = "unknown"
LONGEST_TEXT = 200
DELIMITED = VERDICT_BYTE["delimited"]


class Place(NamedTuple):
    """Where in which log."""

    topic: str
    topic_id: str
    partition: int


@dataclass(init=False)
class Arrival:
    """One record, decoded or seen at a glance. Where the bytes are neither, `flaw` says why.

    digest: `content_hash` of the encoded event.
    """

    offset: int
    received_ms: int
    value: bytes | None
    event: CaseEvent | None
    digest: bytes
    flaw: str
    plain: Plain | None

    def __init__(
        self,
        offset: int,
        received_ms: int,
        value: bytes | None,
        event: CaseEvent | None,
        digest: bytes = b"",
        flaw: str = "",
        plain: Plain | None = None,
    ) -> None:
        self.offset = offset
        self.received_ms = received_ms
        self.value = value
        self.event = event
        self.digest = digest
        self.flaw = flaw
        self.plain = plain


Closer = Callable[[Arrival], Arrival]


def itself(arrival: Arrival) -> Arrival:
    """For arrivals that are decoded."""
    return arrival


@dataclass(init=False)
class Said:
    """What the event at `place`, counted from the batch's first offset, says of its case.

    only_if_held: its verdict is settled, it can but remove.
    original: the framed event, where that and the mapped number are all there is to keep of it.
    """

    place: int
    state: State
    only_if_held: bool
    original: bytes | None

    def __init__(self, place: int, state: State, *, only_if_held: bool, original: bytes | None = None) -> None:
        self.place = place
        self.state = state
        self.only_if_held = only_if_held
        self.original = original


def unsaid(_arrival: Arrival) -> Said:
    """Of a plan that lets nothing in at a glance."""
    raise LookupError("nothing was let in at a glance")


@dataclass(slots=True)
class Plan:
    """A batch, judged. `verdicts` has one byte an offset from `first_offset` on, 0 where still open or none.

    plain: events let in at a glance, each alone in the batch with its case; `say` takes one the long way after all.
    """

    first_offset: int
    verdicts: bytearray
    systems: dict[int, str] = field(default_factory=dict)
    plain: list[tuple[Arrival, Admitted]] = field(default_factory=list)
    cases: dict[EntryKey, list[Said]] = field(default_factory=lambda: defaultdict(list))
    rejections: list[dict[str, Any]] = field(default_factory=list)
    freshness: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    say: Callable[[Arrival], Said] = field(default=unsaid)


def plan(arrivals: list[Arrival], facts: Facts, place: Place, closer: Closer = itself) -> Plan:
    """Judge every arrival by the same facts; `closer` decodes one that was only glanced at."""
    first = arrivals[0].offset

    def say(arrival: Arrival) -> Said:
        seen = closer(arrival)
        verdict = None if seen.event is None else judge(seen.event, facts, seen.received_ms * 1000)
        if not isinstance(verdict, Classified):
            raise TypeError("let in at a glance, and not at a closer look")
        return _said(seen.offset - first, seen, verdict)

    made = Plan(first, bytearray(arrivals[-1].offset - first + 1), say=say)
    door = Door(facts)
    for arrival in _let_in(made, arrivals, door):
        _take(made, closer(arrival), facts, place)
    for name, sender in door.senders.items():
        if sender is not None and sender.received_ms:
            _note(made, name, sender.registered_at, sender.received_ms)
    return made


def _let_in(made: Plan, arrivals: list[Arrival], door: Door) -> list[Arrival]:
    """Let in at a glance what can be; the others, in their order."""
    alone: dict[str, tuple[Arrival, Admitted] | None] = {}
    others: list[Arrival] = []
    for arrival in arrivals:
        plain = arrival.plain
        event = arrival.event
        if plain is not None:
            case_id = plain.case_id
        elif event is not None:
            case_id = event["case_id"]
        else:
            others.append(arrival)
            continue
        if case_id in alone:
            # What is said of one case in one batch is weighed together.
            before = alone[case_id]
            if before is not None:
                others.append(before[0])
                alone[case_id] = None
            others.append(arrival)
            continue
        admitted = None if plain is None else door.admit(plain, arrival.received_ms)
        if admitted is None:
            alone[case_id] = None
            others.append(arrival)
        else:
            alone[case_id] = arrival, admitted
            made.systems[arrival.offset - made.first_offset] = admitted.plain.system
    made.plain = [one for one in alone.values() if one is not None]
    others.sort(key=_offset)
    return others


def _take(made: Plan, arrival: Arrival, facts: Facts, place: Place) -> None:
    index = arrival.offset - made.first_offset
    event = arrival.event
    if event is None:
        reject(made, index, arrival, Rejected(Code.MALFORMED_PAYLOAD, "", arrival.flaw, covered=False), place)
        return
    sender = event["authority"], event["system"]
    made.systems[index] = event["system"]
    verdict = judge(event, facts, arrival.received_ms * 1000)
    match verdict:
        case Classified():
            made.cases[key_of(event)].append(_said(index, arrival, verdict))
            _note(made, sender, event["registered_at"], arrival.received_ms)
        case Delimited():
            made.verdicts[index] = DELIMITED
            made.cases[key_of(event)].append(_left(index, arrival, event))
            _note(made, sender, event["registered_at"], arrival.received_ms)
        case Rejected():
            reject(made, index, arrival, verdict, place)
            if verdict.code is Code.OUTSIDE_AGREEMENT:
                made.cases[key_of(event)].append(_left(index, arrival, event))


def _said(index: int, arrival: Arrival, verdict: Classified) -> Said:
    event = verdict.event
    state = said_by(event, stamp_of(event, arrival.digest), _source(arrival, event, verdict.agreement_version))
    # Texts that were emptied must not be kept after all.
    whole = not (state.items or state.removed[0] or verdict.emptied)
    return Said(index, state, only_if_held=False, original=arrival.value if whole else None)


def _left(index: int, arrival: Arrival, event: CaseEvent) -> Said:
    """A case that has moved out of what may be held leaves, if it was held."""
    # Just before any registration of that moment: the same event, sent again when it may be held, is newer.
    stamp = just_before(event)
    gone = State(
        removed=(stamp, {"reason": "LEFT_INDEX", "replaced_by": None}), source=(stamp, _source(arrival, event, None))
    )
    return Said(index, gone, only_if_held=True)


def _source(arrival: Arrival, event: CaseEvent, agreement_version: int | None) -> dict[str, Any]:
    return {
        "event_id": event["event_id"],
        "registered_at": event["registered_at"],
        "received_at": arrival.received_ms * 1000,
        "agreement_version": agreement_version,
    }


def _note(made: Plan, sender: tuple[str, str], registered_at: int, received_ms: int) -> None:
    registered, received = made.freshness.get(sender, (registered_at, received_ms))
    made.freshness[sender] = max(registered, registered_at), max(received, received_ms)


def _offset(arrival: Arrival) -> int:
    return arrival.offset


def reject(made: Plan, index: int, arrival: Arrival, flaw: Rejected, place: Place) -> None:
    """Settle the verdict of the event at `index`, and keep what may be kept of it."""
    event = arrival.event
    made.verdicts[index] = VERDICT_BYTE[f"rejected:{flaw.code}"]
    made.rejections.append(
        {
            "rejection_id": uuid.uuid5(REJECTION_NAMESPACE, f"{place.topic_id}:{place.partition}:{arrival.offset}"),
            "authority": NOBODY if event is None else _text(event["authority"]),
            "system": NOBODY if event is None else _text(event["system"]),
            "event_id": None if event is None else _text(event["event_id"]),
            "code": flaw.code.value,
            "pointer": flaw.pointer,
            "detail": _text(flaw.detail),
            "kle": None if event is None else _number(event),
            "payload": arrival.value if flaw.covered else None,
            "topic": place.topic,
            "partition": place.partition,
            "log_offset": arrival.offset,
        }
    )


def _number(event: CaseEvent) -> str | None:
    number = (event.get("classification") or {}).get("kle")
    return None if number is None else _text(number)


def _text(hostile: str) -> str:
    """What anybody may have sent, fit for a column: bounded, no NUL, no civil registration number."""
    return without_cpr(hostile.replace("\0", "")[:LONGEST_TEXT])
