"""A page of an overview as CSV, for spreadsheets: what the JSON has, flat, and nothing that it has not. Pure."""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

COLUMNS: Final = (
    "case_id", "authority", "authority_name", "system", "citizen_role", "user_key", "title", "confidential_title",
    "kle", "kle_title", "facet", "state", "sensitivity", "responsible", "handler", "contact", "link", "documents",
    "registered_at", "received_at", "indexed_at",
)  # fmt: skip
# At the beginning of a cell, and behind anything that some spreadsheet takes for the beginning of the next one.
_FORMULA: Final = re.compile(r"(^|[,;\t\r\n])([\"'\s]*)(?=[=+\-@＝＋－＠])")


def table(entries: Iterable[Mapping[str, Any]]) -> str:
    """One line an entry below a header. Source: RFC 4180; `documents` is how many are shown."""
    written = io.StringIO()
    lines = csv.writer(written, quoting=csv.QUOTE_ALL)
    lines.writerow(COLUMNS)
    lines.writerows([_cell(entry.get(name)) for name in COLUMNS] for entry in entries)
    return written.getvalue()


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case list():
            return str(len(value))
        case {"name": name, "id": of}:
            return harmless(name or of or "")
        case _:
            return harmless(str(value))


def harmless(text: str) -> str:
    """Nothing in it is a formula to a spreadsheet, whichever separator that goes by: an apostrophe stands before it."""
    return _FORMULA.sub(r"\1\2'", text)
