"""`sagsbro up`: one line when ready, one run per data directory, nothing left behind, nothing lost."""

import json
import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest
from confluent_kafka.admin import AdminClient

from ops.embedded import orphans
from tests.integration.test_embedded import TIMEOUT, produce, read

STOPS_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class Up:
    """A running `up` and what its first line said."""

    process: psutil.Popen
    ready: dict[str, str]

    def stop(self, signum: signal.Signals) -> int:
        """Return the exit code; how long it may take is part of the contract."""
        self.process.send_signal(signum)
        return int(self.process.wait(STOPS_WITHIN))


def command(data: Path, *options: str) -> list[str]:
    """Return how `up` is called; the infrastructure alone is enough here."""
    return [sys.executable, "-m", "broker.cli", "up", "--data", str(data), "--only-infrastructure", *options]


@pytest.fixture
def up(own_data: Path) -> Iterator[Callable[..., Up]]:
    """Yield a function that starts `up` and waits for its first line; whatever it started is ended afterwards."""
    started: list[psutil.Popen] = []

    def start(**environment: str) -> Up:
        process = psutil.Popen(command(own_data), stdout=-1, text=True, env={**os.environ, **environment})
        started.append(process)
        return Up(process, json.loads(process.stdout.readline()))

    yield start
    for process in started:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
        process.wait(STOPS_WITHIN)
        process.stdout.close()
    orphans.end_orphans(own_data)


def children(data: Path) -> dict[str, psutil.Process]:
    """Return the processes that `run.json` names."""
    return {mark["name"]: psutil.Process(mark["pid"]) for mark in json.loads((data / "run.json").read_text())}


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything_within_ten_seconds(
    up: Callable[..., Up], own_data: Path, signum: signal.Signals
) -> None:
    """Exit code 0, no child and no promise left, and not a word more on stdout."""
    running = up()
    processes = children(own_data)
    assert set(processes) == {"kafka", "postgres"}
    assert running.stop(signum) == 0
    assert not any(process.is_running() for process in processes.values())
    assert not (own_data / "instance.json").exists()
    assert running.process.stdout.read() == ""


def test_other_commands_find_the_instance_and_nobody_else_may_read_it(up: Callable[..., Up], own_data: Path) -> None:
    """It holds the database's password."""
    running = up()
    path = own_data / "instance.json"
    assert json.loads(path.read_text()) == running.ready
    assert running.ready["event"] == "ready"
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR


def test_a_second_up_on_the_same_data_is_refused(up: Callable[..., Up], own_data: Path) -> None:
    """Its message names the first, which runs on."""
    running = up()
    second = psutil.Popen(command(own_data), stdout=-1, stderr=-1, text=True)
    _, said = second.communicate(timeout=TIMEOUT)
    assert second.returncode == 1
    assert f"process {running.process.pid}" in said
    assert "--data" in said
    with psycopg.connect(running.ready["database"]) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_after_kill_9_the_next_up_ends_the_orphans_and_has_lost_nothing(up: Callable[..., Up], own_data: Path) -> None:
    """The parent could not say good-bye; a stopped child could not even hear that it died."""
    running = up()
    produce(running.ready["kafka"], "kept", b"still here")
    with psycopg.connect(running.ready["database"]) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    former = children(own_data)
    former["kafka"].suspend()
    running.process.kill()
    running.process.wait()

    again = up()
    assert not any(process.is_running() for process in former.values())
    assert read(again.ready["kafka"], "kept") == b"still here"
    with psycopg.connect(again.ready["database"]) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_a_crashed_part_comes_back_on_its_port(up: Callable[..., Up], own_data: Path) -> None:
    """Clients need not be told anything."""
    running = up()
    children(own_data)["postgres"].kill()
    with psycopg.connect(_once_back(running.ready["database"])) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def _once_back(url: str) -> str:
    """Return the URL when a connection succeeds."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
        else:
            return url


def test_an_outside_kafka_and_database_replace_the_embedded_parts(up: Callable[..., Up], own_data: Path) -> None:
    """Nothing is started then, and the ready line names what was given."""
    running = up(SAGSBRO_KAFKA="127.0.0.1:1", SAGSBRO_DATABASE="postgresql://127.0.0.1:2/outside")
    assert running.ready["kafka"] == "127.0.0.1:1"
    assert running.ready["database"] == "postgresql://127.0.0.1:2/outside"
    assert not (own_data / "kafka").exists()
    assert not (own_data / "postgres").exists()


def test_kafka_answers_when_up_says_ready(up: Callable[..., Up]) -> None:
    """Ready is not a hope."""
    running = up()
    assert AdminClient({"bootstrap.servers": running.ready["kafka"]}).list_topics(timeout=2).brokers
