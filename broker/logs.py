"""One JSON line an event on standard error, from a closed list of events, never with personal data."""

import json
import logging
import os
import sys
import threading
import traceback
from asyncio import CancelledError
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal

from broker import tracing
from broker.domain.identity import without_cpr

Event = Literal[
    "started", "stopping", "stopped", "ready", "assigned", "revoked", "batch_retried", "batch_written", "stalled",
    "position_lost", "position_refused", "registry_unreachable", "kafka_unreachable", "database_unreachable",
    "shard_taken", "shard_lost", "sweep_lost", "break_glass", "published", "request_failed", "child_started",
    "schema_refused", "child_ended", "library", "crashed", "migrated", "topics_made", "reference_changed",
    "day_turned", "access_log_not_sealed", "sealing_taken", "sealing_lost", "webhook_told", "webhook_failed",
    "access_log_not_verified", "verifying_lost", "access_log_flawed", "entry_not_publishable", "rules_applied",
    "rules_not_applied",
]  # fmt: skip
LEVELS: Final[Mapping[Event, str]] = {
    "batch_retried": "warning",
    "rules_not_applied": "warning",
    "registry_unreachable": "warning",
    "kafka_unreachable": "warning",
    "database_unreachable": "warning",
    "shard_lost": "warning",
    "access_log_not_sealed": "warning",
    "sealing_lost": "warning",
    "webhook_failed": "warning",
    "access_log_not_verified": "warning",
    "verifying_lost": "warning",
    "sweep_lost": "warning",
    "break_glass": "warning",
    "stalled": "error",
    "position_lost": "error",
    "position_refused": "error",
    "schema_refused": "error",
    "request_failed": "error",
    "child_ended": "error",
    "access_log_flawed": "error",
    "crashed": "error",
    "entry_not_publishable": "error",
}
"""All others are `info`; a library's line has the level that the library gave it."""

_PROCESS: dict[str, str] = {"process": "sagsbro"}


def tell(event: Event, **fields: Any) -> None:
    """Write one line. Values are shown as text with anything that reads as a CPR number masked."""
    _write(event, LEVELS.get(event, "info"), fields)


def _write(event: Event, level: str, fields: Mapping[str, Any]) -> None:
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line: dict[str, Any] = {"at": at, "level": level, **_PROCESS, "pid": os.getpid(), "event": event}
    if (trace := tracing.current()) is not None:
        line["trace_id"] = trace.trace_id
    shown = line | {name: _shown(value) for name, value in fields.items()}
    sys.stderr.write(json.dumps(shown, ensure_ascii=False) + "\n")
    sys.stderr.flush()


def _shown(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value  # an offset may read as a CPR number; a citizen's number is always text
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown(one) for one in value]
    return without_cpr(str(value))


REPEAT_S = 10.0
"""A library that repeats itself is heard once in so many seconds."""


SPEAKS_OF_KAFKA: Final = "aiokafka"
"""This library's arguments are groups, members, nodes and topics. Others log what they were handed, cases too."""


def _message(record: logging.LogRecord) -> str:
    """Whole where the arguments cannot be of a case; else the unformatted message. An error is named by its kind."""
    if record.name.partition(".")[0] != SPEAKS_OF_KAFKA or not isinstance(record.args, tuple):
        return str(record.msg)
    said = tuple(type(one).__name__ if isinstance(one, BaseException) else one for one in record.args)
    try:
        return str(record.msg) % said if said else str(record.msg)
    except (TypeError, ValueError):
        return str(record.msg)


class _Library(logging.Handler):
    """What libraries log becomes our own line: level, logger and message, without arguments that may be of a case."""

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
        fields = {"logger": record.name, "message": _message(record)[:300], "error": error}
        _write("library", record.levelname.lower(), fields)


def configure(process: str, level: int = logging.WARNING) -> None:
    """Name this process in every line and catch all that others would write: libraries, warnings, tracebacks."""
    _PROCESS["process"] = process
    root = logging.getLogger()
    root.handlers[:] = [_Library()]
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    sys.excepthook = _crashed
    threading.excepthook = lambda hook: _crashed(hook.exc_type, hook.exc_value, hook.exc_traceback)


def _crashed(kind: type[BaseException], _error: BaseException | None, trace: TracebackType | None) -> None:
    """What it was and where, but not its text: that may quote a row, or what a client sent."""
    if issubclass(kind, KeyboardInterrupt):
        return
    tell("crashed", error=kind.__name__, where=where(trace))


def where(trace: TracebackType | None) -> str | None:
    """File and line of the innermost frame."""
    frames = traceback.extract_tb(trace)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else None
