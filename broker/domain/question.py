"""Who asks what, and what the answer may be: the values that the policy is asked with. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from broker.domain.kle import Patterns
from broker.domain.overview import Role

_NOWHERE: Final = Patterns(())


class Reason(StrEnum):
    """Why an entry is not shown; for logs and explanations, never for the one who was denied."""

    NO_SUCH_OVERVIEW = "no_such_overview"
    ROLE = "role"
    PURPOSE_MISSING = "purpose_missing"
    CONTROL_CASE_MISSING = "control_case_missing"
    EFFORT_MISSING = "effort_missing"
    INCOMPLETE = "incomplete"
    NOT_DELIVERED = "not_delivered"
    DELIMITED = "delimited"
    NOT_FOR_CITIZENS = "not_for_citizens"
    HIDDEN_FROM_CITIZEN = "hidden_from_citizen"
    AUTHORITY_NOT_JOINED = "authority_not_joined"
    OUTSIDE_SCOPE = "outside_scope"
    OUTSIDE_CLIENT_SCOPE = "outside_client_scope"
    NOT_A_PARTY = "not_a_party"
    NO_POWER = "no_power"
    NOT_IN_EFFORT = "not_in_effort"
    OBJECTION = "objection"
    NO_CONSENT = "no_consent"
    CLEARANCE = "clearance"
    NOT_ON_CONTROL_LIST = "not_on_control_list"
    SECURITY_PROFILE = "security_profile"


@dataclass(frozen=True, slots=True)
class Permit:
    """May be shown, on this legal basis."""

    basis: str


@dataclass(frozen=True, slots=True)
class Deny:
    """May not be shown."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Scope:
    """One authority, the KLE areas in it, and the highest level for each: a whole, never mixed with another.

    levels: pattern as prefix -> level; the longest prefix that covers a number decides.
    """

    authority: str
    kle: Patterns
    levels: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, authority: str, kle: tuple[str, ...], sensitivity: Mapping[str, int]) -> "Scope":
        """Raises ValueError naming what is no KLE pattern."""
        levels = [(Patterns.of((pattern,)).prefixes[0], level) for pattern, level in sensitivity.items()]
        return cls(authority, Patterns.of(kle), tuple(sorted(levels, key=_longest_first)))

    def level(self, number: str) -> int:
        """The highest sensitivity that may be seen under the number; 0 where nothing may."""
        if not self.kle.covers(number):
            return 0
        return next((level for prefix, level in self.levels if number.startswith(prefix)), 0)

    def covers(self, authority: str, number: str, sensitivity: int) -> bool:
        """All three together."""
        return authority == self.authority and sensitivity <= self.level(number)


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks, as the token says. `client_scopes`: None when the user's own count for the client system too.

    authorities: whom they work for; areas: what they work with. citizen: their own numbers, where they are one.
    """

    subject: str
    name: str
    role: Role
    client: str
    scopes: tuple[Scope, ...]
    client_scopes: tuple[Scope, ...] | None = None
    principals: frozenset[str] = frozenset()
    authorities: frozenset[str] = frozenset()
    areas: Patterns = _NOWHERE
    citizen: frozenset[str] = frozenset()
    unit: str = ""


@dataclass(frozen=True, slots=True)
class BreakGlass:
    """Reading without the consent that is missing: on which legal basis, and why now."""

    basis: str
    reason: str


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked: by whom, and for which citizen (every number they have had); None when not for a citizen."""

    overview: str
    reader: Reader
    citizen: frozenset[str] | None = None
    purpose: str | None = None
    control_case: str | None = None
    effort_id: str | None = None
    break_glass: BreakGlass | None = None


def _longest_first(level: tuple[str, int]) -> tuple[int, str]:
    return -len(level[0]), level[0]
