"""The right of access over real HTTP: everything, to the authority's auditors alone."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from click.testing import CliRunner

from broker.cli import main
from broker.store.persons import Author
from ops.embedded.part import Part
from tests.integration.following import READER, a_case
from tests.integration.logging_reads import AUDITOR, CITIZEN, OTHER_CPR, Logged, logging
from tests.integration.registering import (
    EFFORT,
    NEW_CPR,
    REGISTRAR,
    an_id,
    consent,
    effort,
    objection,
    person_event,
    power,
    put,
)
from tests.integration.running import AUTHORITY, CPR, KLE, OTHER
from tests.integration.searching import INSERT, listed, row


@pytest.fixture
async def logged(database: str, kafka: Part) -> AsyncIterator[Logged]:
    async with logging(database, kafka.address) as made:
        yield made


ASKED = {"citizen": CPR, "authority": AUTHORITY, "purpose": "Indsigt"}


async def test_everything_is_there_also_what_no_overview_shows(logged: Logged) -> None:
    key, hidden = a_case(2, kle=None, principals=frozenset({"principal-1"}))
    logged.execute(INSERT, *row(key, hidden))
    key, second = a_case(3, parties=(("PRIMARY", f"CPR:{OTHER_CPR}"), ("BENEFIT_RECIPIENT", f"CPR:{CPR}")))
    logged.execute(INSERT, *row(key, second))
    key, other = a_case(4, f"CPR:{OTHER_CPR}")
    logged.execute(INSERT, *row(key, other))
    logged.execute(
        "INSERT INTO rejection (rejection_id, authority, system, code, pointer, detail, payload)"
        " VALUES (gen_random_uuid(), %s, 'sbsys', 'kle_unknown', '/', '', %s)",
        AUTHORITY,
        b"\0\xe6" + CPR.encode(),  # as it lies in an event of the log
    )
    await logged.read({"citizen": CPR})

    answer = await logged.post("/v1/dossier", ASKED, **AUDITOR)

    held = answer.json()
    assert [int(entry["case_id"][-2:], 16) for entry in held["entries"]] == [1, 2, 3]
    assert held["entries"][0]["groups"]["properties"]["title"] == "Sag 1"
    assert [(one["code"], CPR in one["event"]) for one in held["rejected_events"]] == [("kle_unknown", True)]
    assert [one["reader"]["subject"] for one in held["access_log"]] == ["employee-1"]
    assert held["sources"] == ["sbsys"]
    assert held["kept_in_topics_days"]["sagsbro.case-events.v1"] == 35
    (logged_row,) = logged.api.rows(
        "SELECT decision, basis, purpose, cardinality(cases), subject IS NOT NULL FROM access_log"
        " WHERE overview = 'dossier'"
    )
    assert logged_row == ("permit", "right_of_access", "Indsigt", 3, True)


async def test_until_when_kle_lets_a_case_be_kept_is_there_where_it_is_closed(logged: Logged) -> None:
    ended = {"state": "AFSLUTTET", "effective_from": 1_714_550_400_000_000}
    logged.execute(INSERT, *row(*a_case(2, groups={"progress": listed(ended)})))
    logged.execute("UPDATE kle_subject SET preservation = 'K', deletion = 'P1825D' WHERE number = %s", KLE)
    open_case, closed_case = (await logged.post("/v1/dossier", ASKED, **AUDITOR)).json()["entries"]
    rule = {"preservation": "K", "deletion": "P1825D"}
    assert open_case["retention"] == {**rule, "closed_at": None, "delete_after": None}
    at = {"closed_at": "2024-05-01T08:00:00.000000Z", "delete_after": "2029-04-30T08:00:00.000000Z"}
    assert closed_case["retention"] == rule | at


async def test_what_is_registered_is_there_and_what_is_held_by_an_earlier_number(logged: Logged) -> None:
    elsewhere = Author("Another", frozenset({OTHER}))
    put(logged.api.settings.dsn, effort(), consent(), power(), objection(), author=REGISTRAR)
    put(logged.api.settings.dsn, objection(objection_id=an_id(8)), author=elsewhere)
    put(logged.api.settings.dsn, person_event("CPR_CHANGED", new_citizen=NEW_CPR))
    await logged.read({"citizen": CPR})
    held = (await logged.post("/v1/dossier", {**ASKED, "citizen": NEW_CPR}, **AUDITOR)).json()
    assert [one["kind"] for one in held["registered"]] == ["consent", "effort", "objection", "person_event", "power"]
    assert held["registered"][0]["body"]["effort_id"] == EFFORT
    assert held["glass_broken"] == []
    assert [one["title"] for one in (entry["groups"]["properties"] for entry in held["entries"])] == ["Sag 1"]
    assert [one["overview"] for one in held["access_log"]] == ["sapa"]


async def test_until_when_the_authoritys_own_employees_follow_the_citizen_is_there(logged: Logged) -> None:
    for subject, authorities in (("employee-1", [AUTHORITY]), ("employee-2", [OTHER])):
        until = {"employee-1": "2026-12-01T00:00:00Z", "employee-2": "2026-12-02T00:00:00Z"}[subject]
        logged.execute(
            "INSERT INTO subscription (subject, client, overview, version, citizens, purpose, until, authorities)"
            " VALUES (%s, 'sapa', 'sapa', gen_random_uuid(), %s, 'Opfølgning', %s, %s)",
            *(subject, [CPR], until, authorities),
        )
    held = (await logged.post("/v1/dossier", ASKED, **AUDITOR)).json()
    assert held["followed_until"] == ["2026-12-01T00:00:00.000000Z"]


async def test_nobody_else_is_given_it_and_the_refusal_is_logged(logged: Logged) -> None:
    assert (await logged.post("/v1/dossier", ASKED, **{**AUDITOR, "authorities": [OTHER]})).status_code == 403
    rows = logged.api.rows("SELECT decision, reason FROM access_log")
    assert rows == [("deny", "not_yours")]
    for claims in (READER, CITIZEN):
        assert (await logged.post("/v1/dossier", ASKED, **claims)).status_code == 403


async def test_the_command_asks_for_the_number_and_is_logged(logged: Logged) -> None:
    environment = {"SAGSBRO_DATABASE": logged.api.settings.dsn}
    told = await asyncio.to_thread(
        lambda: CliRunner().invoke(main, ["dossier", AUTHORITY], input=f"{CPR}\n", env=environment)
    )
    assert (told.exit_code, len(json.loads(told.stdout)["entries"])) == (0, 1)
    assert logged.api.rows("SELECT reader->>'subject' FROM access_log") == [("command line",)]
