"""Reading a KLE edition from CSV with the header `emnenr,titel[,…]`. Pure."""

import csv
import re
from collections.abc import Iterator

_NUMBER = re.compile(r"\d\d\.\d\d\.\d\d")
_GROUP = re.compile(r"\d\d(\.\d\d)?")


class FlawedEditionError(ValueError):
    """The file cannot be taken; the message names the line."""


def read_csv(content: bytes) -> dict[str, str]:
    """Number -> title of every subject; main groups and groups are passed over. Raises FlawedEditionError."""
    titles: dict[str, str] = {}
    for line, number, title in _rows(_lines(content)):
        if _GROUP.fullmatch(number):
            continue
        if _NUMBER.fullmatch(number) is None:
            raise FlawedEditionError(f"line {line}: emnenr is not of the form NN.NN.NN")
        if not title:
            raise FlawedEditionError(f"line {line}: {number} has no title")
        if number in titles:
            raise FlawedEditionError(f"line {line}: {number} is there twice")
        titles[number] = title
    if not titles:
        raise FlawedEditionError("line 2: there is no subject in the file")
    return titles


def _lines(content: bytes) -> list[str]:
    try:
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FlawedEditionError(f"line {line}: not UTF-8") from None


def _rows(lines: list[str]) -> Iterator[tuple[int, str, str]]:
    header = lines[0] if lines else ""
    rows = csv.reader(lines, delimiter=";" if ";" in header else ",", strict=True)
    try:
        names = [name.strip().lower() for name in next(rows, [])]
        if names[:2] != ["emnenr", "titel"]:
            raise FlawedEditionError("line 1: the header must begin emnenr,titel")
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            if len(row) < 2:  # noqa: PLR2004 - the two named columns
                raise FlawedEditionError(f"line {rows.line_num}: fewer than two columns")
            yield rows.line_num, row[0].strip(), row[1].strip()
    except csv.Error as error:
        raise FlawedEditionError(f"line {rows.line_num}: {error}") from None
