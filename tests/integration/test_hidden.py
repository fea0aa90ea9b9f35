"""Where a municipality has switched it on, its readers are told that something is hidden: that, and nothing more."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from broker.domain.agreement import Facts
from broker.domain.policy import Query, Scope
from broker.store.facts import reader_agreement
from broker.store.shapes import Reader
from tests.integration.searching import Index, opened, state_like
from tests.unit.worlds import CITIZENS, an_entry, open_facts, reader_of

AARHUS, ELSEWHERE = "55133018", "29189420"
CITIZEN = CITIZENS[0].removeprefix("CPR:")
OF_ELDERLY = Query("sapa", reader_of((Scope.of(AARHUS, ("27.*",), {"N*": 2}),)))


def switched(authority: str = AARHUS, overview: str = "sapa") -> Facts:
    facts = open_facts(authority)
    (agreement,) = facts.readers[authority, "sapa"]
    return replace(facts, readers={(authority, overview): (replace(agreement, overview=overview, tells_hidden=True),)})


@pytest.fixture
def index(database: str) -> Iterator[Index]:
    with opened(database) as index:
        index.facts.facts = switched()
        yield index


def put(index: Index, number: int, kle: str, authority: str = AARHUS, **more: Any) -> None:
    of: dict[str, Any] = {"parties": (("PRIMARY", CITIZENS[0]),), "sensitivity": 2, **more}
    index.put([state_like(an_entry(authority, kle, **of), number)])


def notice(index: Index, query: Query = OF_ELDERLY, **request: Any) -> str | None:
    return index.answer(query, **{"citizen": CITIZEN, **request}).notice


@pytest.mark.parametrize(
    ("kle", "more"),
    [
        ("15.20.00", {}),
        ("27.36.04", {"sensitivity": 3}),
        ("27.36.04", {"principals": frozenset({"somebody-else"})}),
    ],
    ids=["of another area", "above the level", "with a security profile"],
)
def test_what_the_readers_work_does_not_reach_is_told_of_where_it_is_switched_on(
    index: Index, kle: str, more: dict[str, Any]
) -> None:
    put(index, 1, "27.36.04")
    assert notice(index) is None
    put(index, 2, kle, **more)
    answer = index.answer(OF_ELDERLY, citizen=CITIZEN)
    assert (answer.notice, len(answer.entries)) == ("something_hidden", 1)
    assert notice(index, limit=1) == "something_hidden"
    index.facts.facts = open_facts(AARHUS)
    assert notice(index) is None


def test_what_is_not_asked_for_or_shown_to_nobody_is_not_told_of(index: Index) -> None:
    put(index, 1, "15.20.00", parties=(("PRIMARY", CITIZENS[1]),))
    index.put([state_like(an_entry(AARHUS, None, 2, parties=(("PRIMARY", CITIZENS[0]),)), 2)])
    put(index, 3, "15.20.00", system="nova")
    assert notice(index) is None  # another's, one that is not complete, and one that nobody has agreed to deliver
    put(index, 4, "15.20.00")
    assert notice(index, kle=["27.*"]) is None
    assert notice(index, kle=["15.*"]) == "something_hidden"
    assert notice(index, states=["AFSLUTTET"]) is None


def test_only_an_authority_of_the_readers_own_is_told_of(index: Index) -> None:
    put(index, 1, "15.20.00", ELSEWHERE)
    index.facts.facts = switched(ELSEWHERE)
    assert notice(index) is None


def test_only_the_overviews_of_which_the_policy_says_so_tell(index: Index) -> None:
    put(index, 1, "15.20.00")
    index.facts.facts = switched(overview="hoi")
    assert notice(index, replace(OF_ELDERLY, overview="hoi"), effort_id="1b671a64-40d5-491e-99b0-da01ff1f3341") is None


def test_the_switch_stands_in_the_reader_agreement_and_where_it_does_not_the_agreement_is_what_it_was() -> None:
    said: dict[str, Any] = {
        "authority": AARHUS, "overview": "sapa", "state": "FULL", "kle": ["N*"], "sensitivity": "VIP_SAGER",
        "from_date": "2020-01-01",
    }  # fmt: skip
    without, on = (Reader.model_validate(one).model_dump(mode="json") for one in (said, said | {"tells_hidden": True}))
    assert "tells_hidden" not in without
    assert (reader_agreement(without).tells_hidden, reader_agreement(on).tells_hidden) == (False, True)
