"""Explaining over real HTTP: to whom, about when, and nothing to those who may not know."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from click.testing import CliRunner

from broker.cli import main
from ops.embedded.part import Part
from tests.integration.following import READER
from tests.integration.logging_reads import AUDITOR, CITIZEN, Logged, logging
from tests.integration.registering import EFFORT, MEMBER, consent, effort, put
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
    logged.execute("UPDATE entry SET indexed_at = '2026-01-01Z'")
    logged.execute("UPDATE sender_agreement SET put_at = '2026-01-01Z'")
    logged.execute("UPDATE reader_agreement SET put_at = '2026-03-10Z'")
    verdict, told = await steps(logged, {**ASKED, "at": "2026-03-03T12:00:00Z"}, **AUDITOR)
    assert (verdict, told["joined"]["because"]) == ("deny", "authority_not_joined")
    verdict, _ = await steps(logged, {**ASKED, "at": "2026-03-11T12:00:00Z"}, **AUDITOR)
    assert verdict == "permit"
    logged.execute("UPDATE entry SET indexed_at = '2026-04-01Z'")
    verdict, told = await steps(logged, {**ASKED, "at": "2026-03-11T12:00:00Z"}, **AUDITOR)
    assert (verdict, told["event"]["verdict"], told["joined"]["verdict"]) == ("unknown", "unknown", "permit")
    assert "not kept" in told["event"]["because"]


async def test_an_effort_is_explained_by_what_is_registered_and_not_claimed_of_before(logged: Logged) -> None:
    logged.execute(
        "INSERT INTO reader_agreement SELECT authority, 'hoi', client, version,"
        " body || '{\"overview\": \"hoi\"}', put_by, '2026-01-01Z' FROM reader_agreement"
    )
    logged.execute("UPDATE sender_agreement SET put_at = '2026-01-01Z'")
    logged.execute("UPDATE entry SET indexed_at = '2026-01-01Z'")
    logged.execute("UPDATE reference_revision SET revision = revision + 1")
    member = {**EMPLOYEE, "authorities": [AUTHORITY], "areas": ["15.2*"], "principal_ids": [MEMBER]}
    asked = {**ASKED, "overview": "hoi", "reader": member, "citizen": CPR, "effort_id": EFFORT}
    verdict, told = await steps(logged, asked, **AUDITOR)
    assert (verdict, told["effort"]["because"], told["consent"]["because"]) == ("deny", "not_in_effort", "no_consent")
    put(logged.api.settings.dsn, effort(), consent())
    verdict, told = await steps(logged, asked, **AUDITOR)
    assert (verdict, told["consent"]["verdict"]) == ("permit", "permit")
    assert CPR not in str(told)
    verdict, told = await steps(logged, {**asked, "at": "2026-03-03T12:00:00Z"}, **AUDITOR)
    assert (verdict, told["register"]["verdict"]) == ("unknown", "unknown")


async def test_a_case_that_one_may_not_be_told_of_is_as_one_that_is_not_there(logged: Logged) -> None:
    answers = [
        await logged.post("/v1/explain", asked, **claims)
        for asked, claims in (
            ({**ASKED, **NOT_THERE}, AUDITOR),
            (ASKED, {**AUDITOR, "authorities": [OTHER]}),
            ({**ASKED, "citizen": CPR}, OPERATOR),
            ({**CASE, "overview": "sapa"}, CITIZEN),
            ({**ASKED, **NOT_THERE}, CITIZEN),
            ({**ASKED, "overview": "nowhere"}, AUDITOR),
        )
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, answers[0].text)}
    rows = logged.api.rows("SELECT decision, reason, cases FROM access_log WHERE overview = 'explain'")
    assert rows == [("deny", "not_found", [])] * len(answers)
    assert (await logged.post("/v1/explain", ASKED, **READER)).status_code == 403


async def test_the_command_tells_the_same_and_is_logged(logged: Logged) -> None:
    runner = CliRunner(env={"SAGSBRO_DATABASE": logged.api.settings.dsn})
    arguments = ["explain", *CASE.values(), "--reader", "-", "--json"]
    told = await asyncio.to_thread(lambda: runner.invoke(main, arguments, input=json.dumps(EMPLOYEE)))
    assert (told.exit_code, json.loads(told.stdout)["verdict"]) == (0, "permit")
    (row,) = logged.api.rows("SELECT reader->>'subject', decision FROM access_log")
    assert row == ("command line", "permit")
