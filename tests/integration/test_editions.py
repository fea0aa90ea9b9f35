"""Authorities and editions of KLE: put, and what they do to the index."""

from datetime import date
from typing import Any

import pytest

from broker.cli.running import OWNER
from broker.domain.kle import Edition
from broker.intake.edition import read
from broker.store import kle, reference
from broker.store.reference import NotYoursError, Putter
from broker.store.shapes import Authority
from tests.integration.referring import AARHUS, CSV, ONBOARDING, OPERATOR, SENDER, Store


def test_authorities_are_added_and_replaced(store: Store) -> None:
    def put(name: str) -> list[dict[str, Any]]:
        kommune = [Authority(cvr=AARHUS, name=name)]
        return store.does(lambda connection: reference.put_authorities(connection, kommune, ONBOARDING))

    assert [put(name)[0]["changed"] for name in ("Eksempel", "Eksempel", "Eksempel Kommune")] == [True, False, True]
    assert [one["name"] for one in store.does(reference.authorities)] == ["Eksempel Kommune"]


def test_a_new_edition_touches_the_entries_whose_number_it_calls_otherwise(store: Store) -> None:
    store.put(SENDER)
    store.entries("sbsys")

    def put(day: date, text: str) -> dict[str, Any]:
        return store.does(
            lambda connection: kle.put_edition(connection, Edition(day, read(text.encode()).titles), OPERATOR)
        )

    assert put(date(2024, 1, 1), CSV)["changed"] == 2
    store.rows("DELETE FROM sweep RETURNING lane")
    assert put(date(2025, 1, 1), CSV.replace("Madservice", "Mad"))["changed"] == 1
    assert store.rows("DELETE FROM sweep RETURNING kind, authority, prefixes") == [("mark", AARHUS, ["27.36.08"])]
    assert put(date(2025, 1, 1), CSV.replace("Hjemmehjælp", "Hjælp hjemme"))["changed"] == 2
    swept = store.rows("SELECT authority, system, prefixes, lane FROM sweep")
    assert swept == [(AARHUS, None, ["27.36.04", "27.36.08"], 1)]
    assert store.dirty == []
    revision = store.revision
    assert put(date(2025, 1, 1), CSV.replace("Hjemmehjælp", "Hjælp hjemme"))["changed"] == 0
    assert store.revision == revision

    known = store.does(lambda connection: kle.number(connection, "27.36.04"))
    assert known is not None
    assert (known["title"], known["in_newest_edition"]) == ("Hjælp hjemme", True)
    assert [one["title"] for one in known["editions"]] == ["Hjemmehjælp", "Hjælp hjemme"]


def test_what_every_authority_shares_is_for_an_operator_or_the_owner_of_the_database(store: Store) -> None:
    def put(by: Putter) -> dict[str, Any]:
        edition = Edition(date(2024, 1, 1), read(CSV.encode()).titles)
        return store.does(lambda connection: kle.put_edition(connection, edition, by))

    with pytest.raises(NotYoursError):
        put(ONBOARDING)
    assert [put(OPERATOR)["changed"], put(OWNER)["changed"]] == [2, 0]
