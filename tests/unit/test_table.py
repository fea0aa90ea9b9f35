"""The table for spreadsheets: every entry a line, and nothing in it that a spreadsheet would run."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.overviews.table import COLUMNS, harmless, table

FORMULA = ("=", "+", "-", "@")
CELLS = st.text(st.sampled_from("=+-@,;\t\r\n\"' a1"), max_size=12)


@given(st.lists(st.dictionaries(st.sampled_from(COLUMNS), CELLS | st.none())))
def test_every_entry_is_one_record_of_every_column(entries: list[dict[str, str | None]]) -> None:
    header, *records = csv.reader(io.StringIO(table(entries), newline=""))
    assert header == list(COLUMNS)
    assert [[cell.replace("'", "") for cell in record] for record in records] == [
        [(entry.get(name) or "").replace("'", "") for name in COLUMNS] for entry in entries
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@given(CELLS, CELLS)
def test_no_cell_begins_a_formula_whatever_the_spreadsheet_takes_for_a_separator(
    separator: str, user_key: str, title: str
) -> None:
    text = table([{"user_key": user_key, "title": title}])
    for record in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
        assert not any(cell.lstrip('" \t\r\n').startswith(FORMULA) for cell in record)


@pytest.mark.parametrize(
    ("said", "written"),
    [("=1+1", "'=1+1"), ("-", "'-"), ("a;=1", "a;'=1"), ('a, "@x', "a, \"'@x"), ("Sag 2-3", "Sag 2-3"), ("", "")],
)
def test_an_apostrophe_stands_before_what_would_be_run_and_nowhere_else(said: str, written: str) -> None:
    assert harmless(said) == written


def test_a_person_is_their_name_and_documents_are_counted() -> None:
    entry = {"responsible": {"id": "u-1", "name": "Team A"}, "handler": {"id": "u-2", "name": None}, "documents": [{}]}
    (record,) = csv.DictReader(io.StringIO(table([entry])))
    assert (record["responsible"], record["handler"], record["documents"], record["link"]) == ("Team A", "u-2", "1", "")
