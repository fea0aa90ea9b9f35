"""What is asked of PostgreSQL, as it is written down."""

import re
from pathlib import Path

import pytest

QUERIES = sorted((Path(__file__).parents[2] / "broker" / "store" / "queries").glob("*.sql"))
# By a primary key, or of a handful of rows: no index by time is wanted.
WITHOUT_AN_INDEX = {"claim_key", "claim_telling"}


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_no_row_is_compared_with_a_clock_that_no_index_serves(path: Path) -> None:
    """It is volatile, so each row is read; `statement_timestamp()` is as good and is looked up."""
    compared = re.search(r"([<>]=?|BETWEEN)\s*clock_timestamp\(\)", path.read_text(encoding="utf-8"))
    assert compared is None or path.stem in WITHOUT_AN_INDEX
