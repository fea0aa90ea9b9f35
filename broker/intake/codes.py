"""The mapping review: a list of the codes that a municipality uses in a system, and what each comes to."""

import asyncio
import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import psycopg

from broker.domain.agreement import Facts
from broker.domain.identity import without_cpr
from broker.domain.kle import KleBook, Mapped, is_number
from broker.domain.outcome import Rejected
from broker.store import kle_rules

_HEADERS: Final = frozenset({"code", "kode"})
_TITLE, _COUNT = 1, 2
_DIGITS: Final = 12
MOST: Final = 20_000
"""Codes in one list."""


class FlawedListError(ValueError):
    """The file cannot be taken; the message names the line."""


@dataclass(frozen=True, slots=True)
class Used:
    """A code, what it is called there, and how many cases have it."""

    code: str
    title: str = ""
    count: int | None = None


def read_codes(content: bytes) -> list[Used]:
    """CSV `code[,title,count]`, with or without that header. Raises FlawedListError."""
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise FlawedListError(f"line {content.count(10, 0, error.start) + 1}: not UTF-8") from None
    rows = csv.reader(lines, delimiter=";" if lines and ";" in lines[0] else ",", strict=True)
    used: list[Used] = []
    try:
        for cells in rows:
            row = [cell.strip() for cell in cells]
            if not any(row) or (not used and rows.line_num == 1 and row[0].lower() in _HEADERS):
                continue
            if not row[0]:
                raise FlawedListError(f"line {rows.line_num}: no code")
            count = row[_COUNT] if len(row) > _COUNT else ""
            if len(used) == MOST:
                raise FlawedListError(f"line {rows.line_num}: more than {MOST} codes; check them in parts")
            if count and not (count.isascii() and count.isdigit() and len(count) <= _DIGITS):
                raise FlawedListError(f"line {rows.line_num}: the count is no number")
            used.append(Used(row[0], row[_TITLE] if len(row) > _TITLE else "", int(count) if count else None))
    except csv.Error as error:
        raise FlawedListError(f"line {rows.line_num}: {error}") from None
    if not used:
        raise FlawedListError("line 1: there is no code in the file")
    return used


async def review(
    connection: psycopg.AsyncConnection[Any], known: Facts, used: list[Used], authority: str, system: str, on: date
) -> dict[str, Any]:
    """What of the list maps to nothing, and why; that it was asked is kept, for the agreement that may need it."""
    unmapped = await asyncio.to_thread(_unmapped, mapped(used, known.kle, authority, system, on))
    await kle_rules.record_check(connection, (authority, system), len(used), len(unmapped), known.revision)
    return {"authority": authority, "system": system, "codes": len(used), "unmapped": unmapped}


def _unmapped(judged: Iterable[tuple[Used, Mapped | Rejected]]) -> list[dict[str, Any]]:
    return [
        {"code": without_cpr(one.code), "title": without_cpr(one.title), "count": one.count}
        | {"reason": verdict.code.value, "detail": verdict.detail}
        for one, verdict in judged
        if isinstance(verdict, Rejected)
    ]


def mapped(
    used: Iterable[Used], book: KleBook, authority: str, system: str, on: date
) -> Iterator[tuple[Used, Mapped | Rejected]]:
    """What a case of that date would come to with each: as a number where it has that form, else as a local code."""
    for one in used:
        yield one, book.map(authority, system, {"kle" if is_number(one.code) else "local_code": one.code}, on)
