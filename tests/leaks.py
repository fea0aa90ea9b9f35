"""Looks through everything that a test session has logged for civil registration numbers; tells where, never what."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from broker.domain.identity import has_cpr

# What the parts keep, not what they say: directories with one of these are PostgreSQL's and Kafka's data.
_DATA: Final = frozenset({"PG_VERSION", "meta.properties"})
_ENDINGS: Final = frozenset({".log", ".out", ".err"})
# A slow controller names its events by their identity hash: `registerBroker(1104567890) took 2104 ms`.
_EVENT: Final = re.compile(r"\b[a-z][A-Za-z]+\(\d{1,10}\)", re.ASCII)


def lines(text: str) -> Iterator[int]:
    """The numbers of the lines with something that reads as a CPR number."""
    if has_cpr(text):
        yield from (number for number, line in enumerate(text.splitlines(), 1) if has_cpr(line))


def logs(folder: Path) -> Iterator[Path]:
    """Every log under the folder: by its ending, or because it lies in a directory `log`."""
    for where, folders, files in os.walk(folder):
        if _DATA.intersection(files):
            folders.clear()
            continue
        for name in files:
            path = Path(where, name)
            if path.parent.name == "log" or _ENDINGS.intersection(path.suffixes):
                yield path


def in_files(files: list[Path]) -> list[str]:
    """`file:line` of each leak."""
    return [f"{file}:{number}" for file in files for number in lines(_text(file))]


def _text(file: Path) -> str:
    text = file.read_text(errors="replace")
    return _EVENT.sub("", text) if file.name.startswith("kafka.log") else text
