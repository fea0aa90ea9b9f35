"""The demo's landscape has the shape of the real one, and nobody's numbers."""

from collections import Counter
from datetime import date

from broker.domain.coverage import AREAS, Kind, Known, areas_of, rows
from broker.store.facts import sender_agreement
from broker.store.shapes import AGREEMENTS, Authority
from ops.demo import landscape
from ops.demo.world import authorities

ON = date(2025, 6, 1)
OWN = 6
"""The demo's own municipalities, each with a case system and a care system."""


def test_ninety_eight_municipalities_have_124_case_systems_and_123_care_systems_of_six_vendors_each() -> None:
    agreed = landscape.agreements(ON)
    kinds = Counter(kind for one in agreed for kind in {AREAS[area] for area in areas_of(one["system"])})
    assert kinds == {Kind.ESDH: 124 - OWN, Kind.EOJ: 123 - OWN}
    assert len({one["authority"] for one in agreed}) + len(authorities()) == 98
    assert len(landscape.CASE_SYSTEMS) == len(landscape.CARE_SYSTEMS) == 6
    assert max(Counter((one["authority"], one["system"]) for one in agreed).values()) == 1


def test_all_of_it_is_of_the_contracts_shape_and_the_same_every_time() -> None:
    AGREEMENTS.validate_python(landscape.agreements(ON))
    for one in landscape.authorities():
        Authority.model_validate(one)
    assert landscape.agreements(ON) == landscape.agreements(ON)
    assert {one["cvr"] for one in landscape.authorities()}.isdisjoint(one["cvr"] for one in authorities())


def test_its_coverage_has_a_row_for_every_system_and_area() -> None:
    agreed = {(one["authority"], one["system"]): one for one in landscape.agreements(ON)}
    put = {key: sender_agreement(one, 1) for key, one in agreed.items()}
    known = Known({key: (one.state, one.kle, None) for key, one in put.items()})
    told = rows(known, ON)
    assert len(told) == 3 * (124 - OWN) + 2 * (123 - OWN)
    assert {str(row["state"]) for row in told} >= {"FULL", "RESTRICTED", "DISPENSATION", "DRAFT"}
