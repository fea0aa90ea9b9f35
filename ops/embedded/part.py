"""One embedded part while it runs: where it is, and how to end, kill and restart it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ops.embedded.errors import EmbeddedError
from ops.supervisor import Service, Supervisor

READY_TIMEOUT = 60.0
_TRIES = 3
"""A part may fail to start while what is left of its former life still ends; a third failure has another reason."""
_PORTS = 3


class EndedError(EmbeddedError):
    """It ended again and again while starting."""


@dataclass(frozen=True, slots=True)
class Part:
    """`address` is what a client needs: `host:port` for Kafka, a URL with password for PostgreSQL.

    `log` is where it says why it cannot start; `elsewhere` starts it at another port, None where one was asked for.
    """

    service: Service
    supervisor: Supervisor
    host: str
    port: int
    address: str
    answers: Callable[[], bool]
    log: Path
    elsewhere: Callable[[], "Part"] | None

    @property
    def name(self) -> str:
        """The name under which the supervisor knows it."""
        return self.service.name

    @property
    def pid(self) -> int | None:
        """None while it is down."""
        return self.supervisor.pid(self.name)

    def stop(self) -> None:
        """End it cleanly, or by force after its grace."""
        self.supervisor.stop(self.name)

    def kill(self) -> None:
        """End it by SIGKILL; it stays down until `restart`."""
        self.supervisor.kill(self.name)

    def restart(self) -> None:
        """Start it again on the same port and data, ending it first when it runs; returns when it answers."""
        self.stop()
        self.supervisor.start(self.service)
        self.wait_ready()

    def settled(self) -> "Part":
        """Return the part that answers: this one, or the one at another port where somebody was faster at this one.

        Raises:
            EmbeddedError: as `wait_ready`.

        """
        part = self
        for _ in range(_PORTS - 1):
            try:
                part.wait_ready()
            except EndedError:
                if part.elsewhere is None:
                    raise
                part.stop()
                part = part.elsewhere()
            else:
                return part
        part.wait_ready()
        return part

    def wait_ready(self, timeout: float = READY_TIMEOUT) -> None:
        """Return when it really answers.

        Raises:
            EndedError: it ended again and again.
            EmbeddedError: it did not answer in time.

        """
        deadline = time.monotonic() + timeout
        pause = threading.Event()
        while not self.answers():
            if self.supervisor.exits(self.name) >= _TRIES:
                raise EndedError(self._failed("ended while starting"))
            if time.monotonic() > deadline:
                raise EmbeddedError(self._failed(f"does not answer after {timeout:g} s"))
            pause.wait(0.05)

    def _failed(self, what: str) -> str:
        return f"{self.name} {what}; the end of {self.log} says:\n{self._log_end()}"

    def _log_end(self) -> str:
        """Without the steps of stack traces, which hide the reasons."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join([line for line in lines if not line.startswith("\t")][-8:])
