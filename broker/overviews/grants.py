"""The policy's tests that the index can narrow by. That only spares work: every entry is still decided on. Pure."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import Final

from broker.domain import policy
from broker.domain.agreement import ACCEPTING, AgreementState, Facts, ReaderAgreement, SenderAgreement
from broker.domain.entry import PRIMARY, SECONDARY, party_ref
from broker.domain.form import PARTY_ROLES
from broker.domain.policy import Overview, Query, Scope
from broker.store.search import Grant, Grants
from broker.store.second_line import Bounds

GrantsOf = Callable[[Query, Facts, date, Collection[str]], Sequence[Grant] | None]


def _reader(query: Query, _facts: Facts, _on: date, holders: Collection[str]) -> list[Grant]:
    return _scopes(query.reader.scopes, holders)


def _client(query: Query, _facts: Facts, _on: date, holders: Collection[str]) -> list[Grant] | None:
    scopes = query.reader.client_scopes
    return None if scopes is None else _scopes(scopes, holders)


def _joined(query: Query, facts: Facts, on: date, holders: Collection[str]) -> list[Grant]:
    return [
        Grant(agreement.authority, agreement.kle.prefixes, (("", agreement.sensitivity),))
        for authority in holders
        for agreement in _open(query, facts, on, authority)
    ]


def _delivered(_query: Query, facts: Facts, _on: date, holders: Collection[str]) -> list[Grant]:
    return [
        grant
        for agreement in facts.senders.values()
        if agreement.authority in holders and agreement.state in ACCEPTING
        for grant in _taken(agreement)
    ]


def _open(query: Query, facts: Facts, on: date, authority: str) -> Iterator[ReaderAgreement]:
    """The authority's agreements that let this overview's client read."""
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


# What the municipality has left out is not among them: it hangs on the case's state, which stands in the document.
NARROWING: Final[Mapping[policy.CaseTest | policy.Test, GrantsOf]] = {
    policy.still_delivered: _delivered,
    policy.reader_scope: _reader,
    policy.client_scope: _client,
    policy.joined: _joined,
}


def grants(row: Overview, query: Query, facts: Facts, on: date, holders: Collection[str]) -> Grants:
    """What every entry must be covered by, for those of the overview's tests that can be asked that way.

    holders: the authorities that hold what is asked for. Hundreds of agreements would go along with each search
    otherwise, and hundreds of scopes with some.
    """
    tests: list[policy.CaseTest | policy.Test] = [*row.case_tests, *row.tests]
    asked = {test.__name__: NARROWING[test](query, facts, on, holders) for test in tests if test in NARROWING}
    return {kind: listed for kind, listed in asked.items() if listed is not None}


def authorities(row: Overview, query: Query, facts: Facts, on: date) -> list[str]:
    """Those that the reader's scopes and the reader agreements name, whether or not anything comes in now."""
    each = [
        {scope.authority for scope in scopes}
        for test, scopes in (
            (policy.reader_scope, query.reader.scopes),
            (policy.client_scope, query.reader.client_scopes),
        )
        if test in row.tests and scopes is not None
    ]
    if policy.joined in row.tests:
        named = set.intersection(*each) if each else {authority for authority, _ in facts.readers}
        each.append({authority for authority in named if any(_open(query, facts, on, authority))})
    return sorted(set.intersection(*each)) if each else []


def bounds(row: Overview, query: Query) -> Bounds:
    """What the database itself keeps a reader to: their authorities where the policy tests scopes, else the citizen."""
    if policy.reader_scope in row.tests:
        return Bounds(tuple(sorted({scope.authority for scope in query.reader.scopes})), ())
    return Bounds((), tuple(sorted(query.citizen or ())))


def roles(row: Overview, query: Query) -> tuple[str, ...]:
    """The parts in a case that count: a citizen's are narrower where the policy tests them."""
    if query.citizen is not None and policy.primary_or_secondary in row.tests:
        return PRIMARY, SECONDARY
    return tuple(sorted(PARTY_ROLES))


def principals(row: Overview, query: Query) -> frozenset[str] | None:
    """Who reads, as security profiles name them; None where the policy does not ask for it."""
    return query.reader.principals if policy.security_profile in row.tests else None


def _scopes(scopes: Sequence[Scope], holders: Collection[str]) -> list[Grant]:
    """Scopes that differ in nothing but their areas cover together what one with all those areas covers."""
    alike: dict[tuple[str, tuple[tuple[str, int], ...]], list[str]] = defaultdict(list)
    for scope in scopes:
        if scope.authority in holders:
            alike[scope.authority, scope.levels] += scope.kle.prefixes
    return [Grant(authority, tuple(areas), levels) for (authority, levels), areas in alike.items()]
