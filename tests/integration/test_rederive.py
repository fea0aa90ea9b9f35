"""The index derived anew on a real PostgreSQL: only what differs changes, and no run, write or kill is lost."""

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from pydantic import SecretStr

from broker.domain.agreement import Facts
from broker.domain.batch import Arrival, Place, plan
from broker.domain.case import EMPTY, CaseEvent, State, content_hash, merge
from broker.domain.identity import EntryKey
from broker.processing.rederiving import RederivingFailed, rederive
from broker.settings import Settings
from broker.store import batch, database, facts
from broker.store import rederivation as store
from broker.store.database import connect, query
from broker.store.document import load
from broker.store.rederivation import Scope
from broker.stream.framing import HEADER, Decoder, encode
from ops.bench.filled import AUTHORITIES, SUBJECTS, agree, filled
from ops.bench.filling import write
from tests.integration.test_batch import bare, searchable

Connection = psycopg.Connection[Any]
ENTRIES = 1500
MIDDLE = "2024-05-01"
"""Filled cases are created in the year from November 2023 on."""
RETIRED = SUBJECTS[0]
PATIENCE_S = 60.0
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sagsbro-derives' AND wait_event_type = 'Lock'"
DECODER = Decoder("case_event", lambda _: None)
SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sagsbro-rederive'"


@pytest.fixture
def dsn(database: str) -> str:
    """An index of filled cases, everything published."""
    migrated(database)
    agree(Settings(database=SecretStr(database)))
    write(database, 0, ENTRIES, 0)
    return database


def migrated(dsn: str) -> None:
    database.migrate(dsn)


@pytest.fixture
def connection(dsn: str) -> Iterator[Connection]:
    with connect(dsn, "test") as opened:
        batch.prepare(opened)
        yield opened


def new_edition(connection: Connection, numbers: tuple[str, ...] = SUBJECTS) -> None:
    with connection.transaction():
        connection.execute(query("change_revision"))
        connection.execute("INSERT INTO kle_edition (published) VALUES (%s)", [MIDDLE])
        connection.execute("INSERT INTO kle_subject SELECT %s, unnest(%s::text[]), 'emne'", [MIDDLE, list(numbers)])
        connection.execute("UPDATE reference_revision SET revision = revision + 1")


def table(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT authority, system, case_id::text, revision, kle, complete, document FROM entry"
        " ORDER BY authority, system, case_id"
    ).fetchall()


def states(connection: Connection) -> dict[EntryKey, State]:
    """Without what says when."""
    return {EntryKey(*row[:3]): bare(load(row[-1])) for row in table(connection)}


def marked(connection: Connection) -> set[tuple[str, str, str]]:
    return set(connection.execute("SELECT authority, system, case_id::text FROM dirty").fetchall())


def test_nothing_is_written_or_marked_when_nothing_has_changed(dsn: str, connection: Connection) -> None:
    before = table(connection)
    report = rederive(dsn, Scope())
    assert (report.seen, report.changed, report.unmapped, report.passes, report.behind) == (ENTRIES, 0, 0, 1, False)
    assert table(connection) == before
    assert marked(connection) == set()


def test_a_new_edition_changes_and_marks_the_cases_that_it_concerns_and_no_other(
    dsn: str, connection: Connection
) -> None:
    stood = {row[:3]: row for row in table(connection)}
    concerned = {
        tuple(key)
        for key in connection.execute(
            "SELECT authority, system, case_id::text FROM entry"
            " WHERE created_at >= extract(epoch FROM %s::date)::bigint * 1000000",
            [MIDDLE],
        )
    }
    new_edition(connection, SUBJECTS[1:])
    report = rederive(dsn, Scope())
    came = {row[:3]: row for row in table(connection)}
    assert marked(connection) == {key for key in came if came[key] != stood[key]} == concerned
    assert 0 < len(concerned) == report.changed < ENTRIES
    assert all(came[key][3] == 2 for key in concerned)
    retired = {key for key in concerned if stood[key][4] == RETIRED}
    assert {key for key in came if came[key][4] is None} == retired != set()
    assert report.unmapped == len(retired)
    searchable(connection)
    # What fewer may see goes first.
    assert {
        tuple(key) for key in connection.execute("SELECT authority, system, case_id::text FROM dirty WHERE lane = 0")
    } == retired

    anew = states(connection)
    connection.execute("TRUNCATE entry")
    write(dsn, 0, ENTRIES, 0)
    assert states(connection) == {key: state for key, state in anew.items() if tuple(key) not in retired}


def test_a_scope_is_one_authority_s_entries(dsn: str, connection: Connection) -> None:
    new_edition(connection)
    report = rederive(dsn, Scope(AUTHORITIES[0], "sbsys"))
    rows = [key for key in states(connection) if key[:2] == (AUTHORITIES[0], "sbsys")]
    assert report.seen == len(rows) > 0
    assert {key[:2] for key in marked(connection)} == {(AUTHORITIES[0], "sbsys")}
    nobody = rederive(dsn, Scope("99999999"))
    assert (nobody.seen, nobody.changed, nobody.behind) == (0, 0, False)


def test_every_entry_is_in_one_part_of_a_run(connection: Connection) -> None:
    known, seen = Facts(revision=-1), []
    run = store.begin(connection, Scope(), None, 3, 100)
    assert store.begin(connection, Scope(), None, 3, 100) == run
    came = store.progress(connection, run)
    for part in came.open:
        done, of_part = False, 0
        while not done:
            made, known = store.chunk(connection, run, part, 70, known)
            done, of_part = made.done, of_part + made.seen
        seen.append(of_part)
    assert len(seen) == 3
    assert sum(seen) == ENTRIES == came.entries
    assert max(seen) - min(seen) <= 2
    assert store.progress(connection, run).settled


def test_a_pass_in_which_reference_data_changed_is_made_again(connection: Connection) -> None:
    run = store.begin(connection, Scope(), None, 1, 1)
    _, known = store.chunk(connection, run, 0, ENTRIES - 10, Facts(revision=-1))
    new_edition(connection)
    _, known = store.chunk(connection, run, 0, ENTRIES, known)
    came = store.progress(connection, run)
    assert (came.open, came.settled) == ((), False)
    store.again(connection, run)
    store.chunk(connection, run, 0, ENTRIES + 1, known)
    came = store.progress(connection, run)
    assert (came.passed, came.seen, came.open, came.settled) == (2, ENTRIES, (), True)


def test_a_run_that_had_come_to_its_end_and_was_killed_is_made_again_by_what_stands_since(
    dsn: str, connection: Connection
) -> None:
    """It owes what was put after its last chunk: nothing else would tell that it had never applied it."""
    run = store.begin(connection, Scope(), None, 1, 1)
    store.chunk(connection, run, 0, ENTRIES + 1, Facts(revision=-1))
    assert store.progress(connection, run).settled
    new_edition(connection)
    report = rederive(dsn, Scope())
    assert (report.run, report.passes, report.seen, report.behind) == (run, 2, ENTRIES, False)
    assert states(connection) == expected(connection, [filled_events()])
    # One under whose last pass nothing has changed since is at its end.
    run = store.begin(connection, Scope(), None, 1, 1)
    store.chunk(connection, run, 0, ENTRIES + 1, Facts(revision=-1))
    report = rederive(dsn, Scope())
    assert (report.run, report.passes, report.changed) == (run, 1, 0)


def test_two_runs_of_one_scope_do_not_stand_side_by_side(dsn: str, connection: Connection) -> None:
    connection.execute("SELECT pg_advisory_lock(7346003, hashtext('None/None'))")
    with pytest.raises(RederivingFailed):
        rederive(dsn, Scope())


def test_a_run_that_is_killed_goes_on_where_it_was(dsn: str, connection: Connection, tmp_path: Path) -> None:
    new_edition(connection)
    with closing(connect(dsn, "test")) as other:
        batch.prepare(other)
        uninterrupted = expected(other, [filled_events()])
    command = [sys.executable, "-m", "broker.cli", "rederive", "--rate", "200", "--json"]
    killed = subprocess.Popen(command, env={**os.environ, "SAGSBRO_DATABASE": dsn}, cwd=tmp_path)
    waiting(lambda: number(connection, "SELECT coalesce(sum(seen), 0) FROM rederivation_part") > 0)
    killed.kill()
    killed.wait()
    # Its parts hear of its end.
    waiting(lambda: number(connection, SESSIONS) == 0)
    halfway = number(connection, "SELECT sum(seen) FROM rederivation_part")
    assert 0 < halfway < ENTRIES
    assert states(connection) != uninterrupted

    done = subprocess.run(
        [*command[:-3], "--json"],
        env={**os.environ, "SAGSBRO_DATABASE": dsn},
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    said = json.loads(done.stdout.splitlines()[-1])
    assert (said["event"], said["seen"], said["behind"]) == ("rederived", ENTRIES, False)
    assert number(connection, "SELECT count(*) FROM rederivation") == 1
    assert states(connection) == uninterrupted
    assert all(row[3] <= 2 for row in table(connection))


def test_what_is_written_meanwhile_is_not_lost(dsn: str, connection: Connection) -> None:
    chance = random.Random(3)  # noqa: S311 - reproducible, not secret
    newer = [filled(chance, ENTRIES + n, chance.randrange(ENTRIES + 200)) for n in range(800)]
    for event in newer:
        for group in chance.sample(("properties", "classification", "parties", "journal"), 2):
            event[group] = None  # type: ignore[literal-required]
    new_edition(connection)
    started = threading.Event()

    def live() -> None:
        with closing(connect(dsn, "test")) as session:
            batch.prepare(session)
            for start in range(0, len(newer), 20):
                put(session, newer[start : start + 20], start)
                started.set()

    writer = threading.Thread(target=live)
    writer.start()
    started.wait(PATIENCE_S)
    report = rederive(dsn, Scope(), rate=400)
    writer.join()
    assert report.changed > 0
    assert states(connection) == expected(connection, [filled_events(), newer])
    searchable(connection)


def filled_events() -> list[CaseEvent]:
    chance = random.Random(0)  # noqa: S311 - as `write` draws them
    return [filled(chance, n, n) for n in range(ENTRIES)]


def put(session: Connection, events: list[CaseEvent], offset: int) -> None:
    """As a worker does it."""
    with session.transaction():
        session.execute(query("hold_revision"))
        place = Place("t", "id", 1)
        batch.write(session, {place: plan(arrivals(events, offset), facts.load(session), place)})


def arrivals(events: list[CaseEvent], offset: int) -> list[Arrival]:
    framed = [encode("case_event", event) for event in events]
    now = int(time.time() * 1000)
    return [
        Arrival(offset + n, now, value, cast("CaseEvent", DECODER.decode(value)), content_hash(value[HEADER.size :]))
        for n, value in enumerate(framed)
    ]


def expected(session: Connection, sent: list[list[CaseEvent]]) -> dict[EntryKey, State]:
    """Every event judged by the facts of now, and merged."""
    known, merged = facts.load(session), dict[EntryKey, State]()
    for events in sent:
        for key, said in plan(arrivals(events, 0), known, Place("t", "id", 1)).cases.items():
            for one in said:
                merged[key] = merge(merged.get(key, EMPTY), one.state)
    return {key: bare(state) for key, state in merged.items()}


def number(connection: Connection, statement: str) -> int:
    ((found,),) = connection.execute(statement.encode()).fetchall()
    return int(found)


def waiting(until: Any) -> None:
    """Until it is so."""
    deadline, pause = time.monotonic() + PATIENCE_S, threading.Event()
    while not until():
        assert time.monotonic() < deadline
        pause.wait(0.02)


def test_an_entry_that_is_being_written_is_derived_as_it_then_is(dsn: str, connection: Connection) -> None:
    new_edition(connection)
    newer = [filled(random.Random(5), ENTRIES, 300)]  # noqa: S311 - reproducible, not secret
    newer[0]["classification"] = None
    run, made = store.begin(connection, Scope(), None, 1, 1), list[store.Chunk]()

    def derive() -> None:
        with closing(connect(dsn, "derives")) as session:
            batch.prepare(session)
            made.append(store.chunk(session, run, 0, ENTRIES + 1, Facts(revision=-1))[0])

    deriving = threading.Thread(target=derive)
    with closing(connect(dsn, "test")) as writing:
        batch.prepare(writing)
        with writing.transaction():
            put(writing, newer, 0)
            deriving.start()
            waiting(lambda: number(connection, WAITS) == 1)
    deriving.join()
    assert made[0].seen == ENTRIES
    assert states(connection) == expected(connection, [filled_events(), newer])
    searchable(connection)
