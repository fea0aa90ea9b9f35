"""A vendor's report: no person in it, nothing a spreadsheet runs, every moment in exactly one day."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from broker.domain.refusals import COLUMNS, as_csv, cell, day_of, row_of

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
DANGEROUS = tuple("=+-@\t\r\n＝＋－＠")


def rejected(text: str) -> dict[str, object]:
    return dict.fromkeys(COLUMNS, text) | {"at": AT}


@given(st.lists(TEXTS, max_size=5))
def test_csv_says_what_was_said_and_no_cell_begins_as_a_formula(texts: list[str]) -> None:
    rows = [row_of(rejected(text)) for text in texts]
    header, *lines = list(csv.reader(io.StringIO(as_csv(rows), newline="")))
    assert header == list(COLUMNS)
    for line, row in zip(lines, rows, strict=True):
        for one, name in zip(line, COLUMNS, strict=True):
            assert one.removeprefix("'") == row[name].removeprefix("'")
            assert not one.lstrip().startswith(DANGEROUS)
            assert not one.lstrip(" ").startswith(DANGEROUS)


@given(st.sampled_from(DANGEROUS), TEXTS, st.integers(0, 3))
def test_what_could_be_a_formula_is_a_text(sign: str, text: str, spaces: int) -> None:
    assert cell(" " * spaces + sign + text).startswith("'")


@given(TEXTS)
def test_no_number_of_a_person_is_in_a_row(text: str) -> None:
    assert "0101014444" not in "".join(row_of(rejected(f"{text} 0101014444 {text}")).values())


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - the bounds are naive
def test_every_moment_lies_in_exactly_one_day(moment: datetime) -> None:
    day = moment.astimezone(COPENHAGEN).date()
    around = [day + timedelta(days=n) for n in (-1, 0, 1)]
    assert [one for one in around if day_of(one, COPENHAGEN)[0] <= moment < day_of(one, COPENHAGEN)[1]] == [day]


def test_the_day_the_clocks_go_back_has_25_hours() -> None:
    begins, ends = day_of(date(2026, 10, 25), COPENHAGEN)
    assert ends - begins == timedelta(hours=25)
