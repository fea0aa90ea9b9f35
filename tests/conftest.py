"""What every test may ask for: one real Kafka and one real PostgreSQL per session, and databases made fresh on it.

And what every session owes: no civil registration number in any log, nor in anything that was written to a terminal.
"""

import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import sql

from broker.store.database import migrate
from ops.embedded import kafka as embedded_kafka
from ops.embedded import postgres as embedded_postgres
from ops.embedded.part import Part
from tests import leaks

# No test is timed, and what a fixture gives is the same for every example.
_UNHURRIED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
settings.register_profile("unhurried", settings(), deadline=None, suppress_health_check=_UNHURRIED)
settings.load_profile("unhurried")

_LEAKS = pytest.StashKey[list[str]]()
_MUST_BE_THERE = pytest.StashKey[list[Path]]()


def pytest_configure(config: pytest.Config) -> None:
    """Nothing has leaked yet."""
    config.stash[_LEAKS] = []
    config.stash[_MUST_BE_THERE] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Look through what the test and its services have written: services inherit the test's standard error."""
    del call
    report = yield
    if report.when == "teardown":
        item.config.stash[_LEAKS] += [
            f"{item.nodeid}: {name}, line {number}" for name, text in report.sections for number in leaks.lines(text)
        ]
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Look through every log file, and fail the session if a number stands anywhere."""
    stash, base = session.config.stash, session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    files = list(leaks.logs(base))
    stash[_LEAKS] += leaks.in_files(files)
    expected: list[Path] = stash[_MUST_BE_THERE]
    stash[_LEAKS] += [f"{path}: was to be looked through, and is gone" for path in expected if path not in files]
    if stash[_LEAKS]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say where the numbers stand, never which."""
    if config.getoption("capture") != "fd":
        terminalreporter.write_line("Not captured, so not looked through for CPR numbers: the terminal.", yellow=True)
    if config.stash[_LEAKS]:
        terminalreporter.section("CPR numbers in logs", red=True)
    for leak in config.stash[_LEAKS]:
        terminalreporter.write_line(leak)


def _looked_through(request: pytest.FixtureRequest, part: Part) -> Part:
    if part.service.log is not None:
        request.config.stash[_MUST_BE_THERE].append(part.service.log)
    return part


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Part]:
    """Kafka for the whole session; its `address` is host:port."""
    running = _looked_through(request, embedded_kafka.start(tmp_path_factory.mktemp("kafka")))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Part]:
    """PostgreSQL for the whole session; its `address` is a URL of its first database."""
    running = _looked_through(request, embedded_postgres.start(tmp_path_factory.mktemp("postgres")))
    yield running
    running.stop()


@contextmanager
def fresh_database(postgres: Part, template: str = "template1") -> Iterator[str]:
    """The URL of a copy of the template, an empty database where none is named, which is gone after it."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres.address, autocommit=True) as server:
        made = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY wal_log")
        server.execute(made.format(sql.Identifier(name), sql.Identifier(template)))
        yield f"{postgres.address.rpartition('/')[0]}/{name}"
        server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def migrated(postgres: Part) -> Iterator[str]:
    """Yield the name of a database with our schema, to be copied: migrating takes longer than most tests."""
    with fresh_database(postgres) as url:
        migrate(url)
        yield url.rpartition("/")[2]


@pytest.fixture
def database(postgres: Part, migrated: str) -> Iterator[str]:
    """Yield the URL of a database with our schema that is this test's alone."""
    with fresh_database(postgres, migrated) as url:
        yield url


@pytest.fixture
def empty_database(postgres: Part) -> Iterator[str]:
    """Yield the URL of a database without anything in it that is this test's alone."""
    with fresh_database(postgres) as url:
        yield url


@pytest.fixture
def own_data(tmp_path: Path) -> Path:
    """Return a data directory as private as one can be."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    return data
