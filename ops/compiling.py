"""Compiles the hot pure modules with mypyc: `python -m ops.compiling`. Without a C compiler they stay as they are."""

import fcntl
import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

# Type checking and compiling see the modules as they stand.
os.environ["SAGSBRO_PURE"] = "1"

from broker import compiled


def missing() -> str | None:
    """What it takes and is not here."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(os.environ.get("CC", compiler)) is None:
        return f"no C compiler ({compiler})"
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        return "no headers of Python (Debian and Ubuntu: python3-dev)"
    return None


def build(to: Path) -> None:
    """Compile into the folder, whole or not at all. Raises what setuptools raises."""
    from mypyc.build import mypycify  # noqa: PLC0415 - a heavy import, for this alone
    from setuptools import Distribution  # noqa: PLC0415 - the same

    with tempfile.TemporaryDirectory(dir=to.parent) as work:
        modules = mypycify(
            [
                "--config-file",
                "pyproject.toml",
                *(str(path.relative_to(compiled.ROOT)) for path in compiled.sources().values()),
            ],
            opt_level="2",
            debug_level="0",
            target_dir=str(Path(work) / "c"),
        )
        made = Path(work) / "made"
        command = Distribution({"name": "sagsbro-compiled", "ext_modules": modules}).get_command_obj("build_ext")
        command.build_lib, command.build_temp = str(made), str(Path(work) / "o")
        command.ensure_finalized()
        command.run()
        flat = Path(work) / "flat"
        flat.mkdir()
        for file in made.rglob(f"*{compiled.SUFFIX}"):
            file.rename(flat / str(file.relative_to(made)).replace("/", "."))
        flat.rename(to)


def main() -> None:
    """Exit 0 when they are compiled, 1 when they are not, with a word why. Two at once wait for each other."""
    with (compiled.ROOT / "broker" / "compiled.txt").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        to = compiled.folder()
        if to.is_dir():
            return
        if why := missing():
            sys.exit(why)
        shutil.rmtree(to.parent, ignore_errors=True)
        to.parent.mkdir()
        os.chdir(compiled.ROOT)
        build(to)


if __name__ == "__main__":
    main()
