"""SBSYS's case as its REST interface shows it, in the vendor's words. Pure; knows nothing of the canonical event.

What is not named here is dropped at the door: parents' numbers, addresses, birth dates and note texts never
become values in this process.
"""

from datetime import datetime, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field

COPENHAGEN: Final = ZoneInfo("Europe/Copenhagen")
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00Z")
_MICROSECOND: Final = timedelta(microseconds=1)
_DAY_ONLY: Final = len("2024-03-18")


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


def micros_or_none(value: object) -> int | None:
    """As `micros`; the year 1 is how .NET says "never"."""
    if value is None or (isinstance(value, str) and value.startswith("0001-01-01")):
        return None
    return micros(value)


Time = Annotated[int, BeforeValidator(micros)]
MaybeTime = Annotated[int | None, BeforeValidator(micros_or_none)]


class Payload(BaseModel):
    """Unknown fields are ignored: the vendor adds some with every release."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class Emne(Payload):
    """The KLE subject. Its retirement and successors are for the broker's own edition to judge."""

    Nummer: str
    ErUdgaaet: bool | None = None


class Handlingsfacet(Payload):
    """The KLE facet."""

    Nummer: str


class Sagsnummer(Payload):
    """The case number in its parts."""

    EmneplanNummer: Emne
    Facet: Handlingsfacet | None = None


class Status(Payload):
    """`Navn` is each municipality's own word."""

    Navn: str
    SagsTilstand: str | None = None


class Part(Payload):
    """The part that the case is about."""

    PartType: str
    PartId: int | None = None
    CPRnummer: str | None = Field(None, validation_alias=AliasChoices("CPRnummer", "Cprnummer", "CprNummer"))
    CVRnummer: str | None = Field(None, validation_alias=AliasChoices("CVRnummer", "Cvrnummer", "CvrNummer"))
    Navn: str | None = None


class Person(Payload):
    """A person on the case. MorCPR and FarCPR are left out on purpose."""

    Id: int | None = None
    CprNummer: str | None = None
    Navn: str | None = None


class Firma(Payload):
    """A firm on the case."""

    Id: int | None = None
    CvrNummer: str | None = None
    Navn: str | None = None


class Sagsbehandler(Payload):
    """A caseworker."""

    Uuid: str | None = None
    LogonId: str | None = None
    Navn: str | None = None


class Sted(Payload):
    """A unit."""

    Uuid: str | None = None
    Id: int | None = None
    Navn: str | None = None


class Dokument(Payload):
    """A document's metadata, where the poller has laid them in."""

    Id: int
    Navn: str
    Oprettet: Time


class JournalArkNote(Payload):
    """A note's heading; the note itself stays where it is."""

    Id: int
    Overskrift: str
    KontaktTidspunkt: Time


class Sag(Payload):
    """One case."""

    SagIdentity: str
    SenestAendret: Time
    Nummer: str
    SagsTitel: str
    SagsStatus: Status
    Id: int | None = None
    SagsNummer: Sagsnummer | None = None
    PrimaryPart: Part | None = None
    Personer: tuple[Person, ...] | None = None
    Firmaer: tuple[Firma, ...] | None = None
    Behandler: Sagsbehandler | None = None
    Ansaettelsessted: Sted | None = None
    Opstaaet: MaybeTime = None
    Oprettet: MaybeTime = None
    SenesteStatusAendring: MaybeTime = None
    ErBeskyttet: bool | None = None
    SecuritySetId: int | None = None
    Dokumenter: tuple[Dokument, ...] | None = None
    JournalArkNoter: tuple[JournalArkNote, ...] | None = None


class SlettetSag(Payload):
    """A case that is gone: our own addition, the vendor publishes no such message."""

    SagIdentity: str
    SlettetTidspunkt: MaybeTime = None
    SenestAendret: MaybeTime = None
    SletteAarsag: str | None = None
