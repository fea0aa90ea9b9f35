"""The look through a session's logs for civil registration numbers."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import leaks

ROOT = Path(__file__).parents[2]

CPR = "0101501234"
TALKS = f"""
import subprocess, sys

def test_a_child_of_it_says_a_number():
    subprocess.run([sys.executable, "-c", "import sys; sys.stderr.write('{CPR}')"])
"""
WRITES = f"""
def test_it_leaves_a_log(tmp_path):
    (tmp_path / "service.log").write_text("{CPR}")
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Yield a directory that is gone before this very session is looked through."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def test_a_number_in_a_log_is_found_by_file_and_line_and_never_repeated(folder: Path) -> None:
    log = folder / "data" / "log" / "services"
    log.parent.mkdir(parents=True)
    log.write_text(f'{{"event":"started"}}\n{{"detail":"{CPR[:6]}-{CPR[6:]}"}}\n')

    found = leaks.in_files(list(leaks.logs(folder)))

    assert found == [f"{log}:2"]


def test_logs_are_known_by_their_ending_wherever_they_lie_also_when_they_were_rolled(folder: Path) -> None:
    for name in ("kafka.log", "kafka.log.1", "api.out", "worker.err", "rows.bin"):
        (folder / name).write_text(CPR)

    found = {path.name for path in leaks.logs(folder)}

    assert found == {"kafka.log", "kafka.log.1", "api.out", "worker.err"}


def test_what_kafka_calls_its_own_events_is_no_number_of_anybody_and_a_number_beside_it_is(folder: Path) -> None:
    slow = f"ERROR [QuorumController id=1] Exceptionally slow controller event registerBroker({CPR}) took 2104 ms."
    (folder / "kafka.log").write_text(f"{slow}\n{slow} {CPR}\n")
    (folder / "services.log").write_text(f"{slow}\n")

    found = leaks.in_files([folder / "kafka.log", folder / "services.log"])

    assert found == [f"{folder / 'kafka.log'}:2", f"{folder / 'services.log'}:1"]


def test_what_kafka_and_postgresql_keep_is_no_log(folder: Path) -> None:
    for mark in ("PG_VERSION", "meta.properties"):
        kept = folder / mark.lower() / "topic-0"
        kept.mkdir(parents=True)
        (kept.parent / mark).touch()
        (kept / "00000000000000000000.log").write_text(CPR)

    assert list(leaks.logs(folder)) == []


@pytest.mark.parametrize(("test", "where"), [(TALKS, "Captured stderr call, line 1"), (WRITES, "service.log:1")])
def test_a_session_in_which_a_number_was_logged_fails_though_every_test_passed(
    folder: Path, test: str, where: str
) -> None:
    (folder / "test_small.py").write_text(test)

    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", f"--basetemp={folder / 'base'}", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1, ended.stdout
    assert "1 passed" in ended.stdout
    assert where in ended.stdout
    assert CPR not in ended.stdout
