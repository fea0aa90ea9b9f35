"""What operators put, as the contract shapes it: JSON or TOML, one or a list. Pure."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter, model_validator

from broker.domain import unfit
from broker.domain.agreement import AgreementState
from broker.domain.identity import is_cpr, is_cvr, is_system
from broker.domain.kle import is_pattern
from broker.domain.policy import POLICY
from broker.domain.register import four_digits
from broker.domain.unfit import UnfitError
from broker.store.text import storable


def _cvr(text: str) -> str:
    if not is_cvr(text):
        raise UnfitError(unfit.CVR)
    return text


def _cpr(text: str) -> str:
    if not is_cpr(text):
        raise UnfitError(unfit.CPR)
    return text


def _system(text: str) -> str:
    if not is_system(text):
        raise UnfitError(unfit.SYSTEM)
    return text


def _pattern(text: str) -> str:
    if not is_pattern(text):
        raise UnfitError(unfit.PATTERN)
    return text


def _overview(text: str) -> str:
    if text not in POLICY:
        raise UnfitError(f"an overview that the policy knows: {', '.join(sorted(POLICY))}")
    return text


Cvr = Annotated[str, AfterValidator(_cvr)]
KlePatterns = list[Annotated[str, AfterValidator(_pattern)]]
Sensitivity = Literal[
    "IKKE_FORTROLIGE_DATA", "FORTROLIGE_PERSONOPLYSNINGER", "FOELSOMME_PERSONOPLYSNINGER", "VIP_SAGER"
]
Text = Annotated[str, Field(max_length=1000), AfterValidator(storable)]
Said = Annotated[Text, Field(min_length=1)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(storable)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Restricted(_Shape):
    """What is taken while an agreement is RESTRICTED."""

    kle: KlePatterns = []
    citizens: list[Annotated[str, AfterValidator(_cpr)]] = Field(default=[], repr=False)


class Clarification(_Shape):
    """What the municipality and its vendor have agreed that cases of some KLE areas mean.

    states: each local state and the one of the index that it is.
    """

    domain: Name
    case: Said
    primary_party: Said
    states: Annotated[dict[Text, Literal["OPSTAAET", "OPLYST", "AFGJORT", "AFSLUTTET"]], Field(min_length=1)]
    kle: Annotated[KlePatterns, Field(min_length=1)]


class Sender(_Shape):
    """A sender agreement: what one system may deliver for one authority."""

    authority: Cvr
    system: Annotated[str, AfterValidator(_system)]
    state: AgreementState
    kle: KlePatterns
    sensitivity: Sensitivity
    from_date: date
    restricted: Restricted = Restricted()
    on_title_cpr: Literal["KLE_TITLE", "REFUSE"] = "KLE_TITLE"
    clarification: list[Clarification] = []
    dispensation_until: date | None = None
    signed_by: Text | None = None
    signed_at: datetime | None = None
    reason: Text | None = None
    override: bool = False


class Reader(_Shape):
    """A reader agreement: what of one authority's one client system (`*`: any) may show in one overview.

    tells_hidden: the authority's own readers are told where there is something that they may not be shown.
    """

    authority: Cvr
    overview: Annotated[str, AfterValidator(_overview)]
    client: Name = "*"
    state: AgreementState
    kle: KlePatterns
    sensitivity: Sensitivity
    from_date: date
    to_date: date | None = None
    # None is what it was before it could be said: an agreement that was put then is no other.
    tells_hidden: bool | None = Field(default=None, exclude_if=lambda said: said is None)
    signed_by: Text | None = None
    signed_at: datetime | None = None
    reason: Text | None = None
    override: bool = False


class Delimitation(_Shape):
    """What of some KLE areas an authority wants in the index."""

    authority: Cvr
    kle: KlePatterns
    from_date: date
    active_only: bool = False
    effective_from: date | None = None
    effective_to: date | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "Delimitation":
        if self.effective_from and self.effective_to and self.effective_to <= self.effective_from:
            raise UnfitError("effective_to must be later than effective_from", "effective_to")
        return self


class CitizenView(_Shape):
    """What of a KLE area an authority lets its citizens see. systems: the sources shown; empty: every one."""

    authority: Cvr
    kle: Annotated[str, AfterValidator(_pattern)]
    on: bool
    from_date: date
    active_exempt: bool = False
    systems: list[Annotated[str, AfterValidator(_system)]] = []
    title: Literal["TITLE", "KLE"] = "KLE"
    documents: bool = False


class Authority(_Shape):
    """A municipality, or another body with an organisation number of its own."""

    cvr: Cvr
    municipality_code: Annotated[str, AfterValidator(four_digits)] | None = None
    sor: list[Annotated[str, Field(pattern=r"^[0-9]{11,20}$")]] = []
    kind: Literal["MUNICIPALITY", "UDK", "JOINT"] = "MUNICIPALITY"
    name: Name
    valid_from: date | None = None
    valid_to: date | None = None
    successor: Cvr | None = None
    names_in_access_log: bool = False
    """Whether citizens are told who of the authority's employees has looked."""

    @model_validator(mode="after")
    def _in_order(self) -> "Authority":
        if self.valid_from and self.valid_to and self.valid_to <= self.valid_from:
            raise UnfitError("valid_to must be later than valid_from", "valid_to")
        return self


def _which(value: Any) -> str:
    reads = isinstance(value, Reader) or (isinstance(value, dict) and "overview" in value)
    return "reader" if reads else "sender"


Agreement = Annotated[Annotated[Sender, Tag("sender")] | Annotated[Reader, Tag("reader")], Discriminator(_which)]
AGREEMENTS: TypeAdapter[list[Sender | Reader]] = TypeAdapter(
    list[Agreement], config=ConfigDict(hide_input_in_errors=True)
)
