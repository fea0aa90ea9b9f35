"""WorkPoint's item -> the canonical event. Pure; `translate` never raises, whatever comes.

Which column means what is configuration, for each business module: `source.config["modules"][id]["columns"]`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from broker.domain.case import CaseEvent, ItemGroup
from broker.domain.identity import has_cpr
from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Source
from connectors import event as canonical
from connectors.configuration import state_of, table
from connectors.esdh.workpoint import mapping
from connectors.esdh.workpoint.payloads import Case, Deletion, ListItem, Registration
from connectors.flaws import pointer, rejection
from connectors.payload import listed
from connectors.sharepoint import facet, kle_number, lookups

_ROLES: Final = frozenset({"PRIMARY", "SECONDARY", "BENEFIT_RECIPIENT"})
_FIELDS: Final = "/Item/FieldValues"
_TIMES: Final = frozenset({"created", "changed", "status_since"})


def split(body: bytes) -> Sequence[object] | Rejected:
    """One item with its module, or a list of them."""
    return listed(body, "neither an item nor a list of items")


def translate(payload: object, source: Source) -> Sequence[CaseEvent] | Rejected:
    """One item -> one event."""
    return canonical.translated(payload, lambda item, digest: _event(item, source, digest))


def _event(payload: Mapping[str, Any], source: Source, digest: str) -> CaseEvent | Rejected:
    if payload.get("Trigger") == mapping.DELETED:
        return _removal(Deletion.model_validate(payload), source, digest)
    return _registration(Registration.model_validate(payload), source, digest)


def _removal(gone: Deletion, source: Source, digest: str) -> CaseEvent | Rejected:
    if isinstance(refused := _columns(gone.BusinessModuleId, source.config), Rejected):
        return refused
    event = canonical.envelope(source, _key(source, gone.BusinessModuleId, gone.ID), gone.At, digest, "REMOVED")
    event["removal_reason"] = mapping.REMOVAL_REASON
    return event


def _registration(said: Registration, source: Source, digest: str) -> CaseEvent | Rejected:
    columns = _columns(said.BusinessModuleId, source.config)
    if isinstance(columns, Rejected):
        return columns
    item = _Item(said.Item, columns)
    case = _case(item)
    if isinstance(case, Rejected):
        return case
    # A stage can be a reference: `3;#Afgjort`.
    stage = lookups(case.status)[0].text
    state = state_of(stage, source.config, mapping.STATES)
    if state is None:
        detail = "no mapping of this stage; put it in the configuration"
        return Rejected(Code.STATE_UNKNOWN, item.where("status"), detail)
    # Where no column tells since when, the stage began with the last change at the latest.
    since = case.changed if case.status_since is None else case.status_since
    progress = canonical.progress(state, case.created, since, item.where("status_since"))
    if isinstance(progress, Rejected):
        return progress
    level = _sensitivity(case, item, source.config)
    if isinstance(level, Rejected):
        return level
    classification = _classification(case, item)
    if isinstance(classification, Rejected):
        return classification
    key = _key(source, said.BusinessModuleId, said.Item.ID)
    people = _parties(item, key, columns)
    if isinstance(people, Rejected):
        return people
    event = canonical.envelope(source, key, case.changed, digest)
    event["properties"] = {
        "user_key": case.number or str(said.Item.ID),
        "title": case.title,
        "created_at": case.created,
        "local_status": stage,
        "link": _link(said, source.config),
    }
    event["access"] = {"sensitivity": level, "hidden_from_citizen": False}
    event["classification"] = classification
    event["progress"] = progress
    event["parties"] = people
    event["actors"] = canonical.complete([*_actor("PRIMARY_HANDLER", case.handler), *_actor("RESPONSIBLE", case.unit)])
    return event


class _Item:
    """An item's values, by what the configuration says they mean."""

    def __init__(self, item: ListItem, columns: Mapping[str, Any]) -> None:
        self._values = {value.InternalFieldName: (index, value) for index, value in enumerate(item.FieldValues)}
        self._columns = columns

    def where(self, meaning: str) -> str:
        """The pointer of the value; of all values, where there is none."""
        return self.at(self._columns.get(meaning))

    def at(self, column: object) -> str:
        """The same, of a column."""
        found = self._values.get(column) if isinstance(column, str) else None
        return _FIELDS if found is None else pointer("Item", "FieldValues", found[0])

    def has(self, meaning: str) -> bool:
        """Whether the column that the configuration names is there at all; true where it names none."""
        column = self._columns.get(meaning)
        return column is None or (isinstance(column, str) and column in self._values)

    def text(self, meaning: str) -> str | None:
        """As people read it, but a time as the list stores it: people read theirs day first."""
        return self.of(self._columns.get(meaning), stored=meaning in _TIMES)

    def of(self, column: object, *, stored: bool = False) -> str | None:
        """A column's text; None where there is no such column, or nothing in it."""
        found = self._values.get(column) if isinstance(column, str) else None
        if found is None:
            return None
        _, value = found
        picked = value.Value or value.TextValue if stored else value.TextValue or value.Value
        text = str(picked) if isinstance(picked, int | float) and not isinstance(picked, bool) else picked
        return text.strip() or None if isinstance(text, str) else None


def _case(item: _Item) -> Case | Rejected:
    try:
        return Case.model_validate({meaning: item.text(meaning) for meaning in Case.model_fields})
    except ValidationError as error:
        flaw = rejection(error)
        meaning = flaw.pointer.removeprefix("/")
        return Rejected(flaw.code, item.where(meaning), f"{flaw.detail}: the column for {meaning}")


def _columns(module: str, config: Mapping[str, Any]) -> Mapping[str, Any] | Rejected:
    """A module that nobody has mapped is refused: it can hold anything."""
    wanted = _bare(module)
    for name, known in table(config, "modules").items():
        if _bare(str(name)) == wanted and isinstance(known, Mapping):
            return {**mapping.COLUMNS, **table(known, "columns")}
    return Rejected(Code.SCHEMA_VIOLATION, "/BusinessModuleId", "a module that the configuration maps")


def _bare(guid: str) -> str:
    return guid.strip("{}").lower()


def _key(source: Source, module: str, number: int) -> str:
    return canonical.case_id(source, f"{_bare(module)}|{number}")


def _sensitivity(case: Case, item: _Item, config: Mapping[str, Any]) -> str | Rejected | None:
    """A column that was left out of the answer could have said the highest level."""
    if not item.has("sensitivity"):
        return Rejected(Code.SENSITIVITY_UNKNOWN, _FIELDS, "the column that the configuration names for it")
    return canonical.sensitivity(case.sensitivity, config, item.where("sensitivity"))


def _classification(case: Case, item: _Item) -> dict[str, Any] | Rejected:
    """A KLE number, or a local code for the broker's rules."""
    found: dict[str, Any] = {"facet": facet(case.facet)}
    if case.kle is not None:
        if (number := kle_number(case.kle)) is None:
            return Rejected(Code.KLE_MALFORMED, item.where("kle"), "one KLE number")
        return {"kle": number, **found}
    if case.local_code is None:
        return Rejected(Code.MANDATORY_MISSING, item.where("kle"), "the field is missing: the column for kle")
    if has_cpr(case.local_code):
        return Rejected(Code.KLE_MALFORMED, item.where("local_code"), "a code")
    return {"kle": None, **found, "local_code": lookups(case.local_code)[0].text}


def _parties(item: _Item, key: str, columns: Mapping[str, Any]) -> ItemGroup | Rejected:
    """`parties` in the configuration: a list of {role, number, name}, the last two columns."""
    listed = columns.get("parties")
    named = [
        canonical.Named(one["role"], item.of(one.get("number")) or "", item.of(one.get("name")), item.at(one["number"]))
        for one in (listed if isinstance(listed, list) else ())
        if isinstance(one, Mapping) and str(one.get("role")) in _ROLES and "number" in one
    ]
    return canonical.parties(key, named)


def _actor(role: str, value: str | None) -> Iterator[dict[str, Any]]:
    for one in lookups(value)[:1]:
        yield from canonical.actor(role, one.id or one.text, one.text)


def _link(said: Registration, config: Mapping[str, Any]) -> str | None:
    """Only keys without meaning go into a link: an item's own address is made of its title."""
    template = config.get("link_template")
    if not isinstance(template, str):
        return None
    return template.replace("{BusinessModuleId}", _bare(said.BusinessModuleId)).replace("{ID}", str(said.Item.ID))
