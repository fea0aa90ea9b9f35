"""What a batch of records comes to: verdicts, rejections, and what is said of each case. Pure.

The batch runs on plain tuples and dicts: it is the measured hot path.
"""

import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from broker.domain.agreement import Facts
from broker.domain.case import CaseEvent, State, just_before, key_of, said_by, stamp_of
from broker.domain.classify import Classified, judge
from broker.domain.identity import EntryKey, without_cpr
from broker.domain.outcome import VERDICT_BYTE, Code, Delimited, Rejected

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
    """One decoded record. `event` is None where the bytes are no event, `flaw` then says why.

    digest: `content_hash` of the encoded event.
    """

    offset: int
    received_ms: int
    value: bytes | None
    event: CaseEvent | None
    digest: bytes
    flaw: str

    def __init__(
        self,
        offset: int,
        received_ms: int,
        value: bytes | None,
        event: CaseEvent | None,
        digest: bytes = b"",
        flaw: str = "",
    ) -> None:
        self.offset = offset
        self.received_ms = received_ms
        self.value = value
        self.event = event
        self.digest = digest
        self.flaw = flaw


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


@dataclass(slots=True)
class Plan:
    """A batch, judged. `verdicts` has one byte an offset from `first_offset` on, 0 where still open or none."""

    first_offset: int
    verdicts: bytearray
    systems: dict[int, str] = field(default_factory=dict)
    cases: dict[EntryKey, list[Said]] = field(default_factory=lambda: defaultdict(list))
    rejections: list[dict[str, Any]] = field(default_factory=list)
    freshness: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)


def plan(arrivals: list[Arrival], facts: Facts, place: Place) -> Plan:
    """Judge every arrival by the same facts."""
    first = arrivals[0].offset
    made = Plan(first, bytearray(arrivals[-1].offset - first + 1))
    for arrival in arrivals:
        index = arrival.offset - first
        if arrival.event is None:
            flaw = Rejected(Code.MALFORMED_PAYLOAD, "", arrival.flaw, covered=False)
            reject(made, index, arrival, flaw, place)
            continue
        event = arrival.event
        made.systems[index] = event["system"]
        verdict = judge(event, facts, arrival.received_ms * 1000)
        match verdict:
            case Classified():
                stamp = stamp_of(event, arrival.digest)
                state = said_by(verdict.event, stamp, _source(arrival, event, verdict.agreement_version))
                # Texts that were emptied must not be kept after all.
                whole = not (state.items or state.removed[0] or verdict.emptied)
                said = Said(index, state, only_if_held=False, original=arrival.value if whole else None)
                made.cases[key_of(event)].append(said)
                _note(made, event, arrival)
            case Delimited():
                made.verdicts[index] = DELIMITED
                made.cases[key_of(event)].append(_left(index, arrival, event))
                _note(made, event, arrival)
            case Rejected():
                reject(made, index, arrival, verdict, place)
                if verdict.code is Code.OUTSIDE_AGREEMENT:
                    made.cases[key_of(event)].append(_left(index, arrival, event))
    return made


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


def _note(made: Plan, event: CaseEvent, arrival: Arrival) -> None:
    sender = event["authority"], event["system"]
    registered, received = made.freshness.get(sender, (event["registered_at"], 0))
    made.freshness[sender] = max(registered, event["registered_at"]), max(received, arrival.received_ms)


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
