"""The JSON form of the canonical events, both ways. Pure; whatever comes, only a `Rejected` is the answer to it.

Same names as in Avro; times are ISO 8601 with a zone; an item group may be given as a plain list, which means complete.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Generic, TypeVar, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from broker.domain.case import ITEM_GROUPS, CaseEvent
from broker.domain.document import DocumentEvent
from broker.domain.outcome import Code, Rejected
from broker.domain.unfit import UnfitError
from broker.intake.pointers import pointer_of
from broker.store.text import is_storable as is_storable  # noqa: PLC0414 - intake takes it from here
from broker.store.text import storable

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
_LONG: Final = 1 << 63
_TIME: Final = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)


def micros(text: object) -> int:
    """Microseconds since 1970, UTC; finer digits are cut. Raises ValueError when it is no time with a zone."""
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise UnfitError("a time with a zone, such as 2026-01-31T12:00:00Z")
    day, clock, fraction, zone = found.groups()
    offset = "+00:00" if zone in "Zz" else zone
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}{offset}")
    except ValueError:
        raise UnfitError("a time that calendars have") from None
    return (moment - EPOCH) // MICROSECOND


def iso(moment: int) -> str | int:
    """The reverse; a moment outside the years 1 to 9999 has no such form and stays a number."""
    try:
        return (EPOCH + moment * MICROSECOND).isoformat(timespec="microseconds").replace("+00:00", "Z")
    except OverflowError:
        return moment


def _listed(group: object) -> object:
    return {"complete": True, "items": group} if isinstance(group, list) else group


Text = Annotated[str, AfterValidator(storable)]
Time = Annotated[int, BeforeValidator(micros)]
Long = Annotated[int, Field(ge=-_LONG, lt=_LONG)]


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", hide_input_in_errors=True)


class _CaseReference(_Record):
    system: Text
    case_id: Text


class _Properties(_Record):
    user_key: Text
    title: Text
    confidential_title: Text | None = None
    legal_basis: Text | None = None
    created_at: Time
    link: Text | None = None
    local_status: Text | None = None
    decision: Text | None = None


class _Access(_Record):
    sensitivity: Text | None = None
    hidden_from_citizen: bool = False


class _Classification(_Record):
    kle: Text | None = None
    facet: Text | None = None
    local_code: Text | None = None


class _Step(_Record):
    state: Text
    effective_from: Time
    effective_to: Time | None = None


class _Party(_Record):
    item_id: Text
    role: Text
    id_type: Text
    id: Text
    name: Text | None = None
    effective_from: Time | None = None
    effective_to: Time | None = None
    removed: bool = False


class _Actor(_Record):
    item_id: Text
    role: Text
    id: Text
    name: Text | None = None
    authority: Text | None = None
    contact: Text | None = None
    removed: bool = False


class _JournalEntry(_Record):
    item_id: Text
    kind: Text
    document_id: Text | None = None
    title: Text
    registered_at: Time
    sensitivity: Text | None = None
    link: Text | None = None
    removed: bool = False


class _Principal(_Record):
    item_id: Text
    principal_id: Text
    removed: bool = False


ItemT = TypeVar("ItemT")


class _Items(_Record, Generic[ItemT]):
    complete: bool = True
    items: list[ItemT]


_Steps = Annotated[_Items[_Step], BeforeValidator(_listed)]
_Parties = Annotated[_Items[_Party], BeforeValidator(_listed)]
_Actors = Annotated[_Items[_Actor], BeforeValidator(_listed)]
_Journal = Annotated[_Items[_JournalEntry], BeforeValidator(_listed)]
_Principals = Annotated[_Items[_Principal], BeforeValidator(_listed)]


class CaseEventJson(_Record):
    """One canonical case event; the groups that are absent stay unchanged."""

    event_id: Text
    system: Text
    authority: Text
    case_id: Text
    registered_at: Time
    sequence: Long | None = None
    change: Text
    removal_reason: Text | None = None
    replaced_by: _CaseReference | None = None
    properties: _Properties | None = None
    access: _Access | None = None
    classification: _Classification | None = None
    progress: _Steps | None = None
    parties: _Parties | None = None
    actors: _Actors | None = None
    journal: _Journal | None = None
    security_profile: _Principals | None = None


class DocumentEventJson(_Record):
    """One canonical document event; it says all there is."""

    event_id: Text
    system: Text
    authority: Text
    document_id: Text
    registered_at: Time
    sequence: Long | None = None
    title: Text | None = None
    confidential_title: Text | None = None
    type: Text | None = None
    letter_date: Text | None = None
    sensitivity: Text | None = None
    removed: bool = False


def from_json(raw: object) -> CaseEvent | Rejected:
    """One parsed JSON value as a canonical event."""
    read = _read(raw, CaseEventJson)
    return read if isinstance(read, Rejected) else cast("CaseEvent", read)


def document_from_json(raw: object) -> DocumentEvent | Rejected:
    """One parsed JSON value as a canonical document event."""
    read = _read(raw, DocumentEventJson)
    return read if isinstance(read, Rejected) else cast("DocumentEvent", read)


def _read(raw: object, form: type[_Record]) -> dict[str, Any] | Rejected:
    try:
        return form.model_validate(raw).model_dump()
    except ValidationError as error:
        flaw = error.errors(include_input=False, include_url=False, include_context=False)[0]
    pointer = as_sent(raw, pointer_of(flaw["loc"]))
    if flaw["type"] == "missing":
        return Rejected(Code.MANDATORY_MISSING, pointer, "a field that is always there is missing")
    detail = _DETAILS.get(flaw["type"], flaw["msg"].removeprefix("Value error, "))
    return Rejected(Code.SCHEMA_VIOLATION, pointer, detail)


# `value_error` comes from our own validators above, whose messages are fixed.
_DETAILS: Final[Mapping[str, str]] = {
    "extra_forbidden": "no such field",
    "model_type": "an object",
    "invalid_key": "no such field",
}


def as_sent(raw: object, pointer: str) -> str:
    """A pointer into the canonical event as one into the JSON, where a plain list has no `items`."""
    group = pointer[1:].partition("/")[0]
    if group in ITEM_GROUPS and isinstance(raw, Mapping) and isinstance(raw.get(group), list):
        return pointer.replace(f"/{group}/items", f"/{group}", 1)
    return pointer


_TIMES: Final = frozenset({"registered_at", "created_at", "effective_from", "effective_to"})


def to_json(event: CaseEvent) -> dict[str, Any]:
    """The JSON form, without what is not said. `from_json` of it is the same event."""
    return {name: _jsonable(name, value) for name, value in event.items() if value is not None}


def _jsonable(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {inner: _jsonable(inner, found) for inner, found in value.items() if found is not None}
    if isinstance(value, list):
        return [_jsonable(name, item) for item in value]
    return iso(value) if name in _TIMES and isinstance(value, int) else value
