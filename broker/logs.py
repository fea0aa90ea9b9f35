"""One JSON line an event on standard error, from a closed list of events, never with personal data."""

import json
import logging
import sys
import time
from asyncio import CancelledError
from typing import Any, Literal

from broker.domain.identity import without_cpr

Event = Literal[
    "started", "stopping", "stopped", "ready", "assigned", "revoked", "batch_retried", "batch_written",
    "stalled", "position_lost", "position_refused", "registry_unreachable", "kafka_unreachable",
    "database_unreachable", "shard_taken", "shard_lost", "published", "request_failed", "child_started",
    "child_ended", "library", "crashed", "migrated", "topics_made", "reference_changed",
]  # fmt: skip

_PROCESS: dict[str, str] = {"process": "sagsbro"}


def tell(event: Event, **fields: Any) -> None:
    """Write one line. Values are shown as text with anything that reads as a CPR number masked."""
    line = {"at": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()), **_PROCESS, "event": event, **fields}
    sys.stderr.write(without_cpr(json.dumps(line, default=str, ensure_ascii=False)) + "\n")
    sys.stderr.flush()


REPEAT_S = 10.0
"""A library that repeats itself is heard once in so many seconds."""


class _Library(logging.Handler):
    """What libraries log becomes our own line: level, logger and the unformatted message, never its arguments."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[tuple[str, str], float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        said = record.name, str(record.msg)
        if record.exc_info and record.exc_info[0] is CancelledError:
            return  # how Faust's agents end when they are told to
        if record.created < self._told.get(said, 0.0) + REPEAT_S:
            return
        self._told[said] = record.created
        error = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        tell("library", level=record.levelname, logger=record.name, message=str(record.msg)[:300], error=error)


def configure(process: str, level: int = logging.WARNING) -> None:
    """Name this process in every line and catch what libraries log."""
    _PROCESS["process"] = process
    root = logging.getLogger()
    root.handlers[:] = [_Library()]
    root.setLevel(level)
