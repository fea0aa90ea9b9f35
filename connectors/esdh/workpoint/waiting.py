"""What webhooks told of and nobody has fetched yet: one file for each, on disk before the vendor is answered."""

import json
import os
import secrets
import time
from collections.abc import Container, Iterable
from pathlib import Path
from typing import NamedTuple


class Told(NamedTuple):
    """A change that was told of: no content, and no number but the system's own. `at`: when, ISO 8601, UTC."""

    module: str
    item: int
    trigger: str
    at: str


class Queue:
    """A directory. A name begins with the time, so that names sort; a file is there as a whole or not at all."""

    def __init__(self, path: Path) -> None:
        """The directory must exist."""
        self._path = path

    def put(self, told: Iterable[Told]) -> None:
        """On disk when this returns."""
        for one in told:
            name = f"{time.time_ns():020}-{secrets.token_hex(8)}"
            beside = self._path / f"{name}.new"
            with beside.open("wb") as file:
                file.write(json.dumps(one._asdict()).encode())
                file.flush()
                os.fsync(file.fileno())
            beside.rename(self._path / f"{name}.json")
        self._flush()

    def first(self, count: int, last: Container[str] = ()) -> dict[str, Told]:
        """The oldest, by their names; those in `last` after all others."""
        names = sorted((path.name for path in self._path.glob("*.json")), key=lambda name: (name in last, name))[:count]
        return {name: Told(**json.loads((self._path / name).read_bytes())) for name in names}

    def done(self, names: Iterable[str]) -> None:
        """These were fetched and handed over. Killed before this, they are fetched again."""
        for name in names:
            (self._path / name).unlink(missing_ok=True)
        self._flush()

    def _flush(self) -> None:
        directory = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
