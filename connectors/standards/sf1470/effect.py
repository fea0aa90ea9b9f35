"""*Virkning*: from when until when something holds in reality; from inclusive, to exclusive. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from broker.domain.outcome import Code, Rejected
from connectors.standards.sf1470 import mapping
from connectors.standards.sf1470.payloads import VirkningType


class Period(NamedTuple):
    """Microseconds since 1970, UTC; `until` None has no end."""

    since: int
    until: int | None

    def ended(self, on: int) -> bool:
        """Whether it is over by then."""
        return self.until is not None and self.until <= on

    def overlaps(self, other: "Period") -> bool:
        """Whether both hold at some moment."""
        first, second = sorted((self, other), key=lambda one: one.since)
        return first.until is None or first.until > second.since


def flaws(virkning: VirkningType | None, at: str) -> Iterator[Rejected]:
    """What OB5 asks: four elements, wherever what they belong to is filled."""
    at = f"{at}/Virkning"
    said = virkning or VirkningType()
    if said.FraTidspunkt is not None and said.FraTidspunkt.GraenseIndikator is not None:
        yield Rejected(Code.SCHEMA_VIOLATION, f"{at}/FraTidspunkt", "a time: nothing has always been")
    if said.FraTidspunkt is None or said.FraTidspunkt.TidsstempelDatoTid is None:
        yield missing(f"{at}/FraTidspunkt", "OB5")
    if said.TilTidspunkt is None or not said.TilTidspunkt.said:
        yield missing(f"{at}/TilTidspunkt", "OB5")
    if said.AktoerRef is None or said.AktoerRef.value is None:
        yield missing(f"{at}/AktoerRef", "OB5")
    if said.AktoerTypeKode is None:
        yield missing(f"{at}/AktoerTypeKode", "OB5")
    found = period(said)
    if found.until is not None and found.until < found.since:
        yield Rejected(Code.VIRKNING_OVERLAP, f"{at}/TilTidspunkt", "ends before it begins")
    if said.AktoerTypeKode not in mapping.ACTOR_TYPES and not (
        said.AktoerTypeKode in mapping.OLD_ACTOR_TYPES and found.since < mapping.OLD_UNTIL
    ):
        yield Rejected(Code.SCHEMA_VIOLATION, f"{at}/AktoerTypeKode", "Bruger or ItSystem")


def period(virkning: VirkningType | None) -> Period:
    """Of one without flaws."""
    said = virkning or VirkningType()
    since = said.FraTidspunkt.TidsstempelDatoTid if said.FraTidspunkt is not None else None
    until = said.TilTidspunkt.TidsstempelDatoTid if said.TilTidspunkt is not None else None
    return Period(since or 0, until)


def in_force(periods: Sequence[Period], on: int) -> int | None:
    """Which one counts: the newest that holds then; else the first that is yet to come; None when all are over.

    What is yet to come counts already: senders stamp a registration some moments before what it says begins.
    """
    now = [index for index, one in enumerate(periods) if one.since <= on and not one.ended(on)]
    if now:
        return max(now, key=lambda index: periods[index].since)
    later = [index for index, one in enumerate(periods) if not one.ended(on)]
    return min(later, key=lambda index: periods[index].since, default=None)


def overlap(periods: Iterable[tuple[str, Period]]) -> Iterator[Rejected]:
    """Of (pointer, period) of one thing, those that hold at once."""
    ordered = sorted(periods, key=lambda one: one[1].since)
    for (_, first), (at, second) in pairwise(ordered):
        if first.overlaps(second):
            yield Rejected(Code.VIRKNING_OVERLAP, f"{at}/Virkning/FraTidspunkt", "begins before the last one ends")


def missing(at: str, rule: str) -> Rejected:
    """An element that one of the standard's rules asks for."""
    return Rejected(Code.MANDATORY_MISSING, at, f"the element is missing ({rule})")
