"""The policy's tests that the index can narrow by. That only spares work: every entry is still decided on. Pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Final

from broker.domain import policy
from broker.domain.agreement import Facts
from broker.domain.classify import PARTY_ROLES
from broker.domain.entry import PRIMARY, SECONDARY
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


NARROWING: Final[Mapping[policy.Test, GrantsOf]] = {
    policy.reader_scope: _reader,
    policy.client_scope: _client,
    policy.joined: _joined,
}


def grants(row: Overview, query: Query, facts: Facts, on: date) -> Grants:
    """What every entry must be covered by, for those of the overview's tests that can be asked that way."""
    asked = {test.__name__: NARROWING[test](query, facts, on) for test in row.tests if test in NARROWING}
    return {kind: listed for kind, listed in asked.items() if listed is not None}


def authorities(grants: Grants) -> list[str]:
    """Those of which the reader may see anything at all."""
    each = [{grant.authority for grant in listed} for listed in grants.values()]
    return sorted(set.intersection(*each)) if each else []


def roles(row: Overview, query: Query) -> tuple[str, ...]:
    """The parts in a case that count: a citizen's are narrower where the policy tests them."""
    if query.citizen is not None and policy.primary_or_secondary in row.tests:
        return PRIMARY, SECONDARY
    return tuple(sorted(PARTY_ROLES))


def _scope(scope: Scope) -> Grant:
    return Grant(scope.authority, scope.kle.prefixes, scope.levels)
