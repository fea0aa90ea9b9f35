"""Authorities and editions of KLE: put, read from files, and what they do to the index."""

from datetime import date
from typing import Any

import pytest

from broker.cli.running import OWNER
from broker.store import reference
from broker.store.edition import FlawedEditionError, read_csv
from broker.store.reference import NotYoursError, Putter
from broker.store.shapes import Authority
from tests.integration.referring import AARHUS, CSV, ONBOARDING, OPERATOR, Store


def test_authorities_are_added_and_replaced(store: Store) -> None:
    def put(name: str) -> list[dict[str, Any]]:
        kommune = [Authority(cvr=AARHUS, name=name)]
        return store.does(lambda connection: reference.put_authorities(connection, kommune, ONBOARDING))

    assert [put(name)[0]["changed"] for name in ("Eksempel", "Eksempel", "Eksempel Kommune")] == [True, False, True]
    assert [one["name"] for one in store.does(reference.authorities)] == ["Eksempel Kommune"]


def test_a_new_edition_touches_the_entries_whose_number_it_calls_otherwise(store: Store) -> None:
    store.entries("sbsys")

    def put(day: date, text: str) -> dict[str, Any]:
        return store.does(lambda connection: reference.put_edition(connection, day, read_csv(text.encode()), OPERATOR))

    assert put(date(2024, 1, 1), CSV)["changed"] == 2
    store.rows("DELETE FROM dirty RETURNING lane")
    assert put(date(2025, 1, 1), CSV.replace("Madservice", "Mad"))["changed"] == 1
    assert store.dirty == []
    assert put(date(2025, 1, 1), CSV.replace("Hjemmehjælp", "Hjælp hjemme"))["changed"] == 2
    assert store.dirty == [("sbsys", 1)]
    revision = store.revision
    assert put(date(2025, 1, 1), CSV.replace("Hjemmehjælp", "Hjælp hjemme"))["changed"] == 0
    assert store.revision == revision

    known = store.does(lambda connection: reference.kle_number(connection, "27.36.04"))
    assert known is not None
    assert (known["title"], known["in_newest_edition"]) == ("Hjælp hjemme", True)
    assert [one["title"] for one in known["editions"]] == ["Hjemmehjælp", "Hjælp hjemme"]


def test_what_every_authority_shares_is_for_an_operator_or_the_owner_of_the_database(store: Store) -> None:
    def put(by: Putter) -> dict[str, Any]:
        day, titles = date(2024, 1, 1), read_csv(CSV.encode())
        return store.does(lambda connection: reference.put_edition(connection, day, titles, by))

    with pytest.raises(NotYoursError):
        put(ONBOARDING)
    assert [put(OPERATOR)["changed"], put(OWNER)["changed"]] == [2, 0]


def test_an_edition_is_read_with_or_without_a_byte_order_mark_and_with_further_columns() -> None:
    expected = {"27.36.04": "Hjemmehjælp", "27.36.08": "Madservice"}
    assert read_csv(CSV.encode()) == read_csv(CSV.encode("utf-8-sig")) == expected
    assert read_csv(b'Emnenr;Titel;Noter\n27.36.04;"A; B";x\n') == {"27.36.04": "A; B"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("nummer,titel\n", 1),
        ("emnenr,titel\n", 2),
        ("emnenr,titel\n27.36.04,A\n27.36,B\n27-36,C\n", 4),
        ("emnenr,titel\n27.36.04\n", 2),
        ("emnenr,titel\n27.36.04,\n", 2),
        ("emnenr,titel\n27.36.04,A\n27.36.04,B\n", 3),
    ],
)
def test_a_flawed_edition_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(FlawedEditionError, match=f"^line {line}:"):
        read_csv(text.encode())


def test_an_edition_in_another_encoding_is_refused_with_its_line() -> None:
    with pytest.raises(FlawedEditionError, match=r"^line 3: not UTF-8"):
        read_csv(CSV.encode("latin-1"))
