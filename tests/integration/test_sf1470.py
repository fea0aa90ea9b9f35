"""A stock SOAP client, generated from the service's description, delivers, changes, removes and searches.

The same against the standard's own WSDL where it is at hand: `SAGSBRO_SF1470_WSDL` is the path to it.
"""

import json
import signal
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import zeep
from click.testing import CliRunner
from lxml import etree

from broker.cli import main
from broker.cli.setup import prepare
from broker.settings import Settings
from broker.store.database import connect
from connectors.standards.sf1470 import schema
from connectors.standards.sf1470.names import HEADER, NAMESPACES, SOAP
from ops.embedded import instance
from tests.integration.running import CPR
from tests.integration.soaping import (
    AUTHORITY,
    BEGAN,
    OTHER_CPR,
    OWN_ROLES,
    REAL,
    SOMEBODY,
    THUMBPRINT,
    VENDOR,
    Soap,
    Whole,
    a_case,
    a_document,
    agree,
    assert_valid,
    by_party,
    codes,
    egenskaber,
    found,
    klasse,
    part,
    relation,
    soap,
    unik,
    virkning,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    def ready(where: Mapping[str, str]) -> None:
        for name, value in where.items():
            environment.setenv(name, value)
        prepare(Settings())
        agree(Settings())

    data = tmp_path_factory.mktemp("sf1470") / "data"
    own = {number: name for name, number in OWN_ROLES.items()}
    sender = {"system": "sf1470", "authorities": [AUTHORITY]}
    certificates = {"header": "X-Thumbprint", "proxies": ["127.0.0.1"], "senders": {THUMBPRINT.upper(): sender}}
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SAGSBRO_CONNECTORS", json.dumps({"sf1470": {"roles": own}}))
        environment.setenv("SAGSBRO_CERTIFICATES", json.dumps(certificates))
        with instance.held(instance.Plan(data), {}) as running:
            running.start(ready)
            yield Whole(running, Settings())


@pytest.fixture(params=["ours", "real"])
def described(request: pytest.FixtureRequest, whole: Whole) -> str:
    """Where the client finds the description it is generated from."""
    if request.param == "ours":
        return f"{whole.address}?wsdl"
    if REAL is None:
        pytest.skip("the standard's own WSDL is not part of the project: name it in SAGSBRO_SF1470_WSDL")
    return REAL


@pytest.fixture
def vendor(whole: Whole, described: str) -> Iterator[Soap]:
    with soap(whole, described, whole.bearer()) as client:
        yield client


@pytest.fixture
def employee(whole: Whole, described: str) -> Iterator[Soap]:
    with soap(whole, described, whole.employee) as client:
        yield client


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> etree.XMLSchema:
    """The schema of every body that may come back."""
    folder = tmp_path_factory.mktemp("xsd")
    for prefix in NAMESPACES:
        (folder / prefix).write_bytes(schema.xsd(prefix, "").replace(b'"?xsd=', b'"'))
    every = "".join(
        f'<xs:import namespace="{namespace}" schemaLocation="{folder / prefix}"/>'
        for prefix, namespace in NAMESPACES.items()
    )
    return etree.XMLSchema(
        etree.fromstring(f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{every}</xs:schema>')
    )


def test_a_stock_client_imports_a_case_with_documents_changes_it_removes_it_and_searches(
    whole: Whole, vendor: Soap, employee: Soap, valid: etree.XMLSchema
) -> None:
    case_id, key, first, second = str(uuid.uuid4()), uuid.uuid4().hex[:20], str(uuid.uuid4()), str(uuid.uuid4())
    imported = vendor.call(
        "importer",
        _value_1=[
            a_document(vendor, first, "Ansøgning"),
            a_case(vendor, case_id, key, (first, second)),
            a_document(vendor, second, "Partshøring"),
        ],
    )
    assert codes(imported) == [(20, "Dokument", first), (20, "Sag", case_id), (20, "Dokument", second)]
    whole.settled()

    code, cases = found(employee, **by_party(f"urn:oio:cpr-nr:{CPR}"))
    assert code == 20
    (case,) = [one for one in cases if one.ObjektType.UUIDIdentifikator == case_id]
    (shown,) = case.Registrering
    (own,) = shown.AttributListe.Egenskaber
    assert (own.Titel, own.Sagsnummer) == ("Bevilling af hjælpemiddel", key)
    assert [one.FremdriftStatusKode for one in shown.TilstandListe.Fremdrift] == ["Opstaaet"]
    titles = {
        one.ReferenceID.UUIDIdentifikator: one.JournalpostEgenskaber.Dokumenttitel
        for one in shown.RelationListe.Journalpost
    }
    assert titles == {first: "Ansøgning", second: "Partshøring"}

    change = {
        "UUIDIdentifikator": case_id,
        "Tidspunkt": datetime.now(UTC),
        "AttributListe": {"Egenskaber": [egenskaber("Ny titel", key)]},
        "RelationListe": {
            "Sagspart": [part(vendor, "SekundaerPart", f"urn:oio:cpr-nr:{OTHER_CPR}", index="1")],
            "Journalpost": [
                relation("Tilakteret", second, index="1", effect=virkning(until=BEGAN + timedelta(days=1)))
            ],
        },
    }
    assert codes(vendor.call("opdater", _value_1=[{"OpdaterSagIndeks": change}])) == [(20, "Sag", case_id)]
    level = vendor.element(
        "si:SagIndeksEgenskaber", Virkning=virkning(), Foelsomhed="FOELSOMME_PERSONOPLYSNINGER", Sagsstatus="Lukket"
    )
    raised = {
        "UUIDIdentifikator": case_id,
        "Tidspunkt": datetime.now(UTC),
        "AttributListe": {"LokalUdvidelseListe": {"_value_1": [level]}},
    }
    # At once: the service waits for what it was told a moment ago, or this would take the new title back.
    assert codes(vendor.call("opdater", _value_1=[{"OpdaterSagIndeks": raised}])) == [(20, "Sag", case_id)]
    whole.settled()

    _, cases = found(employee, **by_party(f"urn:oio:cpr-nr:{OTHER_CPR}"))
    (shown,) = next(one for one in cases if one.ObjektType.UUIDIdentifikator == case_id).Registrering
    assert shown.AttributListe.Egenskaber[0].Titel == "Ny titel"
    assert shown.AttributListe.LokalUdvidelseListe._value_1[0].Foelsomhed == "FOELSOMME_PERSONOPLYSNINGER"
    assert [one.ReferenceID.UUIDIdentifikator for one in shown.RelationListe.Journalpost] == [first]
    _, properties = whole.state(case_id).groups["properties"]
    assert properties["created_at"] == int(BEGAN.timestamp()) * 1_000_000
    assert properties["local_status"] == "Lukket"

    removed = vendor.call("fjern", SagUuid=[unik(case_id)], FjernOgsaaYdelse=False)
    assert codes(removed) == [(20, "Sag", case_id)]
    whole.settled()
    by_key = {"AttributListe": {"Egenskaber": [{"Sagsnummer": key}]}, "TilstandListe": {}, "RelationListe": {}}
    assert found(employee, SoegUdtryk={"_value_1": [{"SoegSag": by_key}]}) == (44, [])

    for reply in (*vendor.transport.replies, *employee.transport.replies):
        assert_valid(valid, reply)


def updated(client: Soap, document_id: str, title: str, level: str) -> dict[str, Any]:
    """An update says all there is of a document."""
    said = a_document(client, document_id, title, level)["DokumentIndeks"]["Registrering"][0]
    named = {name: said[name] for name in ("Tidspunkt", "AttributListe", "TilstandListe", "RelationListe")}
    return {"OpdaterDokumentIndeks": {"UUIDIdentifikator": document_id, **named}}


def shown_to(whole: Whole, key: str, level: str) -> dict[str, tuple[str, str | None]]:
    """Document id -> title and level, as an employee cleared for that level finds them on the case of that key."""
    scope = {"authority": AUTHORITY, "kle": ["N*"], "sensitivity": level}
    bearer = whole.bearer(sub="employee-2", role="employee", scopes=[scope], client={"id": "sapa"})
    answer = httpx.post(
        f"{whole.settings.api_url}/v1/overviews/sapa/search",
        json={"user_key": key},
        headers={"Authorization": bearer},
        timeout=30,
    )
    (entry,) = answer.json()["entries"]
    return {one["document_id"]: (one["title"], one["sensitivity"]) for one in entry["documents"]}


def test_documents_show_with_their_own_titles_and_levels_whatever_the_case_says(whole: Whole, vendor: Soap) -> None:
    case_id, key, plain, secret = str(uuid.uuid4()), uuid.uuid4().hex[:20], str(uuid.uuid4()), str(uuid.uuid4())
    low, high = "FORTROLIGE_PERSONOPLYSNINGER", "VIP_SAGER"
    answer = vendor.call(
        "importer",
        _value_1=[
            a_case(vendor, case_id, key, (plain, secret)),
            a_document(vendor, plain, "Ansøgning", low),
            a_document(vendor, secret, "Udtalelse", high),
        ],
    )
    assert codes(answer) == [(20, "Sag", case_id), (20, "Dokument", plain), (20, "Dokument", secret)]
    whole.settled()
    assert shown_to(whole, key, low) == {plain: ("Ansøgning", low)}
    assert shown_to(whole, key, high) == {plain: ("Ansøgning", low), secret: ("Udtalelse", high)}

    changed = [updated(vendor, plain, "Ansøgning, ny", high), updated(vendor, secret, "Udtalelse", low)]
    assert codes(vendor.call("opdater", _value_1=changed)) == [(20, "Dokument", plain), (20, "Dokument", secret)]
    whole.settled()
    assert shown_to(whole, key, low) == {secret: ("Udtalelse", low)}
    assert shown_to(whole, key, high) == {plain: ("Ansøgning, ny", high), secret: ("Udtalelse", low)}


def test_a_bad_document_costs_no_case_and_one_may_come_before_its_case(whole: Whole, vendor: Soap) -> None:
    case_id, key, bad, early = str(uuid.uuid4()), uuid.uuid4().hex[:20], str(uuid.uuid4()), str(uuid.uuid4())
    assert codes(vendor.call("importer", _value_1=[a_document(vendor, early, "Før sagen")])) == [
        (20, "Dokument", early)
    ]
    flawed = a_document(vendor, bad, "Uden niveau")
    del flawed["DokumentIndeks"]["Registrering"][0]["AttributListe"]["Egenskaber"][0]["Foelsomhed"]
    answer = vendor.call("importer", _value_1=[flawed, a_case(vendor, case_id, key, (bad, early))])
    assert codes(answer) == [(40, "Dokument", bad), (20, "Sag", case_id)]
    assert answer.UnikRetur[0].FejlbeskedTekst.startswith("mandatory_missing: ")
    whole.settled()
    level = "FORTROLIGE_PERSONOPLYSNINGER"
    assert shown_to(whole, key, level) == {bad: ("Dokument", None), early: ("Før sagen", level)}
    vendor.call("importer", _value_1=[a_document(vendor, bad, "Med niveau")])
    whole.settled()
    assert shown_to(whole, key, level) == {bad: ("Med niveau", level), early: ("Før sagen", level)}


def test_a_document_whose_only_case_is_refused_with_it_is_an_orphan_and_not_held(
    whole: Whole, vendor: Soap, valid: etree.XMLSchema
) -> None:
    case_id, alone, other = str(uuid.uuid4()), str(uuid.uuid4()), str(uuid.uuid4())
    refused = a_case(vendor, str(uuid.uuid4()), "S-1", (alone, other))
    (subject, _) = refused["SagIndeks"]["Registrering"][0]["RelationListe"]["Sagsklasse"]
    subject.update(klasse(vendor, "PrimaerKlasse", "99.99.99"))
    answer = vendor.call(
        "importer",
        _value_1=[
            a_document(vendor, alone, "Kun den ene"),
            refused,
            a_document(vendor, other, "Begge"),
            a_case(vendor, case_id, uuid.uuid4().hex[:20], (other,)),
        ],
    )
    assert [code for code, *_ in codes(answer)] == [40, 40, 20, 20]
    assert [one.FejlbeskedTekst.partition(":")[0] for one in answer.UnikRetur[:2]] == ["document_orphan", "kle_unknown"]
    assert_valid(valid, vendor.transport.replies[-1])
    whole.settled()
    held = "SELECT count(*) FROM document WHERE document_id = %s::uuid"
    assert whole.rows(held, alone) == [(0,)]
    assert whole.rows(held, other) == [(1,)]

    # What is in the index stays under its sender's hand, whichever case it comes with.
    again = vendor.call("importer", _value_1=[a_document(vendor, other, "Nu hemmelig", "VIP_SAGER"), refused])
    assert [code for code, *_ in codes(again)] == [20, 40]


def test_a_transaction_is_taken_once_and_answered_again(whole: Whole, vendor: Soap, valid: etree.XMLSchema) -> None:
    transaction, case_id = str(uuid.uuid4()), str(uuid.uuid4())
    said = [a_case(vendor, case_id, uuid.uuid4().hex[:20])]
    first = vendor.call("importer", key=transaction, _value_1=said)
    again = vendor.call("importer", key=transaction, _value_1=said)
    assert codes(first) == codes(again) == [(20, "Sag", case_id)]
    assert vendor.transport.replies[0] == vendor.transport.replies[1]
    with pytest.raises(zeep.exceptions.Fault, match="idempotency_conflict"):
        vendor.call("fjern", key=transaction, SagUuid=[unik(case_id)])
    whole.settled()
    assert whole.rows("SELECT count(*) FROM entry WHERE case_id = %s::uuid", case_id) == [(1,)]
    for reply in vendor.transport.replies:
        assert_valid(valid, reply)


def test_a_broken_rule_is_told_by_the_name_of_the_element_and_costs_no_other_object(
    vendor: Soap, valid: etree.XMLSchema
) -> None:
    good, bad = str(uuid.uuid4()), str(uuid.uuid4())
    incomplete = a_case(vendor, bad, "S-1")
    del incomplete["SagIndeks"]["Registrering"][0]["AttributListe"]["Egenskaber"][0]["Virkning"]["AktoerRef"]
    answer = vendor.call("importer", _value_1=[incomplete, a_case(vendor, good, uuid.uuid4().hex[:20])])
    assert codes(answer) == [(40, "Sag", bad), (20, "Sag", good)]
    assert answer.UnikRetur[0].FejlbeskedTekst == (
        "mandatory_missing: the element is missing (OB5)"
        " (/SagIndeks/Registrering/0/AttributListe/Egenskaber/0/Virkning/AktoerRef)"
    )
    assert answer.UnikRetur[0].DetaljeretFejlbesked
    assert_valid(valid, vendor.transport.replies[-1])


def test_a_change_of_a_case_that_is_not_in_the_index_is_refused(vendor: Soap, valid: etree.XMLSchema) -> None:
    change = {
        "UUIDIdentifikator": str(uuid.uuid4()),
        "Tidspunkt": datetime.now(UTC),
        "AttributListe": {"Egenskaber": [egenskaber("Ny titel", "S-1")]},
    }
    answer = vendor.call("opdater", _value_1=[{"OpdaterSagIndeks": change}])
    assert [int(one.StatusKode) for one in answer.UnikRetur] == [40]
    assert "import it first" in answer.UnikRetur[0].FejlbeskedTekst
    assert_valid(valid, vendor.transport.replies[-1])


def test_a_change_of_a_part_waits_for_the_index_and_is_answered_when_sent_again(whole: Whole) -> None:
    with soap(whole, f"{whole.address}?wsdl", whole.bearer()) as vendor:
        case_id, key, transaction = str(uuid.uuid4()), uuid.uuid4().hex[:20], str(uuid.uuid4())
        vendor.call("importer", _value_1=[a_case(vendor, case_id, key)])
        whole.settled()
        change = {
            "UUIDIdentifikator": case_id,
            "Tidspunkt": datetime.now(UTC),
            "AttributListe": {"Egenskaber": [egenskaber("Ny titel", key)]},
        }
        whole.instance.supervisor.signal("worker-1", signal.SIGSTOP)
        try:
            vendor.call("importer", _value_1=[a_case(vendor, str(uuid.uuid4()), key)])
            with pytest.raises(zeep.exceptions.Fault, match="index_behind"):
                vendor.call("opdater", key=transaction, _value_1=[{"OpdaterSagIndeks": change}])
        finally:
            whole.instance.supervisor.signal("worker-1", signal.SIGCONT)
        again = vendor.call("opdater", key=transaction, _value_1=[{"OpdaterSagIndeks": change}])
        assert codes(again) == [(20, "Sag", case_id)]


def test_a_relation_is_disposed_of(whole: Whole, valid: etree.XMLSchema) -> None:
    """By our own description: the standard's public WSDL has no such operation."""
    with soap(whole, f"{whole.address}?wsdl", whole.bearer()) as vendor:
        case_id, document = str(uuid.uuid4()), str(uuid.uuid4())
        vendor.call(
            "importer",
            _value_1=[a_document(vendor, document, "Notat"), a_case(vendor, case_id, "S-9", (document,))],
        )
        registration = {
            "Tidspunkt": datetime.now(UTC),
            "AttributListe": {},
            "TilstandListe": {},
            "RelationListe": {"Journalpost": [relation("Tilakteret", document, index="0")]},
        }
        disposal = {"ObjektType": {"UUIDIdentifikator": case_id}, "Registrering": [registration]}
        answer = vendor.call("kasser", port="si", Kasser=disposal)
        assert int(answer.StandardRetur.StatusKode) == 20
        assert_valid(valid, vendor.transport.replies[-1])
    whole.settled()
    assert [(group, said) for (group, _), (_, said) in whole.state(case_id).items.items()] == [("journal", None)]


def test_what_a_search_cannot_answer_in_full_is_refused_by_name_and_every_read_is_logged(
    whole: Whole, employee: Soap, valid: etree.XMLSchema
) -> None:
    before = len(whole.rows("SELECT 1 FROM access_log"))
    case: dict[str, Any] = {"AttributListe": {}, "TilstandListe": {}, "RelationListe": {}}
    for asked, named in (
        ({"SagUuid": ["S-1"]}, "/SagUuid"),
        ({"SagUuid": [str(uuid.uuid4()) for _ in range(11)]}, "/SagUuid"),
        ({"SagUuid": [str(uuid.uuid4())], **by_party(f"urn:oio:cpr-nr:{CPR}")}, "/SoegUdtryk"),
        (
            by_party(f"urn:oio:cpr-nr:{CPR}", MaksimalAntalKvantitet=1000),
            "/SoegUdtryk/SoegSag/0/MaksimalAntalKvantitet",
        ),
        ({"SoegUdtryk": {"_value_1": [{"SoegSag": case}]}}, "/SoegUdtryk/SoegSag/0"),
        (by_party("urn:oio:cpr-nr:9999999999"), "/SoegUdtryk/SoegSag/0/RelationListe/Sagspart/0/ReferenceID"),
    ):
        answer = employee.call("fremsoeg", **asked)
        assert int(answer.StandardRetur.StatusKode) == 40
        assert f"({named})" in answer.StandardRetur.FejlbeskedTekst
    assert len(whole.rows("SELECT 1 FROM access_log")) == before

    assert found(employee, **by_party("urn:oio:cpr-nr:3112997777")) == (44, [])
    logged = whole.rows("SELECT l.decision, l.reader->>'subject' FROM access_log l ORDER BY id")
    assert logged[before:] == [("deny", "employee-1")]
    for reply in employee.transport.replies:
        assert_valid(valid, reply)
        assert CPR.encode() not in reply


def test_cases_are_found_by_their_numbers_by_whom_they_may_be_shown_to_and_the_read_is_logged(
    whole: Whole, vendor: Soap, employee: Soap, described: str, valid: etree.XMLSchema
) -> None:
    shown, removed, nobodys = str(uuid.uuid4()), str(uuid.uuid4()), str(uuid.uuid4())
    cases = [a_case(vendor, case_id, uuid.uuid4().hex[:20]) for case_id in (shown, removed)]
    vendor.call("importer", _value_1=cases)
    vendor.call("fjern", SagUuid=[unik(removed)])
    whole.settled()
    code, entries = found(employee, SagUuid=[shown.upper(), removed, nobodys])
    assert (code, [one.ObjektType.UUIDIdentifikator for one in entries]) == (20, [shown])
    logged = "SELECT l.decision, l.cases FROM access_log l ORDER BY id DESC LIMIT 1"
    assert whole.rows(logged) == [("permit", [f"{AUTHORITY}/sf1470/{shown}"])]

    below = {"authority": AUTHORITY, "kle": ["N*"], "sensitivity": "IKKE_FORTROLIGE_DATA"}
    elsewhere = {**below, "authority": "35209115", "sensitivity": "VIP_SAGER"}
    for scope in (below, elsewhere):
        bearer = whole.bearer(sub="employee-3", role="employee", scopes=[scope], client={"id": "sapa"})
        with soap(whole, described, bearer) as other:
            assert found(other, SagUuid=[shown]) == (44, [])
        assert whole.rows(logged) == [("deny", [])]
    assert_valid(valid, employee.transport.replies[-1])


def test_everybody_does_only_what_their_token_is_for(whole: Whole, vendor: Soap, employee: Soap) -> None:
    with pytest.raises(zeep.exceptions.Fault, match="forbidden"):
        employee.call("fjern", SagUuid=[unik(str(uuid.uuid4()))])
    with pytest.raises(zeep.exceptions.Fault, match="forbidden"):
        vendor.call("fremsoeg", **by_party(f"urn:oio:cpr-nr:{CPR}"))
    assert whole.rows("SELECT l.decision FROM access_log l ORDER BY id DESC LIMIT 1") == [("deny",)]


def test_a_system_without_an_agreement_is_told_so_and_nothing_of_its_case_is_kept(whole: Whole) -> None:
    with soap(whole, f"{whole.address}?wsdl", whole.bearer(system="cura")) as vendor:
        case_id = str(uuid.uuid4())
        answer = vendor.call("fjern", SagUuid=[unik(case_id)])
        assert codes(answer) == [(40, "Sag", case_id)]
        assert answer.UnikRetur[0].FejlbeskedTekst.startswith("no_agreement: ")
    kept = whole.rows("SELECT code, payload FROM rejection WHERE system = 'cura'")
    assert kept == [("no_agreement", None)]


def replayed(whole: Whole, code: str) -> tuple[int, str]:
    """Replay the one open rejection of that code."""
    kept = "SELECT rejection_id::text FROM rejection WHERE system = %s AND code = %s AND state = 'open'"
    ((rejection_id,),) = whole.rows(kept, VENDOR, code)
    ran = CliRunner().invoke(main, ["rejections", "replay", rejection_id])
    return ran.exit_code, ran.output


def test_what_any_system_sent_here_can_be_replayed_over_what_the_index_holds_by_then(whole: Whole) -> None:
    case_id, key, number = str(uuid.uuid4()), uuid.uuid4().hex[:20], "88.88.88"
    change = {
        "UUIDIdentifikator": case_id,
        "Tidspunkt": datetime.now(UTC),
        "AttributListe": {"Egenskaber": [egenskaber("Ny titel", key)]},
    }
    with soap(whole, f"{whole.address}?wsdl", whole.bearer(system=VENDOR)) as vendor:
        case = a_case(vendor, case_id, key)
        (subject, _) = case["SagIndeks"]["Registrering"][0]["RelationListe"]["Sagsklasse"]
        subject.update(klasse(vendor, "PrimaerKlasse", number))
        assert codes(vendor.call("importer", _value_1=[case])) == [(40, "Sag", case_id)]
        assert codes(vendor.call("opdater", _value_1=[{"OpdaterSagIndeks": change}])) == [(40, "Sag", case_id)]
    assert replayed(whole, "kle_unknown") == (
        1,
        "Error: it would be refused again: kle_unknown at /classification/kle\n",
    )
    with connect(whole.settings.dsn, "test") as connection, connection.transaction():
        connection.execute(
            "INSERT INTO kle_subject (published, number, title) VALUES ('2000-01-01', %s, 'Ny')", [number]
        )
        connection.execute("UPDATE reference_revision SET revision = revision + 1")

    assert replayed(whole, "kle_unknown") == (0, "sent 1 again\n")
    # At once: it waits for the case that was sent again a moment ago.
    assert replayed(whole, "mandatory_missing") == (0, "sent 1 again\n")
    whole.settled()
    _, properties = whole.state(case_id).groups["properties"]
    assert (properties["title"], properties["created_at"]) == ("Ny titel", int(BEGAN.timestamp()) * 1_000_000)


def envelope(body: str, header: str = "") -> bytes:
    said = f'<soap:Envelope xmlns:soap="{SOAP}"><soap:Header>{header}</soap:Header><soap:Body>{body}</soap:Body>'
    return f"{said}</soap:Envelope>".encode()


def transaction(key: str) -> str:
    return f'<h:RequestHeader xmlns:h="{HEADER}"><h:TransactionUUID>{key}</h:TransactionUUID></h:RequestHeader>'


REMOVAL = (
    f'<sdi:FjernSagDokumentIndeksInput xmlns:sdi="{NAMESPACES["sdi"]}"><sdi:SagUuid>'
    f'<sd:UUIDIdentifikator xmlns:sd="{NAMESPACES["sd"]}">{SOMEBODY}</sd:UUIDIdentifikator>'
    "</sdi:SagUuid></sdi:FjernSagDokumentIndeksInput>"
)
SECURITY = (
    '<wsse:Security xmlns:wsse="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"'
    ' soap:mustUnderstand="1"><wsse:BinarySecurityToken>self-made</wsse:BinarySecurityToken></wsse:Security>'
)
XML = {"Content-Type": "text/xml; charset=utf-8"}


def post(whole: Whole, body: bytes, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(whole.address, content=body, headers={**XML, **named}, timeout=60)


def fault(answer: httpx.Response) -> str:
    text = etree.fromstring(answer.content).findtext(f"{{{SOAP}}}Body/{{{SOAP}}}Fault/faultstring")
    assert text is not None
    return str(text).partition(":")[0]


def test_a_security_header_counts_for_nothing_unless_the_transport_has_said_who_calls(whole: Whole) -> None:
    signed = envelope(REMOVAL, SECURITY + transaction(str(uuid.uuid4())))
    refused = post(whole, signed)
    assert (refused.status_code, fault(refused)) == (401, "unauthorized")
    assert post(whole, signed, Authorization=whole.bearer()).status_code == 200
    by_certificate = envelope(REMOVAL, SECURITY + transaction(str(uuid.uuid4())))
    colons = ":".join(THUMBPRINT[index : index + 2] for index in range(0, 40, 2)).upper()
    assert post(whole, by_certificate, X_Thumbprint=colons).status_code == 200
    assert post(whole, by_certificate, X_Thumbprint="cd" * 20).status_code == 401
    unknown = '<x:Other xmlns:x="urn:x" soap:mustUnderstand="1"/>' + transaction(str(uuid.uuid4()))
    assert fault(post(whole, envelope(REMOVAL, unknown), Authorization=whole.bearer())) == "malformed_payload"
    assert fault(post(whole, envelope(REMOVAL), Authorization=whole.bearer())) == "mandatory_missing"


LAUGHS = '<!DOCTYPE l [<!ENTITY a0 "ha">{}]><l b="&a9;">&a9;</l>'.format(
    "".join(f'<!ENTITY a{number} "{f"&a{number - 1};" * 10}">' for number in range(1, 10))
)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', 500, "malformed_payload"),
        (LAUGHS.encode(), 500, "malformed_payload"),
        (LAUGHS.encode("utf-16"), 500, "malformed_payload"),
        (b"<a>" * 100_000, 500, "malformed_payload"),
        (b"<a>" + b"<b/>" * 500_000 + b"</a>", 500, "too_large"),
        ('<?xml version="1.0" encoding="utf-8"?><a>æ</a>'.encode("latin-1"), 500, "malformed_payload"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', 500, "malformed_payload"),
        (b"", 500, "malformed_payload"),
        (envelope("<x/>"), 500, "malformed_payload"),
        (b"<a>" + b"x" * 50_000_000 + b"</a>", 413, None),
    ],
    ids=[
        "xxe",
        "laughs",
        "laughs-16",
        "deep",
        "many",
        "wrong-encoding",
        "no-encoding",
        "empty",
        "no-operation",
        "50MB",
    ],
)
def test_whatever_is_sent_is_answered(whole: Whole, body: bytes, status: int, code: str | None) -> None:
    answer = post(whole, body, Authorization=whole.bearer())
    assert answer.status_code == status
    assert code is None or fault(answer) == code
    assert "root:" not in answer.text
    assert httpx.get(f"{whole.settings.api_url}/healthz", timeout=30).status_code == 200


def test_a_media_type_that_is_not_xml_is_refused(whole: Whole) -> None:
    answer = post(whole, b"{}", Authorization=whole.bearer(), Content_Type="application/json")
    assert (answer.status_code, fault(answer)) == (415, "unsupported_media_type")
    assert httpx.get(whole.address, timeout=30).status_code == 404
    assert httpx.get(f"{whole.address}?xsd=none", timeout=30).status_code == 404


def test_the_same_objects_may_come_through_the_front_door(whole: Whole) -> None:
    path = Path(schema.__file__).parent / "golden" / "person.xml"
    answer = httpx.post(
        f"{whole.settings.api_url}/v1/events/sf1470",
        content=path.read_bytes(),
        headers={**XML, "Authorization": whole.bearer()},
        timeout=30,
    )
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
