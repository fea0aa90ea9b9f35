"""Jars by lock: fetched once, and with the checksums that the lock demands at every start."""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ops.embedded.errors import EmbeddedError

LOCK = Path(__file__).with_name("kafka.lock.toml")
_PARALLEL = 6
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """As the file is called in every Maven repository."""
        return f"{self.artifact}-{self.version}.jar"


def kafka_jars() -> Path:
    """Return a directory with every jar of Kafka's lock, verified now. Raises EmbeddedError."""
    return locked_jars(LOCK, "kafka", "Apache Kafka, 43 MB")


def locked_jars(lock: Path, name: str, title: str) -> Path:
    """Return a directory with every jar of a lock, verified now.

    Raises:
        EmbeddedError: they are not there yet and cannot be fetched.

    """
    text = lock.read_bytes()
    locked = read_lock(text.decode())
    cache = cache_folder()
    directory = cache / f"{name}-{hashlib.sha256(text).hexdigest()[:16]}"
    if verified(directory, locked):
        return directory
    with _locked(cache / f"{name}.lock"):
        if not verified(directory, locked):  # another process may have fetched them while this one waited
            print(f"Fetching {title} ({len(locked)} jars; only this once) ...", file=sys.stderr, flush=True)
            _fetch(directory, locked)
    return directory


def read_lock(text: str) -> list[Jar]:
    """Read jgo's lock form."""
    entries = tomllib.loads(text)["dependencies"]
    return [Jar(entry["groupId"], entry["artifactId"], entry["version"], entry["sha256"]) for entry in entries]


def verified(directory: Path, locked: list[Jar]) -> bool:
    """Tell whether exactly the locked bytes are there."""
    return directory.is_dir() and all(_matches(directory / jar.file_name, jar) for jar in locked)


def _matches(path: Path, jar: Jar) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except FileNotFoundError:
        return False


def _fetch(directory: Path, locked: list[Jar]) -> None:
    with tempfile.TemporaryDirectory(dir=directory.parent, prefix="fetching-") as temporary:
        complete = Path(temporary, "jars")
        complete.mkdir()
        with ThreadPoolExecutor(_PARALLEL) as pool:
            for jar, path in zip(
                locked, pool.map(lambda jar: _download(jar, Path(temporary, "m2")), locked), strict=True
            ):
                path.rename(complete / jar.file_name)
        shutil.rmtree(directory, ignore_errors=True)
        complete.rename(directory)


def _download(jar: Jar, repository: Path) -> Path:
    from jgo.maven import MavenContext  # noqa: PLC0415 - slow to import, and needed once

    component = MavenContext(repo_cache=repository).project(jar.group, jar.artifact).at_version(jar.version)
    for attempt in range(_ATTEMPTS):
        try:
            path = Path(component.artifact().resolve())
        except (OSError, RuntimeError) as error:  # what requests and jgo raise
            if attempt + 1 == _ATTEMPTS:
                why = "Is the network away? It is needed for the first start only."
                message = f"cannot fetch {jar.file_name}. {why} ({type(error).__name__})"
                raise EmbeddedError(message) from error
            (repository / component.path_prefix / jar.file_name).unlink(missing_ok=True)
            continue
        if _matches(path, jar):
            return path
        break
    message = f"{jar.file_name} is not the file that its lock names: the checksum differs. It is not used."
    raise EmbeddedError(message)


def cache_folder() -> Path:
    """Return the user's cache directory; where there is no home to write to, a folder of the virtual environment."""
    for candidate in (
        Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "sagsbro",
        Path(sys.prefix) / "cache",
    ):
        try:
            candidate.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(candidate, os.W_OK):
            return candidate
    message = "no directory to keep what is fetched in: neither the home nor the virtual environment can be written to"
    raise EmbeddedError(message)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
