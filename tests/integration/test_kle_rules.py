"""Mapping rules on a real PostgreSQL and Kafka: what the preview tells is what then happens, and nothing else."""

import asyncio
import json
import random
import subprocess
import sys
import threading
import uuid
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from broker.cli import main
from broker.domain.identity import EntryKey
from broker.settings import Settings
from broker.store import batch, kle_rules
from broker.store.database import connect
from broker.stream.clients import confluent_options
from broker.stream.cluster import admin, make_topics
from broker.stream.framing import encode
from broker.stream.topics import CASE_EVENTS, READ_BY_WORKERS
from ops.bench.filled import AUTHORITIES, SUBJECTS, agree, filled
from ops.bench.filling import write
from ops.embedded.part import Part
from tests.integration.test_batch import searchable
from tests.integration.test_rederive import (
    ENTRIES,
    SESSIONS,
    Connection,
    expected,
    filled_events,
    marked,
    migrated,
    number,
    put,
    states,
    waiting,
)
from tests.integration.test_rejections import CASE, sent

OURS, OTHER = AUTHORITIES[0], AUTHORITIES[1]
FROM, TO = SUBJECTS[0], SUBJECTS[1]
RULE = {"authority": OURS, "system": "*", "match": {"kle": "27.*"}, "to": {"kle": TO}, "from": "2000-01-01"}
FOR_ALL = {"authority": "*", "system": "*", "match": {"kle": f"{FROM[:6]}*"}, "to": {"kle": TO}, "from": "2000-01-01"}
PARAGRAPH = "Serviceloven § 83 a"
NEXUS = {
    "authority": OURS, "system": "sbsys", "match": {"local_code": PARAGRAPH}, "to": {"kle": TO, "facet": "G01"},
    "from": "2000-01-01",
}  # fmt: skip


@dataclass(frozen=True)
class Instance:
    """A filled index, and the command line on it."""

    dsn: str
    data: Path

    def run(self, *arguments: str, given: Any = None) -> tuple[int, list[dict[str, Any]], str]:
        """Exit code, the JSON lines that were printed, everything that was."""
        text = given if isinstance(given, str) else json.dumps(given)
        ran = CliRunner().invoke(main, ["kle", *arguments, "--json", "--data", str(self.data)], input=text)
        lines = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith(("{", "["))]
        return ran.exit_code, lines, ran.output

    def reject(self, event: dict[str, Any], code: str, *, canonical: bool = False) -> str:
        """Keep an event as one that was not taken in."""
        payload = orjson.dumps(event) if canonical else encode("case_event", event)
        with connect(self.dsn, "test") as connection:
            row = connection.execute(
                b"INSERT INTO rejection"
                b" (rejection_id, authority, system, event_id, code, pointer, detail, payload, topic)"
                b" VALUES (gen_random_uuid(), %s, 'sbsys', 'e', %s, '/classification', '', %s, %s)"
                b" RETURNING rejection_id",
                [event["authority"], code, payload, None if canonical else CASE_EVENTS.name],
            ).fetchone()
        assert row is not None
        return str(row[0])


@pytest.fixture
def instance(database: str, tmp_path: Path, kafka: Part) -> Instance:
    migrated(database)
    settings = Settings(database=SecretStr(database), kafka=kafka.address)
    make_topics(admin(confluent_options(settings)), READ_BY_WORKERS, 1)
    agree(settings)
    write(database, 0, ENTRIES, 0)
    where = {"api": "http://127.0.0.1:9", "registry": "http://127.0.0.1:9", "kafka": kafka.address}
    (tmp_path / "instance.json").write_text(json.dumps(where | {"database": database}))
    return Instance(database, tmp_path)


def kept(authority: str = OURS, **classification: Any) -> dict[str, Any]:
    chance = random.Random(1)  # noqa: S311 - reproducible, not secret
    return {**filled(chance, 1, 5), "authority": authority, "system": "sbsys", "classification": classification}


def keys(lines: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {(one["authority"], one["system"], one["case_id"]) for one in lines if one["event"] == "entry"}


def revisions(connection: Connection) -> dict[tuple[str, str, str], int]:
    rows = connection.execute("SELECT authority, system, case_id::text, revision FROM entry").fetchall()
    return {row[:3]: row[3] for row in rows}


def open_rejections(connection: Connection) -> set[str]:
    return {str(one) for (one,) in connection.execute("SELECT rejection_id FROM rejection WHERE state = 'open'")}


@pytest.mark.parametrize(("rules", "mended"), [([RULE], 1), ([RULE, NEXUS, FOR_ALL], 2)])
def test_what_the_preview_tells_is_what_then_happens(
    instance: Instance, rules: list[dict[str, Any]], mended: int
) -> None:
    for event, why in (
        (kept(local_code=PARAGRAPH), "unmapped_local_code"),
        (kept(local_code="andet"), "unmapped_local_code"),
        (kept(OTHER, local_code=PARAGRAPH), "unmapped_local_code"),
        (kept(kle="27.36.99"), "kle_unknown"),
    ):
        instance.reject(event, why)
    with connect(instance.dsn, "test") as connection:
        batch.prepare(connection)
        before, stood, were_open = states(connection), revisions(connection), open_rejections(connection)
        code, told, _ = instance.run("rules", "put", "-", "--preview", given=rules)
        assert code == 0
        assert (states(connection), marked(connection), open_rejections(connection)) == (before, set(), were_open)
        assert number(connection, "SELECT count(*) FROM kle_rules") == 0

        code, done, _ = instance.run("rules", "put", "-", given=rules)
        assert code == 0
        came = revisions(connection)
        assert {key for key in came if came[key] != stood[key]} == keys(told) == marked(connection) != set()
        solved = {one["rejection_id"] for one in told if one["event"] == "rejection"}
        assert were_open - open_rejections(connection) == solved
        counted, applied = told[-1], done[-1]
        assert (counted["event"], applied["event"]) == ("preview", "applied")
        assert (counted["entries"], counted["changed"]) == (applied["seen"], applied["changed"])
        assert len(keys(told)) == counted["changed"] == sum(move["entries"] for move in counted["moves"])
        assert (counted["rejections"], counted["solved"]) == (applied["rejections"], applied["replayed"])
        assert counted["solved"] == len(solved) == mended
        # Derived anew is derived from scratch.
        assert states(connection) == expected(connection, [filled_events()])
        searchable(connection)
        assert number(connection, "SELECT count(*) FROM kle_rules_owed") == 0

        # The same again changes nothing.
        code, told, _ = instance.run("rules", "put", "-", "--preview", given=rules)
        assert (told[-1]["changed"], told[-1]["solved"]) == (0, 0)


def test_a_rule_mends_what_was_rejected_and_the_event_goes_into_the_log(instance: Instance, kafka: Part) -> None:
    event = kept(local_code=PARAGRAPH) | {"case_id": "00000000-0000-0000-0000-000000000007", "event_id": "mended"}
    from_log = instance.reject(event, "unmapped_local_code")
    said = {"event_id": "mended-2", "authority": OURS, "system": "sbsys", "case_id": event["case_id"]}
    said |= {"registered_at": "2024-05-01T10:00:00Z", "change": "REGISTERED"}
    from_intake = instance.reject(
        said | {"classification": {"local_code": PARAGRAPH}}, "unmapped_local_code", canonical=True
    )
    assert instance.run("rules", "put", "-", given=NEXUS)[0] == 0
    assert asyncio.run(sent(kafka.address, CASE_EVENTS)) >= {"mended", "mended-2"}
    with connect(instance.dsn, "test") as connection:
        rows = connection.execute("SELECT rejection_id::text, state FROM rejection").fetchall()
    assert dict(rows) == {from_log: "replayed", from_intake: "replayed"}


def test_a_rule_takes_out_what_it_moves_out_of_what_is_wanted(instance: Instance, kafka: Part) -> None:
    """The case is here by its older number; the newer one is mapped, and is not wanted."""
    choice = {"authority": OURS, "kle": [FROM], "from_date": "2000-01-01", "active_only": False}
    choice |= {"effective_from": None, "effective_to": None}
    with connect(instance.dsn, "test") as connection, connection.transaction():
        connection.execute("INSERT INTO delimitation VALUES (%s, 1, %s, 'test')", [OURS, json.dumps([choice])])
        connection.execute("UPDATE reference_revision SET revision = revision + 1")
        case = "SELECT case_id::text FROM entry WHERE authority = %s AND system = 'sbsys' ORDER BY case_id LIMIT 1"
        ((case_id,),) = connection.execute(case, [OURS]).fetchall()
    instance.reject(kept(local_code=PARAGRAPH) | {"case_id": case_id, "event_id": "moves"}, "unmapped_local_code")
    instance.reject(kept(local_code=PARAGRAPH) | {"case_id": CASE, "event_id": "moves"}, "unmapped_local_code")
    assert instance.run("rules", "put", "-", given=NEXUS)[0] == 0
    assert asyncio.run(sent(kafka.address, CASE_EVENTS, case_id)) == {str(uuid.UUID(int=0))}
    assert "moves" not in asyncio.run(sent(kafka.address, CASE_EVENTS))
    with connect(instance.dsn, "test") as connection:
        assert open_rejections(connection) == set()


def test_while_rules_are_applied_live_events_go_on(instance: Instance) -> None:
    chance = random.Random(3)  # noqa: S311 - reproducible, not secret
    newer = [filled(chance, ENTRIES + n, chance.randrange(ENTRIES + 200)) for n in range(400)]
    started = threading.Event()

    def live() -> None:
        with closing(connect(instance.dsn, "test")) as session:
            batch.prepare(session)
            for start in range(0, len(newer), 10):
                put(session, newer[start : start + 10], start)
                started.set()

    writer = threading.Thread(target=live)
    writer.start()
    started.wait(60)
    code, done, _ = instance.run("rules", "put", "-", "--rate", "1000", given=FOR_ALL)
    writer.join()
    assert (code, done[-1]["behind"]) == (0, False)
    with connect(instance.dsn, "test") as connection:
        batch.prepare(connection)
        assert states(connection) == expected(connection, [filled_events(), newer])


def test_rules_that_were_put_and_then_killed_are_owed_until_they_are_applied(instance: Instance) -> None:
    command = [sys.executable, "-m", "broker.cli", "kle", "rules", "put", "rules.json", "--rate", "200", "--json"]
    rules = instance.data / "rules.json"
    rules.write_text(json.dumps(FOR_ALL))
    killed = subprocess.Popen([*command, "--data", str(instance.data)], cwd=instance.data)
    with connect(instance.dsn, "test") as connection:
        batch.prepare(connection)
        waiting(lambda: number(connection, "SELECT coalesce(sum(seen), 0) FROM rederivation_part") > 0)
        killed.kill()
        killed.wait()
        waiting(lambda: number(connection, SESSIONS) == 0)
        assert owed(instance) == [True]
        assert states(connection) != expected(connection, [filled_events()])
        code, done, _ = instance.run("rules", "apply")
        assert (code, done[-1]["sets"], done[-1]["seen"]) == (0, 1, ENTRIES)
        assert states(connection) == expected(connection, [filled_events()])
        assert owed(instance) == [False]
        assert instance.run("rules", "apply")[1][-1]["sets"] == 0


def test_a_set_is_replaced_its_versions_are_kept_and_it_can_be_cleared(instance: Instance) -> None:
    later = {**RULE, "to": {"kle": SUBJECTS[2]}, "from": "2024-05-01"}
    assert instance.run("rules", "put", "-", given=[RULE | {"to_date": "2024-05-01"}, later])[1][0]["version"] == 1
    (unchanged, *_) = instance.run("rules", "put", "-", given=[RULE | {"to_date": "2024-05-01"}, later])[1]
    assert (unchanged["version"], unchanged["changed"]) == (1, False)
    with connect(instance.dsn, "test") as connection:
        batch.prepare(connection)
        changed = {key: state for key, state in states(connection).items() if rule_of(state)}
        assert {state.groups["classification"][1]["kle"] for state in changed.values()} == {TO, SUBJECTS[2]}
        assert {key.authority for key in changed} == {OURS}

        _, told, _ = instance.run("rules", "clear", OURS, "*", "--preview")
        assert {EntryKey(*key) for key in keys(told)} == set(changed)
        assert instance.run("rules", "clear", OURS, "*")[0] == 0
        assert not any(rule_of(state) for state in states(connection).values())
        assert states(connection) == expected(connection, [filled_events()])
    versions: Any = instance.run("rules", "show", OURS, "*")[1][0]
    assert [(one["version"], len(one["rules"])) for one in versions] == [(2, 0), (1, 2)]
    assert instance.run("rules", "show", OTHER, "*")[0] == 1


def test_a_number_of_an_authority_s_own_maps_its_entries_and_mends_its_rejections(instance: Instance) -> None:
    own = {"authority": OURS, "number": "27.36.99", "title": "Eget", "from": "2000-01-01"}
    mended = instance.reject(kept(kle="27.36.99"), "kle_unknown")
    others = instance.reject(kept(OTHER, kle="27.36.99"), "kle_unknown")
    code, told, _ = instance.run("local", "put", "-", given=own)
    assert (code, told[-1]["event"], told[-1]["changed"], told[-1]["replayed"]) == (0, "applied", 0, 1)
    rule = {**RULE, "match": {"kle": "N*"}, "to": {"kle": "27.36.99"}}
    assert instance.run("rules", "put", "-", given=rule)[0] == 0
    with connect(instance.dsn, "test") as connection:
        batch.prepare(connection)
        assert open_rejections(connection) == {others} != {mended}
        ours = {key for key in states(connection) if key.authority == OURS}
        assert number(connection, "SELECT count(*) FROM entry WHERE kle = '27.36.99'") == len(ours)
        connection.execute("TRUNCATE dirty")
        code, told, _ = instance.run("local", "clear", OURS)
        assert (code, told[-1]["changed"], told[-1]["unmapped"]) == (0, len(ours), len(ours))
        assert {EntryKey(*key) for key in marked(connection)} == ours
        assert states(connection).keys() - ours == expected(connection, [filled_events()]).keys()


def owed(instance: Instance) -> list[bool]:
    listed: Any = instance.run("rules", "list")[1][0]
    return [one["owed"] for one in listed]


def rule_of(state: Any) -> str | None:
    rule: str | None = state.groups["classification"][1]["rule"]
    return rule


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ([RULE, {**RULE, "to": {"kle": SUBJECTS[2]}}], "rules_tie: /1/match"),
        ([RULE, NEXUS, {**NEXUS, "from": "2024-01-01"}], "rules_tie: /2/match"),
        ([{**RULE, "match": {"kle": "27*"}}], "/0/match/kle"),
        ([{**RULE, "match": {"kle": FROM, "local_code": "x"}}], "/0/match"),
        ([{**RULE, "match": {"local_code": "sag 010101-1234"}}], "/0/match/local_code"),
        ([{**RULE, "to": {"kle": "27.36"}}], "/0/to/kle"),
        ([{**RULE, "to_date": "1999-01-01"}], "/0"),
        ([{**RULE, "system": "ukendt"}], "/0/system"),
    ],
)
def test_rules_that_tie_or_are_not_of_their_form_are_refused_with_the_place(
    instance: Instance, rules: list[dict[str, Any]], why: str
) -> None:
    for arguments in (("put", "-"), ("put", "-", "--preview")):
        code, _, output = instance.run("rules", *arguments, given=rules)
        assert (code, why in output) == (1, True)
        assert "010101" not in output
    with connect(instance.dsn, "test") as connection:
        assert number(connection, "SELECT count(*) FROM kle_rules") == 0


def test_the_mapping_review_prints_what_is_unmapped_and_is_kept(instance: Instance) -> None:
    review = ("check", "-", "--authority", OURS, "--system", "sbsys")
    listed = f"code,title,count\n{FROM},Hjemmehjælp,12\n{PARAGRAPH},Rehabilitering,3\n27.36.99,,\n"

    def checked() -> kle_rules.MappingCheck | None:
        async def look_up() -> kle_rules.MappingCheck | None:

            async with await psycopg.AsyncConnection.connect(instance.dsn) as connection:
                return await kle_rules.mapping_checked(connection, OURS, "sbsys")

        return asyncio.run(look_up())

    assert checked() is None
    code, (told,), _ = instance.run(*review, given=listed)
    assert (code, told["codes"]) == (3, 3)
    assert [(one["code"], one["count"], one["reason"]) for one in told["unmapped"]] == [
        (PARAGRAPH, 3, "unmapped_local_code"),
        ("27.36.99", None, "kle_unknown"),
    ]
    kept_check = checked()
    assert kept_check is not None
    assert (kept_check.codes, kept_check.unmapped) == (3, 2)

    assert instance.run("rules", "put", "-", given=NEXUS)[0] == 0
    code, (told,), _ = instance.run(*review, given=f"{FROM}\n{PARAGRAPH}\n")
    assert (code, told["unmapped"]) == (0, [])
    kept_check = checked()
    assert kept_check is not None
    assert (kept_check.codes, kept_check.unmapped) == (2, 0)
    assert instance.run("check", "-", "--authority", OURS, "--system", "ukendt", given=listed)[0] == 2
    for flawed in ("", "code\n", "a,b,mange\n", ",titel\n"):
        assert instance.run(*review, given=flawed)[0] == 1
