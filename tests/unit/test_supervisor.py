"""The supervisor on a full disk: what it cannot note or tell keeps no child down."""

import errno
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ops.embedded import private
from ops.supervisor import Exit, Service, Supervisor
from tests.unit.disks import no_room

pytestmark = pytest.mark.timeout(20)

SLEEPER = Service("sleeper", ("sleep", "1000"))


class Full(io.StringIO):
    """A stream on a full disk."""

    def write(self, _text: str, /) -> int:
        raise full()


def full() -> OSError:
    return OSError(errno.ENOSPC, "No space left on device")


def fails(*_: object) -> None:
    raise full()


@pytest.fixture
def supervising(tmp_path: Path) -> Iterator[Callable[..., Supervisor]]:
    made: list[Supervisor] = []

    def make(report: Callable[[Exit], None] = lambda _: None) -> Supervisor:
        made.append(Supervisor(tmp_path, report))
        return made[-1]

    yield make
    for supervisor in made:
        supervisor.stop_all()


def test_a_child_is_started_though_it_cannot_be_noted(
    supervising: Callable[..., Supervisor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private, "write", fails)
    keeping = supervising()

    keeping.start(SLEEPER)

    assert keeping.pid("sleeper") is not None


def test_a_child_that_dies_while_the_disk_is_full_comes_back_and_is_noted_when_there_is_room(
    supervising: Callable[..., Supervisor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping = supervising()
    keeping.start(SLEEPER)
    with monkeypatch.context() as disk:
        disk.setattr(private, "write", fails)
        second = keeping.await_restart("sleeper", keeping.kill9("sleeper"), 10)

    third = keeping.await_restart("sleeper", keeping.kill9("sleeper"), 10)

    assert third != second
    assert keeping.exits("sleeper") == 2
    assert f'"pid": {third}' in (tmp_path / "run.json").read_text()


def test_an_exit_that_cannot_be_told_of_keeps_no_child_down(supervising: Callable[..., Supervisor]) -> None:
    keeping = supervising(fails)
    keeping.start(SLEEPER)

    former = keeping.kill9("sleeper")

    assert keeping.await_restart("sleeper", former, 10) != former


def test_a_child_that_cannot_be_started_is_tried_again_though_nobody_hears_of_it(
    supervising: Callable[..., Supervisor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping = supervising()
    log = tmp_path / "log" / "sleeper.log"
    monkeypatch.setattr(sys, "stderr", Full())

    keeping.start(Service("sleeper", SLEEPER.argv, log=log))
    assert keeping.exits("sleeper") >= 1
    log.parent.mkdir()

    assert keeping.await_restart("sleeper", 0, 10)


def test_a_private_file_that_cannot_be_written_leaves_nothing_and_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("former")

    with no_room(), pytest.raises(OSError, match="too large"):
        private.write(path, "later")

    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("run.json", "former")]
