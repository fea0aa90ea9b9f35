"""The hot pure modules in their compiled form, where one has been made of exactly these sources; else as they stand.

`ops.compiling` makes it, into the virtual environment, under a name that is a digest of the sources: a changed source
is never shadowed by what was compiled of an older one. `SAGSBRO_PURE=1` leaves everything as it stands.
"""

import hashlib
import os
import sys
import sysconfig
from collections.abc import Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Final

ROOT: Final = Path(__file__).parent.parent
SUFFIX: Final = sysconfig.get_config_var("EXT_SUFFIX") or ".so"
_SHARED: Final = "__mypyc"


@cache
def sources() -> dict[str, Path]:
    """Module name -> file."""
    listed = (ROOT / "broker" / "compiled.txt").read_text().split()
    return {name.removesuffix(".py").replace("/", "."): ROOT / name for name in listed}


def folder() -> Path:
    """Where the compiled form of the sources as they are now is, or would be."""
    digest = hashlib.blake2b(SUFFIX.encode(), digest_size=12)
    for path in sources().values():
        digest.update(path.read_bytes())
    return Path(sys.prefix) / "compiled" / digest.hexdigest()


class _Finder(MetaPathFinder):
    def __init__(self, where: Path) -> None:
        self._where = where

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module that all of them share has a name of its own, at the top."""
        del path, target
        if fullname in sources() or fullname.endswith(_SHARED):
            file = self._where / f"{fullname}{SUFFIX}"
            if file.exists():
                return spec_from_file_location(fullname, file)
        return None


def use() -> None:
    """Import them from here on; does nothing where there are none."""
    if os.environ.get("SAGSBRO_PURE") != "1" and (where := folder()).is_dir():
        sys.meta_path.insert(0, _Finder(where))
