"""Cases and documents as a sender of the national index delivers them: SOAP, `importer` of SF1470 v6. Pure."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from xml.sax.saxutils import escape

from ops.demo.lives import Life, Vendor, Wrong, moment
from ops.demo.sample import Form, Sending
from ops.demo.world import AARHUS, ODENSE, accepted

_NAMESPACES: Final = (
    'xmlns:sdi="urn:oio:sts:sagdok:sagdokumentindeks:6" xmlns:sag="urn:oio:sts:sagdok:sag:6"'
    ' xmlns:sd="urn:oio:sagdok:3.0.0"'
    ' xmlns:gd="urn:oio:sts:generelledefinitioner:6" xmlns:si="urn:oio:sts:sagdok:sagindeks:6"'
    ' xmlns:di="urn:oio:sts:sagdok:dokumentindeks:6"'
)
_SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
_HEADER: Final = "http://kombit.dk/xml/schemas/RequestHeader/1/"
_STATES: Final = ("Opstaaet", "Oplyst", "Afgjort", "Afsluttet")
_OWNER: Final = "9e979b84-b846-4472-8622-58007dc63c7e"
_RESPONSIBLE: Final = "a1263342-d348-44ba-a566-233f37c4cb67"
_PARTY: Final = "d839f26a-d4d1-4441-b2d6-3dbbb12a9404"
_SUBJECT: Final = "a86c6581-ec85-412d-a655-31a1f1d5b14f"
_FACET: Final = "05ef7011-11a7-4e4c-a46b-3de6aa457fc3"
_FILED: Final = "00000000-0000-4000-9000-000000000202"
"""Its number is not public: the configuration names it."""
_SYSTEMS: Final = ("251c24fd-57b0-4afc-9d73-b063d1957eb3", "1b3c6a6d-e977-4491-9bf8-b41ee6999f39")
_TYPE: Final = "85d65133-4b00-460d-992e-3984857b5768"
_SOMEBODY: Final = "00000000-0000-4000-8000-000000000001"
_EVER: Final = "<sd:GraenseIndikator>true</sd:GraenseIndikator>"
_SYSTEM_NAME: Final = "<si:SystemNavn>Fagsystem</si:SystemNavn>"
_LONG_AGO: Final = datetime(2024, 1, 1, tzinfo=UTC)


def _payload(life: Life) -> dict[str, Any]:
    """What the element of a case is made of."""
    said = {
        "uuid": life.identity,
        "document": _document_of(life),
        "at": moment(life.changed),
        "since": moment(life.created),
        "states": [(_STATES[0], life.created)] + ([(_STATES[life.stage], life.since)] if life.stage else []),
        "key": f"{life.kle}-G01-{life.number}-{life.created.year % 100:02}",
        "title": life.title,
        "level": "FORTROLIGE_PERSONOPLYSNINGER",
        "owner": life.authority,
        "unit": life.unit,
        "kle": life.kle,
        "party": f"urn:oio:cpr-nr:{life.citizen}",
        "name": life.name,
    }
    return {"case": said}


def _document(life: Life) -> dict[str, Any]:
    said = {
        "uuid": _document_of(life),
        "at": moment(life.changed),
        "since": moment(life.created),
        "title": f"Bilag til {life.title.lower()}",
        "level": "FOELSOMME_PERSONOPLYSNINGER" if life.number % 2 else "FORTROLIGE_PERSONOPLYSNINGER",
        "owner": life.authority,
    }
    return {"document": said}


def _document_of(life: Life) -> str:
    return str(uuid.uuid5(uuid.UUID(life.identity), "document"))


def _body(batch: Sequence[Sending]) -> bytes:
    """One request; sent again with the same content it is the same one."""
    objects = "".join(
        _case_element(sending.payload["case"])
        if "case" in sending.payload
        else _document_element(sending.payload["document"])
        for sending in batch
    )
    transaction = uuid.uuid5(uuid.NAMESPACE_OID, objects)
    return (
        f'<soap:Envelope xmlns:soap="{_SOAP}"><soap:Header><h:RequestHeader xmlns:h="{_HEADER}">'
        f"<h:TransactionUUID>{transaction}</h:TransactionUUID></h:RequestHeader></soap:Header><soap:Body>"
        f"<sdi:ImporterSagDokumentIndeksInput {_NAMESPACES}>{objects}</sdi:ImporterSagDokumentIndeksInput>"
        "</soap:Body></soap:Envelope>"
    ).encode()


def _case_element(said: dict[str, Any]) -> str:
    since, owner = said["since"], said["owner"]
    states = said["states"]
    ends = [moment(begun) for _, begun in states[1:]] + [None]
    progress = "".join(
        f"<sag:Fremdrift>{_effect('sag', moment(begun), end)}<sag:FremdriftStatusKode>{state}</sag:FremdriftStatusKode>"
        "</sag:Fremdrift>"
        for (state, begun), end in zip(states, ends, strict=True)
    )
    key, title = f"<{{0}}>{escape(said['key'])}</{{0}}>", escape(said["title"])
    level = f"<si:Foelsomhed>{said['level']}</si:Foelsomhed>" if said["level"] else ""
    name = f"<si:FuldtNavn>{{}}</si:FuldtNavn><si:CVR-Nummer>{owner}</si:CVR-Nummer>"
    actors = _relation(
        "sag:Sagsaktoer",
        _OWNER,
        since,
        _urn(f"urn:oio:cvr-nr:{owner}"),
        f"<si:SagsaktoerLokalUdvidelse><si:BrugervendtNoegle>K</si:BrugervendtNoegle>{name.format('Kommunen')}"
        "</si:SagsaktoerLokalUdvidelse>",
    ) + _relation(
        "sag:Sagsaktoer",
        _RESPONSIBLE,
        since,
        _uuid(_SOMEBODY),
        f"<si:SagsaktoerLokalUdvidelse>{name.format(escape(said['unit']))}</si:SagsaktoerLokalUdvidelse>",
    )
    classes = "".join(
        _relation(
            "sag:Sagsklasse",
            role,
            since,
            _uuid(_SOMEBODY),
            f"<si:SagsklasseLokalUdvidelse><si:BrugervendtNoegle>{number}</si:BrugervendtNoegle>"
            "</si:SagsklasseLokalUdvidelse>",
        )
        for role, number in ((_SUBJECT, said["kle"]), (_FACET, "G01"))
    )
    party = _relation(
        "sag:Sagspart",
        _PARTY,
        since,
        _urn(said["party"]),
        f"<si:SagspartLokalUdvidelse><si:FuldtNavn>{escape(said['name'])}</si:FuldtNavn></si:SagspartLokalUdvidelse>",
    )
    entry = _relation("sag:Journalpost", _FILED, since, _uuid(said["document"]), index="1")
    systems = "".join(
        _relation("si:SagsitsystemRelation", role, since, _uuid(_SOMEBODY), more=_SYSTEM_NAME) for role in _SYSTEMS
    )
    return (
        f"<sdi:SagIndeks><sd:UUIDIdentifikator>{said['uuid']}</sd:UUIDIdentifikator><sag:Registrering>{_head(said)}"
        f"<sag:AttributListe><sag:Egenskaber>{_effect('sag', since)}{key.format('sag:BrugervendtNoegle')}"
        f"{key.format('sag:Sagsnummer')}<sag:Titel>{title}</sag:Titel></sag:Egenskaber>"
        f"<gd:LokalUdvidelseListe><si:SagIndeksEgenskaber>{_effect('gd', since)}<si:Sagsstatus>Igangsat</si:Sagsstatus>"
        f"{level}</si:SagIndeksEgenskaber></gd:LokalUdvidelseListe></sag:AttributListe>"
        f"<sag:TilstandListe>{progress}</sag:TilstandListe>"
        f"<sag:RelationListe>{actors}{classes}{party}{entry}<gd:LokalUdvidelseListe>{systems}</gd:LokalUdvidelseListe>"
        "</sag:RelationListe></sag:Registrering></sdi:SagIndeks>"
    )


def _document_element(said: dict[str, Any]) -> str:
    since, owner = said["since"], said["owner"]
    actor = _relation(
        "di:Dokumentaktoer",
        _OWNER,
        since,
        _urn(f"urn:oio:cvr-nr:{owner}"),
        "<di:DokumentaktoerLokalUdvidelse><di:FuldtNavn>Kommunen</di:FuldtNavn>"
        f"<di:CVR-Nr>{owner}</di:CVR-Nr></di:DokumentaktoerLokalUdvidelse>",
    )
    return (
        f"<sdi:DokumentIndeks><sd:UUIDIdentifikator>{said['uuid']}</sd:UUIDIdentifikator>"
        f"<di:Registrering>{_head(said)}<di:AttributListe><di:Egenskaber>{_effect('di', since)}"
        "<di:BrugervendtNoegle>D-1</di:BrugervendtNoegle><di:Dokumentnummer>D-1</di:Dokumentnummer>"
        f"<di:Titel>{escape(said['title'])}</di:Titel><di:Foelsomhed>{said['level']}</di:Foelsomhed>"
        "<di:Type>Rapport</di:Type></di:Egenskaber></di:AttributListe>"
        f"<di:TilstandListe><di:Fremdrift>{_effect('di', since)}"
        "<di:FremdriftStatusKode>Endeligt</di:FremdriftStatusKode></di:Fremdrift></di:TilstandListe>"
        f"<di:RelationListe>{actor}</di:RelationListe></di:Registrering></sdi:DokumentIndeks>"
    )


def _head(said: dict[str, Any]) -> str:
    return (
        f"<sd:Tidspunkt>{said['at']}</sd:Tidspunkt><sd:LivscyklusKode>Importeret</sd:LivscyklusKode>"
        f"<sd:BrugerRef>{_uuid(_SOMEBODY)}</sd:BrugerRef>"
    )


def _effect(prefix: str, since: str, until: str | None = None) -> str:
    end = _EVER if until is None else f"<sd:TidsstempelDatoTid>{until}</sd:TidsstempelDatoTid>"
    return (
        f"<{prefix}:Virkning><sd:FraTidspunkt><sd:TidsstempelDatoTid>{since}</sd:TidsstempelDatoTid></sd:FraTidspunkt>"
        f"<sd:TilTidspunkt>{end}</sd:TilTidspunkt><sd:AktoerRef>{_uuid(_SOMEBODY)}</sd:AktoerRef>"
        f"<sd:AktoerTypeKode>Bruger</sd:AktoerTypeKode></{prefix}:Virkning>"
    )


def _relation(
    element: str, role: str, since: str, reference: str, described: str = "", *, index: str = "", more: str = ""
) -> str:
    numbered = f"<gd:Indeks>{index}</gd:Indeks>" if index else ""
    local = f"<gd:LokalUdvidelseListe>{described}</gd:LokalUdvidelseListe>" if described else ""
    return (
        f"<{element}>{_effect('gd', since)}<gd:Rolle>{_uuid(role)}</gd:Rolle><gd:Type>{_uuid(_TYPE)}</gd:Type>"
        f"{numbered}<gd:ReferenceID>{reference}</gd:ReferenceID>{local}{more}</{element}>"
    )


def _uuid(number: str) -> str:
    return f"<sd:UUIDIdentifikator>{number}</sd:UUIDIdentifikator>"


def _urn(name: str) -> str:
    return f"<sd:URNIdentifikator>{name}</sd:URNIdentifikator>"


VENDOR: Final = Vendor(
    "sf1470",
    "SF1470, documents too",
    2,
    {AARHUS: 2, ODENSE: 1},
    accepted,
    {"roles": {_FILED: "Tilakteret"}},
    Form("/sf1470/v6", "text/xml", _body),
    _payload,
    None,
    (
        Wrong(authority=AARHUS, kle="82.06.00"),  # outside_agreement
        Wrong(lambda payload, _: payload["case"].update(level="")),  # mandatory_missing: OB1
        Wrong(lambda payload, _: payload["case"].update(owner="29189420")),  # authority_mismatch
        Wrong(lambda payload, _: payload["case"].update(party="urn:oio:cpr-nr:3913455001")),  # party_malformed
        Wrong(lambda payload, _: payload["case"].update(states=[("Parkeret", _LONG_AGO)])),  # state_unknown
    ),
    beside=_document,
)
