"""A source's own list of its cases against the index: what is missing, superfluous, older or newer here. Pure.

What was registered or received after the list was begun is newer here, never superfluous: a list that races with
live events takes nothing away.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from broker.domain.agreement import Facts, SenderAgreement, day_of, outside, wanted
from broker.domain.case import CaseEvent
from broker.domain.identity import EVENT_NAMESPACE, EntryKey
from broker.domain.kle import KleBook, Patterns, is_number, is_pattern
from broker.domain.kle_rules import ANY
from broker.domain.outcome import Rejected

Kind = Literal["missing", "superfluous", "older", "newer", "same", "outside"]
DIFFERENCES: Final[tuple[Kind, ...]] = ("missing", "superfluous", "older", "newer")
WRONG: Final[tuple[Kind, ...]] = ("missing", "superfluous", "older")
"""What must be mended; what is newer here has merely overtaken the list."""
NO_AREA: Final = "-"
_GROUP: Final = 2
_LAST: Final = (1 << 63) - 1
FEW: Final = 10
MOST: Final = 10


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a manifest; times in microseconds since 1970, UTC. `kle`: a number, a pattern, or what else it says.

    created_at, state: where the source says them, a delimitation by date or state can be told from a missing case.
    """

    case_id: str
    registered_at: int
    kle: str | None = None
    created_at: int | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What the index has of a case. stands: it is not removed. replaced: another case hides it."""

    registered_at: int
    received_at: int
    stands: bool = True
    replaced: bool = False


def compare(listed: int | None, expected: bool, held: Held | None, as_of: int) -> Kind | None:  # noqa: FBT001 - of a row
    """What one case is; None where neither side has it.

    Args:
        listed: when the source registered it last; None where its list does not name it.
        expected: by agreement and delimitation it belongs into the index.
        as_of: when the source began to read its list.
    """
    if listed is None:
        if held is None or not held.stands or held.replaced:
            return None
        return "newer" if max(held.received_at, held.registered_at) > as_of else "superfluous"
    if held is not None and held.stands:
        return _order(held.registered_at, listed)
    if not expected:
        return "outside"
    return "newer" if held is not None and held.registered_at > listed else "missing"


def _order(here: int, there: int) -> Kind:
    if here == there:
        return "same"
    return "newer" if here > there else "older"


def area_of(kle: str | None) -> str:
    """The main group of a number or pattern, such as `27.*`."""
    return f"{kle[:_GROUP]}.*" if kle is not None and is_pattern(kle) and kle[0].isdigit() else NO_AREA


def is_expected(listed: Listed, agreement: SenderAgreement, facts: Facts) -> bool:
    """Whether a listed case belongs into the index, as far as the line tells; in doubt it does.

    Judged as the event itself is: by the number that the listed one maps to, on the case's day. Where the line does
    not say when the case was made, by the first day it may have been and by the last. What maps to nothing now is in
    doubt. While an agreement is restricted to named citizens, a list without citizens leaves no doubt to speak of:
    such a case is expected only by its number.
    """
    if listed.created_at is not None and listed.created_at < agreement.since:
        return False
    if listed.kle is None or not is_number(listed.kle):
        return True
    if listed.created_at is not None:
        return _belongs(listed, listed.kle, agreement, facts, day_of(listed.created_at))
    days = {agreement.from_date, max(agreement.from_date, day_of(listed.registered_at))}
    return any(_belongs(listed, listed.kle, agreement, facts, day) for day in days)


def _belongs(listed: Listed, number: str, agreement: SenderAgreement, facts: Facts, on: date) -> bool:
    mapped = facts.kle.map(agreement.authority, agreement.system, {"kle": number}, on)
    if isinstance(mapped, Rejected):
        return True
    if outside(agreement, on, None, mapped.number, ()) is not None:
        return False
    choices = facts.delimitations.get(agreement.authority, ())
    if listed.created_at is None:
        return not choices or any(choice.kle.covers(mapped.number) for choice in choices)
    return wanted(choices, mapped.number, on, listed.state)


def arriving(book: KleBook, authority: str, system: str, areas: Patterns) -> set[str]:
    """The numbers to which rules and successors may bring what its source has in none of these areas of its own.

    Whatever the day, and whichever rule wins then: rather too many than one too few.
    """
    applied = [one for one in book.rules.listed if one.authority in (authority, ANY) and one.system in (system, ANY)]
    came = {one.number for one in applied if one.kle is None or not areas.covers(Patterns.of([one.kle]).prefixes[0])}
    followed = _followed(book)
    left = [*came, *(number for number in followed if not areas.covers(number))]
    while left:
        following = followed.get(left.pop(), set()) - came
        came |= following
        left += following
    return came


def _followed(book: KleBook) -> dict[str, set[str]]:
    """Number that is gone -> what has been its only successor in an edition: a case follows no other."""
    named: dict[str, set[str]] = defaultdict(set)
    followed: dict[str, set[str]] = defaultdict(set)
    for edition in book.editions:
        for number, successors in edition.successors.items():
            named[number] |= successors
            if len(named[number]) == 1:
                followed[number] |= successors
    return followed


def removal(key: EntryKey, registered_at: int) -> CaseEvent:
    """What vanished at the source: removed just after the registration that stands, before any newer one.

    So an event that was under way, or comes later, brings the case back if the source registered it since.
    """
    return {
        "event_id": str(uuid.uuid5(EVENT_NAMESPACE, f"vanished {key} {registered_at}")),
        "system": key.system,
        "authority": key.authority,
        "case_id": key.case_id,
        "registered_at": registered_at,
        "sequence": _LAST,
        "change": "REMOVED",
        "removal_reason": "LEFT_INDEX",
    }


def too_many(removals: int, standing: int) -> bool:
    """Whether more than a tenth of what stands would go: a list that is half is likelier than so many closed cases."""
    return removals > FEW and removals * MOST > standing


def prefixes(areas: Iterable[str]) -> list[str] | None:
    """What KLE numbers of these patterns begin with; None is all. Raises ValueError naming what is no pattern."""
    listed = list(areas)
    for area in listed:
        if not is_pattern(area):
            raise ValueError(f"{area!r} is no KLE pattern")
    return [area.rstrip("*") for area in listed] if listed and "N*" not in listed else None
