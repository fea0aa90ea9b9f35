"""A stock SOAP client, what it says, and the Sagsbro that it says it to."""

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
import zeep
from lxml import etree
from zeep.transports import Transport

from broker.domain.case import State
from broker.security import Issuer
from broker.settings import Settings
from broker.store import document as documents
from broker.store.database import connect
from connectors.standards.sf1470 import mapping
from connectors.standards.sf1470.names import HEADER, NAMESPACES, SOAP
from ops.bench.faults import settle
from ops.embedded.instance import Instance
from tests.integration.running import CPR, KLE

AUTHORITY = "55133018"
OTHER_CPR = "0202015555"
ROLE = {role: number for number, role in mapping.ROLES.items()}
OWN_ROLES = {
    name: f"00000000-0000-4000-9000-00000000020{index}"
    for index, name in enumerate(("SekundaerPart", "Tilakteret", "Adgang", "Visningsklasse", "Vedlagt"))
}
TYPE = "85d65133-4b00-460d-992e-3984857b5768"
SOMEBODY = "1111aaaa-11aa-22bb-33cc-111111aaaaaa"
THUMBPRINT = "ab" * 20
BEGAN = datetime(2024, 5, 1, 7, tzinfo=UTC)
TNS = "{http://stoettesystemerne.dk/sagsogdokumentindeks}"
REAL = os.environ.get("SAGSBRO_SF1470_WSDL")


@dataclass(frozen=True, slots=True)
class Whole:
    """A running Sagsbro with its service."""

    instance: Instance
    settings: Settings

    @property
    def address(self) -> str:
        return f"{self.settings.api_url}/sf1470/v6"

    def bearer(self, **claims: Any) -> str:
        said = {"sub": "outside", "role": "vendor", "system": "sf1470", "authorities": [AUTHORITY], **claims}
        return f"Bearer {Issuer(self.settings).issue(said, 600)}"

    @property
    def employee(self) -> str:
        scope = {"authority": AUTHORITY, "kle": ["N*"], "sensitivity": "VIP_SAGER"}
        return self.bearer(sub="employee-1", role="employee", scopes=[scope], client={"id": "sapa"})

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with connect(self.settings.dsn, "test") as connection:
            return connection.execute(statement.encode(), values).fetchall()

    def state(self, case_id: str) -> State:
        ((kept,),) = self.rows("SELECT document FROM entry WHERE case_id = %s::uuid", case_id)
        return documents.load(bytes(kept))

    def settled(self) -> None:
        assert settle(self.settings, 60) == []


VENDOR = "vitae"


"""A system whose own connector speaks another language."""


def agree(settings: Settings) -> None:
    sender = {
        "authority": AUTHORITY,
        "state": "FULL",
        "kle": ["N*"],
        "sensitivity": "VIP_SAGER",
        "from_date": "2000-01-01",
    }
    with connect(settings.dsn, "test") as connection, connection.transaction():
        for system in ("sf1470", VENDOR):
            connection.execute(
                "INSERT INTO sender_agreement (authority, system, version, body, put_by) VALUES (%s, %s, 1, %s, 'x')",
                [AUTHORITY, system, json.dumps({**sender, "system": system})],
            )
        connection.execute(
            "INSERT INTO reader_agreement (authority, overview, client, version, body, put_by)"
            " VALUES (%s, 'sapa', '*', 1, %s, 'x')",
            [AUTHORITY, json.dumps({**sender, "overview": "sapa", "client": "*"})],
        )
        connection.execute("INSERT INTO kle_edition (published) VALUES ('2000-01-01')")
        connection.execute(
            "INSERT INTO kle_subject (published, number, title) VALUES ('2000-01-01', %s, 'Pleje')", [KLE]
        )
        connection.execute("UPDATE reference_revision SET revision = revision + 1")


class Kept(Transport):  # type: ignore[misc]
    """The stock transport, which keeps what came back."""

    def __init__(self, bearer: str | None) -> None:
        session = requests.Session()
        if bearer is not None:
            session.headers["Authorization"] = bearer
        super().__init__(session=session, timeout=60)
        self.replies: list[bytes] = []

    def post(self, address: str, message: bytes, headers: Mapping[str, str]) -> requests.Response:
        reply: requests.Response = super().post(address, message, headers)
        self.replies.append(reply.content)
        return reply


@dataclass(frozen=True, slots=True)
class Soap:
    """A stock client as one caller; calls are the operations' own names."""

    client: zeep.Client
    address: str
    transport: Kept

    def call(self, name: str, *, key: str | None = None, port: str = "sdi", **said: Any) -> Any:
        header = {"header": {"TransactionUUID": key or str(uuid.uuid4())}}
        service = self.client.create_service(f"{TNS}{port}", self.address)
        return service[name](_soapheaders=header, **said).body

    def element(self, name: str, **said: Any) -> Any:
        prefix, _, local = name.partition(":")
        found = self.client.get_element(f"{{{NAMESPACES[prefix]}}}{local}")
        return zeep.xsd.AnyObject(found, found(**said))


@contextmanager
def soap(whole: Whole, described: str, bearer: str | None) -> Iterator[Soap]:
    transport = Kept(bearer)
    with transport.session:
        yield Soap(zeep.Client(described, transport=transport), whole.address, transport)


def assert_valid(valid: etree.XMLSchema, reply: bytes) -> None:
    envelope = etree.fromstring(reply)
    (body,) = envelope.find(f"{{{SOAP}}}Body")
    if body.tag == f"{{{SOAP}}}Fault":
        assert [child.tag for child in body] == ["faultcode", "faultstring"]
        return
    valid.assertValid(etree.fromstring(etree.tostring(body)))
    (header,) = envelope.find(f"{{{SOAP}}}Header")
    assert header.tag == f"{{{HEADER}}}RequestHeader"
    valid.assertValid(etree.fromstring(etree.tostring(header)))


def unik(value: str) -> dict[str, str]:
    return {"URNIdentifikator" if value.lower().startswith("urn:") else "UUIDIdentifikator": value}


def virkning(since: datetime = BEGAN, until: datetime | None = None) -> dict[str, Any]:
    return {
        "FraTidspunkt": {"TidsstempelDatoTid": since},
        "TilTidspunkt": {"GraenseIndikator": True} if until is None else {"TidsstempelDatoTid": until},
        "AktoerRef": unik(SOMEBODY),
        "AktoerTypeKode": "Bruger",
    }


def relation(role: str, reference: str, *described: Any, index: str | None = None, **more: Any) -> dict[str, Any]:
    made = {
        "Virkning": more.pop("effect", virkning()),
        "Rolle": unik(ROLE.get(role) or OWN_ROLES[role]),
        "Type": unik(TYPE),
        "ReferenceID": unik(reference),
        **more,
    }
    if described:
        made["LokalUdvidelseListe"] = {"_value_1": list(described)}
    return made | ({} if index is None else {"Indeks": index})


def actor(client: Soap, role: str, reference: str, name: str, key: str | None = None) -> dict[str, Any]:
    said = {"FuldtNavn": name, "CVR-Nummer": AUTHORITY} | ({} if key is None else {"BrugervendtNoegle": key})
    return relation(role, reference, client.element("si:SagsaktoerLokalUdvidelse", **said))


def part(client: Soap, role: str, reference: str, **more: Any) -> dict[str, Any]:
    return relation(role, reference, client.element("si:SagspartLokalUdvidelse", FuldtNavn="Test Testesen"), **more)


def klasse(client: Soap, role: str, key: str, **more: Any) -> dict[str, Any]:
    said = client.element("si:SagsklasseLokalUdvidelse", BrugervendtNoegle=key)
    return relation(role, str(uuid.uuid4()), said, **more)


def egenskaber(title: str, key: str) -> dict[str, Any]:
    return {"Virkning": virkning(), "BrugervendtNoegle": key, "Sagsnummer": key, "Titel": title}


def a_case(client: Soap, case_id: str, key: str, documents: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    level = {"Virkning": virkning(), "Foelsomhed": "FORTROLIGE_PERSONOPLYSNINGER", "Sagsstatus": "Igangsat"}
    registration = {
        "Tidspunkt": datetime.now(UTC) - timedelta(minutes=5),
        "LivscyklusKode": "Importeret",
        "BrugerRef": unik(SOMEBODY),
        "AttributListe": {
            "Egenskaber": [egenskaber("Bevilling af hjælpemiddel", key)],
            "LokalUdvidelseListe": {"_value_1": [client.element("si:SagIndeksEgenskaber", **level)]},
        },
        "TilstandListe": {"Fremdrift": [{"Virkning": virkning(), "FremdriftStatusKode": "Opstaaet"}]},
        "RelationListe": {
            "Sagsaktoer": [
                actor(client, "Ejer", f"urn:oio:cvr:{AUTHORITY}", "Testborg Kommune", "TEST"),
                actor(client, "Ansvarlig", SOMEBODY, "Visitationen"),
            ],
            "Sagsklasse": [klasse(client, "PrimaerKlasse", KLE), klasse(client, "Handlingsklasse", "G01")],
            "Sagspart": [part(client, "PrimaerPart", f"urn:oio:cpr-nr:{CPR}")],
            "Journalpost": [
                relation("Tilakteret", document, index=str(number)) for number, document in enumerate(documents)
            ],
            "LokalUdvidelseListe": {
                "_value_1": [
                    client.element("si:SagsitsystemRelation", **relation(role, SOMEBODY), SystemNavn="Fagsystem")
                    for role in ("Master", "Afsender")
                ]
            },
        },
        **more,
    }
    return {"SagIndeks": {"UUIDIdentifikator": case_id, "Registrering": [registration]}}


def a_document(
    client: Soap, document_id: str, title: str, level: str = "FORTROLIGE_PERSONOPLYSNINGER"
) -> dict[str, Any]:
    owner = client.element("di:DokumentaktoerLokalUdvidelse", **{"FuldtNavn": "Testborg", "CVR-Nr": AUTHORITY})
    own = {
        "Virkning": virkning(),
        "BrugervendtNoegle": "D-1",
        "Dokumentnummer": "D-1",
        "Titel": title,
        "Foelsomhed": level,
        "Type": "Rapport",
    }
    registration = {
        "Tidspunkt": datetime.now(UTC),
        "LivscyklusKode": "Importeret",
        "BrugerRef": unik(SOMEBODY),
        "AttributListe": {"Egenskaber": [own]},
        "TilstandListe": {"Fremdrift": [{"Virkning": virkning(), "FremdriftStatusKode": "Endeligt"}]},
        "RelationListe": {"Dokumentaktoer": [relation("Ejer", f"urn:oio:cvr-nr:{AUTHORITY}", owner)]},
    }
    return {"DokumentIndeks": {"UUIDIdentifikator": document_id, "Registrering": [registration]}}


def by_party(urn: str, **more: Any) -> dict[str, Any]:
    party = {"ReferenceID": {"URNIdentifikator": urn}}
    case = {"AttributListe": {}, "TilstandListe": {}, "RelationListe": {"Sagspart": [party]}, **more}
    return {"SoegUdtryk": {"_value_1": [{"SoegSag": case}]}}


def found(client: Soap, **asked: Any) -> tuple[int, list[Any]]:
    answer = client.call("fremsoeg", **asked)
    return int(answer.StandardRetur.StatusKode), list(answer.SagFiltreretOejebliksbillede)


def codes(answer: Any) -> list[tuple[int, str, str]]:
    return [(int(one.StatusKode), one.Type, one.UUIDIdentifikator) for one in answer.UnikRetur]
