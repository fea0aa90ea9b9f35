"""SBSYS's case as its REST interface shows it, in the vendor's words. Pure; knows nothing of the canonical event.

What is not named here is dropped at the door: parents' numbers, addresses, birth dates and note texts never
become values in this process.
"""

from pydantic import AliasChoices, Field

from connectors.payload import Payload
from connectors.times import MaybeTime, Time


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
    Slettet: object = None
    SlettetTidspunkt: MaybeTime = None
    SenestAendret: MaybeTime = None
    SletteAarsag: str | None = None
