"""Lists of texts reach PostgreSQL as they are, however they are quoted."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.store.database import connect
from ops.embedded.part import Part
from tests.conftest import fresh_database

TEXTS = st.text(st.one_of(st.characters(codec="utf-8", exclude_characters="\0"), st.sampled_from('"\\{},\n NULL')))


@pytest.fixture(scope="module")
def connection(postgres: Part) -> Iterator[psycopg.Connection[Any]]:
    with fresh_database(postgres) as url, connect(url, "test") as connection:
        yield connection


@given(st.lists(st.one_of(st.none(), TEXTS)))
def test_a_list_of_texts_comes_back_as_it_went(connection: psycopg.Connection[Any], texts: list[str | None]) -> None:
    assert connection.execute("SELECT %s::text[]", [texts]).fetchone() == (texts,)


def test_nul_is_refused_and_not_cut_off(connection: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.DataError, match="NUL"):
        connection.execute("SELECT %s::text[]", [["a\0b"]])
