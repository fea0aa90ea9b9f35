"""What a municipality has agreed to: who may send what, who may read, what it leaves out. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Final

from broker.domain.case import CaseEvent
from broker.domain.consent import Person
from broker.domain.identity import is_system
from broker.domain.kle import KleBook, Patterns
from broker.domain.outcome import Code, Rejected
from broker.domain.overview import Policy, bundled


class AgreementState(StrEnum):
    """The way of a service agreement; the last three stand beside the way."""

    DRAFT = "DRAFT"
    SIGNED = "SIGNED"
    CLARIFIED = "CLARIFIED"
    MAPPED = "MAPPED"
    CONNECTED = "CONNECTED"
    COMPLIANT = "COMPLIANT"
    RESTRICTED = "RESTRICTED"
    FULL = "FULL"
    DISPENSATION = "DISPENSATION"
    SUSPENDED = "SUSPENDED"
    ENDED = "ENDED"


ACCEPTING = frozenset({AgreementState.RESTRICTED, AgreementState.FULL})
CLOSED: Final = "AFSLUTTET"
_NOTHING: Final = Patterns(())
_DAY: Final = 86_400_000_000
_DAY_ONE: Final = date(1970, 1, 1).toordinal()


class Outside(StrEnum):
    """In what respect an agreement does not cover a case."""

    FROM_DATE = "from_date"
    SENSITIVITY = "sensitivity"
    KLE = "kle"
    RESTRICTED = "restricted"


@dataclass(frozen=True, slots=True)
class SenderAgreement:
    """One authority lets one system deliver. `sensitivity` is the ceiling, 1 to 4.

    While RESTRICTED, only `restricted_kle` or the primary parties in `restricted_citizens` are taken.
    """

    authority: str
    system: str
    version: int
    state: AgreementState
    kle: Patterns
    sensitivity: int
    from_date: date
    restricted_kle: Patterns = _NOTHING
    restricted_citizens: frozenset[str] = frozenset()
    refuse_title_cpr: bool = False

    @property
    def since(self) -> int:
        """The first moment that is covered, microseconds since 1970, UTC."""
        return (self.from_date.toordinal() - _DAY_ONE) * _DAY


@dataclass(frozen=True, slots=True)
class ReaderAgreement:
    """One authority's cases may be shown in one overview to one client system (`*`: any).

    tells_hidden: whether its own readers are told that there is something which they may not be shown.
    """

    authority: str
    overview: str
    client: str
    state: AgreementState
    kle: Patterns
    sensitivity: int
    from_date: date
    to_date: date | None = None
    tells_hidden: bool = False

    def in_force(self, on: date) -> bool:
        """Signed in full, and within its dates (closed-open)."""
        return (
            self.state is AgreementState.FULL and self.from_date <= on and (self.to_date is None or on < self.to_date)
        )


@dataclass(frozen=True, slots=True)
class Delimitation:
    """What of a KLE area the municipality wants in the index."""

    kle: Patterns
    from_date: date
    active_only: bool

    def wants(self, number: str, on: date, state: str | None) -> bool:
        """`state`: the case's current one."""
        return self.kle.covers(number) and on >= self.from_date and not (self.active_only and state == CLOSED)


@dataclass(frozen=True, slots=True)
class CitizenView:
    """What of a KLE area the municipality shows to citizens, and how.

    `active_exempt`: cases that are not closed are shown whenever they began. `systems`: of no others; empty: of any.
    `title`: TITLE or KLE, whether the case's own title is shown or the KLE title in its place.
    """

    authority: str
    kle: Patterns
    on: bool
    from_date: date
    active_exempt: bool
    systems: frozenset[str]
    title: str
    documents: bool

    def shows(self, system: str, on: date, state: str | None) -> bool:
        """Whether a case of the area is shown; `on`: when it was made, `state`: the current one."""
        begun = on >= self.from_date or (self.active_exempt and state != CLOSED)
        return self.on and begun and (not self.systems or system in self.systems)


@dataclass(frozen=True, slots=True)
class Authority:
    """A municipality, or another body with an organisation number of its own."""

    cvr: str
    name: str


@dataclass(frozen=True, slots=True)
class Facts:
    """All reference data, as of one revision.

    persons: what is registered of those whom a question is about, by every number as in `entry.party_ref`.
    """

    revision: int = 0
    senders: Mapping[tuple[str, str], SenderAgreement] = field(default_factory=dict)
    readers: Mapping[tuple[str, str], tuple[ReaderAgreement, ...]] = field(default_factory=dict)
    delimitations: Mapping[str, tuple[Delimitation, ...]] = field(default_factory=dict)
    authorities: Mapping[str, Authority] = field(default_factory=dict)
    citizen_views: Mapping[str, tuple[CitizenView, ...]] = field(default_factory=dict)
    kle: KleBook = field(default_factory=KleBook)
    policy: Policy = field(default_factory=bundled)
    persons: Mapping[str, Person] = field(default_factory=dict)


def gate(event: CaseEvent, facts: Facts) -> SenderAgreement | Rejected:
    """Whether anything may come from this sender for this authority at all."""
    authority, system = event["authority"], event["system"]
    if not is_system(system):
        return Rejected(Code.UNKNOWN_SYSTEM, "/system", "no such sending system", covered=False)
    agreement = facts.senders.get((authority, system))
    if agreement is None:
        return Rejected(
            Code.NO_AGREEMENT,
            "/authority",
            "there is no agreement between this authority and this system",
            covered=False,
        )
    if agreement.state is AgreementState.SUSPENDED:
        return Rejected(Code.SUSPENDED, "/authority", "the agreement is suspended", covered=False)
    if agreement.state not in ACCEPTING:
        return Rejected(Code.NO_AGREEMENT, "/authority", _not_open(agreement.state), covered=False)
    return agreement


def _not_open(state: AgreementState) -> str:
    beside = state in (AgreementState.DISPENSATION, AgreementState.ENDED)
    return f"the agreement is {state}" if beside else f"the agreement is only {state}"


def outside(
    agreement: SenderAgreement, on: date, sensitivity: int | None, number: str | None, primary: Iterable[str]
) -> Outside | None:
    """In what respect an open agreement does not cover a case; None when it does.

    Of sensitivity and KLE number, None is what nothing is said of. `primary`: the civil registration numbers of the
    primary parties, read only while RESTRICTED.
    """
    if on < agreement.from_date:
        return Outside.FROM_DATE
    if sensitivity is not None and sensitivity > agreement.sensitivity:
        return Outside.SENSITIVITY
    if number is None:
        return None
    if not agreement.kle.covers(number):
        return Outside.KLE
    restricted = agreement.state is AgreementState.RESTRICTED and not agreement.restricted_kle.covers(number)
    return Outside.RESTRICTED if restricted and agreement.restricted_citizens.isdisjoint(primary) else None


def wanted(choices: tuple[Delimitation, ...], number: str, on: date, state: str | None) -> bool:
    """Whether the municipality wants the case in the index; one that has not said what it wants takes all."""
    return not choices or any(choice.wants(number, on, state) for choice in choices)


def citizen_view(views: tuple[CitizenView, ...], number: str) -> CitizenView | None:
    """The most specific one for the number; of equally specific ones one that is off."""
    covering = [view for view in views if view.kle.covers(number)]
    return max(covering, key=lambda view: (_depth(view.kle, number), not view.on), default=None)


def _depth(kle: Patterns, number: str) -> int:
    return max([len(prefix) for prefix in kle.prefixes if number.startswith(prefix)])


def day_of(micros: int) -> date:
    """The day in UTC of a moment in microseconds since 1970."""
    return date.fromordinal(_DAY_ONE + micros // _DAY)
