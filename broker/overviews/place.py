"""How far a reader has come in an overview's topic, as the opaque text of an event's id. Pure."""

import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

# A tombstone is kept for seven days: who has been away longer than this may have missed one.
LONGEST_AWAY: Final = timedelta(days=5)
_FORM: Final = re.compile(r"(\d{1,11})((?:\.\d{1,18}){1,200})", re.ASCII)


class BrokenPlaceError(ValueError):
    """Not the id of an event of this overview."""


@dataclass(frozen=True, slots=True)
class Place:
    """offsets: the next one to read of each partition."""

    offsets: tuple[int, ...]

    def past(self, partition: int, offset: int) -> "Place":
        """After one record."""
        before, after = self.offsets[:partition], self.offsets[partition + 1 :]
        return replace(self, offsets=(*before, max(self.offsets[partition], offset + 1), *after))

    def joined(self, other: "Place") -> "Place":
        """The later one of each partition."""
        return replace(self, offsets=tuple(map(max, self.offsets, other.offsets)))

    def text(self, at: datetime) -> str:
        """As it is given out at that moment."""
        return ".".join(map(str, (int(at.timestamp()), *self.offsets)))


def read(text: str, partitions: int, at: datetime, since: datetime | None = None) -> Place | None:
    """The place that was given out; None when that is too long ago, or before `since`. Raises BrokenPlaceError."""
    form = _FORM.fullmatch(text)
    if form is None:
        raise BrokenPlaceError("not an event's id")
    offsets = tuple(map(int, form[2][1:].split(".")))
    if len(offsets) != partitions:
        raise BrokenPlaceError("the id of another overview's event")
    oldest = at - LONGEST_AWAY if since is None else max(at - LONGEST_AWAY, since)
    return Place(offsets) if int(form[1]) >= oldest.timestamp() else None
