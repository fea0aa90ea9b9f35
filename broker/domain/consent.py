"""What is registered of a citizen: consents, objections, powers, efforts, and what became of the person. Pure.

What is in force is asked for a moment. A withdrawn consent or power never is: withdrawal is final, whatever comes late.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from broker.domain.kle import Patterns
from broker.domain.outcome import Code, Rejected

# What is said to hold from now on holds at once, though the sender's clock be ahead.
CLOCKS_DIFFER: Final = timedelta(minutes=5)
MAIN_GROUP: Final = 3
"""The length of `NN.`: no pattern of a consent is a shorter prefix."""
_NATIONAL: Final = frozenset({"CPR_CHANGED", "DECEASED", "UNPROTECTED", "CUSTODY", "GUARDIANSHIP"})
_LATER: Final = 36
_LATER_YET: Final = 57


class Kind(StrEnum):
    """What there are registrations of."""

    CONSENT = "consent"
    OBJECTION = "objection"
    POWER = "power"
    EFFORT = "effort"
    PERSON_EVENT = "person_event"


class PowerKind(StrEnum):
    """Why somebody may act for another."""

    POWER_OF_ATTORNEY = "POWER_OF_ATTORNEY"
    CUSTODY = "CUSTODY"
    GUARDIANSHIP = "GUARDIANSHIP"


@dataclass(frozen=True, slots=True)
class Registration:
    """One registration of something. `body`: the shape of the contract without the citizen, times in ISO 8601, UTC.

    authority: whose it is, where the shape says; else None.
    citizen: civil registration number; `also`: another of the same person.
    """

    kind: Kind
    id: str
    citizen: str
    authority: str | None
    registered_at: datetime
    body: Mapping[str, Any]
    also: str | None = None

    @property
    def national(self) -> bool:
        """Whether only the civil register can know it: no municipality's consent system."""
        return self.body.get("kind") in _NATIONAL

    @property
    def digest(self) -> str:
        """The same registration sent twice has the same."""
        return json.dumps(self.body, sort_keys=True)


@dataclass(slots=True)
class Consent:
    """For one purpose and effort: whose data of which areas which recipients may see.

    Not frozen: a search may make hundreds, and that would be half of its making. Nobody changes one.
    """

    consent_id: str
    purpose: str
    effort_id: str
    data_areas: Patterns
    data_authorities: frozenset[str]
    recipient_areas: Patterns
    recipient_authorities: frozenset[str]
    valid_from: datetime
    valid_to: datetime | None = None
    withdrawn_at: datetime | None = None

    def in_force(self, at: datetime) -> bool:
        """Begun, not ended, never withdrawn."""
        return self.withdrawn_at is None and self.valid_from <= at and (self.valid_to is None or at < self.valid_to)

    def of(self, authority: str, number: str) -> bool:
        """Whether such data are among what it is for."""
        return authority in self.data_authorities and self.data_areas.covers(number)

    def to(self, authorities: frozenset[str], areas: Patterns) -> bool:
        """Whether somebody of these authorities, working in these areas, is among its recipients."""
        if self.recipient_authorities.isdisjoint(authorities):
            return False
        within = self.recipient_areas.prefixes
        return any([area.startswith(within) for area in areas.prefixes])  # noqa: C419 - asked of hundreds


@dataclass(frozen=True, slots=True)
class Objection:
    """The citizen wants nothing shown in one overview."""

    objection_id: str
    overview: str
    effective_from: datetime
    lifted_at: datetime | None = None

    def in_force(self, at: datetime) -> bool:
        """From when it says until it is lifted."""
        # A difference always has a value; a moment before the year 1 has none.
        begun = self.effective_from - at <= CLOCKS_DIFFER
        return begun and (self.lifted_at is None or at < self.lifted_at)


@dataclass(frozen=True, slots=True)
class Power:
    """Another may act for the citizen. `representatives`: every number of theirs, as in `entry.party_ref`."""

    power_id: str
    kind: PowerKind
    representatives: frozenset[str]
    kle: Patterns
    valid_from: datetime
    valid_to: datetime | None = None
    withdrawn_at: datetime | None = None
    representative_died: datetime | None = None

    def in_force(self, at: datetime) -> bool:
        """Begun, not ended by time or death, never withdrawn."""
        alive = self.representative_died is None or at < self.representative_died
        return self.withdrawn_at is None and alive and _within(self.valid_from, self.valid_to, at)


@dataclass(frozen=True, slots=True)
class Effort:
    """Some work together for one citizen. Coordinator and members by their principal ids."""

    effort_id: str
    authority: str
    principals: frozenset[str]
    valid_from: datetime
    valid_to: datetime | None = None

    def in_force(self, at: datetime) -> bool:
        """Begun and not ended."""
        return _within(self.valid_from, self.valid_to, at)


@dataclass(frozen=True, slots=True)
class Person:
    """One citizen by every number they have had (as in `entry.party_ref`), and what is registered of them.

    protections: (from when, whether the address is protected from then on).
    """

    numbers: frozenset[str]
    consents: tuple[Consent, ...] = ()
    objections: tuple[Objection, ...] = ()
    powers: tuple[Power, ...] = ()
    efforts: tuple[Effort, ...] = ()
    died: datetime | None = None
    protections: tuple[tuple[datetime, bool], ...] = ()

    def consents_in_force(self, purpose: str, at: datetime, of: frozenset[str] | None = None) -> Sequence[Consent]:
        """Death ends all of them. `of`: for data of one of these authorities; None: of any."""
        if self._dead(at):
            return ()
        return [
            consent
            for consent in self.consents
            # First what most of hundreds fail.
            if (of is None or not consent.data_authorities.isdisjoint(of))
            and consent.purpose == purpose
            and consent.in_force(at)
        ]

    def powers_in_force(self, representatives: frozenset[str], at: datetime) -> Sequence[Power]:
        """Of somebody by any of their numbers; death ends all of them."""
        if self._dead(at):
            return ()
        return [
            power
            for power in self.powers
            if power.in_force(at) and not power.representatives.isdisjoint(representatives)
        ]

    def objects(self, overview: str, at: datetime) -> bool:
        """Whether an objection to the overview is in force."""
        return any(objection.overview == overview and objection.in_force(at) for objection in self.objections)

    def effort(self, effort_id: str | None, at: datetime) -> Effort | None:
        """The effort of that id, if it is in force."""
        return next((each for each in self.efforts if each.effort_id == effort_id and each.in_force(at)), None)

    def protected(self, at: datetime) -> bool:
        """Whether where they are is nobody's business; of two sayings of one moment the one that protects counts."""
        said = [each for each in self.protections if each[0] <= at]
        return bool(said) and max(said)[1]

    def _dead(self, at: datetime) -> bool:
        return self.died is not None and self.died <= at


def fold(registrations: Iterable[Registration]) -> Mapping[str, Any]:
    """What stands of one id after these, in whatever order they came: the newest, but what was withdrawn stays so."""
    known = list(registrations)
    newest = max(known, key=lambda each: (each.registered_at, each.digest))
    withdrawn = [at for each in known if (at := each.body.get("withdrawn_at")) is not None]
    return {**newest.body, "withdrawn_at": min(withdrawn)} if withdrawn else newest.body


def unspecific(body: Mapping[str, Any]) -> Rejected | None:
    """Why a consent is not specific; None when it is. Source: overviews.md; VEJ 9330 of 21/03/2019, 116-117."""
    for name in ("data_areas", "data_authorities", "recipient_areas", "recipient_authorities"):
        if not body[name]:
            return Rejected(Code.CONSENT_NOT_SPECIFIC, f"/{name}", "a consent names whom and what it is for")
    for name in ("data_areas", "recipient_areas"):
        if any(len(prefix) < MAIN_GROUP for prefix in Patterns.of(body[name]).prefixes):
            return Rejected(Code.CONSENT_NOT_SPECIFIC, f"/{name}", "no pattern is wider than a main group")
    return None


def next_change(kind: Kind, body: Mapping[str, Any], at: datetime) -> datetime | None:
    """When the clock alone next changes what the registration means; None when it never does."""
    names = {
        Kind.OBJECTION: ("from", "lifted_at"),
        Kind.PERSON_EVENT: ("effective_from",),
    }.get(kind, ("signed_at", "valid_from", "valid_to"))
    said = [moment(body[name]) for name in names if body.get(name) is not None]
    return min((each for each in said if each > at), default=None)


def moment(text: str) -> datetime:
    """A time of a body."""
    return datetime.fromisoformat(text)


def age(cpr: str, on: date) -> int | None:
    """Whole years, by the number's date and century digit; None where there is no such day. Source: the CPR office."""
    day, month, year, century = int(cpr[:2]) % 60, int(cpr[2:4]), int(cpr[4:6]), int(cpr[6])
    if century <= 3:  # noqa: PLR2004 - the office's table
        year += 1900
    elif century in (4, 9):
        year += 2000 if year <= _LATER else 1900
    else:
        year += 2000 if year <= _LATER_YET else 1800
    try:
        born = date(year, month, day)
    except ValueError:
        return None
    return on.year - born.year - ((on.month, on.day) < (born.month, born.day))


def _within(begins: datetime, ends: datetime | None, at: datetime) -> bool:
    return begins <= at and (ends is None or at < ends)
