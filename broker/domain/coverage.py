"""Coverage: which system delivers what of which KLE area for whom, and what is known of its completeness. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from broker.domain.agreement import AgreementState
from broker.domain.kle import Patterns


class Kind(StrEnum):
    """What a system is for."""

    ESDH = "ESDH"
    EOJ = "EOJ"


AREAS: Final[Mapping[str, Kind]] = {
    "02.*": Kind.ESDH,
    "05.*": Kind.ESDH,
    "32.45.04": Kind.ESDH,
    "27.*": Kind.EOJ,
    "29.*": Kind.EOJ,
}
"""The areas that each kind of system is asked for."""
OTHER: Final = "other"
"""What is there under any other number, or under none."""
_EOJ: Final = frozenset({"vitae", "sensum", "nexus", "modulus", "cura", "domus", "klgateway"})
_ESDH: Final = frozenset({"acadre", "sbsys", "nova", "edoc", "getorganized", "workpoint"})
Key = tuple[str, str, str]
"""Authority, system, KLE area."""
Source = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Known:
    """What was read, each by its key. agreements: state, areas, and until when it is dispensed from delivering.

    entries: all, incomplete ones, when the last one came, those closed and past KLE's deletion rule, those on a number
    that KLE announces to be gone. reconciled: when, and how many differed; by area, or by the main group in which it
    lies.
    """

    agreements: Mapping[Source, tuple[AgreementState, Patterns, date | None]]
    entries: Mapping[Key, tuple[int, int, datetime, int, int]] = field(default_factory=dict)
    rejections: Mapping[Key, int] = field(default_factory=dict)
    reconciled: Mapping[Key, tuple[datetime, int]] = field(default_factory=dict)
    asked: Mapping[Source, tuple[tuple[str, ...], ...]] = field(default_factory=dict)


def prefixes() -> dict[str, str]:
    """Area -> what its numbers begin with."""
    return {area: Patterns.of([area]).prefixes[0] for area in AREAS}


def area_of(number: str) -> str:
    """The area that a number lies in."""
    return next((area for area, prefix in prefixes().items() if number.startswith(prefix)), OTHER)


def areas_of(system: str) -> tuple[str, ...]:
    """Those a system is asked for: every one where its name does not say of which kind it is."""
    base = system.partition(":")[0]
    kinds = {Kind.EOJ} if base in _EOJ else {Kind.ESDH} if base in _ESDH else set(Kind)
    return tuple(area for area, kind in AREAS.items() if kind in kinds)


def rows(known: Known, on: date) -> list[dict[str, Any]]:
    """In the contract's shape, and beside it whether the source has still to be asked again.

    One row for each area that the system is asked for or its agreement covers, and for any other where something is.
    """
    there = {
        (authority, system, area)
        for (authority, system), (_, agreed, _) in known.agreements.items()
        for area in (*AREAS, OTHER)
        if area in areas_of(system) or _touches(agreed, area)
    }
    return [_row(key, known, on) for key in sorted(there | known.entries.keys() | known.rejections.keys())]


def _row(key: Key, known: Known, on: date) -> dict[str, Any]:
    authority, system, area = key
    state, agreed, until = known.agreements.get((authority, system), (None, Patterns(()), None))
    if not _touches(agreed, area):
        state = until = None  # the system is asked for it, or something is there, and nothing is agreed of it
    entries, incomplete, last, overdue, announced = known.entries.get(key, (0, 0, None, 0, 0))
    main = authority, system, f"{area[:2]}.*"
    reconciled_at, difference = known.reconciled.get(key) or known.reconciled.get(main) or (None, None)
    return {
        "authority": authority,
        "system": system,
        "kle_area": area,
        "state": state,
        "entries": entries,
        "incomplete": incomplete,
        "retention_overdue": overdue,
        "announced_retired": announced,
        "last_event_at": last,
        "rejections_open": known.rejections.get(key, 0),
        "reconciled_at": reconciled_at,
        "difference": difference,
        "dispensation_until": until if until is not None and until > on else None,
        "ask_again": any(
            _touches(Patterns.of(patterns), area) for patterns in known.asked.get((authority, system), ())
        ),
    }


def _touches(patterns: Patterns, area: str) -> bool:
    """Whether they cover any number of the area."""
    if area == OTHER:
        return not all(prefix.startswith(tuple(prefixes().values())) for prefix in patterns.prefixes)
    return bool(patterns.both(Patterns.of([area])).prefixes)
