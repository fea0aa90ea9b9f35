"""Which sources are within a reader's scope, whether or not anything ever came from them."""

from dataclasses import replace

import pytest

from broker.domain.agreement import AgreementState, Facts
from broker.domain.kle import Patterns
from broker.domain.policy import POLICY, Query, Scope
from broker.overviews.grants import sources
from tests.unit.worlds import AT, AUTHORITIES, reader_agreement, reader_of, sender_agreement

AARHUS, OTHER = AUTHORITIES
CARE = Patterns.of(("27.*",))
NOTHING = Patterns(())


def agreed(**more: object) -> Facts:
    """One sender of the authority, with care cases; everybody may read."""
    agreement = sender_agreement(AARHUS, kle=CARE, **more)
    return Facts(
        senders={(agreement.authority, agreement.system): agreement},
        readers={(of, "sapa"): (reader_agreement(of, "*", "N*", 4, AgreementState.FULL),) for of in AUTHORITIES},
    )


def told(facts: Facts, pattern: str, *but: tuple[str, str], whose: str = AARHUS) -> list[tuple[str, str]]:
    """Those of a reader with this scope."""
    query = Query("sapa", reader_of((Scope.of(whose, (pattern,), {"N*": 4}),)))
    return sources(POLICY["sapa"], query, facts, AT, [whose], but)


@pytest.mark.parametrize("pattern", ["N*", "27.*", "27.36.04"])
def test_a_source_whose_agreement_is_open_for_something_of_the_scope_is_in_it(pattern: str) -> None:
    assert told(agreed(), pattern) == [(AARHUS, "sbsys")]
    assert told(agreed(), pattern, (AARHUS, "sbsys")) == []


def test_a_source_of_other_areas_or_for_another_authority_is_not() -> None:
    assert told(agreed(), "15.*") == []
    assert told(agreed(), "27.*", whose=OTHER) == []


@pytest.mark.parametrize("state", sorted({*AgreementState} - {AgreementState.FULL, AgreementState.RESTRICTED}))
def test_a_source_that_may_not_deliver_is_not(state: AgreementState) -> None:
    assert told(agreed(state=state), "27.*") == []


def test_a_restricted_source_is_where_it_is_restricted_to_something_of_the_scope() -> None:
    restricted = AgreementState.RESTRICTED
    nobody = agreed(state=restricted, restricted_kle=NOTHING)
    assert told(nobody, "N*") == []
    assert told(agreed(state=restricted, restricted_kle=Patterns.of(("27.35.*",))), "27.36.*") == []
    assert told(agreed(state=restricted, restricted_kle=Patterns.of(("27.35.*",))), "27.*") == [(AARHUS, "sbsys")]
    assert told(agreed(state=restricted, restricted_citizens=frozenset({"0101014444"})), "27.36.*") == [
        (AARHUS, "sbsys")
    ]


def test_what_the_reader_agreement_does_not_open_is_not() -> None:
    facts = agreed()
    narrow = (reader_agreement(AARHUS, "*", "15.*", 4, AgreementState.FULL),)
    assert told(replace(facts, readers={(AARHUS, "sapa"): narrow}), "N*") == []
