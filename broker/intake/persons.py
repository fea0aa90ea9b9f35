"""Consents, objections, powers, efforts and person events as they come: their shapes. Pure.

Whatever comes, only a `Rejected` is the answer to it, and none quotes what was sent.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from broker.domain import unfit
from broker.domain.consent import CLOCKS_DIFFER, Kind, Registration, moment, unspecific
from broker.domain.identity import is_cpr, is_cvr, without_cpr
from broker.domain.kle import is_pattern
from broker.domain.outcome import Code, Rejected
from broker.domain.policy import POLICY
from broker.domain.unfit import UnfitError
from broker.intake.canonical import iso, micros
from broker.intake.pointers import flaw_of
from broker.store.text import storable

MOST_LISTED: Final = 200


def _checked(check: Callable[[str], bool], what: str) -> AfterValidator:
    def test(text: str) -> str:
        if not check(text):
            raise UnfitError(what)
        return text

    return AfterValidator(test)


def _uuid(value: object) -> str:
    if not isinstance(value, str):
        raise UnfitError(unfit.UUID)
    try:
        return str(UUID(value))
    except ValueError:
        raise UnfitError(unfit.UUID) from None


Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(storable)]
Time = Annotated[str, BeforeValidator(lambda text: iso(micros(text)))]
Id = Annotated[str, BeforeValidator(_uuid)]
Cpr = Annotated[str, _checked(is_cpr, unfit.CPR)]
Cvr = Annotated[str, _checked(is_cvr, unfit.CVR)]
Areas = Annotated[list[Annotated[str, _checked(is_pattern, unfit.PATTERN)]], Field(max_length=MOST_LISTED)]
Authorities = Annotated[list[Cvr], Field(max_length=MOST_LISTED)]
Principal = Annotated[
    Text, _checked(lambda text: without_cpr(text) == text, "an id that is no civil registration number")
]
Named = Annotated[str, _checked(POLICY.__contains__, f"one of the overviews: {', '.join(sorted(POLICY))}")]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)

    citizen: Cpr = Field(repr=False)


class _Period(_Shape):
    registered_at: Time
    valid_from: Time
    valid_to: Time | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "_Period":
        if self.valid_to is not None and moment(self.valid_to) <= moment(self.valid_from):
            raise UnfitError("valid_to must be later than valid_from", "valid_to")
        return self


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)


class _Giver(_Part):
    id_type: Literal["CPR"]
    id: Cpr = Field(repr=False)
    capacity: Literal["SELF", "CUSTODY", "GUARDIAN"]


class _Evidence(_Part):
    method: Literal["DIGITAL", "SCANNED", "WRITTEN"]
    document_id: Text | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    text_version: Text | None = None


class ConsentJson(_Period):
    """One consent."""

    consent_id: Id
    purpose: Named
    effort_id: Id
    data_areas: Areas
    data_authorities: Authorities
    recipient_areas: Areas
    recipient_authorities: Authorities
    asked_by_authority: Cvr
    given_by: _Giver
    evidence: _Evidence
    signed_at: Time
    withdrawn_at: Time | None = None

    @model_validator(mode="after")
    def _given_by_whom_it_is_of(self) -> "ConsentJson":
        if (self.given_by.capacity == "SELF") != (self.given_by.id == self.citizen):
            raise UnfitError("the citizen gives it as SELF, another as CUSTODY or GUARDIAN", "given_by", "capacity")
        return self


class ObjectionJson(_Shape):
    """One objection."""

    objection_id: Id
    overview: Named
    from_: Time = Field(alias="from")
    lifted_at: Time | None = None
    registered_at: Time


class PowerJson(_Period):
    """One power."""

    power_id: Id
    kind: Literal["POWER_OF_ATTORNEY", "CUSTODY", "GUARDIANSHIP"]
    representative: Cpr = Field(repr=False)
    kle: Annotated[Areas, Field(min_length=1)]
    withdrawn_at: Time | None = None


class EffortJson(_Period):
    """One effort."""

    effort_id: Id
    authority: Cvr
    coordinator: Principal
    members: Annotated[list[Principal], Field(max_length=MOST_LISTED)] = []


class PersonEventJson(_Shape):
    """What became of a person."""

    event_id: Id
    kind: Literal["CPR_CHANGED", "DECEASED", "PROTECTED", "UNPROTECTED"]
    new_citizen: Cpr | None = Field(default=None, repr=False)
    effective_from: Time

    @model_validator(mode="after")
    def _changed_to(self) -> "PersonEventJson":
        if (self.kind == "CPR_CHANGED") != (self.new_citizen is not None):
            raise UnfitError("new_citizen comes with CPR_CHANGED, and with nothing else", "new_citizen")
        return self


_SHAPES: Final[Mapping[Kind, tuple[type[_Shape], str, str | None]]] = {
    Kind.CONSENT: (ConsentJson, "consent_id", "asked_by_authority"),
    Kind.OBJECTION: (ObjectionJson, "objection_id", None),
    Kind.POWER: (PowerJson, "power_id", None),
    Kind.EFFORT: (EffortJson, "effort_id", "authority"),
    Kind.PERSON_EVENT: (PersonEventJson, "event_id", None),
}


def read(kind: Kind, raw: object, at: datetime) -> Registration | Rejected:
    """One registration as it came, in the JSON shape of the contract."""
    form, name, owner = _SHAPES[kind]
    try:
        said = form.model_validate(raw).model_dump(by_alias=True)
    except ValidationError as error:
        pointer, detail = flaw_of(error.errors(include_input=False, include_url=False)[0], raw)
        return Rejected(Code.CONSENT_MALFORMED, pointer, detail, covered=False)
    citizen, also = said.pop("citizen"), said.pop("new_citizen", None)
    # A person event has no registration time of its own: it happened once.
    registered_at = moment(said.get("registered_at") or said["effective_from"])
    if "registered_at" in said and registered_at > at + CLOCKS_DIFFER:
        return Rejected(Code.REGISTERED_IN_FUTURE, "/registered_at", "lies in the future", covered=False)
    if kind is Kind.CONSENT and (flaw_found := unspecific(said)) is not None:
        return flaw_found
    authority = None if owner is None else said[owner]
    return Registration(kind, said[name], citizen, authority, registered_at, said, also)


def read_wire(value: Mapping[str, Any], at: datetime) -> Registration | Rejected:
    """One decoded ConsentEvent."""
    named = [(kind, record) for kind in Kind if (record := value.get(kind)) is not None]
    if len(named) != 1:
        return Rejected(Code.CONSENT_MALFORMED, "", "exactly one of the five", covered=False)
    ((kind, record),) = named
    raw = {name: iso(said) if isinstance(said, int) else said for name, said in record.items()}
    return read(kind, raw, at)
