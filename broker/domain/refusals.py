"""What a vendor is told of a day: what of its events was refused and why, as rows and as CSV. Pure.

No personal data: neither the event nor a detail that may quote it, and every text goes through the mask for numbers.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Final

from broker.domain import moments
from broker.domain.identity import without_cpr

COLUMNS: Final = (
    "at", "authority", "system", "rejection_id", "event_id", "code", "pointer", "kle", "state", "remedy",
)  # fmt: skip
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def day_of(day: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """From when to when it lasts there, closed-open; 23 to 25 hours."""
    begins, ends = (datetime.combine(one, time(), zone) for one in (day, day + timedelta(days=1)))
    return begins.astimezone(UTC), ends.astimezone(UTC)


def row_of(rejection: Mapping[str, Any]) -> dict[str, str]:
    """One refused event, as it is told."""
    said = {**rejection, "at": moments.text(rejection["at"])}
    return {name: without_cpr(str(said[name] or "")) for name in COLUMNS}


def report(
    system: str, day: date, number: int, causes: Sequence[Mapping[str, Any]], rows: list[dict[str, str]]
) -> dict[str, Any]:
    """All of one vendor's day, `number` events. left_out: how many of them have no row of their own here."""
    told = ("authority", "code", "pointer", "remedy", "rejections")
    return {
        "system": system,
        "day": day.isoformat(),
        "rejections": number,
        "causes": [{name: _plain(one[name]) for name in told} for one in causes],
        "events": rows,
        "left_out": max(0, number - len(rows)),
    }


def as_csv(rows: Iterable[Mapping[str, str]]) -> str:
    """With a header. Whatever a spreadsheet could take for a formula is a text there."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(COLUMNS)
    writer.writerows([[cell(row[name]) for name in COLUMNS] for row in rows])
    return out.getvalue()


def cell(text: str) -> str:
    """A text that no spreadsheet runs. Source: OWASP, CSV injection."""
    begins = text.lstrip(" "), text.lstrip()
    return f"'{text}" if any(one.startswith(_FORMULA) for one in begins) else text


def _plain(value: object) -> object:
    return without_cpr(value) if isinstance(value, str) else value
