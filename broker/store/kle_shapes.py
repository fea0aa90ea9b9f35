"""Mapping rules and authorities' own numbers as the contract shapes them: JSON or TOML, one or a list. Pure."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, model_validator

from broker.domain import unfit
from broker.domain.identity import has_cpr, is_system
from broker.domain.kle import is_facet, is_number, is_pattern
from broker.domain.kle_rules import ANY
from broker.domain.unfit import UnfitError
from broker.store.shapes import Cvr
from broker.store.text import is_storable, storable


def _number(text: str) -> str:
    if not is_number(text):
        raise UnfitError("a KLE number: NN.NN.NN")
    return text


def _pattern(text: str) -> str:
    if not is_pattern(text):
        raise UnfitError(unfit.PATTERN)
    return text


def _facet(text: str) -> str:
    if not is_facet(text):
        raise UnfitError("a facet: a letter and two digits, such as G01")
    return text


def _system(text: str) -> str:
    if text != ANY and not is_system(text):
        raise UnfitError(f"{unfit.SYSTEM}; or {ANY}, every one")
    return text


def _code(text: str) -> str:
    if not is_storable(text) or has_cpr(text):
        raise UnfitError("a code, without a civil registration number")
    return text


Number = Annotated[str, AfterValidator(_number)]
System = Annotated[str, AfterValidator(_system)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _Dated(_Shape):
    from_: date = Field(alias="from")
    to_date: date | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Any:
        if self.to_date is not None and self.to_date <= self.from_:
            raise UnfitError("to_date must be later than from", "to_date")
        return self

    def body(self) -> dict[str, Any]:
        """As it is kept."""
        return self.model_dump(mode="json", by_alias=True)


class Match(_Shape):
    """A pattern of numbers, or one local code."""

    kle: Annotated[str, AfterValidator(_pattern)] | None = None
    local_code: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_code)] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "Match":
        if (self.kle is None) == (self.local_code is None):
            raise UnfitError("either kle or local_code")
        return self


class To(_Shape):
    """What it comes to."""

    kle: Number
    facet: Annotated[str, AfterValidator(_facet)] | None = None


class KleRule(_Dated):
    """One mapping rule."""

    authority: Cvr | Literal["*"]
    system: System
    match: Match
    to: To


class LocalNumber(_Dated):
    """A number of an authority's own."""

    authority: Cvr
    number: Number
    title: Annotated[str, Field(min_length=1, max_length=500), AfterValidator(storable)]


def _listed(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


KleRules = Annotated[list[KleRule], BeforeValidator(_listed)]
LocalNumbers = Annotated[list[LocalNumber], BeforeValidator(_listed)]
_CONFIG = ConfigDict(hide_input_in_errors=True)
RULES: TypeAdapter[list[KleRule]] = TypeAdapter(KleRules, config=_CONFIG)
LOCAL: TypeAdapter[list[LocalNumber]] = TypeAdapter(LocalNumbers, config=_CONFIG)
