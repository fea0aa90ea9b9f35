"""What a KLE pattern covers, and what a number comes to."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.kle import Edition, KleBook, Mapped, Patterns, is_pattern
from broker.domain.outcome import Code, Rejected

AUTHORITY, SYSTEM = "55133018", "nexus"
PAIRS = st.integers(0, 99).map(lambda pair: f"{pair:02d}")
NUMBERS = st.builds(lambda a, b, c: f"{a}.{b}.{c}", PAIRS, PAIRS, PAIRS)


def patterns_over(number: str) -> tuple[str, ...]:
    """Every pattern of the grammar that covers the number."""
    return ("N*", number[:3] + "*", number[:4] + "*", number[:6] + "*", number[:7] + "*", number)


PATTERNS = NUMBERS.flatmap(lambda number: st.sampled_from(patterns_over(number)))
EDITIONS = st.lists(
    st.tuples(st.dates(), st.dictionaries(NUMBERS, st.text(min_size=1, max_size=5), max_size=4)),
    max_size=4,
    unique_by=lambda edition: edition[0],
).map(lambda editions: KleBook(tuple(Edition(published, titles) for published, titles in sorted(editions, key=_date))))


def _date(edition: tuple[date, dict[str, str]]) -> date:
    return edition[0]


@given(NUMBERS)
def test_a_number_has_six_patterns_over_it(number: str) -> None:
    for pattern in patterns_over(number):
        assert is_pattern(pattern)
        assert Patterns.of([pattern]).covers(number)


@given(PATTERNS, NUMBERS)
def test_a_pattern_covers_a_number_only_when_it_is_one_of_the_six_over_it(pattern: str, number: str) -> None:
    assert Patterns.of([pattern]).covers(number) == (pattern in patterns_over(number))


@given(st.lists(PATTERNS, max_size=4), st.lists(PATTERNS, max_size=4), NUMBERS)
def test_two_sets_together_cover_what_one_of_them_covers(one: list[str], other: list[str], number: str) -> None:
    apart = Patterns.of(one).covers(number) or Patterns.of(other).covers(number)
    assert Patterns.of([*one, *other]).covers(number) == apart


@given(NUMBERS)
def test_no_pattern_covers_nothing(number: str) -> None:
    assert not Patterns.of([]).covers(number)


@pytest.mark.parametrize(
    "text",
    ["", "*", "N", "27", "27*", "27.", "2*", "27.3", "27.36", "27.36.", "27.*.*", "27.36.04*", " 27.*", "27.*\n"],
)
def test_what_is_not_in_the_grammar_is_no_pattern(text: str) -> None:
    assert not is_pattern(text)
    with pytest.raises(ValueError, match="is no KLE pattern"):
        Patterns.of([text])


@given(EDITIONS, st.text(max_size=10) | NUMBERS, st.none() | st.text(max_size=4), st.dates())
def test_every_number_maps_or_is_rejected_and_never_raises(
    book: KleBook, kle: str, facet: str | None, on: date
) -> None:
    match book.map(AUTHORITY, SYSTEM, {"kle": kle, "facet": facet}, on):
        case Mapped(number, mapped_facet, edition):
            in_force = book.in_force(on)
            assert (number, mapped_facet) == (kle, facet)
            assert in_force is not None
            assert edition == in_force.published
        case Rejected(code):
            assert code in {Code.KLE_MALFORMED, Code.FACET_UNKNOWN, Code.KLE_RETIRED, Code.KLE_UNKNOWN}


@given(EDITIONS, st.dates(date(2, 1, 1)))
def test_the_edition_in_force_is_the_newest_that_was_published_by_then(book: KleBook, on: date) -> None:
    in_force = book.in_force(on)
    if in_force is None:
        assert not book.editions
    elif in_force.published > on:
        assert in_force is book.editions[0]
    else:
        assert all(edition.published <= in_force.published or edition.published > on for edition in book.editions)


def test_a_number_is_judged_on_the_cases_date_and_called_by_its_newest_title() -> None:
    first, second = date(2020, 1, 1), date(2024, 1, 1)
    book = KleBook((Edition(first, {"27.36.04": "Old", "27.36.08": "Gone"}), Edition(second, {"27.36.04": "New"})))

    assert book.map(AUTHORITY, SYSTEM, {"kle": "27.36.08"}, second - timedelta(days=1)) == Mapped(
        "27.36.08", None, first
    )
    retired = book.map(AUTHORITY, SYSTEM, {"kle": "27.36.08"}, second)
    assert isinstance(retired, Rejected)
    assert retired.code is Code.KLE_RETIRED
    assert (book.title("27.36.04"), book.title("27.36.08"), book.title("99.99.99")) == ("New", "Gone", None)


def test_a_local_code_alone_asks_for_a_rule() -> None:
    asked = KleBook().map(AUTHORITY, SYSTEM, {"local_code": "§ 83 a"}, date(2024, 1, 1))
    assert isinstance(asked, Rejected)
    assert asked.code is Code.UNMAPPED_LOCAL_CODE
