"""A planned intervention -> the canonical event of its case. Pure; `translate` never raises, whatever comes.

Details of a rejection name what was expected, never what was sent; pointers lead into the bundle that was sent.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from broker.domain.case import CaseEvent
from broker.domain.identity import is_uuid
from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Source
from connectors.event import envelope
from connectors.flaws import rejection
from connectors.payload import digest_of
from connectors.standards.klgateway import citizens, interventions, notes, sensitivity
from connectors.standards.klgateway.care import is_withdrawn, stored
from connectors.standards.klgateway.part import Part, part_of, parts_of
from connectors.standards.klgateway.payloads import Citizen, Meta, Planned, Withdrawn

_CASES: Final = uuid.UUID("6c1d6a5e-8a0b-5c53-9b5e-0d3b5f7a4c21")
_PARTS: Final = frozenset({"plan", "citizen", "note"})
_LISTS: Final = frozenset({"conditions", "procedures"})
# Of a withdrawal and a registration with one time, the withdrawal stands: closed is the safe mistake.
_LAST: Final = (1 << 63) - 1
_UNREAD: Final = {
    "resource": (Code.SCHEMA_VIOLATION, "a FHIR resource"),
    "type": (Code.SCHEMA_VIOLATION, "collection, transaction or batch"),
    "list": (Code.SCHEMA_VIOLATION, "a list"),
    "method": (Code.SCHEMA_VIOLATION, "no deletion: withdraw by entered-in-error"),
    "size": (Code.TOO_LARGE, "a resource of at most 64 KiB, nested less than 255 deep"),
    "fewer": (Code.TOO_LARGE, "fewer notes of one citizen in one bundle: the citizen's plans went without theirs"),
}


def translate(payload: object, source: Source) -> Sequence[CaseEvent] | Rejected:
    """One payload of `split` -> one event; a note that stands with a plan is only judged."""
    if not isinstance(payload, dict):
        return Rejected(Code.SCHEMA_VIOLATION, "", "an object")
    digest = _digest(payload)
    if isinstance(digest, Rejected):
        return digest
    if (plan := part_of(payload, "plan")) is not None:
        event = _case(plan, payload, source, digest)
        return event if isinstance(event, Rejected) else [event]
    if (note := part_of(payload, "note")) is not None:
        flaw = notes.flaw(note, source.config)
        return [] if flaw is None else flaw
    return _unread(payload)


def _digest(payload: Mapping[str, Any]) -> str | Rejected:
    """Of everything but where in the bundle it stood: the next bundle has it in another place."""
    return digest_of({name: _placeless(name, value) for name, value in payload.items()})


def _placeless(name: str, value: Any) -> Any:
    if name in _PARTS and isinstance(value, dict):
        return value.get("resource")
    if name in _LISTS and isinstance(value, list):
        return [_placeless("note", one) for one in value]
    return value


def _unread(payload: Mapping[str, Any]) -> Rejected:
    unread = part_of(payload, "unread")
    expected = None if unread is None else unread.said.get("expected")
    code, detail = _UNREAD[expected if isinstance(expected, str) and expected in _UNREAD else "resource"]
    return Rejected(code, "" if unread is None else unread.at, detail)


def _case(plan: Part, payload: Mapping[str, Any], source: Source, digest: str) -> CaseEvent | Rejected:
    citizen, dated = part_of(payload, "citizen"), _dated(plan.resource, payload.get("delivered"))
    try:
        if is_withdrawn(plan.resource):
            return _removal(Withdrawn.model_validate(dated), citizen, source, digest)
        planned = Planned.model_validate(dated)
    except ValidationError as error:
        return rejection(error, at=plan.at)
    if citizen is None:
        return Rejected(Code.MANDATORY_MISSING, f"{plan.at}/subject", "the citizen, in the same bundle")
    try:
        person = Citizen.model_validate(citizen.resource)
    except ValidationError as error:
        return rejection(error, citizens.NUMBERS, citizen.at)
    if (stranger := citizens.stranger(person, citizen.at, source)) is not None:
        return stranger
    listed = [*parts_of(payload, "conditions"), *parts_of(payload, "procedures")]
    return _registration(planned, plan.at, person, citizen.at, notes.usable(listed, source.config), source, digest)


def _dated(resource: Mapping[str, Any], delivered: object) -> Mapping[str, Any]:
    """With the delivery's time where it has none of its own: the profiles demand the former only."""
    if delivered is None or stored(resource) is not None:
        return resource
    meta = resource.get("meta", {})
    return {**resource, "meta": {**meta, "lastUpdated": delivered}} if isinstance(meta, dict) else resource


def _removal(withdrawn: Withdrawn, citizen: Part | None, source: Source, digest: str) -> CaseEvent | Rejected:
    """An id never seen is withdrawn all the same: its registration may still be on its way."""
    if citizen is not None and (stranger := citizens.known_stranger(citizen, source)) is not None:
        return stranger
    event = _envelope(withdrawn.id, withdrawn.meta.last_updated, source, digest, "REMOVED")
    event["sequence"] = _LAST
    event["removal_reason"] = "LEFT_INDEX"
    return event


def _registration(
    planned: Planned,
    at: str,
    person: Citizen,
    person_at: str,
    standing: Sequence[notes.Note],
    source: Source,
    digest: str,
) -> CaseEvent | Rejected:
    if (flaw := interventions.flaw(planned, at)) is not None:
        return flaw
    level = sensitivity.level({at: planned.meta, person_at: person.meta}, source.config)
    if isinstance(level, Rejected):
        return level
    progress = interventions.progress(planned, at, source.config)
    if isinstance(progress, Rejected):
        return progress
    party = citizens.party(person, person_at, planned.id, source.config)
    if isinstance(party, Rejected):
        return party
    event = _envelope(planned.id, planned.meta.last_updated, source, digest, "REGISTERED")
    # What the plan stands on can change without it: at one time of the plan, the newest of those is the newest event.
    event["sequence"] = _newest(planned.meta, person.meta, *(note.meta for note in standing))
    event["properties"] = interventions.properties(planned, source.config)
    event["access"] = {"sensitivity": level, "hidden_from_citizen": False}
    event["classification"] = interventions.classification(planned, source.config)
    event["progress"] = {"complete": True, "items": progress}
    event["parties"] = {"complete": True, "items": [party]}
    event["actors"] = {"complete": True, "items": [citizens.keeper(person, source)]}
    # Never complete: bundles carry what has changed, and a completed intervention comes once.
    event["journal"] = {"complete": False, "items": [note.item for note in standing]}
    return event


def _newest(*metas: Meta) -> int:
    return max(meta.last_updated for meta in metas if meta.last_updated is not None)


def _envelope(local: str, at: int, source: Source, digest: str, change: str) -> CaseEvent:
    case_id = local.lower()
    if not is_uuid(case_id):
        case_id = str(uuid.uuid5(_CASES, f"{source.authority}|CarePlan|{local}"))
    return envelope(source, case_id, at, digest, change)
