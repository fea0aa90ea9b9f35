"""A document's registration -> the event of a document. Pure; never raises, whatever comes.

A case names its documents in its journal; nothing of a document is copied into it, so that a case is the same event
whichever documents come with it, and a bad document costs no case.
"""

from collections.abc import Iterator

from pydantic import ValidationError

from broker.domain.case import SENSITIVITY
from broker.domain.document import DocumentEvent
from broker.domain.identity import vendor_event_id
from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Source
from connectors.flaws import rejection
from connectors.payload import digest_of
from connectors.standards.sf1470 import effect, mapping, obligations, relations, urn
from connectors.standards.sf1470.effect import missing
from connectors.standards.sf1470.payloads import (
    DokumentEgenskaberType,
    DokumentRegistreringType,
    DokumentType,
    UdvidelseType,
)


def translate(payload: object, source: Source, digest: str | None = None) -> list[DocumentEvent] | Rejected:
    """One event for each registration of an import; one for an update, in which nothing may be left out either."""
    if not isinstance(payload, dict):
        return Rejected(Code.SCHEMA_VIOLATION, "", "an object")
    found = digest_of(payload) if digest is None else digest
    if isinstance(found, Rejected):
        return found
    importing = "DokumentIndeks" in payload
    at = "/DokumentIndeks" if importing else "/OpdaterDokumentIndeks"
    try:
        if importing:
            document = DokumentType.model_validate(payload["DokumentIndeks"])
            said = obligations.numbered(document.Registrering, DokumentRegistreringType(), f"{at}/Registrering")
        else:
            document = DokumentType.model_validate(payload.get("OpdaterDokumentIndeks"))
            said = [(at, DokumentRegistreringType.model_validate(payload.get("OpdaterDokumentIndeks")))]
    except ValidationError as error:
        return rejection(error, at=at)
    if document.UUIDIdentifikator is None:
        return missing(f"{at}/UUIDIdentifikator", "OB2")
    if not said:
        return missing(f"{at}/Registrering", "OB2")
    events = []
    for where, one in said:
        flaw = obligations.first(_flaws(one, where, source, importing=importing))
        if flaw is not None:
            return flaw
        events.append(_event(document.UUIDIdentifikator, one, where, source, found))
    return events


def _listed(one: DokumentRegistreringType, at: str) -> list[tuple[str, DokumentEgenskaberType]]:
    said = () if one.AttributListe is None else one.AttributListe.Egenskaber
    return obligations.numbered(said, DokumentEgenskaberType(), f"{at}/AttributListe/Egenskaber")


def _flaws(one: DokumentRegistreringType, at: str, source: Source, *, importing: bool) -> Iterator[Rejected]:
    if one.Tidspunkt is None:
        yield missing(f"{at}/Tidspunkt", "OB2")
    if importing:
        if one.LivscyklusKode is None:
            yield missing(f"{at}/LivscyklusKode", "OB1")
        if one.LivscyklusKode != mapping.IMPORTED:
            yield Rejected(Code.SCHEMA_VIOLATION, f"{at}/LivscyklusKode", mapping.IMPORTED)
        if one.BrugerRef is None or one.BrugerRef.value is None:
            yield missing(f"{at}/BrugerRef", "OB1")
        if not (one.TilstandListe and one.TilstandListe.Fremdrift):
            yield missing(f"{at}/TilstandListe/Fremdrift", "OB1")
        yield from _owner(one, at, source)
    if not _listed(one, at):
        yield missing(f"{at}/AttributListe/Egenskaber", "OB1")
    for where, own in _listed(one, at):
        yield from _own(own, where)
    yield from effect.overlap([(where, effect.period(own.Virkning)) for where, own in _listed(one, at)])


def _own(own: DokumentEgenskaberType, at: str) -> Iterator[Rejected]:
    for name in ("BrugervendtNoegle", "Dokumentnummer", "Titel", "Foelsomhed", "Type"):
        if getattr(own, name) is None:
            yield missing(f"{at}/{name}", "OB1")
    if own.Foelsomhed not in SENSITIVITY:
        yield Rejected(Code.SENSITIVITY_UNKNOWN, f"{at}/Foelsomhed", "not one of the four levels")
    if own.Type not in mapping.DOCUMENT_TYPES:
        yield Rejected(Code.SCHEMA_VIOLATION, f"{at}/Type", "one of the standard's ten")
    if own.Type == mapping.LETTER_IN and own.BrevDato is None:
        yield missing(f"{at}/BrevDato", "OB4")
    if own.VersionIdentifikator is not None and own.UnderversionIdentifikator is None:
        yield missing(f"{at}/UnderversionIdentifikator", "OB4")
    if (hidden := own.OffentlighedUndtaget) is not None:
        yield from relations.undisclosed(hidden.TitelAlternativTekst, hidden.OffentlighedUndtagetHjemmelTekst, at)
    yield from effect.flaws(own.Virkning, at)


def _owner(one: DokumentRegistreringType, at: str, source: Source) -> Iterator[Rejected]:
    """Of its relations the index needs the owner alone."""
    at = f"{at}/RelationListe/Dokumentaktoer"
    listed = () if one.RelationListe is None else one.RelationListe.Dokumentaktoer
    roles = relations.roles(source.config)
    for index, relation in enumerate(listed):
        if relation is None or relations.named(relation, roles) != "Ejer":
            continue
        said: UdvidelseType = relations.extension(relation)
        numbers = {urn.cvr_of(relations.reference(relation)), said.CVR_Nr or said.CVR} - {None}
        if not numbers:
            yield missing(f"{at}/{index}/LokalUdvidelseListe/DokumentaktoerLokalUdvidelse/CVR-Nr", "OB1")
        if numbers != {source.authority}:
            yield Rejected(
                Code.AUTHORITY_MISMATCH, f"{at}/{index}", "not the authority that the sender sends for", covered=False
            )
        return
    yield Rejected(Code.MANDATORY_MISSING, at, "a relation in the role Ejer is missing (OB1)")


def _event(document_id: str, one: DokumentRegistreringType, at: str, source: Source, digest: str) -> DocumentEvent:
    listed = [own for _, own in _listed(one, at)]
    on = one.Tidspunkt or 0
    index = effect.in_force([effect.period(own.Virkning) for own in listed], on)
    own = listed[-1] if index is None else listed[index]
    hidden = own.OffentlighedUndtaget
    return {
        "document_id": document_id,
        "system": source.system,
        "authority": source.authority,
        "event_id": vendor_event_id(source.system, source.authority, document_id, on, digest),
        "registered_at": on,
        "title": own.Titel,
        "confidential_title": None if hidden is None else hidden.TitelAlternativTekst,
        "type": own.Type,
        "letter_date": own.BrevDato,
        "sensitivity": own.Foelsomhed,
        "removed": index is None,
    }
