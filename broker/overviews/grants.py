"""The policy's tests that the index can narrow by. That only spares work: every entry is still decided on. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Final

from broker.domain import policy
from broker.domain.agreement import ACCEPTING, AgreementState, Facts, SenderAgreement
from broker.domain.entry import PRIMARY, SECONDARY, party_ref
from broker.domain.form import PARTY_ROLES
from broker.domain.policy import Overview, Query, Scope
from broker.store.search import Grant, Grants

GrantsOf = Callable[[Query, Facts, date], Sequence[Grant] | None]


def _reader(query: Query, _facts: Facts, _on: date) -> list[Grant]:
    return [_scope(scope) for scope in query.reader.scopes]


def _client(query: Query, _facts: Facts, _on: date) -> list[Grant] | None:
    scopes = query.reader.client_scopes
    return None if scopes is None else [_scope(scope) for scope in scopes]


def _joined(query: Query, facts: Facts, on: date) -> list[Grant]:
    return [
        Grant(agreement.authority, agreement.kle.prefixes, (("", agreement.sensitivity),))
        for (_, overview), agreements in facts.readers.items()
        if overview == query.overview
        for agreement in agreements
        if agreement.in_force(on) and agreement.client in ("*", query.reader.client)
    ]


def _delivered(query: Query, facts: Facts, _on: date) -> list[Grant]:
    # Hundreds of agreements would go along with each search otherwise; who reads without a scope needs them all.
    named = {scope.authority for scope in query.reader.scopes}
    return [
        grant
        for agreement in facts.senders.values()
        if agreement.state in ACCEPTING and (not named or agreement.authority in named)
        for grant in _taken(agreement)
    ]


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
_SENDERS: Final = policy.still_delivered.__name__


def grants(row: Overview, query: Query, facts: Facts, on: date) -> Grants:
    """What every entry must be covered by, for those of the overview's tests that can be asked that way."""
    tests: list[policy.CaseTest | policy.Test] = [*row.case_tests, *row.tests]
    asked = {test.__name__: NARROWING[test](query, facts, on) for test in tests if test in NARROWING}
    return {kind: listed for kind, listed in asked.items() if listed is not None}


def authorities(grants: Grants) -> list[str]:
    """Those that the reader's scopes and the reader agreements name, whether or not anything comes in now."""
    each = [{grant.authority for grant in listed} for kind, listed in grants.items() if kind != _SENDERS]
    return sorted(set.intersection(*each)) if each else []


def roles(row: Overview, query: Query) -> tuple[str, ...]:
    """The parts in a case that count: a citizen's are narrower where the policy tests them."""
    if query.citizen is not None and policy.primary_or_secondary in row.tests:
        return PRIMARY, SECONDARY
    return tuple(sorted(PARTY_ROLES))


def principals(row: Overview, query: Query) -> frozenset[str] | None:
    """Who reads, as security profiles name them; None where the policy does not ask for it."""
    return query.reader.principals if policy.security_profile in row.tests else None


def _scope(scope: Scope) -> Grant:
    return Grant(scope.authority, scope.kle.prefixes, scope.levels)
