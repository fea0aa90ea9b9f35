"""Who may see what: `decide` for one reader, `audience` for a topic that has no reader yet. Pure and total.

Everything that is not permitted is denied; any deny wins. An overview is a row of tests, never an `if`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from broker.domain.agreement import ACCEPTING, Facts, ReaderAgreement, day_of, outside, wanted
from broker.domain.entry import PRIMARY, SECONDARY, Entry
from broker.domain.kle import Patterns


class Role(StrEnum):
    """What a token may be used for."""

    VENDOR = "vendor"
    EMPLOYEE = "employee"
    CONTROL = "control"
    CITIZEN = "citizen"
    CONSENT = "consent"
    ONBOARDING = "onboarding"
    OPERATOR = "operator"
    AUDITOR = "auditor"


class Reason(StrEnum):
    """Why an entry is not shown; for logs and explanations, never for the one who was denied."""

    NO_SUCH_OVERVIEW = "no_such_overview"
    ROLE = "role"
    INCOMPLETE = "incomplete"
    NOT_DELIVERED = "not_delivered"
    DELIMITED = "delimited"
    AUTHORITY_NOT_JOINED = "authority_not_joined"
    OUTSIDE_SCOPE = "outside_scope"
    OUTSIDE_CLIENT_SCOPE = "outside_client_scope"
    NOT_A_PARTY = "not_a_party"
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
    """Who asks, as the token says. `client_scopes`: None when the user's own count for the client system too."""

    subject: str
    name: str
    role: Role
    client: str
    scopes: tuple[Scope, ...]
    client_scopes: tuple[Scope, ...] | None = None
    principals: frozenset[str] = frozenset()
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked: by whom, and for which citizen (every number they have had); None when not for a citizen."""

    overview: str
    reader: Reader
    citizen: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom an overview system may show the entry to."""

    authorities: tuple[str, ...]
    kle: str
    sensitivity: int
    clients: tuple[str, ...]
    principals: frozenset[str] | None

    @property
    def reference_only(self) -> bool:
        """Too delicate to lie in a topic: ids and change time go out, content by search."""
        return self.principals is not None or self.sensitivity >= HIGHEST

    def admits(self, reader: Reader) -> bool:
        """Whether the reader may be shown it, as an overview system must judge."""
        own = reader.scopes
        client = own if reader.client_scopes is None else reader.client_scopes
        return (
            any(name in (reader.client, "*") for name in self.clients)
            and all(
                any(
                    scope.covers(authority, self.kle, self.sensitivity)
                    for authority in self.authorities
                    for scope in scopes
                )
                for scopes in (own, client)
            )
            and (self.principals is None or not self.principals.isdisjoint(reader.principals))
        )


@dataclass(frozen=True, slots=True)
class Nobody:
    """No reader at all: a tombstone goes out."""

    reason: Reason


HIGHEST: Final = 4
CaseTest = Callable[[Entry, Facts], Reason | None]
Test = Callable[[Entry, Query, Facts, date], Reason | None]


def complete(entry: Entry, _facts: Facts) -> Reason | None:
    """Properties, progress and classification are there, and no other case has taken its place."""
    return None if entry.complete and entry.kle is not None else Reason.INCOMPLETE


def still_delivered(entry: Entry, facts: Facts) -> Reason | None:
    """The sender's agreement covers the case as it is now: what is lowered hides at once."""
    agreement = facts.senders.get((entry.key.authority, entry.key.system))
    if agreement is None or agreement.state not in ACCEPTING or entry.kle is None or entry.created_at is None:
        return Reason.NOT_DELIVERED
    covers = outside(agreement, day_of(entry.created_at), entry.sensitivity, entry.kle, entry.primary_citizens) is None
    return None if covers else Reason.NOT_DELIVERED


def still_wanted(entry: Entry, facts: Facts) -> Reason | None:
    """The municipality's own delimitation has not left it out."""
    choices = facts.delimitations.get(entry.key.authority, ())
    if entry.kle is None or entry.created_at is None:
        return Reason.DELIMITED if choices else None
    return None if wanted(choices, entry.kle, day_of(entry.created_at), entry.state) else Reason.DELIMITED


def joined(entry: Entry, query: Query, facts: Facts, on: date) -> Reason | None:
    """The municipality lets this overview's client show the case."""
    for agreement in _agreements(entry, query.overview, facts, on):
        if agreement.client in ("*", query.reader.client):
            return None
    return Reason.AUTHORITY_NOT_JOINED


def reader_scope(entry: Entry, query: Query, _facts: Facts, _on: date) -> Reason | None:
    """One of the reader's scopes covers the entry, as a whole."""
    return None if _covered(entry, query.reader.scopes) else Reason.OUTSIDE_SCOPE


def client_scope(entry: Entry, query: Query, _facts: Facts, _on: date) -> Reason | None:
    """One of the calling system's scopes does too."""
    scopes = query.reader.client_scopes
    return None if scopes is None or _covered(entry, scopes) else Reason.OUTSIDE_CLIENT_SCOPE


def primary_or_secondary(entry: Entry, query: Query, _facts: Facts, _on: date) -> Reason | None:
    """The citizen searched for has that part in the case."""
    if query.citizen is None or entry.has_party(query.citizen, _PRIMARY_OR_SECONDARY):
        return None
    return Reason.NOT_A_PARTY


def security_profile(entry: Entry, query: Query, _facts: Facts, _on: date) -> Reason | None:
    """Where there is a list of who may, the reader is on it."""
    if entry.principals is None or not entry.principals.isdisjoint(query.reader.principals):
        return None
    return Reason.SECURITY_PROFILE


@dataclass(frozen=True, slots=True)
class Overview:
    """One row of the policy: who reads, on what basis, and what must hold.

    case_tests: of the case, whoever reads; a topic's audience is judged by them too.
    confidential_titles: whether the title that the public may not see is shown.
    hidden_for: how long a read is kept out of the citizen's own log; None: it is there at once.
    """

    name: str
    role: Role
    basis: str
    case_tests: tuple[CaseTest, ...]
    tests: tuple[Test, ...]
    published: bool
    confidential_titles: bool
    hidden_for: timedelta | None = None


POLICY: Final[Mapping[str, Overview]] = {
    row.name: row
    for row in (
        Overview(
            "sapa",
            Role.EMPLOYEE,
            "official_duty",
            (complete, still_delivered, still_wanted),
            (joined, reader_scope, client_scope, primary_or_secondary, security_profile),
            published=True,
            confidential_titles=True,
        ),
    )
}
_PRIMARY_OR_SECONDARY: Final = frozenset({PRIMARY, SECONDARY})


def decide(entry: Entry, query: Query, facts: Facts, on: date) -> Permit | Deny:
    """May this reader be shown this entry in this overview, on this date?"""
    overview = POLICY.get(query.overview)
    if overview is None:
        return Deny(Reason.NO_SUCH_OVERVIEW)
    denied = next((reason for _, reason in judge(overview, entry, query, facts, on) if reason is not None), None)
    return Permit(overview.basis) if denied is None else Deny(denied)


def judge(
    overview: Overview, entry: Entry, query: Query, facts: Facts, on: date
) -> Iterator[tuple[str, Reason | None]]:
    """Every test by its name and why it denies, in order; None where it has no objection."""
    yield "role", None if query.reader.role is overview.role else Reason.ROLE
    for case_test in overview.case_tests:
        yield case_test.__name__, case_test(entry, facts)
    for test in overview.tests:
        yield test.__name__, test(entry, query, facts, on)


def audience(entry: Entry, overview: str, facts: Facts, on: date) -> Audience | Nobody:
    """Everyone whom `decide` could permit: never fewer."""
    row = POLICY.get(overview)
    if row is None:
        return Nobody(Reason.NO_SUCH_OVERVIEW)
    denied = next(filter(None, (test(entry, facts) for test in row.case_tests)), None)
    if denied is not None or entry.kle is None:
        return Nobody(denied or Reason.INCOMPLETE)
    clients = sorted({agreement.client for agreement in _agreements(entry, overview, facts, on)})
    if not clients:
        return Nobody(Reason.AUTHORITY_NOT_JOINED)
    return Audience((entry.key.authority,), entry.kle, entry.sensitivity, tuple(clients), entry.principals)


def _agreements(entry: Entry, overview: str, facts: Facts, on: date) -> list[ReaderAgreement]:
    return [
        agreement
        for agreement in facts.readers.get((entry.key.authority, overview), ())
        if agreement.in_force(on)
        and entry.kle is not None
        and agreement.kle.covers(entry.kle)
        and entry.sensitivity <= agreement.sensitivity
    ]


def _covered(entry: Entry, scopes: tuple[Scope, ...]) -> bool:
    return entry.kle is not None and any(
        scope.covers(entry.key.authority, entry.kle, entry.sensitivity) for scope in scopes
    )


def _longest_first(level: tuple[str, int]) -> tuple[int, str]:
    return -len(level[0]), level[0]
