"""Conditions and completed interventions -> items of a case's journal. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from broker.domain.outcome import Code, Rejected
from connectors.flaws import rejection
from connectors.person import item_id
from connectors.standards.klgateway import mapping, sensitivity
from connectors.standards.klgateway.care import is_withdrawn
from connectors.standards.klgateway.interventions import local, national
from connectors.standards.klgateway.part import Part
from connectors.standards.klgateway.payloads import Completed, Concept, Condition, Meta, WithdrawnNote


class Note(NamedTuple):
    """An item of the journal, and when what it tells of was stored."""

    item: dict[str, Any]
    meta: Meta

    @property
    def stored(self) -> tuple[int, bool]:
        """Sorts versions; at one time, the withdrawn one is the last."""
        return self.meta.last_updated or 0, bool(self.item.get("removed"))


def flaw(part: Part, config: Mapping[str, Any]) -> Rejected | None:
    """What is wrong with one."""
    note = _note(part, config)
    return note if isinstance(note, Rejected) else None


def usable(parts: Iterable[Part], config: Mapping[str, Any]) -> list[Note]:
    """The good ones, each in its newest version: a bad one is told of by itself and does not cost the case."""
    newest: dict[str, Note] = {}
    for part in parts:
        note = _note(part, config)
        if not isinstance(note, Rejected):
            name = note.item["item_id"]
            newest[name] = max(newest.get(name, note), note, key=lambda one: one.stored)
    return list(newest.values())


def _note(part: Part, config: Mapping[str, Any]) -> Note | Rejected:
    kind = part.resource.get("resourceType")
    try:
        if kind not in ("Condition", "Procedure"):
            return Rejected(Code.SCHEMA_VIOLATION, f"{part.at}/resourceType", "Condition or Procedure")
        if is_withdrawn(part.resource):
            return _withdrawn(WithdrawnNote.model_validate(part.resource), kind)
        if kind == "Condition":
            condition = Condition.model_validate(part.resource)
            return _standing(part.at, kind, condition, condition.recorded_date, config)
        completed = Completed.model_validate(part.resource)
        if completed.status != mapping.DONE:
            return Rejected(Code.STATE_UNKNOWN, f"{part.at}/status", f"{mapping.DONE} or {mapping.WITHDRAWN}")
        return _standing(part.at, kind, completed, completed.performed_date_time, config)
    except ValidationError as error:
        return rejection(error, at=part.at)


def _withdrawn(note: WithdrawnNote, kind: str) -> Note:
    at = note.meta.last_updated or 0
    item = {"item_id": item_id(kind, note.id), "kind": "NOTE", "title": "", "registered_at": at, "removed": True}
    return Note(item, note.meta)


def _standing(
    at: str, kind: str, note: Condition | Completed, since: int, config: Mapping[str, Any]
) -> Note | Rejected:
    title = _title(note.code, mapping.CONDITION if kind == "Condition" else mapping.COMPLETED, config)
    if title is None:
        return Rejected(Code.MANDATORY_MISSING, f"{at}/code/coding", "a code of FSIII or FFB")
    level = sensitivity.level({at: note.meta}, config)
    if isinstance(level, Rejected):
        return level
    item = {
        "item_id": item_id(kind, note.id),
        "kind": "NOTE",
        "title": title,
        "registered_at": since,
        "sensitivity": level,
    }
    return Note(item, note.meta)


def _title(code: Concept, word: str, config: Mapping[str, Any]) -> str | None:
    found = national(code)
    if found is None:
        return None
    return next((one.display for one in (local(code, config), found) if one and one.display), f"{word} {found.code}")
