"""Reading the log of reads, over real HTTP: citizens their own, auditors within their authorities."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from ops.embedded.part import Part
from tests.integration.following import READER, a_case
from tests.integration.logging_reads import AUDITOR, CITIZEN, OTHER_CPR, Logged, logging
from tests.integration.registering import NEW_CPR, person_event, put
from tests.integration.running import AUTHORITY, CPR, OTHER
from tests.integration.searching import INSERT, row


@pytest.fixture
async def logged(database: str, kafka: Part) -> AsyncIterator[Logged]:
    async with logging(database, kafka.address) as made:
        yield made


async def test_a_citizen_reads_who_has_looked_in_plain_danish_and_without_the_employees_name(logged: Logged) -> None:
    assert len(await logged.read({"citizen": CPR, "purpose": "Partshøring"})) == 1
    await logged.read({"citizen": CPR, "purpose": "Partshøring"})
    await logged.read({"citizen": OTHER_CPR, "purpose": "Partshøring"})
    await logged.read({"user_key": "S-1"})

    told = await logged.search({}, **CITIZEN)

    seen = "Medarbejder i Eksempel Kommune, Jobcenter så 1 af dine sager i medarbejdernes sagsoverblik"
    assert [line["text"] for line in told["entries"]] == [f"{seen}.", f"{seen} (2 gange). Formål: Partshøring."]
    assert "Ea Eksempel" not in str(told)
    assert "employee-1" not in str(told)
    logged.execute("UPDATE authority SET body = body || '{\"names_in_access_log\": true}'")
    named = await logged.search({}, **CITIZEN)
    assert named["entries"][1]["name"] == "Ea Eksempel"
    assert named["entries"][0]["text"].startswith("Du slog dig op i loggen over opslag")


async def test_a_read_that_showed_nothing_is_told_and_one_that_is_kept_back_is_not_yet(logged: Logged) -> None:
    await logged.read({"citizen": CPR}, scopes=[])
    (line,) = (await logged.search({}, **CITIZEN))["entries"]
    assert (line["text"], line["permitted"]) == (
        "Medarbejder i Eksempel Kommune, Jobcenter slog dig op, men fik intet vist i medarbejdernes sagsoverblik.",
        False,
    )
    logged.execute("UPDATE access_log SET citizen_visible_from = now() + interval '1 day'")
    assert (await logged.search({}, **CITIZEN))["entries"] == []


async def test_a_table_for_spreadsheets_is_the_same_page_and_logged_as_such(logged: Logged) -> None:
    key, second = a_case(2, created_at=1_714_550_300_000_000)
    logged.execute(INSERT, *row(key, second))
    headers = await bearing(logged, READER) | {"Accept": "text/csv"}
    path, asked = "/v1/overviews/sapa/search", {"citizen": CPR, "limit": 1}
    first = await logged.api.http.post(path, json=asked, headers=headers)
    assert (first.status_code, first.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    next_cursor = first.headers["next-cursor"]
    last = await logged.api.http.post(path, json={**asked, "cursor": next_cursor}, headers=headers)
    assert "next-cursor" not in last.headers
    (entry,) = await logged.read(asked)
    lines = [list(csv.DictReader(io.StringIO(answer.text))) for answer in (first, last)]
    assert [line["title"] for (line,) in lines] == ["Sag 1", "Sag 2"]
    assert {name: lines[0][0][name] for name in ("case_id", "registered_at", "state")} == {
        name: entry[name] for name in ("case_id", "registered_at", "state")
    }
    rows = logged.api.rows("SELECT decision, cases, subject IS NOT NULL FROM access_log ORDER BY id")
    assert rows[0] == rows[2] == ("permit", [f"{AUTHORITY}/sbsys/{entry['case_id']}"], True)
    denied = await logged.api.http.post(path, json=asked, headers=headers | await bearing(logged, CITIZEN))
    assert (denied.status_code, denied.headers["content-type"]) == (403, "application/problem+json")


async def bearing(logged: Logged, claims: dict[str, Any]) -> dict[str, str]:
    return await asyncio.to_thread(logged.api.bearer, **claims)


async def test_a_number_in_the_purpose_is_masked(logged: Logged) -> None:
    await logged.read({"citizen": CPR, "purpose": f"Sag om {OTHER_CPR}"})
    ((purpose,),) = logged.api.rows("SELECT purpose FROM access_log")
    assert purpose.startswith("Sag om ")
    assert OTHER_CPR not in purpose


async def test_a_citizen_whose_number_has_changed_finds_the_reads_by_each_of_them(logged: Logged) -> None:
    await logged.read({"citizen": CPR})
    new = {**CITIZEN, "citizen": NEW_CPR}
    assert (await logged.search({}, **new))["entries"] == []
    put(logged.api.settings.dsn, person_event("CPR_CHANGED", new_citizen=NEW_CPR))
    told = (await logged.search({}, **new))["entries"]
    assert [line["overview"] for line in told if line["role"] == "employee"] == ["sapa"]
    await logged.read({"citizen": NEW_CPR})
    told = (await logged.search({}, **CITIZEN))["entries"]
    assert [line["times"] for line in told if line["role"] == "employee"] == [2]


async def test_a_citizen_asks_by_period_and_for_nobody_else(logged: Logged) -> None:
    await logged.read({"citizen": CPR})
    logged.execute("UPDATE access_log SET at = at - interval '3 days'")
    now = datetime.now(UTC)
    day = timedelta(days=1)
    assert (await logged.search({"from": (now - 2 * day).isoformat()}, **CITIZEN))["entries"] == []
    since, until = (now - 4 * day).isoformat(), (now - 2 * day).isoformat()
    assert len((await logged.search({"from": since, "to": until}, **CITIZEN))["entries"]) == 1
    for said in ({"citizen": OTHER_CPR}, {"reader": "employee-1"}, {"repeated": 2}, {"outside_hours": True}):
        assert (await logged.post("/v1/access-log/search", said, **CITIZEN)).status_code == 403
    without = {**CITIZEN, "citizen": None}
    assert (await logged.post("/v1/access-log/search", {}, **without)).status_code == 403
    refused = logged.api.rows("SELECT count(*) FROM access_log WHERE overview = 'access-log' AND decision = 'deny'")
    assert refused == [(5,)]


async def test_an_auditor_searches_by_reader_citizen_period_and_hour_page_by_page(logged: Logged) -> None:
    for citizen in (CPR, OTHER_CPR, CPR):
        await logged.read({"citizen": citizen})
    await logged.read({"user_key": "S-1"}, sub="employee-2")
    mine = {"reader": "employee-1"}
    assert len((await logged.search(mine, **AUDITOR))["entries"]) == 3
    by_citizen = (await logged.search({"citizen": CPR}, **AUDITOR))["entries"]
    assert [one["reader"]["subject"] for one in by_citizen] == ["employee-2", "employee-1", "employee-1"]
    ref = by_citizen[1]["citizen_ref"]
    assert len((await logged.search({"citizen_ref": ref, **mine}, **AUDITOR))["entries"]) == 2
    assert CPR not in str(by_citizen)

    pages, cursor = [], None
    while True:
        page = await logged.search({**mine, "limit": 2, "cursor": cursor}, **AUDITOR)
        pages += [one["id"] for one in page["entries"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert pages == sorted(pages, reverse=True)
    assert len(pages) == 3

    logged.execute("UPDATE access_log SET at = '2026-03-01 12:00+01' WHERE id = %s", pages[-1])  # a Sunday
    logged.execute("UPDATE access_log SET at = '2026-03-02 12:00+01' WHERE id = %s", pages[0])
    period = {"from": "2026-02-28T00:00:00Z", "to": "2026-03-10T00:00:00Z"}
    assert [one["id"] for one in (await logged.search({**period, "outside_hours": True}, **AUDITOR))["entries"]] == [
        pages[-1]
    ]
    assert [one["id"] for one in (await logged.search(period, **AUDITOR))["entries"]] == [pages[0], pages[-1]]


async def test_an_auditor_finds_repeated_look_ups_of_one_person(logged: Logged) -> None:
    for citizen in (CPR, OTHER_CPR, CPR, CPR):
        await logged.read({"citizen": citizen})
    (found,) = (await logged.search({"repeated": 2}, **AUDITOR))["repeated"]
    assert (found["reader_id"], found["times"]) == ("employee-1", 3)
    assert len((await logged.search({"citizen_ref": found["citizen_ref"]}, **AUDITOR))["entries"]) == 3


async def test_an_auditor_sees_rows_of_their_own_authorities_alone(logged: Logged) -> None:
    await logged.read({"citizen": CPR})
    elsewhere = {**AUDITOR, "authorities": [OTHER]}
    assert [one["overview"] for one in (await logged.search({}, **elsewhere))["entries"]] == []
    assert (await logged.search({"citizen": CPR}, **elsewhere))["entries"] == []
    assert (await logged.post("/v1/access-log/search", {"authority": AUTHORITY}, **elsewhere)).status_code == 403
    assert (await logged.post("/v1/access-log/search", {}, **{**AUDITOR, "authorities": []})).status_code == 403
    scope = {"authority": OTHER, "kle": ["N*"], "sensitivity": "VIP_SAGER"}
    both = {
        "scopes": [scope, {**scope, "authority": AUTHORITY}]
    }  # a reader of the other authority, shown a case of this one
    await logged.read({"citizen": CPR}, sub="employee-3", **both)
    (seen, *_) = (await logged.search({"reader": "employee-3"}, **elsewhere))["entries"]
    assert seen["reader"]["subject"] == "employee-3"


async def test_a_row_of_many_authorities_is_found_by_each_of_them_and_counted_once(logged: Logged) -> None:
    of = [OTHER, AUTHORITY, "98765432"]
    scopes = [{"authority": one, "kle": ["N*"], "sensitivity": "VIP_SAGER"} for one in of]
    for _ in range(2):
        await logged.read({"citizen": CPR}, sub="employee-4", scopes=scopes)
    for authorities in ([OTHER], [AUTHORITY], ["98765432"], of):
        auditor = {**AUDITOR, "authorities": authorities}
        found = (await logged.search({"authority": authorities[-1]}, **auditor))["entries"]
        assert [one["reader"]["subject"] for one in found if one["overview"] == "sapa"] == ["employee-4"] * 2
        (repeated,) = (await logged.search({"repeated": 2}, **auditor))["repeated"]
        assert (repeated["reader_id"], repeated["times"]) == ("employee-4", 2)


async def test_nothing_of_the_log_is_read_while_it_cannot_be_written(logged: Logged) -> None:
    await logged.read({"citizen": CPR})
    logged.execute("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'full'; END$$")
    logged.execute("CREATE TRIGGER full_disk BEFORE INSERT ON access_unsealed EXECUTE FUNCTION refuse()")
    for claims in (CITIZEN, AUDITOR):
        answer = await logged.post("/v1/access-log/search", {}, **claims)
        assert (answer.status_code, answer.json()["code"]) == (503, "access_log_unavailable")
    answer = await logged.post("/v1/overviews/sapa/search", {"citizen": CPR}, **READER)
    assert (answer.status_code, answer.json()["code"]) == (503, "access_log_unavailable")


async def test_an_overview_system_reports_its_reads_and_only_of_what_it_may_show(logged: Logged) -> None:
    case = f"{AUTHORITY}/sbsys/00000000-0000-0000-0000-000000000001"
    reader = {"subject": "employee-9", "role": "employee", "unit": "Jobcenter", "authorities": [AUTHORITY]}
    said = {"overview": "sapa", "read_at": "2026-01-01T10:00:00Z", "reader": reader, "cases": [case]}
    system = {**READER, "client": {"id": "fordel"}}

    answer = await logged.post("/v1/access-log", [said], **system)

    assert (answer.status_code, answer.json()) == (201, {"logged": 1})
    (found,) = (await logged.search({"citizen": CPR}, **AUDITOR))["entries"]
    assert (found["cases"], found["reader"]["reported_by"]) == ([case], "employee-1")
    nobody = await logged.post("/v1/access-log", [said], **READER)
    assert (nobody.status_code, nobody.json()["detail"]) == (403, "the token names no client")
    assert found["reader"]["read_at"] == "2026-01-01T10:00:00.000000Z"
    for wrong in (
        {**said, "overview": "nowhere"},
        {**said, "cases": [case.replace(AUTHORITY, OTHER)]},
        {**said, "reader": {**reader, "authorities": [OTHER]}},
        {**said, "reader": {**reader, "role": "citizen"}},
        {**said, "cases": [], "reader": {**reader, "authorities": []}},
    ):
        assert (await logged.post("/v1/access-log", [said, wrong], **system)).status_code == 403
    invented = {**said, "reason": "whatever_they_say"}  # it would become the label of a metric
    assert (await logged.post("/v1/access-log", [invented], **system)).status_code == 422
    assert (await logged.post("/v1/access-log", [said], **READER)).status_code == 403
    assert (await logged.post("/v1/access-log", [said], **CITIZEN)).status_code == 403
    assert logged.api.rows("SELECT count(*) FROM access_log WHERE reader ? 'reported_by'") == [(1,)]


async def test_an_auditor_puts_the_watch_list_of_their_own_authority(logged: Logged) -> None:
    headers = await asyncio.to_thread(logged.api.bearer, **AUDITOR)

    async def put(authority: str, *citizens: str) -> httpx.Response:
        said = {"authority": authority, "citizens": list(citizens)}
        return await logged.api.http.put("/v1/access-log/watch-list", json=said, headers=headers)

    assert (await put(AUTHORITY, CPR, OTHER_CPR)).json() == {"authority": AUTHORITY, "watched": 2}
    assert (await put(AUTHORITY, CPR)).json() == {"authority": AUTHORITY, "watched": 1}
    assert (await put(OTHER, CPR)).status_code == 403
    (kept,) = logged.api.rows("SELECT authority, put_by, length(subject) FROM access_watch")
    assert kept == (AUTHORITY, "auditor-1", 32)
