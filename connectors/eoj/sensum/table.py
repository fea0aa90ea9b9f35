"""An extract file -> its rows. Pure; nothing that may stand in a file makes it raise.

Encodings: UTF-8 with or without a mark, UTF-16 with one, else Windows-1252, which Danish files still come in.
A row that cannot be read is one payload `{"unread": …}`, to be told of by itself.
"""

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from typing import Final

from broker.domain.outcome import Code, Rejected
from connectors.payload import parsed

UNREAD: Final = "unread"
_DELIMITERS: Final = ";\t,|"
_JSON: Final = (b"[", b"{")


def split(body: bytes) -> Sequence[object] | Rejected:
    """The rows of a file, or of a list in JSON."""
    if body.removeprefix(codecs.BOM_UTF8).lstrip().startswith(_JSON):
        found = parsed(body)
        if isinstance(found, dict):
            return [found]
        return found if isinstance(found, list | Rejected) else Rejected(Code.MALFORMED_PAYLOAD, "", "a list of rows")
    text = _decoded(body)
    if text is None:
        return Rejected(Code.MALFORMED_PAYLOAD, "", "a table in UTF-8, UTF-16 or Windows-1252")
    return _rows(text)


def _decoded(body: bytes) -> str | None:
    marked = body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "cp1252"):
        try:
            return body.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def _rows(text: str) -> Sequence[object] | Rejected:
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = [name.strip() for name in next(reader, [])]
    except csv.Error:
        header = []
    if len(header) < 2 or len(set(header)) < len(header) or UNREAD in header:  # noqa: PLR2004 - one column is no table
        return Rejected(Code.MALFORMED_PAYLOAD, "", "a table whose first line names each column once")
    return list(_payloads(reader, header))


def _payloads(reader: Iterator[list[str]], header: Sequence[str]) -> Iterator[dict[str, object]]:
    """A line that cannot be read costs no other."""
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            yield {UNREAD: "line"}
            continue
        filled = [cell.strip() for cell in cells]
        if len(cells) == len(header):
            row: dict[str, object] = {name: cell for name, cell in zip(header, filled, strict=True) if cell}
            if row:
                yield row
        elif any(filled):
            yield {UNREAD: "cells"}
