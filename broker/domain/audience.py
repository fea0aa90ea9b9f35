"""For whom an entry may lie in an overview's topic, which has no reader yet. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from broker.domain.agreement import Facts
from broker.domain.entry import PRIMARY, Entry
from broker.domain.kle import Patterns
from broker.domain.policy import CASE_TESTS, HIGHEST, Case, agreements, persons
from broker.domain.question import Query, Reason, Scope


@dataclass(frozen=True, slots=True)
class Grant:
    """An effort's readers may see the entry: principals of the effort, who work for and in these. Closed-open."""

    effort_id: str
    principals: frozenset[str]
    areas: Patterns
    authorities: frozenset[str]
    valid_to: datetime | None

    def admits(self, query: Query, at: datetime) -> bool:
        """Whether the reader is one of them, asking for this effort."""
        reader = query.reader
        return (
            self.effort_id == query.effort_id
            and (self.valid_to is None or at < self.valid_to)
            and not self.principals.isdisjoint(reader.principals)
            and not self.authorities.isdisjoint(reader.authorities)
            and any(area.startswith(self.areas.prefixes) for area in reader.areas.prefixes)
        )


class Audience(NamedTuple):
    """Whom an overview system may show the entry to. `principals` and `grants`: None where they do not count.

    scoped: whether readers need a scope that covers it.
    """

    authorities: tuple[str, ...]
    kle: str
    sensitivity: int
    clients: tuple[str, ...]
    principals: frozenset[str] | None
    scoped: bool = True
    grants: tuple[Grant, ...] | None = None
    profiled: bool = False

    @property
    def reference_only(self) -> bool:
        """Too delicate to lie in a topic: ids and change time go out, content by search."""
        return self.profiled or self.principals is not None or self.sensitivity >= HIGHEST

    def admits(self, query: Query, at: datetime) -> bool:
        """Whether the reader may be shown it, as an overview system must judge."""
        reader = query.reader
        own = reader.scopes
        client = own if reader.client_scopes is None else reader.client_scopes
        return (
            any(name in (reader.client, "*") for name in self.clients)
            and (not self.scoped or all(map(self._covered_by, (own, client))))
            and (self.principals is None or not self.principals.isdisjoint(reader.principals))
            and (self.grants is None or any(grant.admits(query, at) for grant in self.grants))
        )

    def _covered_by(self, scopes: tuple[Scope, ...]) -> bool:
        return any(
            scope.covers(authority, self.kle, self.sensitivity) for authority in self.authorities for scope in scopes
        )


@dataclass(frozen=True, slots=True)
class Nobody:
    """No reader at all: a tombstone goes out."""

    reason: Reason


def audience(entry: Entry, overview: str, facts: Facts, at: datetime) -> Audience | Nobody:
    """Everyone whom `decide` could permit but by break-glass: never fewer."""
    row = facts.policy.get(overview)
    if row is None:
        return Nobody(Reason.NO_SUCH_OVERVIEW)
    case = Case(entry, row, facts, at)
    for name in row.tests:
        if name in CASE_TESTS and (denied := CASE_TESTS[name](entry, facts)) is not None:
            return Nobody(denied)
    if entry.kle is None:
        return Nobody(Reason.INCOMPLETE)
    clients = sorted({agreement.client for agreement in agreements(case)})
    if not clients:
        return Nobody(Reason.AUTHORITY_NOT_JOINED)
    if "primary" in row.tests and not _citizens(entry):
        return Nobody(Reason.NOT_A_PARTY)
    grants = _grants(case) if "consent" in row.tests else None
    if grants is not None and not grants:
        return Nobody(Reason.NO_CONSENT)
    return Audience(
        (entry.key.authority,),
        entry.kle,
        entry.sensitivity,
        tuple(clients),
        entry.principals if "security_profile" in row.tests else None,
        scoped="reader_scope" in row.tests,
        grants=grants,
        profiled=entry.principals is not None,
    )


def _grants(case: Case) -> tuple[Grant, ...]:
    """For whom the primary parties' consents open the entry now."""
    granted = []
    key, number = case.entry.key, case.entry.kle or ""
    for person in persons(_citizens(case.entry), case.facts):
        if person.objects(case.row.name, case.at):
            continue
        for each in person.consents_in_force(case.row.name, case.at):
            of = person.effort(each.effort_id, case.at)
            if of is None or not each.of(key.authority, number):
                continue
            ends = [end for end in (each.valid_to, of.valid_to) if end is not None]
            granted.append(
                Grant(
                    each.effort_id,
                    of.principals,
                    each.recipient_areas,
                    each.recipient_authorities,
                    min(ends, default=None),
                )
            )
    return tuple(granted)


def _citizens(entry: Entry) -> frozenset[str]:
    return frozenset([ref for part, ref in entry.parties if part == PRIMARY and ref.startswith(_PERSONS)])


_PERSONS: Final = ("CPR:", "ECPR:")
