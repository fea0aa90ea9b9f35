"""Nova's case -> the canonical event. Pure; `translate` never raises, whatever comes.

Details of a rejection name what was expected, never what was sent.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from broker.domain.case import CaseEvent, ItemGroup
from broker.domain.identity import is_uuid
from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Source
from connectors.configuration import state_of, words
from connectors.esdh.nova import mapping
from connectors.esdh.nova.payloads import Case, Deleted, Holder
from connectors.event import (
    Named,
    actor,
    complete,
    envelope,
    parties,
    progress,
    security_profile,
    sensitivity,
    translated,
)
from connectors.flaws import pointer
from connectors.payload import parsed
from connectors.person import item_id

_PARTIES: Final = frozenset({"caseParties"})


def split(body: bytes) -> Sequence[object] | Rejected:
    """One case, a list of them, or the whole answer to `GetList` with its `cases`."""
    found = parsed(body)
    if isinstance(found, dict):
        cases = found.get("cases", [] if "pagingInformation" in found else [found])
        return cases if isinstance(cases, list) else Rejected(Code.MALFORMED_PAYLOAD, "/cases", "a list of cases")
    detail = "a case, a list of cases, or an answer with `cases`"
    return found if isinstance(found, list | Rejected) else Rejected(Code.MALFORMED_PAYLOAD, "", detail)


def translate(payload: object, source: Source) -> Sequence[CaseEvent] | Rejected:
    """One case -> one event."""
    return translated(payload, lambda case, digest: _event(case, source, digest), _PARTIES, content=_content)


def _event(payload: Mapping[str, Any], source: Source, digest: str) -> CaseEvent | Rejected:
    if payload.get("deletedTime") is not None or payload.get("deleted") is True:
        return _removal(Deleted.model_validate(payload), source, digest)
    return _registration(Case.model_validate(payload), source, digest)


def _content(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without the id of the message: the same case read or sent again is the same."""
    common = payload.get("common")
    if not isinstance(common, dict) or "transactionId" not in common:
        return payload
    return {**payload, "common": {name: said for name, said in common.items() if name != "transactionId"}}


def _removal(case: Deleted, source: Source, digest: str) -> CaseEvent | Rejected:
    if case.deleted_time is None:
        return Rejected(Code.MANDATORY_MISSING, "/deletedTime", "when it was deleted")
    event = _head(case.common.uuid, case.deleted_time, source, digest, "REMOVED")
    if not isinstance(event, Rejected):
        event["removal_reason"] = mapping.REMOVAL_REASONS.get(case.delete_reason or "", mapping.REMOVAL_UNSAID)
    return event


def _registration(case: Case, source: Source, digest: str) -> CaseEvent | Rejected:
    registered = _registered(case)
    if registered is None:
        return Rejected(Code.MANDATORY_MISSING, "/caseAttributes/updateDate", "when the case last changed")
    event = _head(case.common.uuid, registered, source, digest, "REGISTERED")
    if isinstance(event, Rejected):
        return event
    steps = _progress(case, source.config)
    if isinstance(steps, Rejected):
        return steps
    level = sensitivity(case.sensitivity, source.config, "/sensitivity", mapping.SENSITIVITY)
    if isinstance(level, Rejected):
        return level
    people = _parties(case, event["case_id"], words(source.config, "parents", mapping.PARENTS))
    if isinstance(people, Rejected):
        return people
    unit = None if case.security_unit is None else case.security_unit.identity
    said = None if unit is None else unit.administrative_unit_id or unit.key
    profile = security_profile(said, source.config, "security_units", "/securityUnit")
    if isinstance(profile, Rejected):
        return profile
    journal = _journal(case, source.config)
    if isinstance(journal, Rejected):
        return journal
    event["properties"] = _properties(case, event["case_id"], source.config)
    event["access"] = {"sensitivity": level, "hidden_from_citizen": False}
    kle, facet = case.case_classification.kle_number, case.case_classification.proceeding_facet
    event["classification"] = {"kle": kle.code, "facet": None if facet is None else facet.code or None}
    event["progress"] = steps
    event["parties"] = people
    event["actors"] = complete(_actors(case))
    if journal is not None:
        event["journal"] = journal
    if profile is not None:
        event["security_profile"] = profile
    return event


def _is_written(case: Case) -> bool:
    """The flat form, as `Import` takes it: it knows no since-when."""
    return "from_date" not in case.state.model_fields_set and case.case_attributes.user_friendly_case_number is None


def _registered(case: Case) -> int | None:
    """An import that does not say when is the case as it arose: whatever is read later is newer."""
    if case.case_attributes.update_date is None and _is_written(case):
        return case.case_attributes.case_date
    return case.case_attributes.update_date


def _head(identity: str, at: int, source: Source, digest: str, change: str) -> CaseEvent | Rejected:
    case_id = identity.lower()
    if not is_uuid(case_id):
        return Rejected(Code.SCHEMA_VIOLATION, "/common/uuid", "a UUID")
    return envelope(source, case_id, at, digest, change)


def _properties(case: Case, case_id: str, config: Mapping[str, Any]) -> dict[str, Any]:
    attributes = case.case_attributes
    properties: dict[str, Any] = {
        # An import has no number yet: Nova gives it.
        "user_key": attributes.user_friendly_case_number or case_id,
        "title": attributes.title,
        "created_at": attributes.case_date,
        "local_status": case.state.title or case.state.progress_state,
    }
    template = config.get("link_template")
    if isinstance(template, str):
        # Only keys without meaning go into a link: titles and numbers can hold a CPR number.
        properties["link"] = template.replace("{uuid}", case_id)
    return properties


def _progress(case: Case, config: Mapping[str, Any]) -> ItemGroup | Rejected:
    state = state_of(case.state.progress_state, config, mapping.STATES)
    if state is None:
        return Rejected(Code.STATE_UNKNOWN, "/state", "no mapping of this progress state; put it in the configuration")
    created, since = case.case_attributes.case_date, case.state.from_date
    if since is None and _is_written(case):
        since = created
    return progress(state, created, since, "/state/fromDate")


def _parties(case: Case, case_id: str, parents: frozenset[str]) -> ItemGroup | Rejected:
    named = []
    for index, party in enumerate(case.case_parties or ()):
        kind = mapping.PARTY_TYPES.get(party.identification_type.strip().lower())
        if kind is None:
            where = pointer("caseParties", index, "identificationType")
            return Rejected(Code.PARTY_UNKNOWN_TYPE, where, "one of Nova's six kinds of identification")
        role = mapping.PARTY_ROLES.get(party.participant_role.strip().lower())
        if role is None:
            where = pointer("caseParties", index, "participantRole")
            return Rejected(Code.PARTY_MALFORMED, where, "Primær or Sekundær")
        if role == "PRIMARY" or (party.party_role_name or "").strip().lower() not in parents:
            where = pointer("caseParties", index, "identification")
            named.append(Named(role, party.identification or "", party.name, where, kind))
    return parties(case_id, named)


def _actors(case: Case) -> Iterator[dict[str, Any]]:
    yield from _actor("PRIMARY_HANDLER", case.caseworker)
    yield from _actor("RESPONSIBLE", case.responsible_department)


def _actor(role: str, holder: Holder | None) -> Iterator[dict[str, Any]]:
    identity = None if holder is None else holder.identity
    if identity is not None:
        yield from actor(role, identity.key, identity.full_name)


def _journal(case: Case, config: Mapping[str, Any]) -> ItemGroup | Rejected | None:
    """Complete only when both lists came; a case read without them says nothing of its journal."""
    if case.documents is None and case.journal_notes is None:
        return None
    items: dict[str, dict[str, Any]] = {}
    for index, one in enumerate(case.documents or ()):
        where = pointer("documents", index, "sensitivity")
        level = sensitivity(one.sensitivity, config, where, mapping.SENSITIVITY)
        if isinstance(level, Rejected):
            return level
        item = _item("DOCUMENT", one.document_uuid, one.title, one.document_date)
        items[item["item_id"]] = {**item, "sensitivity": level}
    for index, note in enumerate(case.journal_notes or ()):
        said = note.journal_note_attributes
        at = said.journal_note_date if said.journal_note_date is not None else said.created_time
        if at is None:
            where = pointer("journalNotes", index, "journalNoteAttributes", "journalNoteDate")
            return Rejected(Code.MANDATORY_MISSING, where, "when the note was made")
        item = _item("NOTE", note.uuid, said.title, at)
        items[item["item_id"]] = item
    both = case.documents is not None and case.journal_notes is not None
    return {"complete": both, "items": list(items.values())}


def _item(kind: str, identifier: str, title: str, at: int) -> dict[str, Any]:
    return {"item_id": item_id(kind, identifier), "kind": kind, "title": title, "registered_at": at}
