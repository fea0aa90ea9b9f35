"""A run of re-deriving: parts side by side, throttled, round and round until one pass was made under one revision.

A part's process lives no longer than the one that started it: each hears of the other's end by their pipe.
"""

import gc
import multiprocessing
import signal
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection as Pipe
from multiprocessing.connection import wait
from typing import Any, Final

import psycopg

from broker.domain.agreement import Facts
from broker.store import batch
from broker.store import rederivation as store
from broker.store.database import connect
from broker.store.rederivation import Chunk, Progress, Scope

PARTS: Final = 2
SMALLEST: Final = 20_000
"""Entries a part; fewer are not worth a process."""
CHUNK: Final = 2_000
PASSES: Final = 10
LOCK_CLASS: Final = 7_346_003
AGAIN: Final = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
Tell = Callable[[Progress], None]


class RederivingFailed(Exception):  # noqa: N818 - it says what to do
    """It has stopped; the same command goes on where it was."""


@dataclass(frozen=True, slots=True)
class Report:
    """seen: in the last pass; changed: in all. behind: reference data changed in every pass, the last one too."""

    run: int
    passes: int
    seen: int
    changed: int
    unmapped: int
    behind: bool
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        """For printing."""
        return asdict(self)


def rederive(dsn: str, scope: Scope, rate: int | None = None, tell: Tell = lambda _: None) -> Report:
    """Go on with this scope's run, or begin one. Raises RederivingFailed.

    Args:
        rate: entries a second at most.
    """
    began = time.monotonic()
    with closing(connect(dsn, "rederive")) as connection:
        # Counting what there is, and waiting for the parts, takes as long as it takes.
        connection.execute("SET transaction_timeout = 0")
        _lock(connection, scope)
        run = store.begin(connection, scope, rate, PARTS, SMALLEST)
        while True:
            came = store.progress(connection, run)
            tell(came)
            if came.open:
                _pass(connection, dsn, run, came.open, rate, tell)
            elif came.settled or came.passed >= PASSES:
                break
            else:
                store.again(connection, run)
        store.finish(connection, run, behind=not came.settled)
    seconds = round(time.monotonic() - began, 1)
    return Report(run, came.passed, came.seen, came.changed, came.unmapped, not came.settled, seconds)


def _lock(connection: store.Connection, scope: Scope) -> None:
    taken = connection.execute(
        "SELECT pg_try_advisory_lock(%s, hashtext(%s))", [LOCK_CLASS, f"{scope.authority}/{scope.system}"]
    ).fetchone()
    if taken != (True,):
        raise RederivingFailed("this scope is being derived anew already")


def _pass(
    connection: store.Connection, dsn: str, run: int, parts: tuple[int, ...], rate: int | None, tell: Tell
) -> None:
    """Every open part to its end."""
    context = multiprocessing.get_context("spawn")
    at_work: dict[Any, Any] = {}
    try:
        for part in parts:
            ours, theirs = context.Pipe()
            process = context.Process(
                target=work, args=(theirs, dsn, run, part, None if rate is None else rate / len(parts)), daemon=True
            )
            process.start()
            theirs.close()
            at_work[ours] = process
        while at_work:
            for said in wait(list(at_work)):
                if _heard(said):
                    at_work.pop(said).join()
            tell(store.progress(connection, run))
    finally:
        for process in at_work.values():
            process.terminate()
            process.join()


def _heard(pipe: Any) -> bool:
    """Whether the part has come to its end."""
    try:
        said: Chunk | str = pipe.recv()
    except EOFError:
        raise RederivingFailed("a part has ended; the same command goes on where it was") from None
    if isinstance(said, str):
        raise RederivingFailed(f"a part has stopped ({said}); the same command goes on where it was")
    return said.done


def work(pipe: Pipe, dsn: str, run: int, part: int, rate: float | None) -> None:
    """One part in a process of its own: tells each chunk; ends when nobody listens."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it hears Ctrl-C, and ends it
    gc.disable()  # a chunk leaves no cycles behind; looking for them would take a third of the time
    known, limit = Facts(revision=-1), CHUNK if rate is None else max(1, min(CHUNK, int(rate)))
    try:
        with closing(connect(dsn, "rederive")) as connection:
            batch.prepare(connection)
            began, seen = time.monotonic(), 0
            while True:
                try:
                    made, known = store.chunk(connection, run, part, limit, known)
                except AGAIN:
                    continue
                pipe.send(made)
                if made.done:
                    return
                seen += made.seen
                ahead = 0.0 if rate is None else seen / rate - (time.monotonic() - began)
                if pipe.poll(max(0.0, ahead)):
                    return  # nothing is ever said this way: it was closed
    except (BrokenPipeError, ConnectionResetError):
        return
    except Exception as why:  # noqa: BLE001 - whoever started it ends with it
        # Not its text: that may quote a row.
        pipe.send(type(why).__name__)
