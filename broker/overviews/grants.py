"""The policy's tests that the index can narrow by. That only spares work: every entry is still decided on. Pure."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.domain import policy
from broker.domain.agreement import ACCEPTING, AgreementState, Facts, ReaderAgreement, SenderAgreement
from broker.domain.entry import PRIMARY, SECONDARY, party_ref
from broker.domain.form import PARTY_ROLES
from broker.domain.kle import Patterns
from broker.domain.policy import HIGHEST, Overview, Query, Scope
from broker.store.search import Grant, Grants
from broker.store.second_line import Bounds


@dataclass(frozen=True, slots=True)
class Asked:
    """One search before one row of the policy.

    holders: the authorities that hold what is asked for. Hundreds of agreements would go along with each search
    otherwise, and hundreds of scopes with some.
    """

    row: Overview
    query: Query
    facts: Facts
    at: datetime
    holders: Collection[str]

    def everywhere(self, areas: Patterns, level: int) -> list[Grant]:
        """The same of every holder."""
        return [Grant(authority, areas.prefixes, (("", level),)) for authority in self.holders]


GrantsOf = Callable[[Asked], Sequence[Grant] | None]
_ALL: Final = Patterns.of(("N*",))
_NONE: Final = Patterns(())


def _reader(asked: Asked) -> list[Grant]:
    return _scopes(asked.query.reader.scopes, asked.holders)


def _client(asked: Asked) -> list[Grant] | None:
    scopes = asked.query.reader.client_scopes
    return None if scopes is None else _scopes(scopes, asked.holders)


def _joined(asked: Asked) -> list[Grant]:
    return [
        Grant(agreement.authority, agreement.kle.prefixes, (("", agreement.sensitivity),))
        for authority in asked.holders
        for agreement in _open(asked.query, asked.facts, asked.at, authority)
    ]


def _delivered(asked: Asked) -> list[Grant]:
    return [
        grant
        for agreement in asked.facts.senders.values()
        if agreement.authority in asked.holders and agreement.state in ACCEPTING
        for grant in _taken(agreement)
    ]


def _represented(asked: Asked) -> list[Grant]:
    areas = policy.areas_of(asked.query, asked.row, asked.facts, asked.at)
    return asked.everywhere(areas, HIGHEST) if areas.prefixes else []


def _effort(asked: Asked) -> list[Grant] | None:
    return None if policy.in_effort(asked.query, asked.facts, asked.at) else []


def _objection(asked: Asked) -> list[Grant] | None:
    return [] if policy.objected(asked.query, asked.row, asked.facts, asked.at) else None


def _consented(asked: Asked) -> list[Grant] | None:
    if policy.glass_broken(asked.query, asked.row):
        return None
    opened = policy.consented(asked.query, asked.row, asked.facts, asked.at, frozenset(asked.holders))
    return [Grant(of, areas.prefixes, (("", HIGHEST),)) for of, areas in opened.items()]


def _cleared(asked: Asked) -> list[Grant]:
    return asked.everywhere(_ALL, policy.cleared(asked.query.reader))


def _control(asked: Asked) -> list[Grant]:
    return asked.everywhere(asked.row.control_kle, HIGHEST)


def _request(asked: Asked) -> list[Grant] | None:
    return None if policy.refused(asked.row, asked.query) is None else []


def _open(query: Query, facts: Facts, at: datetime, authority: str) -> Iterator[ReaderAgreement]:
    """The authority's agreements that let this overview's client read."""
    on = at.date()
    for agreement in facts.readers.get((authority, query.overview), ()):
        if agreement.in_force(on) and agreement.client in ("*", query.reader.client):
            yield agreement


def _taken(agreement: SenderAgreement) -> Iterator[Grant]:
    """What an open agreement covers; while RESTRICTED it does so in one of two ways."""
    whole = Grant(
        agreement.authority,
        agreement.kle.prefixes,
        (("", agreement.sensitivity),),
        agreement.system,
        agreement.since,
    )
    if agreement.state is not AgreementState.RESTRICTED:
        yield whole
        return
    yield whole._replace(kle=agreement.kle.both(agreement.restricted_kle).prefixes)
    yield whole._replace(citizens=tuple(party_ref("CPR", one) for one in sorted(agreement.restricted_citizens)))


# Not among them: what hangs on what stands in the document alone, the case's state and whether it is hidden.
NARROWING: Final[Mapping[str, GrantsOf]] = {
    "written_purpose": _request,
    "control_case": _request,
    "still_delivered": _delivered,
    "reader_scope": _reader,
    "client_scope": _client,
    "joined": _joined,
    "own_or_represented": _represented,
    "effort": _effort,
    "no_objection": _objection,
    "consent": _consented,
    "clearance": _cleared,
    "on_control_list": _control,
}


# What a reader's scope is made of, whatever is registered of the citizen: freshness tells nothing of anybody.
_SCOPE: Final = frozenset({"reader_scope", "client_scope", "joined", "consent", "on_control_list"})


def grants(row: Overview, query: Query, facts: Facts, at: datetime, holders: Collection[str]) -> Grants:
    """What every entry must be covered by, for those of the overview's tests that can be asked that way."""
    asked = Asked(row, query, facts, at, holders)
    made = {name: NARROWING[name](asked) for name in row.tests if name in NARROWING}
    return {kind: listed for kind, listed in made.items() if listed is not None}


def authorities(row: Overview, query: Query, facts: Facts, at: datetime) -> list[str]:
    """Those that the reader's scopes and the reader agreements name, whether or not anything comes in now."""
    each = [
        {scope.authority for scope in scopes}
        for test, scopes in (
            ("reader_scope", query.reader.scopes),
            ("client_scope", query.reader.client_scopes),
        )
        if test in row.tests and scopes is not None
    ]
    if "consent" in row.tests and not policy.glass_broken(query, row):
        each.append({*policy.consented(query, row, facts, at)})
    if "joined" in row.tests:
        named = set.intersection(*each) if each else {authority for authority, _ in facts.readers}
        each.append({authority for authority in named if any(_open(query, facts, at, authority))})
    return sorted(set.intersection(*each)) if each else []


def telling(row: Overview, query: Query, facts: Facts, at: datetime, holders: Collection[str]) -> list[str]:
    """The reader's own authorities, of those that hold something, that have their readers told what is hidden."""
    own = {scope.authority for scope in query.reader.scopes} if "hidden" in row.shows else frozenset[str]()
    return [
        authority
        for authority in holders
        if authority in own and any(agreement.tells_hidden for agreement in _open(query, facts, at, authority))
    ]


def sources(
    row: Overview,
    query: Query,
    facts: Facts,
    at: datetime,
    authorities: Collection[str],
    but: Collection[tuple[str, str]],
) -> list[tuple[str, str]]:
    """(authority, system) of those, `but` these, whose agreement is open for something within the reader's scope."""
    named = frozenset(authorities)
    others = [
        agreement
        for key, agreement in facts.senders.items()
        if agreement.state in ACCEPTING and agreement.authority in named and key not in but
    ]
    if not others:
        return []
    asked = Asked(row, query, facts, at, {agreement.authority for agreement in others})
    within = [_areas(listed) for name in row.tests if name in _SCOPE and (listed := NARROWING[name](asked)) is not None]
    return [(one.authority, one.system) for one in others if _meets(one, within)]


def _areas(listed: Sequence[Grant]) -> dict[str, Patterns]:
    """By authority."""
    areas: dict[str, list[str]] = defaultdict(list)
    for one in listed:
        areas[one.authority] += one.kle
    return {authority: Patterns(tuple(prefixes)) for authority, prefixes in areas.items()}


def _meets(agreement: SenderAgreement, within: Sequence[Mapping[str, Patterns]]) -> bool:
    """Whether it takes in anything that lies in each of these."""
    met = agreement.kle
    if agreement.state is AgreementState.RESTRICTED and not agreement.restricted_citizens:
        met = met.both(agreement.restricted_kle)
    for areas in within:
        met = met.both(areas.get(agreement.authority, _NONE))
    return bool(met.prefixes)


def bounds(row: Overview, query: Query) -> Bounds:
    """What the database itself keeps a reader to: their authorities where the policy tests scopes, else the citizen.

    Without scopes the policy tests that a citizen is asked about and is whom the case is about (`policy.flaws`): that
    bounds another authority's entries, too, and those of whom the reader acts for.
    """
    if "reader_scope" in row.tests:
        return Bounds(tuple(sorted({scope.authority for scope in query.reader.scopes})), ())
    return Bounds((), tuple(sorted(query.citizen or ())))


def roles(row: Overview, query: Query) -> tuple[str, ...]:
    """The parts in a case that count: a citizen's are narrower where the policy tests them."""
    if "primary" in row.tests:
        return (PRIMARY,)
    if query.citizen is not None and "primary_or_secondary" in row.tests:
        return PRIMARY, SECONDARY
    return tuple(sorted(PARTY_ROLES))


def principals(row: Overview, query: Query) -> frozenset[str] | None:
    """Who reads, as security profiles name them; None where the policy does not ask for it."""
    return query.reader.principals if "security_profile" in row.tests else None


def _scopes(scopes: Sequence[Scope], holders: Collection[str]) -> list[Grant]:
    """Scopes that differ in nothing but their areas cover together what one with all those areas covers."""
    alike: dict[tuple[str, tuple[tuple[str, int], ...]], list[str]] = defaultdict(list)
    for scope in scopes:
        if scope.authority in holders:
            alike[scope.authority, scope.levels] += scope.kle.prefixes
    return [Grant(authority, tuple(areas), levels) for (authority, levels), areas in alike.items()]
