"""The demo's data directory: made anew at each start, and never one in which anything else is kept."""

import shutil
from pathlib import Path
from typing import Final

from ops.embedded.errors import EmbeddedError

MARK: Final = "made-by-demo"
_OF_THE_RUN: Final = frozenset({"lock", "run.json", MARK})
"""What stays: the lock that the caller holds, and the record of its children."""


def check(data: Path) -> None:
    """Look before anything is touched.

    Raises:
        EmbeddedError: something is kept there that no demo made.

    """
    if data.exists() and not data.is_dir():
        raise EmbeddedError(f"{data} is not a directory; choose another with --data")
    if not data.exists() or (data / MARK).exists():
        return
    if any(path.name not in _OF_THE_RUN for path in data.iterdir()):
        raise EmbeddedError(
            f"{data} holds data that no demo made, and the demo starts by emptying its directory; "
            "choose another with --data"
        )


def renew(data: Path) -> None:
    """Empty it; the caller holds its lock. Raises EmbeddedError."""
    (data / MARK).touch()
    try:
        for path in data.iterdir():
            if path.name not in _OF_THE_RUN:
                _remove(path)
    except OSError as error:
        raise EmbeddedError(f"{data} cannot be emptied: {error.strerror}") from error
    log_of(data).parent.mkdir(exist_ok=True)


def log_of(data: Path) -> Path:
    """Where the services' lines go."""
    return data / "log" / "services.log"


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
