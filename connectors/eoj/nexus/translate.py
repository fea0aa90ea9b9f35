"""KMD Nexus's grants and pathways -> the canonical event. Pure; `translate` never raises, whatever comes.

Details of a rejection name what was expected, never what was sent.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from broker.domain.case import CaseEvent, ItemGroup
from broker.domain.identity import has_cpr
from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Source
from connectors import event as canonical
from connectors.configuration import state_of
from connectors.eoj.nexus import mapping
from connectors.eoj.nexus.payloads import Condition, Gone, Grant, Pathway, Patient, Record, is_removed
from connectors.payload import listed
from connectors.person import bare, id_type, item_id

_CASES: Final = uuid.UUID("b1f6a0d3-3c5c-5a55-8f0f-6f1f0a7c9e42")
_PARTIES: Final = frozenset({"patient"})
_CODE: Final = len("0751")


def split(body: bytes) -> Sequence[object] | Rejected:
    """One record, or a list of them."""
    return listed(body, "neither a record nor a list of records")


def translate(payload: object, source: Source) -> Sequence[CaseEvent] | Rejected:
    """One record -> one event."""
    return canonical.translated(payload, lambda record, digest: _event(record, source, digest), _PARTIES)


def _event(payload: Mapping[str, Any], source: Source, digest: str) -> CaseEvent | Rejected:
    if is_removed(payload):
        return _gone(Gone.model_validate(payload), source, digest)
    return _case(Record.model_validate(payload), source, digest)


def _gone(gone: Gone, source: Source, digest: str) -> CaseEvent | Rejected:
    if gone.grant is not None:
        local = _grant_id(gone.grant.identifier.patient_grant_id)
    elif gone.pathway is not None:
        local = _pathway_id(gone.pathway.patient_pathway_id)
    else:
        return Rejected(Code.MANDATORY_MISSING, "/grant", "which grant or pathway is gone")
    return _removal(local, gone.read_at, source, digest)


def _case(record: Record, source: Source, digest: str) -> CaseEvent | Rejected:
    grant = record.grant
    if grant is None:
        local = _pathway_id(record.pathway.patient_pathway_id)
        progress = _pathway_progress(record, source.config)
        properties = _properties(local, record.pathway.name, record.pathway.pathway_status)
    else:
        if (stranger := _stranger(grant, source.config)) is not None:
            return stranger
        local = _grant_id(grant.identifier.patient_grant_id)
        if grant.workflow_state.name.strip().lower() in mapping.REMOVED:
            return _removal(local, record.read_at, source, digest, grant.version)
        progress = _grant_progress(grant, source.config)
        properties = _properties(local, grant.name, grant.workflow_state.name) | {"legal_basis": _paragraph(grant)}
    if isinstance(progress, Rejected):
        return progress
    parties = _parties(record.patient, local)
    if isinstance(parties, Rejected):
        return parties
    event = _envelope(local, record.read_at, source, digest, "REGISTERED")
    if grant is not None:
        event["sequence"] = grant.version
        event["actors"] = canonical.complete(_supplier(grant))
    event["properties"] = properties | {"created_at": progress[0]["effective_from"]}
    event["access"] = {"sensitivity": mapping.SENSITIVITY, "hidden_from_citizen": False}
    event["classification"] = _classification(record.pathway, grant, source.config)
    event["progress"] = canonical.complete(progress)
    event["parties"] = parties
    if (journal := _journal(record)) is not None:
        event["journal"] = journal
    return event


def _stranger(grant: Grant, config: Mapping[str, Any]) -> Rejected | None:
    """A grant that another municipality handles is not the sender's; its bytes are not kept."""
    own, acting = config.get("municipality_code"), grant.element("actingMunicipality")
    if own is None or acting is None or acting.municipality is None:
        return None
    if acting.municipality.municipality_code.strip().zfill(_CODE) == str(own).zfill(_CODE):
        return None
    return Rejected(
        Code.AUTHORITY_MISMATCH, "/grant/currentElements", "an acting municipality that is the sender", covered=False
    )


def _grant_id(number: int) -> str:
    return f"I{number}"


def _pathway_id(number: int) -> str:
    return f"F{number}"


def _envelope(local: str, at: int, source: Source, digest: str, change: str) -> CaseEvent:
    """Nexus has whole numbers; the case's UUID is made of the number, its kind and the authority."""
    case_id = str(uuid.uuid5(_CASES, f"{source.authority}|{local}"))
    return canonical.envelope(source, case_id, at, digest, change)


def _removal(local: str, at: int, source: Source, digest: str, version: int | None = None) -> CaseEvent:
    event = _envelope(local, at, source, digest, "REMOVED")
    event["removal_reason"] = "LEFT_INDEX"
    event["sequence"] = version
    return event


def _properties(local: str, title: str, status: str | None) -> dict[str, Any]:
    return {"user_key": local, "title": title, "local_status": status}


def _grant_progress(grant: Grant, config: Mapping[str, Any]) -> list[dict[str, Any]] | Rejected:
    """From its dates; the state of today must be backed by one, because a day of one's own making is a guess."""
    state = state_of(grant.workflow_state.name, config, mapping.STATES)
    if state is None:
        return Rejected(
            Code.STATE_UNKNOWN, "/grant/workflowState/name", "no mapping of this state; put it in the configuration"
        )
    approved, ended = grant.first(*mapping.APPROVED), grant.first(*mapping.ENDED)
    requested = grant.first(*mapping.REQUESTED)
    arisen = requested if requested is not None else approved
    if arisen is None:
        return Rejected(Code.MANDATORY_MISSING, "/grant/currentElements", "when it was requested or approved")
    decided = max(approved, arisen) if approved is not None else arisen
    if state == "AFSLUTTET":
        if ended is None:
            return Rejected(Code.MANDATORY_MISSING, "/grant/currentElements", "when it was ended")
        if ended < arisen:
            return Rejected(Code.VIRKNING_OVERLAP, "/grant/currentElements", "it ends before it was requested")
        decided = min(decided, ended)
        steps = [("AFGJORT", decided)] if approved is not None else []
        return canonical.steps([("OPSTAAET", arisen), *steps, ("AFSLUTTET", ended)])
    return canonical.steps([("OPSTAAET", arisen)] if state == "OPSTAAET" else [("OPSTAAET", arisen), (state, decided)])


def _pathway_progress(record: Record, config: Mapping[str, Any]) -> list[dict[str, Any]] | Rejected:
    """Of a pathway only its beginning is known; one that is closed was so when it was read, at the latest."""
    begun = record.pathway.date
    if begun is None:
        return Rejected(Code.MANDATORY_MISSING, "/pathway/date", "when the pathway began")
    state = state_of(record.pathway.pathway_status or "", config, mapping.PATHWAY_STATES)
    if state is None:
        return Rejected(
            Code.STATE_UNKNOWN, "/pathway/pathwayStatus", "no mapping of this status; put it in the configuration"
        )
    if state == "OPSTAAET":
        return canonical.steps([(state, begun)])
    since = max(begun, record.read_at) if state == "AFSLUTTET" else begun
    return canonical.steps([("OPSTAAET", begun), (state, since)])


def _classification(pathway: Pathway, grant: Grant | None, config: Mapping[str, Any]) -> dict[str, Any]:
    """The KLE number of the grant's own link to a case, else by the configuration, else by the broker's rules.

    Looked up from the most specific: FSIII, the paragraph, the type of the pathway. The local code goes along.
    """
    kind = None if pathway.pathway_type_id is None else f"{mapping.PATHWAY_CODE} {pathway.pathway_type_id}"
    paragraph = None if grant is None else _paragraph(grant)
    local = paragraph or kind
    if grant is not None and (case := grant.element("kmdSag")) is not None and case.kle_number is not None:
        facet = None if case.action_facet is None else case.action_facet.name
        return {"kle": case.kle_number.name, "facet": facet, "local_code": local}
    return canonical.by_code((None if grant is None else _fsiii(grant), paragraph, kind), config, local)


def _paragraph(grant: Grant) -> str | None:
    """With the law's name: the same section stands in more than one law."""
    element = grant.element("paragraph")
    if element is None or element.paragraph is None:
        return None
    return f"{element.paragraph.name} {element.paragraph.section}".strip() or None


def _fsiii(grant: Grant) -> str | None:
    element = grant.element("klMapping")
    return None if element is None or element.kl_catalog_grant is None else element.kl_catalog_grant.code


def _parties(patient: Patient, local: str) -> ItemGroup | Rejected:
    """The citizen, by the kind of number that the form shows: what Nexus calls it is a municipality's choice."""
    number = bare(patient.patient_identifier.identifier)
    if number in mapping.NOBODY:
        return canonical.complete([])
    kind = id_type(number)
    if kind is None or (patient.patient_identifier.type == mapping.CPR_TYPE and kind != "CPR"):
        return Rejected(
            Code.PARTY_MALFORMED, "/patient/patientIdentifier/identifier", "a CPR number or a replacement number"
        )
    item = item_id(local, "PRIMARY", kind, number)
    return canonical.complete([{"item_id": item, "role": "PRIMARY", "id_type": kind, "id": number}])


def _supplier(grant: Grant) -> Iterator[dict[str, Any]]:
    """Who delivers it; suppliers are units, never persons."""
    element = grant.element("supplier")
    if element is not None and element.supplier is not None and not has_cpr(element.supplier.name):
        name = element.supplier.name
        yield {"item_id": f"HANDLER:{name}", "role": "HANDLER", "id": name, "name": name}


def _journal(record: Record) -> ItemGroup | None:
    """Nothing is said of the journal of a case that came without conditions.

    That a condition has a date is not known; without one the time of reading stands in.
    """
    if record.conditions is None:
        return None
    return canonical.complete(_note(one, record.read_at) for one in {one.id: one for one in record.conditions}.values())


def _note(condition: Condition, read_at: int) -> dict[str, Any]:
    removed = condition.state is not None and (condition.state.code or "").lower() in mapping.WITHDRAWN_CONDITIONS
    note = {
        "item_id": item_id("condition", str(condition.id)),
        "kind": "NOTE",
        "title": "" if removed else condition.name,
        "registered_at": read_at if condition.date is None else condition.date,
        "sensitivity": mapping.SENSITIVITY,
    }
    return note | ({"removed": True} if removed else {})
