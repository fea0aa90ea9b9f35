"""A row of Sensum's extract, in the vendor's words. Pure; knows nothing of the canonical event.

Cells are texts, as files have them. What is not named here is dropped at the door.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from connectors.payload import Payload
from connectors.times import micros, midnight

_DAY_FIRST: Final = re.compile(
    r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})(?:[ T]+(\d{1,2})[:.](\d\d)(?:[:.](\d\d))?)?", re.ASCII
)
_ISO_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def begun(value: object) -> int:
    """Microseconds of a date with the day first, or in ISO 8601; a day alone begins at midnight in Denmark."""
    return _moment(value, 0)


def ended(value: object) -> int:
    """The same of an end: a day alone ends with itself [-]."""
    return _moment(value, 1)


def _moment(value: object, days_later: int) -> int:
    try:
        text = value.strip() if isinstance(value, str) else ""
        if _ISO_DAY.fullmatch(text):
            return midnight(text, days_later)
        if (found := _DAY_FIRST.fullmatch(text)) is None:
            return micros(text)
        day, month, year, hour, minute, second = (None if one is None else int(one) for one in found.groups())
        if hour is None:
            return midnight(f"{year:04}-{month:02}-{day:02}", days_later)
        return micros(datetime(year or 0, month or 0, day or 0, hour, minute or 0, second or 0).isoformat())  # noqa: DTZ001 - Danish time, which `micros` gives it
    except ValueError:
        # A year of two digits is refused too: which of the three is the year would be a guess.
        raise PydanticCustomError("day", "a day") from None


def text_of(value: object) -> object:
    """A number that came as one, where a table came as JSON."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Cell = Annotated[str, BeforeValidator(text_of)]
MaybeCell = Annotated[str | None, BeforeValidator(text_of)]
Begun = Annotated[int, BeforeValidator(begun)]
MaybeEnded = Annotated[int | None, BeforeValidator(lambda value: None if value is None else ended(value))]


class Row(Payload):
    """One intervention of one case."""

    SagId: Cell
    UdtrukketTidspunkt: Begun
    IndsatsStartDato: Begun
    IndsatsId: MaybeCell = None
    BorgerCPR: MaybeCell = None
    SagNavn: MaybeCell = None
    SagType: MaybeCell = None
    Status: MaybeCell = None
    IndsatsStatus: MaybeCell = None
    IndsatsSlutDato: MaybeEnded = None
    IndsatsParagraf: MaybeCell = None
    AfdelingNavn: MaybeCell = None
    MedarbejderFornavn: MaybeCell = None
    MedarbejderEfternavn: MaybeCell = None
    LeverandoerIndsats: MaybeCell = Field(None, alias="LeverandørIndsats")
    LeverandoerNavn: MaybeCell = Field(None, alias="LeverandørNavn")
    YdelseNavn: MaybeCell = None


COLUMNS: Final = tuple(field.alias or name for name, field in Row.model_fields.items())


def renamed(payload: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    """A row under our names of its columns; cells without a text are left out."""
    said = {name: payload.get(columns[name]) for name in COLUMNS}
    return {name: value for name, value in said.items() if value is not None and value != ""}
