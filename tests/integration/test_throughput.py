"""The comparison of speeds compares right results: small, never timed."""

from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from broker.settings import Settings
from broker.store.database import connect, migrate
from ops.bench import ceiling
from ops.bench.expected import Expected, our_table, peers_table
from ops.bench.filled import Load, agree
from ops.bench.peer import PEERS
from ops.bench.throughput import Result, run, table

ROWS = ["aiokafka-executemany", "sagsbro-1"]
LOAD = Load(2_000)


@pytest.fixture
def agreed(database: str) -> str:
    """The URL of a database with a schema and agreements."""
    migrate(database)
    agree(Settings(database=SecretStr(database)))
    return database


@pytest.fixture
def expected() -> Expected:
    expected = Expected()
    for record in LOAD.first():
        expected.note(record)
    return expected


def test_every_row_has_the_expected_table_and_positive_figures(tmp_path: Path) -> None:
    results = list(run(tmp_path / "data", LOAD.events, 1, ROWS))
    assert [(result.row, result.verdict, result.why, result.events) for result in results] == [
        ("aiokafka-executemany", "right", "", 2_000),
        ("sagsbro-1", "right", "", 2_000),
        ("sagsbro-1, second pass", "right", "", 2_000),
    ]
    assert all(min(r.seconds, r.rate, r.cpu_s, r.rss_mb, r.busy) > 0 for r in results)


def test_the_database_alone_is_given_all_that_the_batch_writer_copies(agreed: str, expected: Expected) -> None:
    copies = ceiling.copied(agreed, LOAD.first())
    assert ceiling.ceiling(agreed, copies, 1) > 0
    with connect(agreed, "test") as connection:
        assert our_table(connection) == expected.ours


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM entry WHERE user_key = (SELECT min(user_key) FROM entry)",
        (
            "UPDATE entry SET document = decode(replace("
            "encode(document, 'hex'), encode('Igangsat', 'hex'), encode('Afsluttt', 'hex')), 'hex')"
            " WHERE user_key = (SELECT min(user_key) FROM entry)"
        ),
        *(
            f"UPDATE entry SET {change} WHERE user_key = (SELECT min(user_key) FROM entry WHERE kle ^@ '27.')"
            for change in (
                "document = overlay(document PLACING '8' FROM position('[\"27.'::bytea IN document) + 3)",
                "kle = '28.36.04'",
                "complete = false",
                "sensitivity = 1",
                "primary_party = NULL",
                "parties = ARRAY['SECONDARY|CPR:0101010101']",
                "principals = ARRAY['somebody']",
                "created_at = created_at + 1",
                "user_key = user_key || '1'",
                "shape = shape # 2048",
            )
        ),
    ],
)
def test_one_entry_lost_or_changed_is_found(agreed: str, expected: Expected, harm: str) -> None:
    ceiling.ceiling(agreed, ceiling.copied(agreed, LOAD.first()), 1)
    with connect(agreed, "test") as connection:
        assert connection.execute(harm.encode()).rowcount == 1
        assert our_table(connection) != expected.ours


def test_a_peers_table_without_rows_is_wrong(agreed: str, expected: Expected) -> None:
    with psycopg.connect(agreed) as connection:
        connection.execute((PEERS / "table.sql").read_bytes())
        assert peers_table(connection) != expected.peers


def test_a_row_with_a_wrong_run_has_no_figure() -> None:
    results = [
        Result("fast", 1, "right", events=10, seconds=1.0, rate=10.0),
        Result("fast", 2, "wrong", "the table differs from what was sent", events=10, seconds=0.1, rate=100.0),
        Result("absent", 1, "not installed", "how to have it"),
    ]
    *_, fast, absent = table(results)
    assert "WRONG" in fast
    assert "10" not in fast
    assert "NOT INSTALLED" in absent


def test_the_jars_of_a_peer_are_locked_without_a_host() -> None:
    assert "://" not in (PEERS / "streams.lock.toml").read_text()
