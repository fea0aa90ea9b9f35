"""`fremsoeg` -> the search of an overview. Pure.

Only what the overview can answer in full is taken: anything else is refused by name, never overheard, for then more
would be shown than was asked for.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from broker.domain.identity import is_uuid
from broker.domain.outcome import Code, Rejected
from connectors.standards.sf1470 import mapping, urn

_INPUT: Final = frozenset({"SoegUdtryk", "Filter"})
_CASE: Final = frozenset({"MaksimalAntalKvantitet", "AttributListe", "TilstandListe", "RelationListe"})
_MOST: Final = 200
_MOST_CASES: Final = 10
_ENDS: Final = "SagUuid, or one search by a party's ReferenceID, by BrugervendtNoegle or by Sagsnummer"


def asked(said: Mapping[str, Any]) -> dict[str, Any] | Rejected:
    """The request of `POST /v1/overviews/sapa/search`; further flaws of it are for its own model."""
    if "SagUuid" in said:
        return _cases(said)
    case = _case(said)
    if isinstance(case, Rejected):
        return case
    at = "/SoegUdtryk/SoegSag/0"
    if (strange := next(_strange(case, at), None)) is not None:
        return Rejected(Code.SCHEMA_VIOLATION, strange, "nothing that this search does not know")
    request: dict[str, Any] = {}
    for term in (_key(case), _party(case, at), _classes(case, at), _states(case, at), _limit(case, at)):
        if isinstance(term, Rejected):
            return term
        request |= term
    if len({"citizen", "party", "user_key"} & request.keys()) != 1:
        return Rejected(Code.SCHEMA_VIOLATION, at, _ENDS)
    return request


def shown(said: Mapping[str, Any]) -> frozenset[str] | None:
    """The sections of a case that the filter names; None without a filter."""
    if "Filter" not in said:
        return None
    found = said["Filter"]
    views = found.get("SagVis", ()) if isinstance(found, dict) else ()
    return frozenset(one["Vis"] for one in views if isinstance(one, dict) and isinstance(one.get("Vis"), str))


def _cases(said: Mapping[str, Any]) -> dict[str, Any] | Rejected:
    """Cases by their numbers, and nothing beside them that would narrow the search."""
    if strange := said.keys() - {"SagUuid", "Filter"}:
        return Rejected(Code.SCHEMA_VIOLATION, f"/{min(strange)}", "nothing beside SagUuid but Filter")
    named = said["SagUuid"]
    numbers = [one for one in named if isinstance(one, str) and is_uuid(one.lower())] if isinstance(named, list) else []
    if not 0 < len(numbers) <= _MOST_CASES or numbers != named:
        return Rejected(Code.SCHEMA_VIOLATION, "/SagUuid", f"1 to {_MOST_CASES} UUIDs")
    return {"case_ids": sorted({number.lower() for number in numbers})}


def _case(said: Mapping[str, Any]) -> dict[str, Any] | Rejected:
    for name in said:
        if name not in _INPUT:
            return Rejected(Code.SCHEMA_VIOLATION, f"/{name}", _ENDS)
    expression = said.get("SoegUdtryk")
    if not isinstance(expression, dict) or not expression.keys() <= {"operation", "SoegSag"}:
        return Rejected(Code.SCHEMA_VIOLATION, "/SoegUdtryk", "one SoegSag")
    listed = expression.get("SoegSag")
    if not isinstance(listed, list) or len(listed) != 1 or not isinstance(listed[0], dict):
        return Rejected(Code.SCHEMA_VIOLATION, "/SoegUdtryk/SoegSag", "one SoegSag")
    first = listed[0].get("FoersteResultatReference")
    # From the first on is all there is; 0 says nothing more.
    return {name: value for name, value in listed[0].items() if first != "0" or name != "FoersteResultatReference"}


# What may stand in a search, by the path of its element names.
_KNOWN: Final = {
    "": _CASE,
    "AttributListe": {"Egenskaber"},
    "AttributListe/Egenskaber": {"BrugervendtNoegle", "Sagsnummer"},
    "TilstandListe": {"Fremdrift"},
    "TilstandListe/Fremdrift": {"FremdriftStatusKode"},
    "RelationListe": {"Sagspart", "Sagsklasse"},
    "RelationListe/Sagspart": {"ReferenceID"},
    "RelationListe/Sagspart/ReferenceID": {"URNIdentifikator"},
    "RelationListe/Sagsklasse": {"Rolle", "LokalUdvidelseListe"},
    "RelationListe/Sagsklasse/Rolle": {"UUIDIdentifikator"},
    "RelationListe/Sagsklasse/LokalUdvidelseListe": {"SagsklasseLokalUdvidelse"},
    "RelationListe/Sagsklasse/LokalUdvidelseListe/SagsklasseLokalUdvidelse": {"BrugervendtNoegle"},
}


def _strange(said: object, at: str, path: str = "") -> Iterator[str]:
    """Pointers of elements that are not known there; an empty one says nothing."""
    if isinstance(said, list):
        for index, one in enumerate(said):
            yield from _strange(one, f"{at}/{index}", path)
    elif isinstance(said, dict):
        for name, inner in said.items():
            if inner is None:
                continue
            if name not in _KNOWN.get(path, ()):
                yield f"{at}/{name}"
            else:
                yield from _strange(inner, f"{at}/{name}", f"{path}/{name}".strip("/"))


def _leaves(said: object, *names: str) -> list[str]:
    """The texts at the end of a path, through every list on the way."""
    if isinstance(said, list):
        return [text for one in said for text in _leaves(one, *names)]
    if not names:
        return [said] if isinstance(said, str) else []
    return _leaves(said.get(names[0]), *names[1:]) if isinstance(said, dict) else []


def _key(case: dict[str, Any]) -> dict[str, Any] | Rejected:
    keys = {
        key
        for name in ("BrugervendtNoegle", "Sagsnummer")
        for key in _leaves(case, "AttributListe", "Egenskaber", name)
    }
    if len(keys) > 1:
        return Rejected(Code.SCHEMA_VIOLATION, "/SoegUdtryk/SoegSag/0/AttributListe", "one key")
    return {"user_key": keys.pop()} if keys else {}


def _party(case: dict[str, Any], at: str) -> dict[str, Any] | Rejected:
    said = set(_leaves(case, "RelationListe", "Sagspart", "ReferenceID", "URNIdentifikator"))
    if not said:
        return {}
    where = f"{at}/RelationListe/Sagspart"
    party = urn.party_of(said.pop())
    if said:
        return Rejected(Code.SCHEMA_VIOLATION, where, "one party")
    if party is None or party is urn.NOBODY:
        return Rejected(Code.PARTY_MALFORMED, f"{where}/0/ReferenceID", "a URN with a number of its form")
    return {"citizen": party.id} if party.id_type == "CPR" else {"party": party._asdict()}


def _classes(case: dict[str, Any], at: str) -> dict[str, Any] | Rejected:
    where = f"{at}/RelationListe/Sagsklasse"
    for role in _leaves(case, "RelationListe", "Sagsklasse", "Rolle", "UUIDIdentifikator"):
        if mapping.ROLES.get(role.lower()) != "PrimaerKlasse":
            return Rejected(Code.SCHEMA_VIOLATION, where, "the primary class")
    path = ("RelationListe", "Sagsklasse", "LokalUdvidelseListe", "SagsklasseLokalUdvidelse", "BrugervendtNoegle")
    numbers = _leaves(case, *path)
    return {"kle": numbers} if numbers else {}


def _states(case: dict[str, Any], at: str) -> dict[str, Any] | Rejected:
    said = _leaves(case, "TilstandListe", "Fremdrift", "FremdriftStatusKode")
    if any(one not in mapping.STATES for one in said):
        return Rejected(Code.STATE_UNKNOWN, f"{at}/TilstandListe/Fremdrift", "the standard's four")
    return {"states": sorted({mapping.STATES[one] for one in said})} if said else {}


def _limit(case: dict[str, Any], at: str) -> dict[str, Any] | Rejected:
    said = case.get("MaksimalAntalKvantitet")
    if said is None:
        return {}
    if not isinstance(said, str) or not said.isascii() or not said.isdecimal() or not 0 < int(said[:9]) <= _MOST:
        return Rejected(Code.SCHEMA_VIOLATION, f"{at}/MaksimalAntalKvantitet", f"1 to {_MOST}")
    return {"limit": int(said)}
