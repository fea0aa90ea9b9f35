"""How SharePoint writes values that refer to others: `318;#25.02.00 Ejendomsbeskatning`, one or many. Pure.

Also its managed terms: `25.02.00 Ejendomsbeskatning|f4fabc5c-…`.
"""

import re
from typing import Final, NamedTuple

_KLE: Final = re.compile(r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}(?![0-9.])")
_FACET: Final = re.compile(r"[A-ZÆØÅ][0-9]{2}(?![0-9])")


class Lookup(NamedTuple):
    """A reference to a row of another list, and that row's text."""

    id: str
    text: str


def lookups(value: str | None) -> list[Lookup]:
    """Every reference in a value: pairs of a number and a text. A plain text is one without a number."""
    if value is None or not value.strip():
        return []
    parts = value.split(";#")
    if not parts[0].strip().isdecimal() or len(parts) == 1:
        return [Lookup("", _term(value))]
    return [
        Lookup(number.strip(), _term(text)) for number, text in zip(parts[::2], parts[1::2], strict=False) if number
    ]


def kle_number(value: str | None) -> str | None:
    """The one KLE number that a value begins with; None when there is none, or several."""
    return _only(_KLE, value)


def facet(value: str | None) -> str | None:
    """The one facet that a value begins with."""
    return _only(_FACET, value)


def _only(form: re.Pattern[str], value: str | None) -> str | None:
    # At the beginning only: titles can hold dates that look the same.
    found = {match.group() for one in lookups(value) if (match := form.match(one.text))}
    return found.pop() if len(found) == 1 else None


def _term(text: str) -> str:
    return text.strip().partition("|")[0].strip()
