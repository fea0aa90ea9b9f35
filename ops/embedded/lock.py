"""One run per data directory."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops.embedded.errors import EmbeddedError


@contextmanager
def held(data: Path) -> Iterator[None]:
    """Hold the directory; the kernel lets go of it when this process ends, however it ends.

    Raises:
        EmbeddedError: another run holds it, or it belongs to another user.

    """
    _check_owner(data)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (data / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            message = (
                f"{data} is in use by another sagsbro (process {holder}); stop that, or choose another with --data"
            )
            raise EmbeddedError(message) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _check_owner(data: Path) -> None:
    """Even root stays out of a user's data: what it wrote there, that user could not use any more."""
    if not data.exists() or data.stat().st_uid == os.geteuid():
        return
    message = f"{data} belongs to {_owner(data)}; start as that user, or choose another with --data"
    raise EmbeddedError(message)


def _owner(data: Path) -> str:
    try:
        return data.owner()
    except KeyError:
        return f"user {data.stat().st_uid}"
