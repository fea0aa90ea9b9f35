"""Whom an SBSYS case is about, and who else is on it. Pure."""

from collections.abc import Iterator

from broker.domain.case import ItemGroup
from broker.domain.outcome import Code, Rejected
from connectors import event as canonical
from connectors.esdh.sbsys import mapping
from connectors.esdh.sbsys.payloads import Part, Sag
from connectors.event import Named
from connectors.flaws import pointer


def parties(case: Sag) -> ItemGroup | Rejected:
    """Everybody on the case who has a number; the primary part is not listed a second time."""
    if case.PrimaryPart is not None and case.PrimaryPart.PartType not in mapping.PART_TYPES:
        return Rejected(Code.PARTY_UNKNOWN_TYPE, "/PrimaryPart/PartType", "Person or Firma")
    return canonical.parties(case.SagIdentity.lower(), _named(case))


def _named(case: Sag) -> Iterator[Named]:
    """The primary part first."""
    if case.PrimaryPart is not None:
        yield _primary(case, case.PrimaryPart)
    for index, person in enumerate(case.Personer or ()):
        yield Named("SECONDARY", person.CprNummer or "", person.Navn, pointer("Personer", index, "CprNummer"), "CPR")
    for index, firm in enumerate(case.Firmaer or ()):
        yield Named("SECONDARY", firm.CvrNummer or "", firm.Navn, pointer("Firmaer", index, "CvrNummer"), "CVR")


def _primary(case: Sag, part: Part) -> Named:
    """The number stands on the part itself, or on the one of that id in the lists."""
    kind = mapping.PART_TYPES[part.PartType]
    if kind == "CPR":
        listed = next(
            (one.CprNummer for one in case.Personer or () if one.Id is not None and one.Id == part.PartId), None
        )
        return Named("PRIMARY", part.CPRnummer or listed or "", part.Navn, "/PrimaryPart/CPRnummer", kind)
    listed = next((one.CvrNummer for one in case.Firmaer or () if one.Id is not None and one.Id == part.PartId), None)
    return Named("PRIMARY", part.CVRnummer or listed or "", part.Navn, "/PrimaryPart/CVRnummer", kind)
