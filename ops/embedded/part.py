"""One embedded part while it runs: where it is, and how to end, kill and restart it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ops.embedded.errors import EmbeddedError
from ops.supervisor import Service, Supervisor

READY_TIMEOUT = 60.0
_TRIES = 3
"""A part may fail to start while what is left of its former life still ends; a third failure has another reason."""


@dataclass(frozen=True, slots=True)
class Part:
    """`address` is what a client needs: `host:port` for Kafka, a URL with password for PostgreSQL."""

    service: Service
    supervisor: Supervisor
    host: str
    port: int
    address: str
    answers: Callable[[], bool]

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

    def wait_ready(self, timeout: float = READY_TIMEOUT) -> None:
        """Return when it really answers.

        Raises:
            EmbeddedError: it ended again and again, or did not answer in time.

        """
        deadline = time.monotonic() + timeout
        pause = threading.Event()
        while not self.answers():
            if self.supervisor.exits(self.name) >= _TRIES:
                raise EmbeddedError(self._failed("ended while starting"))
            if time.monotonic() > deadline:
                raise EmbeddedError(self._failed(f"does not answer after {timeout:g} s"))
            pause.wait(0.05)

    def _failed(self, what: str) -> str:
        return f"{self.name} {what}; the end of {self.service.log} says:\n{self._log_end()}"

    def _log_end(self) -> str:
        try:
            return "\n".join(self.service.log.read_text(errors="replace").splitlines()[-8:]) if self.service.log else ""
        except OSError:
            return ""
