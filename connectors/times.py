"""Times as vendors write them -> microseconds since 1970, UTC. Pure. For every connector."""

import re
from datetime import UTC, date, datetime, time, timedelta
from email.utils import parsedate_to_datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator

COPENHAGEN: Final = ZoneInfo("Europe/Copenhagen")
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00Z")
_MICROSECOND: Final = timedelta(microseconds=1)
_DAY: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:Z|[+-][0-9]{2}:[0-9]{2})?")
_DAY_ONLY: Final = len("2024-03-18")
LAST: Final = 1 << 62
"""After every time."""


def micros(value: object) -> int:
    """Microseconds since 1970, UTC, of a text in ISO 8601; without a zone it is Danish time.

    In the hour that comes twice the first is meant; nothing in the payload tells which, and a guess must be stable.
    Raises ValueError, never with the text in it.
    """
    if not isinstance(value, str) or len(value) <= _DAY_ONLY:
        raise ValueError("a date and time in ISO 8601")
    try:
        moment = datetime.fromisoformat(value)
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=COPENHAGEN, fold=0)
        return (aware - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        raise ValueError("a date and time in ISO 8601") from None


def micros_or_last(value: object) -> int:
    """As `micros`; what is no time comes after all that are: a poller hands it on once, and the broker tells why."""
    try:
        return micros(value)
    except ValueError:
        return LAST


def micros_or_none(value: object) -> int | None:
    """As `micros`; the year 1 is how .NET says "never"."""
    return None if _is_never(value) else micros(value)


def _is_never(value: object) -> bool:
    return value is None or (isinstance(value, str) and value.startswith("0001-01-01"))


def midnight(text: str, days_later: int = 0) -> int:
    """The beginning of a day (YYYY-MM-DD) in Denmark, or of a later one. Raises ValueError without the text in it."""
    try:
        day = date.fromisoformat(text) + timedelta(days=days_later)
        return (datetime.combine(day, time(), COPENHAGEN) - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        raise ValueError("a day in ISO 8601") from None


def moment(value: object) -> int:
    """As `micros`; a day, also one with a zone as XML Schema writes it, begins at midnight in Denmark."""
    if isinstance(value, str) and (day := _DAY.fullmatch(value.strip())):
        return midnight(day[1])
    return micros(value)


def moment_or_none(value: object) -> int | None:
    """As `moment`; nothing, and the year 1, are no time."""
    return None if value == "" or _is_never(value) else moment(value)


def http_date(text: str) -> int:
    """Microseconds since 1970, UTC, of a `Date` header: the server's own clock. Raises ValueError."""
    moment = parsedate_to_datetime(text)
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // _MICROSECOND


Time = Annotated[int, BeforeValidator(micros)]
MaybeTime = Annotated[int | None, BeforeValidator(micros_or_none)]
Moment = Annotated[int, BeforeValidator(moment)]
MaybeMoment = Annotated[int | None, BeforeValidator(moment_or_none)]
