"""The rows of a batch: what is copied in, and what became of each event. Pure.

shape: bits 0-8 the groups that are there, 512 several registrations, 1024 items or a removal lie over the groups,
2048 hidden from the citizen.
"""

from collections.abc import Collection, Iterable, Sequence
from struct import Struct
from typing import Final

from broker.domain.batch import Arrival, Plan, Said
from broker.domain.case import EMPTY, State, content_hash, merge_all, outcome_of, stamp_at
from broker.domain.entry import PRIMARY, entry_of, shape_of
from broker.domain.identity import EntryKey
from broker.domain.outcome import VERDICT_BYTE
from broker.domain.plain import Admitted
from broker.store.document import dump, judged
from broker.stream.framing import HEADER

SEVERAL: Final = 512
LAYERED: Final = 1024
HIDDEN: Final = 2048
_INDEXED: Final = VERDICT_BYTE["indexed"]
_INCOMPLETE: Final = VERDICT_BYTE["indexed:incomplete"]

COLUMNS: Final = (
    "ordinal",
    "authority",
    "system",
    "case_id",
    "newest",
    "shape",
    "complete",
    "kle",
    "sensitivity",
    "primary_party",
    "parties",
    "principals",
    "user_key",
    "created_at",
    "received_at",
    "document",
)
# PostgreSQL's binary form of COPY: every value behind its length, -1 for NULL.
HEAD: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TAIL: Final = b"\xff\xff"
_NULL: Final = b"\xff\xff\xff\xff"
_UUID: Final = b"\0\0\0\x10"
_INT: Final = Struct(">i")
_ORDINAL: Final = Struct(">hii")
_SHAPE: Final = Struct(">ihi?")
_SMALLINT: Final = Struct(">ih")
_BIGINT: Final = Struct(">iq")
_ARRAY: Final = Struct(">iiIii")
_TEXT_OID: Final = 25
_EPOCH: Final = 946_684_800_000_000
"""Microseconds from 1970 to 2000, where PostgreSQL's time begins."""

Row = bytes
"""One row in the binary form of COPY, in the order of COLUMNS."""


Cases = Sequence[tuple[EntryKey, list[Said]]]


def fresh(plan: Plan, cases: Cases, first: int = 0) -> tuple[list[Row], list[int]]:
    """A row for each case of a plan, and the numbers of those that can but leave the index.

    Numbered from `first` on: what was let in at a glance, then `cases`.
    """
    rows = [plain_row(ordinal, *one) for ordinal, one in enumerate(plan.plain, first)]
    only_if_held: list[int] = []
    for ordinal, (key, said) in enumerate(cases, first + len(plan.plain)):
        if all([one.only_if_held for one in said]):  # noqa: C419 - a list is quicker than a generator here
            only_if_held.append(ordinal)
        elif len(said) == 1:
            rows.append(row(ordinal, key, said[0].state, said[0].original))
        else:
            rows.append(row(ordinal, key, merge_all([one.state for one in said]), several=True))
    return rows, only_if_held


def settle_fresh(plan: Plan, cases: Cases, besides: Collection[int], first: int = 0) -> None:
    """Give every event its verdict whose case stands as it was copied in, but for the numbers `besides`."""
    for ordinal, (arrival, _) in enumerate(plan.plain, first):
        if ordinal not in besides:
            plan.verdicts[arrival.offset - plan.first_offset] = _INDEXED
    for ordinal, (_, said) in enumerate(cases, first + len(plan.plain)):
        if ordinal in besides:
            continue
        if len(said) == 1:
            state = said[0].state
            plan.verdicts[said[0].place] = _INCOMPLETE if _incomplete(state) else _INDEXED
        else:
            settle(plan, EMPTY, said)


def plain_row(ordinal: int, arrival: Arrival, admitted: Admitted) -> Row:
    """The row of an event that was let in at a glance: what `row` makes of it."""
    plain, meaning, version = admitted.plain, admitted.meaning, admitted.agreement_version
    if (line := meaning.lines.get(version)) is None:
        line = meaning.lines[version] = judged(version, meaning.mapped)
    value = arrival.value or b""
    received_at = arrival.received_ms * 1000
    stamp = stamp_at(plain.registered_at, plain.sequence, plain.identity, content_hash(value[HEADER.size :]))
    return b"".join(
        [
            _ORDINAL.pack(len(COLUMNS), 4, ordinal),
            _text(plain.authority),
            _text(plain.system),
            _UUID,
            bytes.fromhex(plain.case_id.replace("-", "")),
            _bytes(stamp),
            _SHAPE.pack(2, plain.shape | HIDDEN if plain.hidden else plain.shape, 1, True),  # noqa: FBT003 - a column
            _text(meaning.mapped.number),
            _SMALLINT.pack(2, plain.sensitivity),
            _text(plain.primary),
            _texts(plain.others or None),
            _texts(plain.principals),
            _text(plain.user_key),
            _BIGINT.pack(8, plain.created_at),
            _BIGINT.pack(8, received_at - _EPOCH),
            _bytes(b"[%d%b\n%b" % (received_at, line, value)),
        ]
    )


def settle(plan: Plan, before: State, said: Iterable[Said]) -> State:
    """Give each event its verdict in the order of the log; returns the entry after them."""
    indexed = []
    for one in said:
        outcome, after = outcome_of(before, one.state)
        if not one.only_if_held:
            plan.verdicts[one.place] = VERDICT_BYTE[outcome]
            if outcome == "indexed":
                indexed.append(one.place)
        before = after
    if indexed and _incomplete(before):
        for place in indexed:
            plan.verdicts[place] = _INCOMPLETE
    return before


def _incomplete(state: State) -> bool:
    return not state.removed[0] and bool(state.mandatory_missing)


def row(ordinal: int, key: EntryKey, state: State, original: bytes | None = None, *, several: bool = False) -> Row:
    """One entry in the table's columns; `original` as in `document.dump`."""
    entry = entry_of(key, state)
    shape = shape_of(state)
    if several:
        shape |= SEVERAL
    if state.items or state.removed[0]:
        shape |= LAYERED
    if entry.hidden_from_citizen:
        shape |= HIDDEN
    stamp, source = state.source
    parties = entry.parties
    primary = parties[0][1] if parties and parties[0][0] == PRIMARY else None
    others = [f"{role}|{reference}" for role, reference in (parties if primary is None else parties[1:])]
    return b"".join(
        [
            _ORDINAL.pack(len(COLUMNS), 4, ordinal),
            _text(key.authority),
            _text(key.system),
            _UUID,
            bytes.fromhex(key.case_id.replace("-", "")),
            _bytes(stamp),
            _SHAPE.pack(2, shape, 1, entry.complete),
            _text(entry.kle),
            _SMALLINT.pack(2, entry.sensitivity),
            _text(primary),
            _texts(others or None),
            _texts(None if entry.principals is None else sorted(entry.principals)),
            _text(entry.user_key),
            _NULL if entry.created_at is None else _BIGINT.pack(8, entry.created_at),
            _BIGINT.pack(8, source["received_at"] - _EPOCH),
            _bytes(dump(state, original)),
        ]
    )


def _text(value: str | None) -> bytes:
    return _NULL if value is None else _bytes(value.encode())


def _bytes(value: bytes) -> bytes:
    return _INT.pack(len(value)) + value


def _texts(values: list[str] | None) -> bytes:
    if values is None:
        return _NULL
    array = _ARRAY.pack(1, 0, _TEXT_OID, len(values), 1) + b"".join([_text(value) for value in values])
    return _bytes(array)
