"""promtool and amtool: the one on the PATH, else out of Debian's package by lock. `python -m ops.tools promtool`.

The compose specification's JSON schema comes the same way.

Needs apt-get for the second, but no right of root: a package is fetched, compared with the lock and taken apart in the
cache; nothing is installed.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from ops.embedded.errors import EmbeddedError
from ops.embedded.jars import cache_folder

LOCK: Final = Path(__file__).with_name("tools.lock.toml")
_PATIENCE_S: Final = 180
_APT: Final = ("apt-get", "-qq", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=20")


class NoToolError(Exception):
    """It is neither here nor to be had; the text says why."""


def tool(name: str) -> Path:
    """Return where the program is. Raises NoToolError."""
    if (here := shutil.which(name)) is not None:
        return Path(here)
    return _folder(next(one for one in _locked() if name in one["tools"])) / "usr" / "bin" / name


def compose_schema() -> Path:
    """Return where the JSON schema of the compose specification is. Raises NoToolError."""
    package = _folder(next(one for one in _locked() if one["name"] == "docker-compose"))
    return package / "usr/lib/python3/dist-packages/compose/config/compose_spec.json"


def _locked() -> list[dict[str, Any]]:
    packages: list[dict[str, Any]] = tomllib.loads(LOCK.read_text())["package"]
    return packages


def _folder(package: dict[str, Any]) -> Path:
    """Where the package has been taken apart."""
    try:
        folder = cache_folder() / f"{package['name']}-{package['sha256'][:16]}"
    except EmbeddedError as why:
        raise NoToolError(str(why)) from None
    if not folder.exists():
        _unpack(package, folder)
    return folder


def started(name: str) -> tuple[str, ...]:
    """How to start it. One out of the cache sees its package's `/usr/share` (in a mount namespace of its own)."""
    program = tool(name)
    package = program.parents[2]
    if package == Path("/") or not (package / "usr" / "share" / "prometheus").exists():
        return (str(program),)
    seeing = 'mount --bind "$0/usr/share" /usr/share && exec "$@"'
    return ("unshare", "--map-root-user", "--mount", "sh", "-c", seeing, str(package), str(program))


def _unpack(package: dict[str, Any], folder: Path) -> None:
    """Whole or not at all; of two at once one wins."""
    if missing := [program for program in ("apt-get", "dpkg-deb") if shutil.which(program) is None]:
        raise NoToolError(f"not on the PATH, and no {' and no '.join(missing)} to fetch it with")
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        found = _fetched(package, Path(work))
        if hashlib.sha256(found.read_bytes()).hexdigest() != package["sha256"]:
            raise NoToolError(f"the package {package['name']} {package['version']} is not the locked one")
        _run(["dpkg-deb", "-x", str(found), f"{work}/whole"], Path(work))
        try:
            Path(work, "whole").rename(folder)
        except OSError:
            if not folder.exists():
                raise


def _fetched(package: dict[str, Any], work: Path) -> Path:
    wanted = f"{package['name']}:{package['architecture']}={package['version']}"
    try:
        _run([*_APT, "download", wanted], work)
    except NoToolError:  # the machine's lists may be empty or old; lists of our own need no right of root
        own = [f"-oDir::State::lists={work}/lists", f"-oDir::Cache={work}/cache"]
        for folder in ("lists/partial", "cache/archives/partial"):
            (work / folder).mkdir(parents=True)
        _run([*_APT, *own, "update"], work)
        _run([*_APT, *own, "download", wanted], work)
    return next(work.glob("*.deb"))


def _run(command: Sequence[str], work: Path) -> None:
    try:
        subprocess.run(command, cwd=work, check=True, capture_output=True, timeout=_PATIENCE_S)
    except (subprocess.SubprocessError, OSError) as why:
        raise NoToolError(f"`{command[0]}` could not fetch it ({type(why).__name__})") from None


if __name__ == "__main__":
    print(tool(sys.argv[1]))
