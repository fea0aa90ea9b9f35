"""SF1470's objects under the standard's element names, as far as the index needs them. Pure.

As in its schema nearly everything may be left out; `obligations` says what may not. What is not named here is dropped:
descriptions, notes and their content never become values.
"""

from typing import Annotated

from pydantic import BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from broker.domain.identity import is_uuid
from connectors.payload import Payload
from connectors.times import Time, midnight

Title = Annotated[str, StringConstraints(max_length=255)]
Key = Annotated[str, StringConstraints(max_length=50)]
Ground = Annotated[str, StringConstraints(max_length=1024)]
Index = Annotated[str, StringConstraints(max_length=36)]
Reference = Annotated[str, StringConstraints(max_length=255)]


def uuid(value: object) -> str:
    """In lower case; in XML both are the same."""
    if isinstance(value, str) and is_uuid(value.lower()):
        return value.lower()
    raise PydanticCustomError("uuid", "a UUID")


def _day(value: object) -> str:
    """As it is written, if it is one."""
    try:
        text = str(value)[:10]
        midnight(text)
    except ValueError:
        raise PydanticCustomError("day", "a day") from None
    return text


Uuid = Annotated[str, BeforeValidator(uuid)]
Day = Annotated[str, BeforeValidator(_day)]


class UnikIdType(Payload):
    """A reference: one of the two."""

    UUIDIdentifikator: Uuid | None = None
    URNIdentifikator: Reference | None = None

    @property
    def value(self) -> str | None:
        """Whichever it is."""
        return self.UUIDIdentifikator or self.URNIdentifikator


class TidspunktType(Payload):
    """A time, or no end."""

    TidsstempelDatoTid: Time | None = None
    GraenseIndikator: bool | None = None

    @property
    def said(self) -> bool:
        """Whether it is one of the two."""
        return self.TidsstempelDatoTid is not None or self.GraenseIndikator is True


class VirkningType(Payload):
    """When something holds in reality, and who said so."""

    FraTidspunkt: TidspunktType | None = None
    TilTidspunkt: TidspunktType | None = None
    AktoerRef: UnikIdType | None = None
    AktoerTypeKode: str | None = None


class OffentlighedUndtagetType(Payload):
    """The title that the public may not see, and why."""

    TitelAlternativTekst: Title | None = None
    OffentlighedUndtagetHjemmelTekst: Ground | None = None


class EgenskaberType(Payload):
    """The case's own attributes. `Titel` is what the public may see."""

    Virkning: VirkningType | None = None
    BrugervendtNoegle: Key | None = None
    Sagsnummer: Key | None = None
    Titel: Title | None = None
    HjemmelSpecifikation: Ground | None = None
    OffentlighedUndtaget: OffentlighedUndtagetType | None = None


class SagIndeksEgenskaberType(Payload):
    """What the index adds to them. `Foelsomhed` is judged by hand: an unknown level has a code of its own."""

    Virkning: VirkningType | None = None
    Sagsstatus: Title | None = None
    Foelsomhed: str | None = None
    OprettetTidspunkt: Time | None = None


class UdvidelseType(Payload):
    """What describes the other end of a relation, in whichever of the extensions."""

    BrugervendtNoegle: Key | None = None
    FuldtNavn: Title | None = None
    CVR: Annotated[str | None, Field(alias="CVR-Nummer")] = None
    CVR_Nr: Annotated[str | None, Field(alias="CVR-Nr")] = None
    Facettitel: Title | None = None
    Klassetitel: Title | None = None


class UdvidelserType(Payload):
    """The extensions of one relation: its own kind's is looked at."""

    SagsaktoerLokalUdvidelse: UdvidelseType | None = None
    SagsklasseLokalUdvidelse: UdvidelseType | None = None
    SagspartLokalUdvidelse: UdvidelseType | None = None
    DokumentaktoerLokalUdvidelse: UdvidelseType | None = None
    DokumentklasseLokalUdvidelse: UdvidelseType | None = None


class JournalnotatEgenskaberType(Payload):
    """A note's; of its content only that there is some."""

    Titel: Title | None = None
    Notat: str | None = None
    Format: Key | None = None


class JournalpostEgenskaberType(Payload):
    """What a document is called in this case, or the note."""

    Dokumenttitel: Title | None = None
    OffentlighedUndtaget: OffentlighedUndtagetType | None = None
    JournalnotatEgenskaber: JournalnotatEgenskaberType | None = None


class RelationType(Payload):
    """To anything; its key in the case is kind, role and index."""

    Virkning: VirkningType | None = None
    Rolle: UnikIdType | None = None
    Type: UnikIdType | None = None
    Indeks: Index | None = None
    ReferenceID: UnikIdType | None = None
    LokalUdvidelseListe: UdvidelserType | None = None
    JournalpostEgenskaber: JournalpostEgenskaberType | None = None
    SystemNavn: Title | None = None


class FremdriftType(Payload):
    """A state, and when it holds. The code is judged by hand: an unknown state has a code of its own."""

    Virkning: VirkningType | None = None
    FremdriftStatusKode: str | None = None


class AttributUdvidelserType(Payload):
    """The index's own attributes."""

    SagIndeksEgenskaber: tuple[SagIndeksEgenskaberType | None, ...] = ()


class RelationUdvidelserType(Payload):
    """The index's own relations."""

    Sikkerhedsprofil: tuple[RelationType | None, ...] = ()
    SagsitsystemRelation: tuple[RelationType | None, ...] = ()
    DokumentitsystemRelation: tuple[RelationType | None, ...] = ()


class AttributListeType(Payload):
    """Attributes."""

    Egenskaber: tuple[EgenskaberType | None, ...] = ()
    LokalUdvidelseListe: AttributUdvidelserType | None = None


class TilstandListeType(Payload):
    """States."""

    Fremdrift: tuple[FremdriftType | None, ...] = ()


class RelationListeType(Payload):
    """Relations."""

    Sagsaktoer: tuple[RelationType | None, ...] = ()
    Sagsklasse: tuple[RelationType | None, ...] = ()
    Sagspart: tuple[RelationType | None, ...] = ()
    Sagsgenstande: tuple[RelationType | None, ...] = ()
    Journalpost: tuple[RelationType | None, ...] = ()
    LokalUdvidelseListe: RelationUdvidelserType | None = None


class ListerType(Payload):
    """What a registration says of a case, whichever operation it comes with."""

    AttributListe: AttributListeType | None = None
    TilstandListe: TilstandListeType | None = None
    RelationListe: RelationListeType | None = None


class RegistreringType(ListerType):
    """One registration of an imported case."""

    Tidspunkt: Time | None = None
    LivscyklusKode: str | None = None
    BrugerRef: UnikIdType | None = None


class SagType(Payload):
    """A case with its registrations."""

    UUIDIdentifikator: Uuid | None = None
    Registrering: tuple[RegistreringType | None, ...] = ()


class OpdateringType(ListerType):
    """A change of a case: what it does not name stays."""

    UUIDIdentifikator: Uuid | None = None
    Tidspunkt: Time | None = None


class ObjektTypeType(Payload):
    """Which case."""

    UUIDIdentifikator: Uuid | None = None


class KasseringType(Payload):
    """What of a case is disposed of: the relations named, or all of it when none is."""

    ObjektType: ObjektTypeType | None = None
    Registrering: tuple[RegistreringType | None, ...] = ()


class DokumentEgenskaberType(Payload):
    """A document's attributes."""

    Virkning: VirkningType | None = None
    BrugervendtNoegle: Key | None = None
    Dokumentnummer: Key | None = None
    Titel: Title | None = None
    BrevDato: Day | None = None
    OffentlighedUndtaget: OffentlighedUndtagetType | None = None
    VersionIdentifikator: str | None = None
    UnderversionIdentifikator: str | None = None
    Foelsomhed: str | None = None
    Type: str | None = None


class DokumentAttributListeType(Payload):
    """Attributes of a document."""

    Egenskaber: tuple[DokumentEgenskaberType | None, ...] = ()


class DokumentRelationListeType(Payload):
    """Relations of a document."""

    Dokumentaktoer: tuple[RelationType | None, ...] = ()
    LokalUdvidelseListe: RelationUdvidelserType | None = None


class DokumentRegistreringType(Payload):
    """One registration of a document; also what an update says, with its own `Tidspunkt`."""

    Tidspunkt: Time | None = None
    LivscyklusKode: str | None = None
    BrugerRef: UnikIdType | None = None
    AttributListe: DokumentAttributListeType | None = None
    TilstandListe: TilstandListeType | None = None
    RelationListe: DokumentRelationListeType | None = None


class DokumentType(Payload):
    """A document with its registrations."""

    UUIDIdentifikator: Uuid | None = None
    Registrering: tuple[DokumentRegistreringType | None, ...] = ()
