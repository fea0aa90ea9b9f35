"""What some processes, with all their children, use of the machine."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import psutil

EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Used:
    """`cpu_s`: user and system seconds of the processes; `rss_mb`: the highest seen of all together.

    `busy`: how many cores the whole machine had at work on average.
    """

    cpu_s: float
    rss_mb: int
    busy: float


class Meter:
    """Measures from `begin`, which may be said again to begin anew, to `end`."""

    def __init__(self, *pids: int) -> None:
        self._roots = [psutil.Process(pid) for pid in pids]
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._rss = 0
        self._cpu = 0.0
        self._machine = _machine()

    def begin(self) -> None:
        """From here on."""
        self._cpu, self._machine = self._cpu_now(), _machine()
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, daemon=True, name="meter")
            self._thread.start()

    def end(self) -> Used:
        """Up to here; the processes must still be there."""
        cpu, machine = self._cpu_now() - self._cpu, _machine()
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self._look()
        total, idle = (now - then for now, then in zip(machine, self._machine, strict=True))
        return Used(round(cpu, 2), self._rss // 2**20, round((psutil.cpu_count() or 1) * (1 - idle / total), 2))

    def _watch(self) -> None:
        while not self._ended.wait(EVERY_S):
            self._look()

    def _look(self) -> None:
        self._rss = max(self._rss, int(self._sum(lambda process: process.memory_info().rss)))

    def _cpu_now(self) -> float:
        return self._sum(lambda process: sum(process.cpu_times()[:2]))

    def _sum(self, of: Callable[[psutil.Process], float]) -> float:
        """Over the whole tree; a process may end while it is looked at."""
        total = 0.0
        for root in self._roots:
            with suppress(psutil.NoSuchProcess):
                for process in (root, *root.children(recursive=True)):
                    total += of(process)
        return total


def _machine() -> tuple[float, float]:
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    # What a guest uses is counted as user time as well.
    return sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0), idle
