"""Keeps child processes running: crash-only, with back-off, and never longer than this process lives.

Each child has a thread of its own, which starts it and waits for it. That is not only simple: the kernel's
parent-death signal follows the starting *thread*, and this one lives exactly as long as its child.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from broker.logs import tell
from ops.embedded import leash
from ops.embedded.orphans import Record

FIRST_DELAY = 0.2
LONGEST_DELAY = 5.0
SETTLED_AFTER = 30.0
STOPPED_ON_PURPOSE = 3
"""Exit code of a service that needs an operator: trying again soon would only hide its message."""
_KILLED_AFTER = 2.0
_NOT_STARTED = 127
_STDERR = 2


@dataclass(frozen=True, slots=True)
class Service:
    """How to run one child.

    `environment` is added to this process's own; `user` is a system user to become (needs root); output goes to
    the end of `log`, or to this process's stderr; `grace` is the seconds from the stop signal to SIGKILL.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    log: Path | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 4.0


@dataclass(frozen=True, slots=True)
class Exit:
    """A child ended without being asked; it comes back after `delay` seconds."""

    name: str
    code: int
    delay: float


def report_to_stderr(ended: Exit) -> None:
    """One JSON line per exit."""
    tell(
        "child_ended",
        child=ended.name,
        code=ended.code,
        needs_operator=ended.code == STOPPED_ON_PURPOSE,
        restart_in_seconds=ended.delay,
    )


def next_delay(previous: float, alive: float, code: int) -> float:
    """Seconds to wait before the next start, given the last wait (0 = none yet) and how long the child then lived."""
    if code == STOPPED_ON_PURPOSE:
        return LONGEST_DELAY
    if previous == 0 or alive >= SETTLED_AFTER:
        return FIRST_DELAY
    return min(previous * 2, LONGEST_DELAY)


class Supervisor:
    """The children by name, in the order of their first start."""

    def __init__(self, data: Path, report: Callable[[Exit], None] = report_to_stderr) -> None:
        """Keep the children's names in `run.json` of the directory `data`, so that the next run finds orphans."""
        self._record = Record(data)
        self._report = report
        self._children: dict[str, _Child] = {}

    def start(self, service: Service) -> None:
        """Start it and keep it running; returns when the first process exists."""
        if self.running(service.name):
            message = f"{service.name} is running already"
            raise ValueError(message)
        child = _Child(service, self._record, self._report)
        self._children[service.name] = child
        child.start()

    def stop(self, *names: str) -> None:
        """Ask them to end in this order, wait for all of them together, and kill who does not within its grace."""
        children = [self._children[name] for name in names if name in self._children]
        for child in children:
            child.end(child.service.stop_signal)
        asked = time.monotonic()
        for child in children:
            child.await_end(asked + child.service.grace - time.monotonic())

    def resume(self, name: str) -> None:
        """Keep running again what was stopped."""
        self.start(self._children[name].service)

    def stop_all(self) -> None:
        """End everything, the newest first, one after the other."""
        for name in reversed(list(self._children)):
            self.stop(name)

    def kill(self, name: str) -> None:
        """End it at once by SIGKILL, for good."""
        self._children[name].end(signal.SIGKILL)
        self._children[name].await_end(_KILLED_AFTER)

    def kill9(self, name: str) -> int:
        """Let it die by SIGKILL as a crash would; it is started again. Returns the pid that died."""
        return self.signal(name, signal.SIGKILL)

    def signal(self, name: str, signum: signal.Signals) -> int:
        """Send a signal (SIGSTOP and SIGCONT make a zombie in the distributed sense); returns the pid that got it."""
        pid = self.pid(name)
        if pid is None:
            message = f"{name} is not running"
            raise ProcessLookupError(message)
        self._children[name].send(signum)
        return pid

    def pid(self, name: str) -> int | None:
        """Return the living process's pid; None between two lives and after the end."""
        child = self._children.get(name)
        return child.pid if child else None

    def await_restart(self, name: str, former: int, timeout: float) -> int:
        """Wait until another process than `former` runs under this name; returns its pid."""
        return self._children[name].await_pid_other_than(former, timeout)

    def exits(self, name: str) -> int:
        """How often it ended without being asked."""
        return self._children[name].exits

    def running(self, name: str) -> bool:
        """Tell whether it is kept running, be it between two lives."""
        return name in self._children and self._children[name].kept

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that is kept running, in the order of starting."""
        return tuple(name for name in self._children if self.running(name))


class _Child:
    """One service with the thread that keeps it running."""

    def __init__(self, service: Service, record: Record, report: Callable[[Exit], None]) -> None:
        self.service = service
        self.exits = 0
        self._record = record
        self._report = report
        self._process: subprocess.Popen[bytes] | None = None
        self._ending = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._keep, name=f"keep-{service.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._process is not None or self.exits > 0)

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.pid if process and process.returncode is None else None

    @property
    def kept(self) -> bool:
        return self._thread.is_alive()

    def send(self, signum: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(signum)

    def end(self, signum: signal.Signals) -> None:
        with self._changed:  # from here on no new process is started
            self._ending.set()
        self.send(signum)
        self.send(signal.SIGCONT)  # a stopped process could not hear the signal

    def await_end(self, timeout: float) -> None:
        self._thread.join(max(timeout, 0))
        if self._thread.is_alive():
            self.send(signal.SIGKILL)
            self._thread.join(_KILLED_AFTER)

    def await_pid_other_than(self, former: int, timeout: float) -> int:
        with self._changed:
            if not self._changed.wait_for(lambda: self.pid not in (None, former), timeout):
                message = f"{self.service.name} was not started again within {timeout:g} s"
                raise TimeoutError(message)
            pid = self.pid
        if pid is None:
            message = f"{self.service.name} ended again"
            raise ProcessLookupError(message)
        return pid

    def _keep(self) -> None:
        delay = 0.0
        while not self._ending.is_set():
            started = time.monotonic()
            code = self._live()
            if self._ending.is_set():
                return
            delay = next_delay(delay, time.monotonic() - started, code)
            with suppress(OSError):  # a full disk or a reader that is gone keeps no child down
                self._report(Exit(self.service.name, code, delay))
            self._ending.wait(delay)

    def _live(self) -> int:
        """Run one process to its end."""
        with self._changed:
            if self._ending.is_set():
                return 0
            process = self._try_spawn()
            self._changed.notify_all()
        code = process.wait() if process else _NOT_STARTED
        self._record.remove(self.service.name)
        with self._changed:
            self.exits += bool(process) and not self._ending.is_set()
            self._changed.notify_all()
        return code

    def _try_spawn(self) -> subprocess.Popen[bytes] | None:
        try:
            self._process = self._spawn()
        except OSError as error:
            self._process = None
            self.exits += 1
            with suppress(OSError):
                print(f"{self.service.name}: {error}", file=sys.stderr, flush=True)
            return None
        self._record.add(self.service.name, self._process.pid, self.service.stop_signal)
        return self._process

    def _spawn(self) -> subprocess.Popen[bytes]:
        service = self.service
        tether = (str(os.getpid()), str(int(service.stop_signal)), service.user or "-")
        argv = (sys.executable, "-I", "-S", leash.__file__, *tether, *service.argv)
        environment = {**os.environ, **service.environment, **self._record.mark}
        output = service.log.open("ab") if service.log else None
        try:
            return subprocess.Popen(
                argv,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output or _STDERR,  # stdout is the parent's alone: its first line is a promise
                stderr=output or _STDERR,
                process_group=0,  # Ctrl-C at the terminal is for the parent, which stops its children in order
            )
        finally:
            if output:
                output.close()
