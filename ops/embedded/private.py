"""Folders and files that only their owner may look into."""

import os
import tempfile
from pathlib import Path


def folder(path: Path) -> None:
    """Make it, or close the one that is there, whatever is above it: an open one may hold what everybody may read."""
    path.mkdir(mode=0o700, exist_ok=True)
    path.chmod(0o700)


def write(path: Path, text: str) -> None:
    """Replace the file in one step. Raises OSError, and then leaves what was there."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
