"""The rows of a batch: what is copied in, and what became of each event. Pure.

shape: bits 0-8 the groups that are there, 512 several registrations, 1024 items or a removal lie over the groups.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from broker.domain.batch import Plan, Said
from broker.domain.case import EMPTY, State, merge_all, outcome_of
from broker.domain.entry import PRIMARY, entry_of, shape_of
from broker.domain.identity import EntryKey
from broker.domain.outcome import VERDICT_BYTE
from broker.store.document import dump

SEVERAL: Final = 512
LAYERED: Final = 1024
_INDEXED: Final = VERDICT_BYTE["indexed"]
_INCOMPLETE: Final = VERDICT_BYTE["indexed:incomplete"]

Row = tuple[Any, ...]
"""In the order of `batch.COLUMNS`."""


def fresh(cases: Sequence[tuple[EntryKey, list[Said]]]) -> tuple[list[Row], list[int]]:
    """A row for each case, numbered by its place, and the places of those that can but leave the index."""
    rows: list[Row] = []
    only_if_held: list[int] = []
    for ordinal, (key, said) in enumerate(cases):
        if all([one.only_if_held for one in said]):  # noqa: C419 - a list is quicker than a generator here
            only_if_held.append(ordinal)
        elif len(said) == 1:
            rows.append(row(ordinal, key, said[0].state, said[0].original))
        else:
            rows.append(row(ordinal, key, merge_all([one.state for one in said]), several=True))
    return rows, only_if_held


def settle_fresh(plan: Plan, cases: Sequence[tuple[EntryKey, list[Said]]], besides: Collection[int]) -> None:
    """Give every event its verdict whose case stands as it was copied in."""
    for ordinal, (_, said) in enumerate(cases):
        if ordinal in besides:
            continue
        if len(said) == 1:
            state = said[0].state
            plan.verdicts[said[0].place] = _INCOMPLETE if _incomplete(state) else _INDEXED
        else:
            settle(plan, EMPTY, said)


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
    stamp, source = state.source
    parties = entry.parties
    primary = parties[0][1] if parties and parties[0][0] == PRIMARY else None
    others = [f"{role}|{reference}" for role, reference in (parties if primary is None else parties[1:])]
    return (
        ordinal,
        key.authority,
        key.system,
        bytes.fromhex(key.case_id.replace("-", "")),
        stamp,
        shape,
        entry.complete,
        entry.kle,
        entry.sensitivity,
        primary,
        others or None,
        None if entry.principals is None else sorted(entry.principals),
        entry.user_key,
        entry.created_at,
        moment(source["received_at"]),
        dump(state, original),
    )


def moment(micros: int) -> datetime:
    """Microseconds since 1970, UTC."""
    return datetime.fromtimestamp(micros / 1_000_000, UTC)
