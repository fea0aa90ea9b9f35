"""The chain over the log of reads, on a real database and a real Kafka: whoever tampers is named."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiokafka import AIOKafkaProducer
from click.testing import CliRunner
from pydantic import SecretStr

from broker import metrics, sealing_key
from broker.cli import main
from broker.domain import chain
from broker.domain.chain import Finding, Flaw
from broker.metrics import LOOKED_THROUGH, Kept
from broker.processing import reverifying
from broker.processing.reverifying import StopAskedError, Verifier
from broker.processing.sealing import Sealer
from broker.processing.verifying import NoKeyError, Report, verify
from broker.settings import Settings
from broker.store import access_log, measures
from broker.store import chain as store
from broker.store.access_log import Access
from broker.store.database import connect, conninfo, migrate
from broker.stream.clients import confluent_options
from broker.stream.cluster import admin, make_topics
from broker.stream.topics import ANCHORS
from ops.embedded.part import Part
from tests.integration.following import a_case
from tests.integration.searching import INSERT, row
from tests.unit.worlds import CITIZENS

READER = {"subject": "employee-1", "role": "employee", "authorities": ["55133018"]}


@dataclass
class Log:
    """A log, its sealer, and a database administrator."""

    settings: Settings
    admin: psycopg.Connection[Any]
    sealer: Sealer

    def read(self, *citizens: str, cases: tuple[str, ...] = ()) -> None:
        """One read of each, committed."""

        async def write() -> None:
            address = conninfo(self.settings.dsn, "test")
            async with await psycopg.AsyncConnection.connect(address, autocommit=True) as connection:
                for citizen in citizens:
                    await access_log.write(connection, Access(READER, "sapa", "permit", subject=citizen, cases=cases))

        asyncio.run(write())

    def sealed(self, *reads: int) -> None:
        """So many reads in each segment, and their anchors where they belong."""
        for number in reads:
            self.read(*CITIZENS[:1] * number)
            assert self.sealer.step() == number
        self.sealer.settle(20)

    def verify(self) -> Report:
        return verify(self.settings)

    def found(self) -> list[Finding]:
        return self.verify().findings

    @property
    def ids(self) -> list[int]:
        return [number for (number,) in self.admin.execute("SELECT id FROM access_log ORDER BY id")]


@pytest.fixture
def log(database: str, kafka: Part, tmp_path: Path) -> Iterator[Log]:
    key = tmp_path / "seal-key.pem"
    sealing_key.make(key)
    settings = Settings(kafka=kafka.address, database=SecretStr(database), seal_key=key)
    migrate(database)
    client = admin(confluent_options(settings))
    for future in client.delete_topics([ANCHORS.name]).values():
        future.exception()
    while make_topics(client, [ANCHORS], 1) != [ANCHORS.name]:
        pass
    with connect(database, "test") as dba, connect(database, "sealer") as connection:
        yield Log(settings, dba, Sealer(settings, connection, sealing_key.load(key)))


def test_what_is_as_it_was_sealed_is_found_whole_and_the_tail_is_no_flaw(log: Log) -> None:
    log.sealed(3, 2)
    log.read(CITIZENS[0])
    report = log.verify()
    assert (report.segments, report.rows, report.anchors, report.unsealed, report.findings) == (2, 5, 2, 1, [])
    assert 0 < measures.read(log.admin).unsealed[()] < 60


def test_a_row_that_is_not_committed_yet_is_sealed_later_and_not_lost(log: Log) -> None:
    with connect(log.settings.dsn, "slow") as slow, slow.transaction():
        slow.execute(
            "WITH l AS (INSERT INTO access_log (reader, overview, decision, cases) VALUES ('{}', 'sapa', 'deny', '{}')"
            " RETURNING id) INSERT INTO access_unsealed SELECT id FROM l"
        )
        log.sealed(2)
    assert log.sealer.step() == 1
    log.sealer.settle(20)
    report = log.verify()
    assert (report.rows, report.segments, report.findings) == (3, 2, [])


def test_a_changed_row_a_missing_one_an_inserted_one_and_two_that_changed_places_are_named(log: Log) -> None:
    log.sealed(3, 3)
    one, two, three, four, five, six = log.ids
    log.admin.execute("UPDATE access_log SET purpose = 'another' WHERE id = %s", [two])
    assert log.found() == [Finding(Flaw.CHANGED, 1, two)]
    log.admin.execute("DELETE FROM access_log WHERE id = %s", [two])
    assert log.found() == [Finding(Flaw.MISSING, 1, two)]
    log.admin.execute(
        "UPDATE access_log l SET at = o.at FROM access_log o WHERE (l.id, o.id) IN ((%(a)s, %(b)s), (%(b)s, %(a)s))",
        {"a": four, "b": six},
    )
    assert log.found()[1:] == [Finding(Flaw.REORDERED, 2, four), Finding(Flaw.REORDERED, 2, six)]
    log.admin.execute(
        "INSERT INTO access_log (reader, overview, decision, cases) SELECT reader, overview, decision, cases"
        " FROM access_log WHERE id = %s",
        [one],
    )
    assert log.found()[3:] == [Finding(Flaw.INSERTED, None, max(log.ids))]
    assert {three, five} <= set(log.ids)


def test_a_row_that_is_inserted_into_the_past_through_the_sealer_is_named(log: Log) -> None:
    log.sealed(1)
    (number,) = log.admin.execute(
        "WITH l AS (INSERT INTO access_log (at, reader, overview, decision, cases)"
        " VALUES (now() - interval '1 day', '{}', 'sapa', 'deny', '{}') RETURNING id)"
        " INSERT INTO access_unsealed SELECT id FROM l RETURNING id"
    ).fetchone() or (0,)
    log.sealer.step()
    assert log.found() == [Finding(Flaw.BACKDATED, 2, number)]


def test_an_unsealed_row_that_vanishes_is_named_before_it_is_sealed_and_after(log: Log) -> None:
    log.read(*CITIZENS)
    gone = log.ids[0]
    log.admin.execute("DELETE FROM access_log WHERE id = %s", [gone])
    assert log.found() == [Finding(Flaw.MISSING, None, gone)]
    log.sealer.step()
    assert log.found() == [Finding(Flaw.MISSING, 1, gone)]


def test_a_chain_that_is_written_anew_lacks_the_signature_or_with_a_stolen_key_the_anchor(log: Log) -> None:
    log.sealed(2)
    log.admin.execute("UPDATE access_log SET purpose = 'another' WHERE id = %s", [log.ids[0]])
    rows = [chain.Row(*row) for row in store.digests(log.admin, log.ids).items()]
    (found,) = log.admin.execute("SELECT (extract(epoch FROM sealed_at) * 1000000)::bigint FROM access_segment")
    forged = chain.sealed(1, found[0], chain.GENESIS, rows)
    log.admin.execute("UPDATE access_segment SET rows = %s, head = %s", [chain.packed(rows), forged.head])
    assert log.found() == [Finding(Flaw.SIGNATURE, 1), Finding(Flaw.ANCHOR, 1)]
    assert log.settings.seal_key is not None
    stolen = sealing_key.load(log.settings.seal_key)
    log.admin.execute("UPDATE access_segment SET signature = %s", [stolen.sign(chain.head_statement(forged.head))])
    assert log.found() == [Finding(Flaw.ANCHOR, 1)]


def test_a_chain_that_loses_its_end_its_middle_or_its_beginning_is_named(log: Log) -> None:
    log.sealed(1, 1, 1, 1)
    of = {number: log.ids[number - 1] for number in (1, 2, 3, 4)}

    def without(number: int) -> list[Finding]:
        log.admin.execute("DELETE FROM access_segment WHERE number = %s", [number])
        log.admin.execute("DELETE FROM access_log WHERE id = %s", [of[number]])
        return log.found()

    assert without(4) == [Finding(Flaw.SEGMENT_MISSING, 4)]
    assert without(2) == [Finding(Flaw.SEGMENT_MISSING, 2), Finding(Flaw.SEGMENT_MISSING, 4)]
    assert without(1)[:2] == [Finding(Flaw.SEGMENT_MISSING, 1), Finding(Flaw.SEGMENT_MISSING, 2)]


def test_a_segment_whose_list_was_cut_is_named(log: Log) -> None:
    log.sealed(2)
    log.admin.execute("UPDATE access_segment SET rows = substr(rows, 1, 41)")
    assert Finding(Flaw.SEGMENT_CHANGED, 1) in log.found()


def test_an_anchor_that_no_sealer_wrote_is_named(log: Log) -> None:
    log.sealed(1)

    async def write() -> None:
        async with AIOKafkaProducer(bootstrap_servers=log.settings.kafka) as producer:
            said = {"number": 1, "head": "00" * 32, "signature": "00" * 64, "key_id": "mine"}
            for value in (json.dumps(said).encode(), b"[]"):
                await producer.send_and_wait(ANCHORS.name, value, key=b"x")

    asyncio.run(write())
    assert log.found() == [Finding(Flaw.ANCHOR, 1), Finding(Flaw.ANCHOR, -1)]


def test_the_log_is_cut_by_whole_segments_and_the_chain_survives_it(log: Log) -> None:
    log.sealed(2, 2)
    assert log.settings.seal_key is not None
    key = sealing_key.load(log.settings.seal_key)

    def cut(before: datetime) -> int:
        return store.cut(log.admin, lambda said: store.Signed(key.id, key.sign(said)), before)

    (sealed,) = log.admin.execute("SELECT sealed_at FROM access_segment WHERE number = 2").fetchone() or (None,)
    assert isinstance(sealed, datetime)
    assert cut(sealed - timedelta(days=1)) == 0
    assert cut(sealed) == 1
    assert len(log.ids) == 2
    log.sealed(1)
    report = log.verify()
    assert (report.cut, report.segments, report.findings) == (1, 2, [])
    assert cut(datetime.now(UTC) + timedelta(days=1)) == 2
    log.sealed(1)
    report = log.verify()
    assert (report.cut, report.last, report.rows, report.findings) == (3, 4, 1, [])
    log.admin.execute("UPDATE access_cut SET number = number + 1 WHERE number = 3")
    assert Finding(Flaw.CUT, 4) in log.found()


def test_nothing_is_cut_that_is_not_anchored(log: Log) -> None:
    log.sealed(1)
    log.admin.execute("UPDATE access_segment SET anchored = false")
    assert store.cut(log.admin, lambda _: store.Signed("", b""), datetime.now(UTC) + timedelta(days=1)) == 0


def test_without_a_key_nothing_counts_as_signed_and_the_public_half_is_enough(log: Log) -> None:
    log.sealed(1)
    assert log.settings.seal_key is not None
    public = sealing_key.load(log.settings.seal_key).public
    alone = log.settings.model_copy(update={"seal_key": None})
    with pytest.raises(NoKeyError):
        verify(alone)
    assert verify(alone.model_copy(update={"seal_public_keys": [public]})).findings == []
    sealing_key.make(log.settings.seal_key.with_name("another.pem"))
    another = sealing_key.load(log.settings.seal_key.with_name("another.pem")).public
    found = verify(alone.model_copy(update={"seal_public_keys": [another]})).findings
    assert found == [Finding(Flaw.SIGNATURE, 1)]


def test_the_command_says_which_row_and_exits_with_three(log: Log) -> None:
    log.sealed(2)
    environment = {
        "SAGSBRO_DATABASE": log.settings.dsn,
        "SAGSBRO_KAFKA": log.settings.kafka,
        "SAGSBRO_SEAL_KEY": str(log.settings.seal_key),
    }
    whole = CliRunner().invoke(main, ["verify", "--json"], env=environment)
    assert (whole.exit_code, json.loads(whole.stdout)["rows"]) == (0, 2)
    log.admin.execute("UPDATE access_log SET overview = 'hok' WHERE id = %s", [log.ids[1]])
    wrong = CliRunner().invoke(main, ["verify"], env=environment)
    assert (wrong.exit_code, f"changed: segment 1, row {log.ids[1]}" in wrong.stdout) == (3, True)


def told(kept: Kept) -> dict[str, float]:
    """By the end of its name, and by flaw."""
    return {
        sample.labels.get("flaw", family.name.removeprefix("sagsbro_access_log_")): sample.value
        for family in kept.collect()
        for sample in family.samples
    }


def test_the_verifier_tells_a_flaw_until_it_is_mended_and_when_all_was_last_whole(log: Log) -> None:
    log.sealed(3)
    kept = Kept(rows=LOOKED_THROUGH)
    verifier, never = Verifier(log.settings, log.admin, kept), threading.Event()
    began = time.time()
    verifier.round(never)
    first = told(kept)
    flawless: dict[str, float] = dict.fromkeys(Flaw, 0)
    assert first == {"verified_timestamp_seconds": first["verified_timestamp_seconds"], **flawless}
    assert began <= first["verified_timestamp_seconds"] <= time.time()
    log.admin.execute("UPDATE access_log SET purpose = 'another' WHERE id = %s", [log.ids[1]])
    verifier.round(never)
    assert told(kept) == {**first, Flaw.CHANGED: 1}
    log.admin.execute("UPDATE access_log SET purpose = NULL WHERE id = %s", [log.ids[1]])
    verifier.round(never)
    second = told(kept)
    assert second[Flaw.CHANGED] == 0
    assert second["verified_timestamp_seconds"] > first["verified_timestamp_seconds"]


def test_one_verifier_at_a_time_tells_and_none_once_it_has_stopped(log: Log) -> None:
    log.sealed(1)
    stop, both = threading.Event(), [Kept(rows=LOOKED_THROUGH), Kept(rows=LOOKED_THROUGH)]
    threads = [threading.Thread(target=reverifying.keep, args=(log.settings, stop, kept)) for kept in both]
    for thread in threads:
        thread.start()
    while not any(told(kept) for kept in both):
        assert any(thread.is_alive() for thread in threads)
    assert sorted(map(bool, map(told, both))) == [False, True]
    stop.set()
    for thread in threads:
        thread.join()
    assert [told(kept) for kept in both] == [{}, {}]


def test_a_round_ends_at_once_when_the_process_is_to_stop(log: Log) -> None:
    log.sealed(1, 1)
    kept, stop = Kept(rows=LOOKED_THROUGH), threading.Event()
    stop.set()
    with pytest.raises(StopAskedError):
        Verifier(log.settings, log.admin, kept).round(stop)
    assert told(kept) == {}


def test_look_ups_of_the_watched_and_of_many_citizens_raise_alarms_once(log: Log) -> None:
    async def hashed() -> bytes:
        address = conninfo(log.settings.dsn, "test")
        async with await psycopg.AsyncConnection.connect(address, autocommit=True) as connection:
            return access_log.keyed(CITIZENS[1], await access_log.pepper(connection))

    watched = asyncio.run(hashed())
    log.admin.execute(
        "INSERT INTO access_watch VALUES ('55133018', %s, 'test'), ('29189420', %s, 'test')", [watched, b""]
    )
    before = {rule: metrics.ALARMS.labels(rule)._value.get() for rule in ("watched", "many_citizens", "vip")}
    log.read(*CITIZENS)
    log.sealer.step()
    for number, level in ((1, 4), (2, 3)):
        key, state = a_case(number, level=level)
        log.admin.execute(INSERT.encode(), row(key, state))
        log.read(CITIZENS[0], cases=(str(key),))
    log.sealer.step()
    for _ in range(2):
        log.read(*(f"CPR:{number:010}" for number in range(store.MANY_CITIZENS)))
        log.sealer.step()
    after = {rule: metrics.ALARMS.labels(rule)._value.get() for rule in before}
    assert {rule: after[rule] - before[rule] for rule in before} == {"watched": 1, "many_citizens": 1, "vip": 1}
