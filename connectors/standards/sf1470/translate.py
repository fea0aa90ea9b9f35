"""What a service request says of one case -> canonical events. Pure; `translate` never raises, whatever comes.

Details of a rejection name what was expected, never what was sent; pointers lead along the standard's element names.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from broker.domain.case import CaseEvent, ItemGroup
from broker.domain.document import Event
from broker.domain.identity import is_uuid, vendor_event_id
from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Source
from connectors.flaws import rejection
from connectors.payload import digest_of
from connectors.standards.sf1470 import documents, groups, mapping, obligations, relations, urn
from connectors.standards.sf1470.effect import missing
from connectors.standards.sf1470.groups import Said
from connectors.standards.sf1470.payloads import (
    KasseringType,
    ListerType,
    OpdateringType,
    RegistreringType,
    RelationType,
    SagType,
    UnikIdType,
)
from connectors.standards.sf1470.tree import without

RECEIVED: Final = "Modtaget"
"""As of when it is, put beside an object that names no time of its own: microseconds since 1970, UTC."""
BEFORE: Final = "Foer"
"""What the index holds of the case, put beside a change of a part of a group."""
AGAIN: Final = "Gentaget"
"""The case has been changed earlier in the same request."""
_LAST: Final = (1 << 63) - 1

Events = Sequence[Event] | Rejected


def translate(payload: object, source: Source) -> Events:
    """One object of a request: an event for each registration."""
    if not isinstance(payload, dict):
        return Rejected(Code.SCHEMA_VIOLATION, "", "an object")
    digest = digest_of(without(payload, RECEIVED, BEFORE, AGAIN))
    if isinstance(digest, Rejected):
        return digest
    for name, translated in OBJECTS.items():
        if name in payload:
            try:
                return translated(payload, source, digest)
            except ValidationError as error:
                return rejection(error, at=f"/{name}")
    return Rejected(Code.SCHEMA_VIOLATION, "", "a case or a document of one of the operations")


def changes_part(payload: object) -> str | None:
    """The case of which a change names a part of a group only, so that what the index holds of the rest is needed."""
    if not isinstance(payload, dict):
        return None
    try:
        if "OpdaterSagIndeks" in payload:
            change = OpdateringType.model_validate(payload["OpdaterSagIndeks"])
            return change.UUIDIdentifikator if _touches_scalars(change) else None
        if "Kasser" in payload:
            disposal = KasseringType.model_validate(payload["Kasser"])
            touched = any(_touches_scalars(one) for one in disposal.Registrering if one is not None)
            return disposal.ObjektType.UUIDIdentifikator if touched and disposal.ObjektType is not None else None
    except ValidationError:
        pass
    return None


def removes(payload: object) -> str | None:
    """The case that is taken out of the index as a whole."""
    if not isinstance(payload, dict):
        return None
    try:
        if "SagUuid" in payload:
            return UnikIdType.model_validate(payload["SagUuid"]).UUIDIdentifikator
        if "Kasser" in payload:
            disposal = KasseringType.model_validate(payload["Kasser"])
            whole = disposal.ObjektType is not None and not disposal.Registrering
            return disposal.ObjektType.UUIDIdentifikator if whole and disposal.ObjektType is not None else None
    except ValidationError:
        pass
    return None


def _touches_scalars(change: ListerType) -> bool:
    return change.AttributListe is not None or bool(change.RelationListe and change.RelationListe.Sagsklasse)


def _imported(payload: Mapping[str, Any], source: Source, digest: str) -> Events:
    case = SagType.model_validate(payload["SagIndeks"])
    if case.UUIDIdentifikator is None:
        return missing("/SagIndeks/UUIDIdentifikator", "OB2")
    if not case.Registrering:
        return missing("/SagIndeks/Registrering", "OB2")
    roles = relations.roles(source.config)
    events = []
    for at, registration in obligations.numbered(case.Registrering, RegistreringType(), "/SagIndeks/Registrering"):
        said = Said(registration, at, registration.Tidspunkt or 0, source.config, roles)
        event = _registration(said, case.UUIDIdentifikator, registration, source, digest)
        if isinstance(event, Rejected):
            return event
        events.append(event)
    return events


def _registration(
    said: Said, case_id: str, registration: RegistreringType, source: Source, digest: str
) -> CaseEvent | Rejected:
    if (flaw := obligations.first(obligations.of_import(registration, said.at, said.roles))) is not None:
        return flaw
    if (stranger := _stranger(said, source)) is not None:
        return stranger
    parties = groups.parties(said, whole=True)
    if isinstance(parties, Rejected):
        return parties
    event = _envelope(case_id, said.on, source, digest, "REGISTERED")
    arose = {"created_at": groups.begun(said)}
    event["properties"] = groups.properties(said, arose | _link(case_id, source))
    event["access"] = groups.access(said, {})
    event["classification"] = groups.classification(said, {})
    event["progress"] = groups.progress(said, whole=True)
    event["parties"] = parties
    event["actors"] = groups.actors(said, whole=True)
    event["journal"] = groups.journal(said, whole=True)
    event["security_profile"] = groups.security_profile(said, whole=True)
    return event


def _updated(payload: Mapping[str, Any], source: Source, digest: str) -> Events:
    change = OpdateringType.model_validate(payload["OpdaterSagIndeks"])
    at = "/OpdaterSagIndeks"
    if change.UUIDIdentifikator is None:
        return missing(f"{at}/UUIDIdentifikator", "OB2")
    if change.Tidspunkt is None:
        return missing(f"{at}/Tidspunkt", "OB2")
    roles = relations.roles(source.config)
    said = Said(change, at, change.Tidspunkt, source.config, roles)
    return _delta(said, change.UUIDIdentifikator, payload, source, digest)


def _delta(said: Said, case_id: str, payload: Mapping[str, Any], source: Source, digest: str) -> Events:
    """Only the groups that the change names; of a group whose parts belong together, the rest as the index has it."""
    if (flaw := obligations.first(obligations.of_change(said.lists, said.at, said.roles))) is not None:
        return flaw
    if (flaw := _ends_needed(said) or _stranger(said, source)) is not None:
        return flaw
    event = _envelope(case_id, said.on, source, digest, "REGISTERED")
    if _touches_scalars(said.lists):
        before = _before(payload, said.at)
        if isinstance(before, Rejected):
            return before
        _put_scalars(event, said, before)
    for group, of in _ITEM_GROUPS.items():
        found = of(said, whole=False)
        if isinstance(found, Rejected):
            return found
        if found["items"]:
            event[group] = found  # type: ignore[literal-required]
    return [event] if _says_something(event) else []


def _ends_needed(said: Said) -> Rejected | None:
    for kind in obligations.KINDS:
        for one in said.held(kind):
            if one.ended and mapping.RULES[one.role].needed:
                return Rejected(Code.MANDATORY_MISSING, f"{one.at}/Virkning", f"{one.role} can only be replaced (OB1)")
    return None


def _before(payload: Mapping[str, Any], at: str) -> Mapping[str, Any] | Rejected:
    """What stood; two changes of one request would each keep what the other replaces."""
    before = payload.get(BEFORE)
    if payload.get(AGAIN) is True or not isinstance(before, dict):
        detail = "of attributes or classes: a case in the index, changed once in a request; import it first"
        return Rejected(Code.MANDATORY_MISSING, at, detail)
    return before


def _put_scalars(event: CaseEvent, said: Said, before: Mapping[str, Any]) -> None:
    made = {
        "properties": groups.properties,
        "access": groups.access,
        "classification": groups.classification,
    }
    for group, of in made.items():
        stood = before.get(group)
        stood = stood if isinstance(stood, dict) else {}
        found = of(said, stood)
        if found != stood:
            event[group] = found  # type: ignore[literal-required]


def _says_something(event: CaseEvent) -> bool:
    return any(event.get(group) is not None for group in (*_ITEM_GROUPS, "properties", "access", "classification"))


def _removed(payload: Mapping[str, Any], source: Source, digest: str) -> Events:
    """The operation names no time: it is removed as of when the request came, whatever was registered before."""
    case = UnikIdType.model_validate(payload["SagUuid"])
    if case.UUIDIdentifikator is None:
        return Rejected(Code.SCHEMA_VIOLATION, "/SagUuid", "the UUID of a case")
    return _gone(case.UUIDIdentifikator, payload, source, digest, "LEFT_INDEX")


def _gone(case_id: str, payload: Mapping[str, Any], source: Source, digest: str, reason: str) -> Events:
    received = payload.get(RECEIVED)
    if isinstance(received, bool) or not isinstance(received, int) or not 0 <= received <= _LAST:
        return Rejected(Code.MANDATORY_MISSING, f"/{RECEIVED}", "when the request came: send it to the SOAP service")
    event = _envelope(case_id, received, source, digest, "REMOVED")
    event["sequence"] = _LAST
    event["removal_reason"] = reason
    return [event]


def _disposed(payload: Mapping[str, Any], source: Source, digest: str) -> Events:
    """Relations are struck out of the case, as if they had never been; without any, the case is."""
    disposal = KasseringType.model_validate(payload["Kasser"])
    case_id = None if disposal.ObjektType is None else disposal.ObjektType.UUIDIdentifikator
    if case_id is None:
        return missing("/Kasser/ObjektType/UUIDIdentifikator", "OB2")
    if not disposal.Registrering:
        return _gone(case_id, payload, source, digest, "DISPOSED")
    roles = relations.roles(source.config)
    events: list[Event] = []
    for at, one in obligations.numbered(disposal.Registrering, RegistreringType(), "/Kasser/Registrering"):
        if one.Tidspunkt is None:
            return missing(f"{at}/Tidspunkt", "OB2")
        if one.AttributListe is not None or one.TilstandListe is not None:
            return Rejected(Code.SCHEMA_VIOLATION, at, "relations only: attributes and states can only be replaced")
        struck = _struck(Said(one, at, one.Tidspunkt, source.config, roles), case_id, payload, source, digest)
        if isinstance(struck, Rejected):
            return struck
        events.extend(struck)
    return events


def _struck(said: Said, case_id: str, payload: Mapping[str, Any], source: Source, digest: str) -> Events:
    event = _envelope(case_id, said.on, source, digest, "REGISTERED")
    items: dict[str, dict[str, dict[str, Any]]] = {}
    for kind in obligations.KINDS:
        for at, relation in relations.listed(said.lists, kind, said.at):
            role = relations.role_of(relation, kind, said.roles)
            if (flaw := _unstrikable(relation, role, at)) is not None or role is None:
                return flaw or missing(at, "OB3")
            if role == "Afgoerelsesklasse":
                before = _before(payload, at)
                if isinstance(before, Rejected):
                    return before
                event["properties"] = {**(before.get("properties") or {}), "decision": None}
            elif (gone := _item(role, said.on)) is not None:
                group, item = gone
                name = relations.key(role, relation)
                items.setdefault(group, {})[name] = {"item_id": name, **item, "removed": True}
    for group, listed in items.items():
        event[group] = {"complete": False, "items": list(listed.values())}  # type: ignore[literal-required]
    return [event] if _says_something(event) else []


def _unstrikable(relation: RelationType, role: str | None, at: str) -> Rejected | None:
    if role is None:
        return Rejected(Code.SCHEMA_VIOLATION, f"{at}/Rolle", "no mapping of this role; put it in the configuration")
    if mapping.RULES[role].needed:
        return Rejected(Code.MANDATORY_MISSING, at, f"{role} can only be replaced (OB1)")
    if role == "Visningsklasse":
        return Rejected(Code.SCHEMA_VIOLATION, at, "no class of display: import the case anew to show it")
    return missing(f"{at}/Indeks", "OB3") if mapping.RULES[role].many and not relation.Indeks else None


def _item(role: str, at: int) -> tuple[str, dict[str, Any]] | None:
    """The group that a relation in the role is an item of, and what an item has to say when it is no more."""
    if role in mapping.PARTIES:
        return "parties", {"role": mapping.PARTIES[role], "id_type": "FREE", "id": "-"}
    if role in mapping.ACTORS:
        return "actors", {"role": mapping.ACTORS[role], "id": "-"}
    if role in mapping.JOURNAL:
        return "journal", {"kind": mapping.JOURNAL[role], "title": "", "registered_at": at}
    return ("security_profile", {"principal_id": "-"}) if role == "Adgang" else None


def _stranger(said: Said, source: Source) -> Rejected | None:
    """The owner must be the authority that the sender sends for; a change need not name it."""
    owner = said.standing("Ejer")
    if owner is None:
        return None
    named = owner.extension.CVR
    by_reference = urn.cvr_of(owner.reference)
    if owner.reference.lower().startswith("urn:") and by_reference is None:
        return Rejected(Code.SCHEMA_VIOLATION, f"{owner.at}/ReferenceID", "a URN with a CVR number, or a UUID")
    if by_reference not in (None, source.authority) or named != source.authority:
        return Rejected(Code.AUTHORITY_MISMATCH, owner.at, "not the authority that the sender sends for", covered=False)
    return None


def _link(case_id: str, source: Source) -> dict[str, Any]:
    template = source.config.get("link_template")
    return {"link": template.replace("{UUID}", case_id)} if isinstance(template, str) and is_uuid(case_id) else {}


def _envelope(case_id: str, at: int, source: Source, digest: str, change: str) -> CaseEvent:
    return {
        "event_id": vendor_event_id(source.system, source.authority, case_id, at, digest),
        "system": source.system,
        "authority": source.authority,
        "case_id": case_id,
        "registered_at": at,
        "change": change,
    }


_ITEM_GROUPS: Final[Mapping[str, Callable[..., ItemGroup | Rejected]]] = {
    "progress": groups.progress,
    "parties": groups.parties,
    "actors": groups.actors,
    "journal": groups.journal,
    "security_profile": groups.security_profile,
}
OBJECTS: Final[Mapping[str, Callable[[Mapping[str, Any], Source, str], Events]]] = {
    "SagIndeks": _imported,
    "OpdaterSagIndeks": _updated,
    "SagUuid": _removed,
    "Kasser": _disposed,
    "DokumentIndeks": documents.translate,
    "OpdaterDokumentIndeks": documents.translate,
}
