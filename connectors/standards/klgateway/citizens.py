"""Whom the care is for, and which authority keeps the record. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Source
from connectors.configuration import table
from connectors.person import bare, id_type, item_id
from connectors.standards.klgateway import mapping
from connectors.standards.klgateway.part import Part
from connectors.standards.klgateway.payloads import Citizen, Identifier, Keeper

NUMBERS: Final = frozenset({"identifier"})
"""The fields of a citizen that say who it is."""
_KEEPER: Final = "/managingOrganization/identifier"


def stranger(person: Citizen | Keeper, at: str, source: Source) -> Rejected | None:
    """Why the record is not the sender's: another authority's, or nobody's that is known. Its bytes are not kept."""
    keeper = person.managing_organization.identifier
    if keeper.system != mapping.SOR_SYSTEM or not keeper.value:
        return Rejected(
            Code.MANDATORY_MISSING, f"{at}{_KEEPER}", "the SOR code of the organisation that keeps the record"
        )
    if str(table(source.config, "sor").get(keeper.value)) == source.authority:
        return None
    return Rejected(
        Code.AUTHORITY_MISMATCH, f"{at}{_KEEPER}/value", "a SOR code of the sender's own authority", covered=False
    )


def known_stranger(citizen: Part, source: Source) -> Rejected | None:
    """The same where the citizen need not be well-formed; what cannot be read hinders no withdrawal."""
    try:
        keeper = Keeper.model_validate(citizen.resource)
    except ValidationError:
        return None
    flaw = stranger(keeper, citizen.at, source)
    return flaw if flaw is not None and flaw.code is Code.AUTHORITY_MISMATCH else None


def party(person: Citizen, at: str, case: str, config: Mapping[str, Any]) -> dict[str, Any] | Rejected:
    """The citizen by CPR number, else by replacement number; numbers out of use are passed over.

    Args:
        case: the plan's id.
    """
    current = [(index, one) for index, one in enumerate(person.identifier) if one.use != "old"]
    for kind in ("CPR", "ECPR"):
        for index, one in current:
            if _kind(one, config) == kind:
                return _party(kind, one, f"{at}/identifier/{index}/value", case)
    if current:
        return Rejected(Code.PARTY_UNKNOWN_TYPE, f"{at}/identifier", "a CPR number or a replacement number")
    return Rejected(Code.MANDATORY_MISSING, f"{at}/identifier", "the citizen's number")


def keeper(person: Citizen, source: Source) -> dict[str, Any]:
    """The organisation, as the one responsible. Only its code is known: the profile has no name for it."""
    code = person.managing_organization.identifier.value
    return {"item_id": f"RESPONSIBLE:{code}", "role": "RESPONSIBLE", "id": code, "authority": source.authority}


def _kind(identifier: Identifier, config: Mapping[str, Any]) -> str | None:
    """By its register; config `identifiers` names others."""
    system = identifier.system or ""
    if (own := table(config, "identifiers").get(system)) in ("CPR", "ECPR"):
        return str(own)
    if system == mapping.CPR_SYSTEM:
        return "CPR"
    regional = system == mapping.REGIONAL_ECPR_SYSTEM or system.startswith(f"{mapping.REGIONAL_ECPR_SYSTEM}.")
    return "ECPR" if regional or system == mapping.ECPR_SYSTEM else None


def _party(kind: str, identifier: Identifier, where: str, case: str) -> dict[str, Any] | Rejected:
    number = bare(identifier.value or "")
    if id_type(number) != kind:
        return Rejected(Code.PARTY_MALFORMED, where, f"not of the form of {kind}")
    return {"item_id": item_id(case, "PRIMARY", kind, number), "role": "PRIMARY", "id_type": kind, "id": number}
