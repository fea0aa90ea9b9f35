"""Remembers the children of a run, and ends those that outlived a killed parent; it must never end others."""

import json
import signal
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from ops.embedded import private

MARK = "SAGSBRO_RUN_DATA"
_GRACE = 8.0
_CLOCK_TOLERANCE = 0.5  # seconds by which two readings of one process's start time may differ


@dataclass(frozen=True, slots=True)
class Mark:
    """One child: who it is, and the signal that ends it cleanly."""

    name: str
    pid: int
    created: float
    stop_signal: int


class Record:
    """`run.json` of a data directory, kept up to date by the keepers of all children.

    What cannot be written, on a full disk say, is left out: no child may stay down for it. What is lost is only that a
    later start may not find that child as an orphan; the next note that can be written holds all of them again.
    """

    def __init__(self, data: Path) -> None:
        self._data = data.resolve()
        self._marks: dict[str, Mark] = {}
        self._lock = threading.Lock()

    @property
    def mark(self) -> dict[str, str]:
        """What a child's environment carries, so that an orphan can be told from everything else."""
        return {MARK: str(self._data)}

    def add(self, name: str, pid: int, stop_signal: int) -> None:
        """Remember a process just started, or started again."""
        try:
            created = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            return
        with self._lock:
            self._marks[name] = Mark(name, pid, created, int(stop_signal))
            self._write()

    def remove(self, name: str) -> None:
        """Forget one that ended."""
        with self._lock:
            self._marks.pop(name, None)
            self._write()

    def _write(self) -> None:
        with suppress(OSError):
            private.write(self._data / "run.json", json.dumps([asdict(mark) for mark in self._marks.values()]))


def end_orphans(data: Path) -> list[str]:
    """End what an earlier run on this data left behind, and return its names; the caller holds the data's lock."""
    data = data.resolve()
    found = [(mark, process) for mark in _read(data / "run.json") if (process := _own(mark, data))]
    for mark, process in found:
        _send(process, signal.Signals(mark.stop_signal))
        _send(process, signal.SIGCONT)
    _, stubborn = psutil.wait_procs([process for _, process in found], timeout=_GRACE)
    for process in stubborn:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(stubborn, timeout=_GRACE)
    return [mark.name for mark, _ in found]


def _read(path: Path) -> list[Mark]:
    try:
        return [Mark(**entry) for entry in json.loads(path.read_text())]
    except (FileNotFoundError, ValueError, TypeError):
        return []


def _own(mark: Mark, data: Path) -> psutil.Process | None:
    """Return the process only when pid, start time and data directory all say that it is ours."""
    try:
        process = psutil.Process(mark.pid)
        same_start = abs(process.create_time() - mark.created) < _CLOCK_TOLERANCE
        ours = str(data) in " ".join(process.cmdline()) or process.environ().get(MARK) == str(data)
    except psutil.Error:
        return None
    return process if same_start and ours else None


def _send(process: psutil.Process, signum: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(signum)  # psutil compares the start time once more
