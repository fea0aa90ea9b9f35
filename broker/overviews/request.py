"""What may be asked of an overview. Personal numbers are never repeated in what a flaw is called."""

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from broker.domain import unfit
from broker.domain.entry import party_ref
from broker.domain.form import PARTY_FORMS
from broker.domain.identity import is_cpr, is_uuid
from broker.domain.kle import is_pattern
from broker.domain.unfit import UnfitError
from broker.store.text import storable

# Whoever has one of these is a person: the test of the person's part in the case applies.
PERSONS = ("CPR", "ECPR")
Dated = TypeVar("Dated", bound=date)
FIRST_YEAR, LAST_YEAR = 1900, 9998


def cpr(text: str) -> str:
    """Raises ValueError, which does not repeat it."""
    if not is_cpr(text):
        raise UnfitError(unfit.CPR)
    return text


def _pattern(text: str) -> str:
    if not is_pattern(text):
        raise UnfitError(unfit.PATTERN)
    return text


def _case_id(text: str) -> str:
    if not is_uuid(text.lower()):
        raise UnfitError(unfit.UUID)
    return text.lower()


def _in_calendars(at: Dated) -> Dated:
    """Raises ValueError where a period more or less, or another zone, could leave the years that there are."""
    if not FIRST_YEAR <= at.year <= LAST_YEAR:
        raise UnfitError(f"a year from {FIRST_YEAR} to {LAST_YEAR}")
    return at


Moment = Annotated[AwareDatetime, AfterValidator(_in_calendars)]
Day = Annotated[date, AfterValidator(_in_calendars)]
CaseId = Annotated[str, AfterValidator(_case_id)]
Text = Annotated[str, AfterValidator(storable)]
KlePattern = Annotated[str, AfterValidator(_pattern)]
State = Literal["OPSTAAET", "OPLYST", "AFGJORT", "AFSLUTTET"]


class Strict(BaseModel):
    """What is asked holds nothing that is not understood."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Party(Strict):
    """A party by kind and number."""

    id_type: Literal["CPR", "ECPR", "CVR", "PNR", "BFE", "ESR", "URN", "FREE"]
    id: Annotated[Text, Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _formed(self) -> "Party":
        form: Callable[[str], bool] = PARTY_FORMS[self.id_type]
        if not form(self.id):
            raise UnfitError(f"a number of the kind {self.id_type}", "id")
        return self


class BreakGlassRequest(Strict):
    """Reading without the consent that is missing: on which legal basis, and why now."""

    basis: Annotated[Text, Field(min_length=1, max_length=200)]
    reason: Annotated[Text, Field(min_length=1, max_length=1000)]


class SearchRequest(Strict):
    """Exactly one of citizen, party, user_key and case_ids."""

    citizen: Annotated[str, AfterValidator(cpr)] | None = Field(default=None, repr=False)
    party: Party | None = Field(default=None, repr=False)
    user_key: Annotated[Text, Field(min_length=1, max_length=200)] | None = Field(default=None, repr=False)
    case_ids: Annotated[list[CaseId], Field(min_length=1, max_length=10)] | None = None
    purpose: Annotated[Text, Field(max_length=1000)] | None = None
    control_case: Annotated[Text, Field(max_length=200)] | None = None
    effort_id: UUID | None = None
    break_glass: BreakGlassRequest | None = None
    kle: Annotated[list[KlePattern], Field(min_length=1, max_length=100)] | None = None
    states: Annotated[list[State], Field(min_length=1, max_length=4)] | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[Text, Field(max_length=1000)] | None = None

    @model_validator(mode="after")
    def _one_of(self) -> "SearchRequest":
        if [self.citizen, self.party, self.user_key, self.case_ids].count(None) != 3:  # noqa: PLR2004 - all but one
            raise UnfitError("exactly one of citizen, party, user_key and case_ids")
        if self.break_glass is not None and self.cursor is not None:
            raise UnfitError("the glass is broken for one read: a next page is another", "cursor")
        return self

    @property
    def reference(self) -> str | None:
        """The party asked about as the index names it."""
        if self.citizen is not None:
            return party_ref("CPR", self.citizen)
        return None if self.party is None else party_ref(self.party.id_type, self.party.id)

    @property
    def persons(self) -> frozenset[str] | None:
        """The citizen asked about by every number; None when it is not a citizen."""
        reference = self.reference
        return frozenset({reference}) if reference is not None and reference.startswith(_PERSON_PREFIXES) else None

    def identity(self) -> dict[str, Any]:
        """What makes two requests pages of one search."""
        return self.model_dump(mode="json", exclude={"limit", "cursor"})


_PERSON_PREFIXES = tuple(party_ref(kind, "") for kind in PERSONS)
