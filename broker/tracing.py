"""The trace that this task works for: begun where something comes in, told in log lines and Kafka headers."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final
from uuid import UUID

from broker.domain.trace import RANDOM_BYTES, TRACEPARENT, Trace, continued, read

_CURRENT: Final[ContextVar[Trace | None]] = ContextVar("trace", default=None)
_NAME: Final = TRACEPARENT.encode()


def current() -> Trace | None:
    """The trace of this task; None where nothing came in from outside."""
    return _CURRENT.get()


def current_id() -> UUID | None:
    """Its id, as it is kept."""
    trace = _CURRENT.get()
    return None if trace is None else UUID(hex=trace.trace_id)


def fresh() -> Trace:
    """A new one."""
    return continued(None, os.urandom(RANDOM_BYTES))


@contextmanager
def incoming(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[Trace]:
    """Work on behalf of a request with these headers, of which exactly one has to be a `traceparent`."""
    said = [value for name, value in headers if name.lower() == _NAME]
    before = read(said[0].decode("latin-1")) if len(said) == 1 else None
    trace = continued(before, os.urandom(RANDOM_BYTES))
    token = _CURRENT.set(trace)
    try:
        yield trace
    finally:
        _CURRENT.reset(token)


def within(trace_id: str) -> Trace:
    """Another step of a known one."""
    return continued(Trace(trace_id, "", sampled=False), os.urandom(RANDOM_BYTES))


def kafka_headers(trace: Trace | None) -> list[tuple[str, bytes]]:
    """What goes with every record that is sent on behalf of the trace."""
    return [] if trace is None else [(TRACEPARENT, str(trace).encode())]


def id_in(headers: Iterable[tuple[str, bytes | None]]) -> UUID | None:
    """The trace id in a record's headers, which anybody may have sent."""
    said = next((value for name, value in headers if name == TRACEPARENT and value is not None), b"")
    trace = read(said.decode("latin-1"))
    return None if trace is None else UUID(hex=trace.trace_id)
