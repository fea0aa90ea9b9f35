"""Reading a source's manifest as it streams in: one JSON object a line, or CSV with a header. Pure.

A flaw anywhere refuses the whole of it: what a half-read list does not name would count as vanished.
"""

import csv
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from broker.domain.case import STATES
from broker.domain.identity import is_uuid
from broker.domain.reconcile import Listed
from broker.intake.canonical import micros

CSV: Final = "text/csv"
LONGEST_LINE: Final = 10_000
LONGEST_KLE: Final = 100
MOST_LINES: Final = 5_000_000
"""Whatever a packed body unpacks to."""
_FIELDS: Final = frozenset({"case_id", "registered_at", "kle", "created_at", "state"})
_NEEDED: Final = frozenset({"case_id", "registered_at"})
_BOM: Final = b"\xef\xbb\xbf"


class FlawedManifest(Exception):  # noqa: N818 - it says where
    """Which line is not as it must be; never what stood there."""


class Manifest:
    """Feed it the pieces of a body in order, then `end`. `count` lines have been read."""

    def __init__(self, *, as_csv: bool) -> None:
        """`as_csv`: else JSON lines."""
        self.count = 0
        self._csv = as_csv
        self._header: list[str] | None = None
        self._left = b""
        self._line = 0

    def feed(self, piece: bytes) -> Iterator[Listed]:
        """What has become complete. Raises FlawedManifest."""
        *lines, self._left = (self._left + piece).split(b"\n")
        if len(self._left) > LONGEST_LINE:
            self._line += 1
            raise self._flaw("is too long")
        for line in lines:
            yield from self._read(line)

    def end(self) -> Iterator[Listed]:
        """The last line, where no line end follows it. Raises FlawedManifest."""
        left, self._left = self._left, b""
        yield from self._read(left)

    def _read(self, line: bytes) -> Iterator[Listed]:
        self._line += 1
        if self._line > MOST_LINES:
            raise self._flaw("is one too many: send the list by area")
        text = (line.removeprefix(_BOM) if self._line == 1 else line).strip()
        if not text:
            return
        if len(text) > LONGEST_LINE:
            raise self._flaw("is too long")
        said = self._columns(text) if self._csv else self._object(text)
        if said is not None:
            self.count += 1
            yield self._listed(said)

    def _object(self, text: bytes) -> Mapping[str, Any]:
        try:
            said = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise self._flaw("is no JSON") from None
        if not isinstance(said, dict):
            raise self._flaw("is no object")
        return said

    def _columns(self, text: bytes) -> Mapping[str, Any] | None:
        try:
            columns = next(csv.reader([text.decode()], delimiter=";" if b";" in text else ","))
        except (UnicodeDecodeError, csv.Error):
            raise self._flaw("is no CSV in UTF-8") from None
        if self._header is None:
            if not set(columns) >= _NEEDED:
                raise self._flaw("names no case_id and registered_at")
            self._header = columns
            return None
        if len(columns) != len(self._header):
            raise self._flaw("has another number of columns than the header")
        return {name: value or None for name, value in zip(self._header, columns, strict=True)}

    def _listed(self, said: Mapping[str, Any]) -> Listed:
        if strange := said.keys() - _FIELDS:
            raise self._flaw(f"has {len(strange)} fields that are not known")
        case_id, kle, state, created_at = (said.get(name) for name in ("case_id", "kle", "state", "created_at"))
        if not isinstance(case_id, str) or not is_uuid(case_id):
            raise self._flaw("has no case_id that is a UUID in lower case")
        if kle is not None and not (isinstance(kle, str) and len(kle) <= LONGEST_KLE):
            raise self._flaw("has no KLE number")
        if state is not None and state not in STATES:
            raise self._flaw("has a state that is not one of the four")
        return Listed(
            case_id,
            self._time(said.get("registered_at"), "registered_at"),
            kle,
            None if created_at is None else self._time(created_at, "created_at"),
            state,
        )

    def _time(self, said: object, name: str) -> int:
        try:
            return micros(said)
        except ValueError:
            raise self._flaw(f"has no {name} that is a time with a zone") from None

    def _flaw(self, why: str) -> FlawedManifest:
        return FlawedManifest(f"line {self._line} {why}")
