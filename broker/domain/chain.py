"""The chain over the log of reads: what is hashed, and what differs from what was sealed. Pure.

A segment lists the rows it seals, each with the hash of its content; its head covers that list and the head before it.
So one signature over a head stands for everything before it, and a row that differs can be named.
"""

import hashlib
import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

FORM: Final = b"sagsbro access log 1\n"
"""Stands before everything that is hashed or signed; another way of writing a row is another form."""
GENESIS: Final = hashlib.sha256(FORM).digest()
GONE: Final = bytes(32)
"""In place of a hash: the row was not there any more when it was to be sealed."""
_ROW: Final = struct.Struct(">q32s")
_LINK: Final = struct.Struct(">qq32s")


class Row(NamedTuple):
    """One row of the log: its id, and the hash of the rest of it."""

    id: int
    digest: bytes


class Flaw(StrEnum):
    """What can be wrong."""

    CHANGED = "changed"
    MISSING = "missing"
    INSERTED = "inserted"
    REORDERED = "reordered"
    BACKDATED = "backdated"
    SEGMENT_MISSING = "segment_missing"
    SEGMENT_CHANGED = "segment_changed"
    SIGNATURE = "signature"
    ANCHOR = "anchor"
    CUT = "cut"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, in which segment, in which row."""

    flaw: Flaw
    segment: int | None
    row: int | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """What was sealed at one time: microseconds since 1970, UTC."""

    number: int
    sealed_at: int
    rows: tuple[Row, ...]
    previous: bytes
    head: bytes

    @property
    def is_whole(self) -> bool:
        """Whether the head is that of the content."""
        return self.head == head_of(self.number, self.sealed_at, self.previous, self.rows)


def sealed(number: int, sealed_at: int, previous: bytes, rows: Iterable[Row]) -> Segment:
    """The next segment."""
    listed = tuple(rows)
    return Segment(number, sealed_at, listed, previous, head_of(number, sealed_at, previous, listed))


def digest(content: Sequence[Any]) -> bytes:
    """The hash of one row's content: JSON values in the order of the form."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(FORM + text.encode()).digest()


def head_of(number: int, sealed_at: int, previous: bytes, rows: Iterable[Row]) -> bytes:
    """What the signature is over."""
    return hashlib.sha256(FORM + _LINK.pack(number, sealed_at, previous) + packed(rows)).digest()


def head_statement(head: bytes) -> bytes:
    """What is signed of a segment."""
    return FORM + b"head" + head


def cut_statement(number: int, cut_at: int, head: bytes) -> bytes:
    """What is signed of a cut: everything up to and with that segment has been kept long enough."""
    return FORM + b"cut" + _LINK.pack(number, cut_at, head)


def packed(rows: Iterable[Row]) -> bytes:
    """As one value."""
    return b"".join(_ROW.pack(*row) for row in rows)


def unpacked(rows: bytes) -> tuple[Row, ...]:
    """Raises ValueError when that is not what `packed` made."""
    try:
        return tuple(Row(*row) for row in _ROW.iter_unpack(rows))
    except struct.error:
        raise ValueError("not a list of sealed rows") from None


def compared(segment: Segment, found: Mapping[int, bytes]) -> Iterator[Finding]:
    """The segment's rows against the hashes of those that are there now."""
    known = {row.digest for row in segment.rows}
    for row in segment.rows:
        now = found.get(row.id)
        if now is None:
            yield Finding(Flaw.MISSING, segment.number, row.id)
        elif now != row.digest:
            yield Finding(Flaw.REORDERED if now in known else Flaw.CHANGED, segment.number, row.id)
