"""What every test may ask for: one real Kafka and one real PostgreSQL per session, and databases made fresh on it."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from ops.embedded import kafka as embedded_kafka
from ops.embedded import postgres as embedded_postgres
from ops.embedded.part import Part


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Part]:
    """Kafka for the whole session; its `address` is host:port."""
    running = embedded_kafka.start(tmp_path_factory.mktemp("kafka"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Part]:
    """PostgreSQL for the whole session; its `address` is a URL of its first database."""
    running = embedded_postgres.start(tmp_path_factory.mktemp("postgres"))
    yield running
    running.stop()


@pytest.fixture
def database(postgres: Part) -> Iterator[str]:
    """Yield the URL of an empty database that is this test's alone."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres.address, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {} STRATEGY wal_log").format(sql.Identifier(name)))
        yield f"{postgres.address.rpartition('/')[0]}/{name}"
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def own_data(tmp_path: Path) -> Path:
    """Return a data directory as private as one can be."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    return data
