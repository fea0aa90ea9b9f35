"""Whom an SBSYS case is about, and who else is on it. Pure."""

import hashlib
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from broker.domain.case import ItemGroup
from broker.domain.identity import is_cpr, is_cvr
from broker.domain.outcome import Code, Rejected
from connectors.esdh.sbsys import mapping
from connectors.esdh.sbsys.flaws import pointer
from connectors.esdh.sbsys.payloads import Part, Sag

# A replacement number begins with a date and ends with at least one letter: no CPR number, and kept apart from them.
_ECPR: Final = re.compile(r"[0-9]{6}(?=[0-9A-Z]*[A-Z])[0-9A-Z]{4}")


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
        number = re.sub(r"[\s-]", "", named.number).upper()
        if number in mapping.NOBODY:
            continue
        id_type = _id_type(named.kind, number)
        if id_type is None:
            return Rejected(Code.PARTY_MALFORMED, named.where, f"not of the form of {named.kind}")
        if (id_type, number) not in found:
            found[id_type, number] = _party(case, named, id_type, number)
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


def _id_type(kind: str, number: str) -> str | None:
    if kind == "CVR":
        return "CVR" if is_cvr(number) else None
    if is_cpr(number):
        return "CPR"
    return "ECPR" if _ECPR.fullmatch(number) else None


def _party(case: Sag, named: Named, id_type: str, number: str) -> dict[str, Any]:
    """The item id is a digest behind a letter: stable for this part of this case, and never reads as a CPR number."""
    local = f"{case.SagIdentity.lower()}|{named.role}|{id_type}|{number}"
    return {
        "item_id": f"p{hashlib.sha256(local.encode()).hexdigest()[:31]}",
        "role": named.role,
        "id_type": id_type,
        "id": number,
        "name": named.name,
    }
