"""Asks a folder what extract files bring that is new. Knows files and rows, nothing of the canonical event.

Each row is sent once for each content it has: what was sent last of a row stands in the cursor by a digest, so a file
that is dropped again, grows, or comes in two versions brings only what is different.
"""

import hashlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from broker.domain.outcome import Rejected
from connectors.eoj.sensum import mapping
from connectors.eoj.sensum.table import UNREAD, split
from connectors.eoj.sensum.translate import columns_of
from connectors.runner import Cursor, Page

_log = logging.getLogger(__name__)
_UNFINISHED: Final = frozenset({".tmp", ".part", ".filepart", ".partial", ".crdownload"})
_LARGEST: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Folder:
    """Where files are dropped, and how they are read.

    settle: seconds for which a file must have stood still: who copies over a network writes for a while.
    rows: in one page.
    """

    path: Path
    pattern: str = "*.csv"
    settle: float = 60.0
    rows: int = 1000
    columns: Mapping[str, str] = field(default_factory=lambda: columns_of({}))
    now: Callable[[], float] = time.time


class FolderPoller:
    """A `Poller`. Cursor: `files`, name's digest -> [size, time]; `rows`, row's key -> its digest."""

    def __init__(self, folder: Folder) -> None:
        """The folder must exist when it is asked, not before."""
        self._folder = folder

    async def changes(self, since: Cursor) -> AsyncIterator[Page]:
        """Pages of rows, file after file, the oldest first."""
        files: dict[str, list[int]] = dict(since.get("files", {}))
        rows: dict[str, str] = dict(since.get("rows", {}))
        for path, size, written in self._settled():
            name = _digest(path.name)
            if files.get(name) == [size, written]:
                continue
            try:
                body = path.read_bytes()
            except FileNotFoundError:
                continue
            for page in self._pages(body, written, rows):
                yield Page(orjson.dumps(page), len(page), {"files": files, "rows": rows})
            files[name] = [size, written]
            here = {_digest(one.name) for one in self._folder.path.iterdir()}
            files = {one: known for one, known in files.items() if one in here}
            yield Page(b"", 0, {"files": files, "rows": rows})

    def _settled(self) -> list[tuple[Path, int, int]]:
        """Files that nobody writes to any more, with size and time (nanoseconds), by time and name."""
        found = []
        for path in self._folder.path.glob(self._folder.pattern):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            unfinished = path.name.startswith(".") or path.suffix.lower() in _UNFINISHED or not path.is_file()
            if unfinished or stat.st_mtime > self._folder.now() - self._folder.settle:
                continue
            if stat.st_size > _LARGEST:
                _log.error("a file of %d bytes is too large, and is left where it is", stat.st_size)
                continue
            found.append((path, stat.st_size, stat.st_mtime_ns))
        return sorted(found, key=lambda one: (one[2], one[0].name))

    def _pages(self, body: bytes, written: int, rows: dict[str, str]) -> Iterator[list[object]]:
        """What in a file is new. `rows` is brought up to date page by page, before each is handed out.

        Where a file says two things of one row, the later stands.
        """
        extracted = datetime.fromtimestamp(written // 1000 / 1_000_000, UTC).isoformat()
        payloads = split(body)
        said = [{UNREAD: "file"}] if isinstance(payloads, Rejected) else [_row(one) for one in payloads]
        page: list[object] = []
        for key, row in {self._key(row, body): row for row in said}.items():
            content = _digest(row)
            if rows.get(key) == content:
                continue
            rows[key] = content
            page.append({mapping.EXTRACTED: extracted, **row})
            if len(page) == self._folder.rows:
                yield page
                page = []
        if page:
            yield page

    def _key(self, row: Mapping[str, Any], body: bytes) -> str:
        """Which row it is, whatever it says. One that cannot be read is told of once for each file."""
        if UNREAD in row:
            return _digest([UNREAD, hashlib.sha256(body).hexdigest()])
        return _digest([row.get(self._folder.columns[name]) for name in mapping.KEY])


def _row(payload: object) -> dict[str, Any]:
    return payload if isinstance(payload, dict) else {UNREAD: "line"}


def _digest(value: object) -> str:
    return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def poller(config: Mapping[str, Any]) -> FolderPoller:
    """From the configuration's table: `folder`; `pattern`, `settle` (seconds), `rows` (handed over at once; 1000).

    Also `columns`, as the connector's own.
    """
    return FolderPoller(
        Folder(
            Path(config["folder"]),
            str(config.get("pattern", "*.csv")),
            float(config.get("settle", 60)),
            int(config.get("rows", 1000)),
            columns=columns_of(config),
        )
    )
