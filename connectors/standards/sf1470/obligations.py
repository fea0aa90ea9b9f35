"""The standard's rules of what must be said, OB1 to OB5, which the national index does not enforce. Pure.

OB1 at import, OB2 in every registration, OB3 with a relation, OB4 with another element, OB5 of a virkning.
Each flaw names the element. Source: guidance to SF1470, version 1.7.
"""

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from broker.domain.case import SENSITIVITY
from broker.domain.outcome import Code, Rejected
from connectors.standards.sf1470 import effect, mapping, relations
from connectors.standards.sf1470.effect import missing
from connectors.standards.sf1470.payloads import (
    EgenskaberType,
    FremdriftType,
    ListerType,
    RegistreringType,
    SagIndeksEgenskaberType,
)
from connectors.standards.sf1470.relations import Roles

KINDS: Final = tuple(dict.fromkeys(rule.of for rule in mapping.RULES.values()))
_NEEDED: Final = {role: rule for role, rule in mapping.RULES.items() if rule.needed}
T = TypeVar("T")


def first(flaws: Iterator[Rejected]) -> Rejected | None:
    """The one that is told."""
    return next(flaws, None)


def numbered(said: Sequence[T | None], empty: T, at: str) -> list[tuple[str, T]]:
    """Each with its pointer; an empty element is one in which everything is missing."""
    return [(f"{at}/{index}", empty if one is None else one) for index, one in enumerate(said)]


def attributes(lists: ListerType, at: str) -> list[tuple[str, EgenskaberType]]:
    """The case's own attributes."""
    said = () if lists.AttributListe is None else lists.AttributListe.Egenskaber
    return numbered(said, EgenskaberType(), f"{at}/AttributListe/Egenskaber")


def added(lists: ListerType, at: str) -> list[tuple[str, SagIndeksEgenskaberType]]:
    """The index's attributes."""
    holder = None if lists.AttributListe is None else lists.AttributListe.LokalUdvidelseListe
    said = () if holder is None else holder.SagIndeksEgenskaber
    return numbered(said, SagIndeksEgenskaberType(), f"{at}/AttributListe/LokalUdvidelseListe/SagIndeksEgenskaber")


def states(lists: ListerType, at: str) -> list[tuple[str, FremdriftType]]:
    """The course of the case."""
    said = () if lists.TilstandListe is None else lists.TilstandListe.Fremdrift
    return numbered(said, FremdriftType(), f"{at}/TilstandListe/Fremdrift")


def of_import(said: RegistreringType, at: str, known: Roles) -> Iterator[Rejected]:
    """Of a registration of an imported case."""
    yield from _stamped(said, at)
    if not attributes(said, at):
        yield missing(f"{at}/AttributListe/Egenskaber", "OB1")
    if not any(one.Foelsomhed is not None for _, one in added(said, at)):
        yield missing(f"{at}/AttributListe/LokalUdvidelseListe/SagIndeksEgenskaber/Foelsomhed", "OB1")
    if not states(said, at):
        yield missing(f"{at}/TilstandListe/Fremdrift", "OB1")
    yield from of_change(said, at, known)
    if all(one.FremdriftStatusKode != "Opstaaet" for _, one in states(said, at)):
        yield Rejected(Code.STATE_HISTORY_INCOMPLETE, f"{at}/TilstandListe", "Opstaaet is never missing")
    standing = {
        one.role
        for kind in {rule.of for rule in _NEEDED.values()}
        for one in relations.held(said, kind, at, known, said.Tidspunkt or 0)
        if not one.ended
    }
    for role, rule in _NEEDED.items():
        if role not in standing:
            where = f"{at}/RelationListe/{'LokalUdvidelseListe/' if rule.of == 'SagsitsystemRelation' else ''}{rule.of}"
            yield Rejected(Code.MANDATORY_MISSING, where, f"a relation in the role {role} is missing (OB1)")


def _stamped(said: RegistreringType, at: str) -> Iterator[Rejected]:
    if said.Tidspunkt is None:
        yield missing(f"{at}/Tidspunkt", "OB2")
    if said.LivscyklusKode is None:
        yield missing(f"{at}/LivscyklusKode", "OB1")
    if said.LivscyklusKode != mapping.IMPORTED:
        yield Rejected(Code.SCHEMA_VIOLATION, f"{at}/LivscyklusKode", mapping.IMPORTED)
    if said.BrugerRef is None or said.BrugerRef.value is None:
        yield missing(f"{at}/BrugerRef", "OB1")


def of_change(said: ListerType, at: str, known: Roles) -> Iterator[Rejected]:
    """Of whatever a registration names, be it an import or a change."""
    for where, own in attributes(said, at):
        yield from _own(own, where)
    for where, index in added(said, at):
        if index.Foelsomhed is not None and index.Foelsomhed not in SENSITIVITY:
            yield Rejected(Code.SENSITIVITY_UNKNOWN, f"{where}/Foelsomhed", "not one of the four levels")
        yield from effect.flaws(index.Virkning, where)
    yield from effect.overlap([(where, effect.period(one.Virkning)) for where, one in attributes(said, at)])
    for where, state in states(said, at):
        if state.FremdriftStatusKode is None:
            yield missing(f"{where}/FremdriftStatusKode", "OB1")
        if state.FremdriftStatusKode not in mapping.STATES:
            yield Rejected(Code.STATE_UNKNOWN, f"{where}/FremdriftStatusKode", "not one of the standard's four")
        yield from effect.flaws(state.Virkning, where)
    yield from effect.overlap([(where, effect.period(one.Virkning)) for where, one in states(said, at)])
    for kind in KINDS:
        yield from relations.flaws(said, kind, at, known)


def _own(own: EgenskaberType, at: str) -> Iterator[Rejected]:
    for name in ("BrugervendtNoegle", "Sagsnummer", "Titel"):
        if getattr(own, name) is None:
            yield missing(f"{at}/{name}", "OB1")
    if own.BrugervendtNoegle != own.Sagsnummer:
        yield Rejected(Code.SCHEMA_VIOLATION, f"{at}/Sagsnummer", "the same as BrugervendtNoegle")
    if (hidden := own.OffentlighedUndtaget) is not None:
        yield from relations.undisclosed(hidden.TitelAlternativTekst, hidden.OffentlighedUndtagetHjemmelTekst, at)
    yield from effect.flaws(own.Virkning, at)
