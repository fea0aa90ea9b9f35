"""Explaining over real HTTP: to whom, about when, and nothing to those who may not know."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from click.testing import CliRunner

from broker.cli import main
from broker.domain.overview import text
from broker.store.database import connect
from broker.store.facts import note_policy
from ops.embedded.part import Part
from tests.integration.following import READER
from tests.integration.logging_reads import AUDITOR, CITIZEN, OTHER_CPR, Logged, logging
from tests.integration.registering import (
    EFFORT,
    MEMBER,
    NEW_CPR,
    an_id,
    consent,
    effort,
    objection,
    person_event,
    power,
    put,
    soon,
    withdrawn,
)
from tests.integration.running import AUTHORITY, CPR, OTHER

CASE = {"authority": AUTHORITY, "system": "sbsys", "case_id": "00000000-0000-0000-0000-000000000001"}
NOT_THERE = {**CASE, "case_id": "00000000-0000-0000-0000-0000000000ff"}
EMPLOYEE = {"role": "employee", "scopes": READER["scopes"]}
ASKED: dict[str, Any] = {**CASE, "overview": "sapa", "reader": EMPLOYEE}
OPERATOR = {"role": "operator", "sub": "operator-1", "system": None}


@pytest.fixture
async def logged(database: str, kafka: Part) -> AsyncIterator[Logged]:
    async with logging(database, kafka.address) as made:
        yield made


async def steps(logged: Logged, asked: dict[str, Any], **claims: Any) -> tuple[str, dict[str, dict[str, Any]]]:
    answer = await logged.post("/v1/explain", asked, **claims)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    return said["verdict"], {step["step"]: step for step in said["steps"]}


async def test_auditors_and_operators_are_told_each_step_with_what_it_rests_on(logged: Logged) -> None:
    for claims in (AUDITOR, OPERATOR):
        verdict, told = await steps(logged, ASKED, **claims)
        assert verdict == "permit"
        assert list(told)[:4] == ["event", "taken_in", "kle", "role"]
        assert told["kle"]["ref"] == "2024-01-01"
        assert told["still_delivered"]["ref"] == "sender agreement version 1, FULL"
        assert (told["joined"]["verdict"], told["joined"]["ref"]) == ("permit", "reader agreements: * FULL")
        assert CPR not in str(told)
    narrow = {**EMPLOYEE, "scopes": [{"authority": AUTHORITY, "kle": ["15.*"], "sensitivity": "VIP_SAGER"}]}
    verdict, told = await steps(logged, {**ASKED, "reader": narrow}, **AUDITOR)
    assert (verdict, told["reader_scope"]["because"]) == ("deny", "outside_scope")
    logged_rows = logged.api.rows(
        "SELECT decision, basis, cases, shown IS NOT NULL FROM access_log WHERE overview = 'explain'"
    )
    key = f"{AUTHORITY}/sbsys/{CASE['case_id']}"
    assert logged_rows == [("permit", "explanation", [key], True)] * 3


async def test_a_past_moment_is_judged_by_the_agreements_of_then_and_says_when_the_case_is_not_kept(
    logged: Logged,
) -> None:
    since_january(logged)
    logged.execute("UPDATE reader_agreement SET put_at = '2026-03-10Z'")
    verdict, told = await steps(logged, {**ASKED, "at": "2026-03-03T12:00:00Z"}, **AUDITOR)
    assert (verdict, told["joined"]["because"]) == ("deny", "authority_not_joined")
    verdict, _ = await steps(logged, {**ASKED, "at": "2026-03-11T12:00:00Z"}, **AUDITOR)
    assert verdict == "permit"
    logged.execute("UPDATE entry SET indexed_at = '2026-04-01Z'")
    verdict, told = await steps(logged, {**ASKED, "at": "2026-03-11T12:00:00Z"}, **AUDITOR)
    assert (verdict, told["event"]["verdict"], told["joined"]["verdict"]) == ("unknown", "unknown", "permit")
    assert "not kept" in told["event"]["because"]


def since_january(logged: Logged) -> None:
    """All is as it is from the beginning of 2026 on."""
    with connect(logged.api.settings.dsn, "test") as connection:
        note_policy(connection)
    logged.execute("UPDATE policy_history SET since = '2026-01-01Z'")
    logged.execute("UPDATE entry SET indexed_at = '2026-01-01Z'")
    logged.execute("UPDATE sender_agreement SET put_at = '2026-01-01Z'")
    logged.execute("UPDATE reader_agreement SET put_at = '2026-01-01Z'")


def joined_to(logged: Logged, overview: str) -> None:
    """The municipality lets another overview show its cases, too."""
    logged.execute(
        "INSERT INTO reader_agreement SELECT authority, %s, client, version,"
        " body || jsonb_build_object('overview', %s::text), put_by, put_at FROM reader_agreement LIMIT 1",
        overview,
        overview,
    )
    logged.execute("UPDATE reference_revision SET revision = revision + 1")


Said = tuple[str, dict[str, dict[str, Any]]]


async def said_as_it_came(logged: Logged, asked: dict[str, Any], *came: dict[str, Any]) -> list[tuple[str, Said]]:
    """After each registration, what was explained then, and at which moment."""
    told = []
    for registered in ({}, *came):
        if registered:
            put(logged.api.settings.dsn, registered)
        told.append((soon(), await steps(logged, asked, **AUDITOR)))
    return told


async def test_a_past_moment_is_explained_by_the_register_of_then_as_it_was_explained_then(logged: Logged) -> None:
    since_january(logged)
    joined_to(logged, "hoi")
    member = {**EMPLOYEE, "authorities": [AUTHORITY], "areas": ["15.2*"], "principal_ids": [MEMBER]}
    asked = {**ASKED, "overview": "hoi", "reader": member, "citizen": CPR, "effort_id": EFFORT}
    told = await said_as_it_came(
        logged,
        asked,
        effort(),
        consent(),
        objection(),
        objection(registered_at=soon(), lifted_at=soon()),
        effort(registered_at=soon(), members=["principal-8"]),
        effort(registered_at=soon(1), members=[MEMBER]),
        withdrawn(),
        consent(consent_id=an_id(21)),
        person_event("DECEASED", effective_from=soon(-1)),
    )
    assert [verdict for _, (verdict, _) in told] == [
        "deny", "deny", "permit", "deny", "permit", "deny", "permit", "deny", "permit", "deny",
    ]  # fmt: skip
    assert CPR not in str(told)
    for moment, then in told:
        assert await steps(logged, {**asked, "at": moment}, **AUDITOR) == then

    # Who had which number before two were found to be one is not kept, and said so.
    put(logged.api.settings.dsn, person_event("CPR_CHANGED", 9, new_citizen=NEW_CPR))
    verdict, tests = await steps(logged, {**asked, "at": told[2][0]}, **AUDITOR)
    assert (verdict, tests["register"]["verdict"]) == ("unknown", "unknown")


def switched(logged: Logged, version: int, *, on: bool) -> None:
    """Whether the municipality lets its citizens see their cases; as if it had always been so."""
    if version == 1:
        joined_to(logged, "borgerblikket")
    view = {"authority": AUTHORITY, "kle": "N*", "on": on, "from_date": "2020-01-01", "active_exempt": True}
    said = json.dumps([{**view, "systems": [], "title": "TITLE", "documents": True}])
    statement = "INSERT INTO citizen_view VALUES (%s, %s, %s::jsonb, 'test', '2026-01-01Z')"
    logged.execute(statement, AUTHORITY, version, said)
    logged.execute("UPDATE reference_revision SET revision = revision + 1")


async def test_a_citizen_is_told_of_a_past_moment_only_while_they_may_see_the_case_now(logged: Logged) -> None:
    since_january(logged)
    switched(logged, 1, on=True)
    asked = {**CASE, "overview": "borgerblikket", "at": soon()}
    assert (await steps(logged, asked, **CITIZEN))[0] == "permit"
    switched(logged, 2, on=False)
    logged.execute("UPDATE citizen_view SET put_at = clock_timestamp() WHERE version = 2")
    answer = await logged.post("/v1/explain", asked, **CITIZEN)
    assert answer.status_code == 404


async def test_a_power_of_then_is_that_of_its_registrations_and_its_representatives_life(logged: Logged) -> None:
    since_january(logged)
    switched(logged, 1, on=True)
    reader = {"role": "citizen", "citizen": OTHER_CPR}
    told = await said_as_it_came(
        logged,
        {**ASKED, "overview": "borgerblikket", "reader": reader, "citizen": CPR},
        power(),
        power(registered_at=soon(), kle=["15.*"]),
        power(registered_at=soon(1)),
        person_event("DECEASED", citizen=OTHER_CPR, effective_from=soon(-1)),
    )
    assert [verdict for _, (verdict, _) in told] == ["deny", "permit", "deny", "permit", "deny"]
    for moment, then in told:
        asked = {**ASKED, "overview": "borgerblikket", "reader": reader, "citizen": CPR, "at": moment}
        assert await steps(logged, asked, **AUDITOR) == then


async def test_a_past_moment_is_judged_by_the_policy_of_then_where_it_is_known(logged: Logged) -> None:
    since_january(logged)
    asked = {**ASKED, "at": "2026-03-03T12:00:00Z"}
    assert (await steps(logged, asked, **AUDITOR))[0] == "permit"
    logged.execute(
        "UPDATE policy_history SET document = replace(document, 'role = \"employee\"', 'role = \"control\"')"
    )
    verdict, tests = await steps(logged, asked, **AUDITOR)
    assert (verdict, tests["role"]["verdict"]) == ("deny", "deny")
    for unknown in ("SET document = replace(document, '\"complete\"', '\"of_another_program\"')", "SET since = now()"):
        logged.execute(f"UPDATE policy_history {unknown}")
        verdict, tests = await steps(logged, asked, **AUDITOR)
        assert (verdict, tests["policy"]["verdict"]) == ("unknown", "unknown")


async def test_the_policy_is_noted_when_it_is_another_one_and_only_then(logged: Logged) -> None:
    with connect(logged.api.settings.dsn, "test") as connection:
        note_policy(connection)
        note_policy(connection)
        assert connection.execute("SELECT count(*) FROM policy_history").fetchone() == (1,)
        connection.execute("UPDATE policy_history SET document = 'the one before'")
        note_policy(connection)
        noted = connection.execute("SELECT document FROM policy_history ORDER BY since DESC").fetchall()
    assert noted == [(text(),), ("the one before",)]


async def test_a_denial_that_rests_not_on_the_case_stands_though_the_case_has_changed_since(logged: Logged) -> None:
    since_january(logged)
    logged.execute("UPDATE entry SET indexed_at = '2026-04-01Z'")
    verdict, _ = await steps(logged, {**ASKED, "overview": "hok", "at": "2026-03-03T12:00:00Z"}, **AUDITOR)
    assert verdict == "deny"


async def test_a_case_that_one_may_not_be_told_of_is_as_one_that_is_not_there(logged: Logged) -> None:
    answers = [
        await logged.post("/v1/explain", asked, **claims)
        for asked, claims in (
            ({**ASKED, **NOT_THERE}, AUDITOR),
            (ASKED, {**AUDITOR, "authorities": [OTHER]}),
            ({**ASKED, "citizen": CPR}, OPERATOR),
            ({**CASE, "overview": "sapa"}, CITIZEN),
            ({**ASKED, **NOT_THERE}, CITIZEN),
        )
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, answers[0].text)}
    rows = logged.api.rows("SELECT decision, reason, cases FROM access_log WHERE overview = 'explain'")
    assert rows == [("deny", "not_found", [])] * len(answers)
    nowhere = await logged.post("/v1/explain", {**ASKED, "overview": "nowhere"}, **AUDITOR)
    assert (nowhere.status_code, nowhere.json()["detail"]) == (404, "there is no such overview")
    assert len(logged.api.rows("SELECT 1 FROM access_log WHERE overview = 'explain'")) == len(answers) + 1
    assert (await logged.post("/v1/explain", ASKED, **READER)).status_code == 403


async def test_the_command_tells_the_same_and_is_logged(logged: Logged) -> None:
    runner = CliRunner(env={"SAGSBRO_DATABASE": logged.api.settings.dsn})
    arguments = ["explain", *CASE.values(), "--reader", "-", "--json"]
    told = await asyncio.to_thread(lambda: runner.invoke(main, arguments, input=json.dumps(EMPLOYEE)))
    assert (told.exit_code, json.loads(told.stdout)["verdict"]) == (0, "permit")
    (row,) = logged.api.rows("SELECT reader->>'subject', decision FROM access_log")
    assert row == ("command line", "permit")
