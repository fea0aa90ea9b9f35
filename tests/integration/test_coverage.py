"""Coverage as it is counted: part by part of the index, for those whom a token names."""

import json
import re
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from broker.domain.coverage import prefixes
from broker.domain.kle import Edition
from broker.domain.retention import Retention
from broker.intake.edition import read
from broker.security import Issuer
from broker.settings import Settings
from broker.store import coverage, kle
from broker.store.database import connect, query
from ops.demo import landscape
from tests.integration.referring import AARHUS, CSV, OPERATOR, READER, SENDER, UDK, Store
from tests.integration.searching import INSERT, listed, row, state_like
from tests.integration.test_reference_command import instance, sagsbro
from tests.integration.test_reference_http import Client, api
from tests.unit.worlds import an_entry

__all__ = ["instance"]
ENTRIES = 2000
FILL = """
    INSERT INTO entry (authority, system, case_id, newest, shape, complete, kle, sensitivity, received_at, document)
    SELECT (ARRAY['55133018', '33236252'])[1 + n %% 2], (ARRAY['sbsys', 'nexus', 'nova'])[1 + n %% 3],
        gen_random_uuid(), '', 0, n %% 7 > 0,
        (ARRAY['27.36.04', '29.03.00', '02.34.02', '32.45.04', '32.45.08', NULL])[1 + n / 6 %% 6], 1,
        timestamptz '2025-01-01' + n * interval '1 s', repeat('x', 500)::bytea
    FROM generate_series(1, %s) AS n
"""
TRUTH = """
    SELECT authority, system, CASE WHEN kle LIKE '27.%%' THEN '27.*' WHEN kle LIKE '29.%%' THEN '29.*'
        WHEN kle LIKE '02.%%' THEN '02.*' WHEN kle = '32.45.04' THEN kle ELSE 'other' END,
        count(*), count(*) FILTER (WHERE NOT complete), max(received_at)
    FROM entry GROUP BY 1, 2, 3
"""


def fill(store: Store, number: int = ENTRIES) -> None:
    with connect(store.dsn, "test") as connection:
        connection.execute(FILL.encode(), [number])


def counted(store: Store, pages: int = 3) -> set[tuple[Any, ...]]:
    with connect(store.dsn, "test") as connection:
        assert coverage.count(connection, 60, pages)
        rows = connection.execute(
            "SELECT authority, system, kle_area, entries, incomplete, last_received_at FROM coverage_entry"
        )
        return set(rows.fetchall())


def truth(store: Store) -> set[tuple[Any, ...]]:
    with connect(store.dsn, "test") as connection:
        return set(connection.execute(TRUTH.replace("%%", "%").encode()).fetchall())


def test_a_round_counts_what_is_there_whatever_came_changed_or_went(store: Store) -> None:
    fill(store)
    assert counted(store) == truth(store)
    store.rows("DELETE FROM entry WHERE kle = '27.36.04' RETURNING 1")
    store.rows("UPDATE entry SET complete = NOT complete WHERE kle = '29.03.00' RETURNING 1")
    assert counted(store) == truth(store)
    store.rows("DELETE FROM entry RETURNING 1")
    with connect(store.dsn, "test") as connection:
        connection.execute("VACUUM entry")
    assert counted(store) == set()


def test_a_round_goes_on_where_it_was_and_one_step_reads_one_part(store: Store) -> None:
    fill(store)
    with connect(store.dsn, "test") as connection:
        ((pages,),) = connection.execute("SELECT pg_relation_size('entry') / 8192").fetchall()
        steps = 1
        while not coverage.count(connection, 0, 10):
            steps += 1
            ((part,),) = connection.execute("SELECT max(part) FROM coverage_part").fetchall()
            assert part == steps - 2
        assert steps == -(-pages // 10)
        connection.execute("ANALYZE entry")
        which = {"first": "(0,0)", "until": "(10,0)", "part": 0, "other": "other"}
        areas = {"areas": list(prefixes()), "prefixes": list(prefixes().values()), "announced": []}
        plan = connection.execute(b"EXPLAIN (FORMAT JSON) " + query("coverage_count"), which | areas).fetchone()
        assert plan is not None
        assert re.findall(
            r"'Node Type': '(Tid Range Scan|Seq Scan|Index[^']*)'[^}]*'Relation Name': 'entry'", str(plan)
        ) == ["Tid Range Scan"]


def closed(number: int, days_ago: float | None, kle: str = "27.36.04", made_days_ago: int = 4000) -> tuple[Any, ...]:
    """The row of a case that was closed so long ago, or never."""
    today = time.time()
    steps = [{"state": "OPSTAAET", "effective_from": 0}]
    if days_ago is not None:
        steps.append({"state": "AFSLUTTET", "effective_from": int((today - days_ago * 86_400) * 1e6)})
    created_at = int((today - made_days_ago * 86_400) * 1e6)
    entry = an_entry(AARHUS, kle, 1, user_key="S-1", created_at=created_at)
    return row(*state_like(entry, number, progress=listed(*steps)))


def test_cases_that_are_closed_and_past_the_deletion_rule_are_counted_whatever_else_is_there(store: Store) -> None:
    kept = {"27.36.04": Retention("K", "P1825D"), "27.36.08": Retention("K5", None), "15.20.01": Retention("B", "P5Y")}
    edition = Edition(date(2020, 1, 1), dict.fromkeys(kept, "Emne"), retention=kept)
    store.does(lambda connection: kle.put_edition(connection, edition, OPERATOR))
    later = Edition(date(2021, 1, 1), dict.fromkeys(kept, "Emne"))  # one that was imported as CSV says nothing of it
    store.does(lambda connection: kle.put_edition(connection, later, OPERATOR))
    cases = [
        closed(1, 1826),
        closed(2, 1824),
        closed(3, None),
        closed(4, 3000, "27.36.08"),
        closed(5, 1830, "15.20.01"),
        closed(6, 1820, "15.20.01"),
        closed(7, 3000, "32.45.08"),
        closed(8, 3000),
    ]
    with connect(store.dsn, "test") as connection, connection.cursor() as cursor:
        cursor.executemany(INSERT.encode(), cases)
    counted(store)
    with api(store, role="operator", authorities=[AARHUS]) as client:
        told = {row["kle_area"]: row["retention_overdue"] for row in client.get("/v1/coverage").json()}
    assert {area: number for area, number in told.items() if number} == {"27.*": 2, "other": 1}
    store.rows("DELETE FROM entry RETURNING 1")
    with connect(store.dsn, "test") as connection, connection.cursor() as cursor:
        cursor.executemany(INSERT.encode(), cases[1:3])
    assert [number for *_, number in overdue(store)] == [0]


def test_entries_on_numbers_that_are_to_be_gone_are_counted_by_the_edition_in_force(store: Store) -> None:
    today = datetime.now(UTC).date()
    ago, ahead = today - timedelta(days=30), today + timedelta(days=30)
    titles = {"27.36.04": "Hjælp [Udgår 2099]", "29.03.00": "Fritid", "02.34.02": "Bolig", "32.45.04": "Pension"}
    retired = {"29.03.00": ahead, "02.34.02": today}
    said = Edition(ago, titles, retired)
    earlier = Edition(ago - timedelta(days=1), {**titles, "32.45.04": "Pension [udgår 2098]"})
    later = Edition(ahead, {**titles, "32.45.08": "Andet [udgår 2098]"})
    for edition in (later, earlier, said):
        store.does(lambda connection, edition=edition: kle.put_edition(connection, edition, OPERATOR))  # type: ignore[misc]
    fill(store)
    counted(store)
    rows = store.rows("SELECT authority, system, kle, count(*) FROM entry WHERE kle ~ '^(27|29)' GROUP BY 1, 2, 3")
    here = {(authority, system, f"{number[:2]}.*"): entries for authority, system, number, entries in rows}
    told = store.rows("SELECT authority, system, kle_area, announced_retired FROM coverage_entry")
    assert {tuple(row[:3]): row[3] for row in told if row[3]} == here != {}
    store.put(SENDER)
    with api(store, role="operator", authorities=[AARHUS]) as client:
        shown = {
            (row["system"], row["kle_area"]): row["announced_retired"] for row in client.get("/v1/coverage").json()
        }
    assert {key: entries for key, entries in shown.items() if entries} == {
        key[1:]: entries for key, entries in here.items() if key[0] == AARHUS
    }


def overdue(store: Store) -> list[tuple[Any, ...]]:
    counted(store)
    return store.rows("SELECT authority, system, kle_area, retention_overdue FROM coverage_entry")


def rejected(store: Store, authority: str, kle: str | None, state: str = "open") -> None:
    with connect(store.dsn, "test") as connection:
        connection.execute(
            "INSERT INTO rejection (rejection_id, authority, system, code, pointer, detail, kle, state)"
            " VALUES (gen_random_uuid(), %s, 'sbsys', 'kle_unknown', '', '', %s, %s)",
            [authority, kle, state],
        )


def test_over_http_a_token_is_told_of_its_own_authorities_alone(store: Store) -> None:
    fill(store)
    store.put({**SENDER, "dispensation_until": "2999-01-01"}, READER)
    for number, state in (("32.45.04", "open"), ("32.45.04", "discarded"), (None, "open")):
        rejected(store, AARHUS, number, state)
    rejected(store, UDK, "32.45.04")
    counted(store)
    for role in ("onboarding", "operator"):
        with api(store, role=role, authorities=[AARHUS]) as client:
            rows = client.get("/v1/coverage").json()
        assert {row["authority"] for row in rows} == {AARHUS}
        told = {(row["system"], row["kle_area"]): row for row in rows}
        assert [told["sbsys", area]["rejections_open"] for area in ("32.45.04", "02.*", "other")] == [1, 0, 1]
        mine = {(s, area): (n, i) for a, s, area, n, i, _ in truth(store) if a == AARHUS}
        assert {key: (row["entries"], row["incomplete"]) for key, row in told.items() if row["entries"]} == mine
        assert told["sbsys", "05.*"] == {
            "authority": AARHUS,
            "system": "sbsys",
            "kle_area": "05.*",
            "state": None,
            "entries": 0,
            "incomplete": 0,
            "retention_overdue": 0,
            "announced_retired": 0,
            "last_event_at": None,
            "rejections_open": 0,
            "reconciled_at": None,
            "difference": None,
            "dispensation_until": None,
            "ask_again": False,
        }
        assert (told["sbsys", "27.*"]["state"], told["sbsys", "27.*"]["dispensation_until"]) == ("FULL", "2999-01-01")
    with api(store, role="operator") as client:
        assert client.get("/v1/coverage").json() == []
    for role in ("vendor", "employee", "citizen", "auditor"):
        with api(store, role=role, authorities=[AARHUS]) as client:
            assert client.get("/v1/coverage").status_code == 403


@pytest.mark.parametrize("made", [False, True])
def test_completeness_is_the_newest_reconciliation_where_there_are_any(store: Store, made: bool) -> None:  # noqa: FBT001
    store.put(SENDER)
    with connect(store.dsn, "test") as connection:
        connection.execute("DROP TABLE IF EXISTS reconciliation")
        if made:
            connection.execute(
                "CREATE TABLE reconciliation (authority text, system text, kle_area text, at timestamptz,"
                " missing bigint, superfluous bigint, older bigint, newer bigint)"
            )
            for day, missing in (("2025-01-01Z", 9), ("2025-02-01Z", 1)):
                values = [AARHUS, "sbsys", "02.*", day, missing, 1, 0, 0]
                connection.execute("INSERT INTO reconciliation VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", values)
    with api(store, role="operator", authorities=[AARHUS]) as client:
        told = {row["kle_area"]: row for row in client.get("/v1/coverage").json()}
    expected = ("2025-02-01T00:00:00Z", 2) if made else (None, None)
    assert (told["02.*"]["reconciled_at"], told["02.*"]["difference"]) == expected
    assert told["05.*"]["difference"] is None


def test_what_was_widened_shows_until_it_is_answered(store: Store) -> None:
    store.put(SENDER)
    with api(store, role="onboarding", authorities=[AARHUS]) as client:
        put = client.put("/v1/agreements", json={**SENDER, "kle": ["27.*", "02.*"]})
        assert put.status_code == 200
        rows = {row["kle_area"]: row["ask_again"] for row in client.get("/v1/coverage").json()}
        assert rows == {"02.*": True, "05.*": False, "27.*": True, "32.45.04": False}
        asked = client.get("/v1/ask-again").json()
    assert [(one["system"], one["kle"], one["reason"]) for one in asked] == [
        ("sbsys", ["27.*"], "the first load"),
        ("sbsys", ["02.*", "27.*"], "FULL to FULL"),
    ]


def test_switches_of_citizens_views_are_kept_and_decide_their_entries_anew_at_once(store: Store) -> None:
    with connect(store.dsn, "test") as connection:
        connection.execute(FILL.encode(), [60])
    view = {"authority": AARHUS, "kle": "27.36.*", "on": True, "from_date": "2022-01-01", "systems": ["sbsys"]}
    whole = {**view, "active_exempt": False, "title": "KLE", "documents": False}
    with api(store, role="onboarding", authorities=[AARHUS]) as client:
        assert client.put("/v1/citizen-views", json=[view, {**view, "kle": "29.*"}]).json()[0]["version"] == 1
        marked(store, {"27.36.04", "29.03.00"})
        assert client.put("/v1/citizen-views", json=[view, {**view, "kle": "29.*"}]).json()[0]["changed"] is False
        marked(store, set())
        client.put("/v1/citizen-views", json=[view, {**view, "kle": "29.*", "on": False}])
        marked(store, {"29.03.00"})
        assert client.get("/v1/citizen-views").json() == [whole, {**whole, "kle": "29.*", "on": False}]
        assert client.delete(f"/v1/citizen-views/{AARHUS}").json()["version"] == 3
        marked(store, {"27.36.04", "29.03.00"})
        assert client.put("/v1/citizen-views", json={**view, "authority": UDK}).status_code == 403
    with api(store, role="operator", authorities=[AARHUS]) as client:
        assert client.put("/v1/citizen-views", json=view).status_code == 403


def marked(store: Store, numbers: set[str]) -> None:
    rows = store.rows("SELECT DISTINCT kle FROM dirty JOIN entry USING (authority, system, case_id)")
    assert {kle for (kle,) in rows} == numbers
    assert set(store.rows("SELECT DISTINCT authority, lane FROM dirty")) <= {(AARHUS, 0)}
    store.rows("DELETE FROM dirty RETURNING 1")


def test_an_authority_that_has_ceased_can_only_be_narrowed_and_its_successor_may_do_it(store: Store) -> None:
    store.put(SENDER)
    old = {"cvr": AARHUS, "municipality_code": "751", "name": "Gamle", "valid_to": "2020-01-01", "successor": UDK}
    new = {"cvr": UDK, "municipality_code": "0751", "name": "Nye"}
    with api(store, role="onboarding", authorities=[AARHUS, UDK]) as client:
        assert client.put("/v1/authorities", json=[old, new]).status_code == 200
        assert client.get("/v1/authorities/751").json()["name"] == "Nye"
        assert client.get("/v1/authorities/752").status_code == 404
        twice = client.put("/v1/authorities", json={**old, "valid_to": None})
        assert (twice.status_code, twice.json()["code"]) == (409, "register_conflict")
        assert client.put("/v1/agreements", json={**SENDER, "kle": ["N*"]}).status_code == 403
    with api(store, role="onboarding", authorities=[UDK]) as client:
        assert client.put("/v1/agreements", json={**SENDER, "kle": ["27.36.*"]}).status_code == 200
        assert client.put("/v1/agreements", json=SENDER).status_code == 403
        assert client.put("/v1/agreements", json={**SENDER, "kle": [], "state": "ENDED"}).status_code == 200
    with api(store, role="onboarding", authorities=["29189420"]) as client:
        assert client.put("/v1/agreements", json={**SENDER, "state": "ENDED"}).status_code == 403


def mapped(store: Store) -> None:
    edition = Edition(date(2020, 1, 1), read(CSV.encode()).titles)
    store.does(lambda connection: kle.put_edition(connection, edition, OPERATOR))
    store.put({**SENDER, "state": "MAPPED"})


def case(**more: Any) -> dict[str, Any]:
    return {
        "event_id": "00000000-0000-4000-8000-000000000001",
        "system": "sbsys",
        "authority": AARHUS,
        "case_id": "00000000-0000-4000-8000-000000000001",
        "registered_at": "2024-01-01T00:00:00Z",
        "change": "REGISTERED",
        "properties": {"user_key": "S-1", "title": "Sag", "created_at": "2024-01-01T00:00:00Z"},
        "access": {"sensitivity": "FORTROLIGE_PERSONOPLYSNINGER"},
        "classification": {"kle": "27.36.04"},
        "progress": [{"state": "OPSTAAET", "effective_from": "2024-01-01T00:00:00Z"}],
        **more,
    }


def test_the_first_event_that_would_be_taken_in_connects_and_is_refused_all_the_same(store: Store) -> None:
    mapped(store)

    def sent(client: Client, event: dict[str, Any]) -> tuple[str, list[str]]:
        answer = client.post("/v1/case-events", json=event)
        ((state,),) = store.rows("SELECT body ->> 'state' FROM sender_agreement ORDER BY version DESC LIMIT 1")
        return state, [one["code"] for one in answer.json()["rejected"]]

    with api(store, role="vendor", system="sbsys", authorities=[AARHUS]) as client:
        assert sent(client, case(classification={"kle": "99.99.99"})) == ("MAPPED", ["no_agreement"])
        assert sent(client, case()) == ("CONNECTED", ["no_agreement"])
        assert sent(client, case()) == ("CONNECTED", ["no_agreement"])
    assert store.rows("SELECT count(*) FROM sender_agreement") == [(2,)]
    assert store.rows("SELECT count(*) FROM rejection WHERE payload IS NOT NULL") == [(0,)]


def test_the_command_line_shows_coverage_history_authorities_and_switches(instance: Path, store: Store) -> None:
    fill(store, 60)
    counted(store)
    agreement = {**SENDER, "reason": "Aftale 7", "signed_by": "Ea Eksempel", "signed_at": "2024-01-01T00:00:00Z"}
    assert sagsbro(instance, "agreement", "put", "-", given=json.dumps(agreement))[0] == 0
    assert sagsbro(instance, "agreement", "put", "-", given=json.dumps({**agreement, "state": "ENDED"}))[0] == 0
    code, said = sagsbro(instance, "agreement", "show", AARHUS, "sbsys", "--history")
    newest, first = said.splitlines()
    assert (code, "ENDED" in newest, "deleted on" in newest) == (0, True, True)
    for part in ("version 1", "FULL", "command line (municipality)", "signed by Ea Eksempel", "Aftale 7", "not_next"):
        assert part in first
    versions = json.loads(sagsbro(instance, "agreement", "show", AARHUS, "sbsys", "--history", "--json")[1])
    assert [one["state"] for one in versions] == ["ENDED", "FULL"]

    code, said = sagsbro(instance, "coverage", "--authority", AARHUS, "--system", "sbsys", "--json")
    rows = {row["kle_area"]: row for row in json.loads(said)}
    mine = {area: (n, i) for a, s, area, n, i, _ in truth(store) if (a, s) == (AARHUS, "sbsys")}
    assert (code, {area: (row["entries"], row["incomplete"]) for area, row in rows.items() if row["entries"]}) == (
        0,
        mine,
    )
    code, said = sagsbro(instance, "coverage")
    assert (code, "last event" in said, UDK in said) == (0, True, True)

    body = {"cvr": AARHUS, "municipality_code": "751", "name": "Eksempel Kommune"}
    assert sagsbro(instance, "authority", "put", "-", given=json.dumps(body))[0] == 0
    assert "municipality_code: 0751" in sagsbro(instance, "authority", "show", "751")[1]
    assert "Eksempel Kommune" in sagsbro(instance, "authority", "list")[1]
    assert sagsbro(instance, "authority", "show", "752")[0] == 1
    twice = {**body, "cvr": UDK}
    assert "the code 0751" in sagsbro(instance, "authority", "put", "-", given=json.dumps(twice))[1]

    view = {"authority": AARHUS, "kle": "27.36.*", "on": True, "from_date": "2022-01-01", "systems": ["sbsys"]}
    assert "version 1" in sagsbro(instance, "citizen-view", "put", "-", given=json.dumps(view))[1]
    assert "27.36.*  from 2022-01-01  KLE  sbsys" in sagsbro(instance, "citizen-view", "list")[1]


def test_the_demos_landscape_is_put_over_http_and_shows(store: Store) -> None:
    issuer = Issuer(Settings(database=SecretStr(store.dsn), kafka="127.0.0.1:9"))
    on = datetime.now(UTC).date()
    with api(store, role="vendor") as client:
        client.runner.run(landscape.onboard(client.http, issuer, on))
    own = [one["cvr"] for one in landscape.authorities()]
    with api(store, role="operator", authorities=own) as client:
        rows = client.get("/v1/coverage").json()
    dispensed = {row["authority"] for row in rows if row["dispensation_until"]}
    assert (len({row["authority"] for row in rows}), len({row["system"] for row in rows})) == (92, 12)
    assert dispensed == {row["authority"] for row in rows if row["state"] == "DISPENSATION"} != set()
    assert all(row["ask_again"] for row in rows if row["state"] == "FULL")
