"""Whom an SBSYS case is about, and who else is on it. Pure."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from broker.domain.case import ItemGroup
from broker.domain.identity import is_cvr
from broker.domain.outcome import Code, Rejected
from connectors.esdh.sbsys import mapping
from connectors.esdh.sbsys.payloads import Part, Sag
from connectors.flaws import pointer
from connectors.person import bare, id_type, item_id


class Named(NamedTuple):
    """A part as the payload names it, before its number is looked at."""

    role: str
    kind: str
    number: str
    name: str | None
    where: str


def parties(case: Sag) -> ItemGroup | Rejected:
    """Everybody on the case who has a number; the primary part is not listed a second time."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    if case.PrimaryPart is not None and case.PrimaryPart.PartType not in mapping.PART_TYPES:
        return Rejected(Code.PARTY_UNKNOWN_TYPE, "/PrimaryPart/PartType", "Person or Firma")
    for named in _named(case):
        number = bare(named.number)
        if number in mapping.NOBODY:
            continue
        kind = _kind(named.kind, number)
        if kind is None:
            return Rejected(Code.PARTY_MALFORMED, named.where, f"not of the form of {named.kind}")
        if (kind, number) not in found:
            found[kind, number] = _party(case, named, kind, number)
    return {"complete": True, "items": list(found.values())}


def _named(case: Sag) -> Iterator[Named]:
    """The primary part first."""
    if case.PrimaryPart is not None:
        yield _primary(case, case.PrimaryPart)
    for index, person in enumerate(case.Personer or ()):
        yield Named("SECONDARY", "CPR", person.CprNummer or "", person.Navn, pointer("Personer", index, "CprNummer"))
    for index, firm in enumerate(case.Firmaer or ()):
        yield Named("SECONDARY", "CVR", firm.CvrNummer or "", firm.Navn, pointer("Firmaer", index, "CvrNummer"))


def _primary(case: Sag, part: Part) -> Named:
    """The number stands on the part itself, or on the one of that id in the lists."""
    kind = mapping.PART_TYPES[part.PartType]
    if kind == "CPR":
        listed = next(
            (one.CprNummer for one in case.Personer or () if one.Id is not None and one.Id == part.PartId), None
        )
        return Named("PRIMARY", kind, part.CPRnummer or listed or "", part.Navn, "/PrimaryPart/CPRnummer")
    listed = next((one.CvrNummer for one in case.Firmaer or () if one.Id is not None and one.Id == part.PartId), None)
    return Named("PRIMARY", kind, part.CVRnummer or listed or "", part.Navn, "/PrimaryPart/CVRnummer")


def _kind(expected: str, number: str) -> str | None:
    if expected == "CVR":
        return "CVR" if is_cvr(number) else None
    return id_type(number)


def _party(case: Sag, named: Named, kind: str, number: str) -> dict[str, Any]:
    return {
        "item_id": item_id(case.SagIdentity.lower(), named.role, kind, number),
        "role": named.role,
        "id_type": kind,
        "id": number,
        "name": named.name,
    }
