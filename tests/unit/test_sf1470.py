"""What goldens of one body cannot show: what the service puts beside an object, replies, searches, the description."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

import connectors
from broker.domain.case import CaseEvent
from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Call, Source, load
from broker.overviews.request import SearchRequest
from connectors.standards.sf1470 import schema, search, urn
from connectors.standards.sf1470.names import NAMESPACES, OPERATIONS, SOAP
from connectors.standards.sf1470.requests import Request, read, split
from connectors.standards.sf1470.service import SERVICE
from connectors.standards.sf1470.translate import RECEIVED as AS_OF
from connectors.standards.sf1470.translate import translate
from tests.contract.test_connectors import json_values, source

FOLDER = Path(connectors.__file__).parent / "standards" / "sf1470"
GOLDEN = FOLDER / "golden"
CASE = "6f1b7c1e-0000-4000-8000-000000000001"
RECEIVED = 1_780_000_000_000_000
VISIBILITY = "00000000-0000-4000-9000-000000000105"
NS = " ".join(f'xmlns:{prefix}="{namespace}"' for prefix, namespace in NAMESPACES.items())
STOOD = {
    "properties": {
        "user_key": "S-1",
        "title": "Gammel titel",
        "confidential_title": "Hemmelig",
        "legal_basis": "§ 1",
        "created_at": 1_700_000_000_000_000,
        "local_status": "Igangsat",
        "decision": "Bevilget",
    },
    "access": {"sensitivity": "VIP_SAGER", "hidden_from_citizen": True},
    "classification": {"kle": "27.36.04", "facet": "G01"},
    "registered_at": 1_717_000_000_000_000,
}
EFFECT = (
    "<gd:Virkning><sd:FraTidspunkt><sd:TidsstempelDatoTid>2024-05-01T09:00:00Z</sd:TidsstempelDatoTid></sd:FraTidspunkt>"
    "<sd:TilTidspunkt><sd:GraenseIndikator>true</sd:GraenseIndikator></sd:TilTidspunkt><sd:AktoerRef>"
    f"<sd:UUIDIdentifikator>{CASE}</sd:UUIDIdentifikator></sd:AktoerRef>"
    "<sd:AktoerTypeKode>ItSystem</sd:AktoerTypeKode></gd:Virkning>"
)


UNREADABLE = frozenset({"xxe", "billion_laughs", "wrong_encoding", "broken"})


def config() -> Source:
    connector = load("sf1470")
    assert connector is not None
    return source(connector)


def change(inner: str) -> bytes:
    return (
        f"<sdi:OpdaterSagDokumentIndeksInput {NS}><sdi:OpdaterSagIndeks><sd:UUIDIdentifikator>{CASE}"
        f"</sd:UUIDIdentifikator>{inner}<sdi:Tidspunkt>2024-06-01T10:00:00Z</sdi:Tidspunkt></sdi:OpdaterSagIndeks>"
        "</sdi:OpdaterSagDokumentIndeksInput>"
    ).encode()


def level(name: str) -> str:
    said = f"<si:SagIndeksEgenskaber>{EFFECT}<si:Foelsomhed>{name}</si:Foelsomhed></si:SagIndeksEgenskaber>"
    return f"<sag:AttributListe><gd:LokalUdvidelseListe>{said}</gd:LokalUdvidelseListe></sag:AttributListe>"


def klasse(role: str, key: str, effect: str = EFFECT) -> str:
    said = (
        f"<si:SagsklasseLokalUdvidelse><si:BrugervendtNoegle>{key}</si:BrugervendtNoegle></si:SagsklasseLokalUdvidelse>"
    )
    reference = f"<sd:UUIDIdentifikator>{CASE}</sd:UUIDIdentifikator>"
    return (
        f"<sag:RelationListe><sag:Sagsklasse>{effect}<gd:Rolle><sd:UUIDIdentifikator>{role}</sd:UUIDIdentifikator>"
        f"</gd:Rolle><gd:Type>{reference}</gd:Type><gd:Indeks>1</gd:Indeks><gd:ReferenceID>{reference}</gd:ReferenceID>"
        f"<gd:LokalUdvidelseListe>{said}</gd:LokalUdvidelseListe></sag:Sagsklasse></sag:RelationListe>"
    )


def one(body: bytes) -> dict[str, Any]:
    found = split(body)
    assert not isinstance(found, Rejected)
    (payload,) = found
    assert isinstance(payload, dict)
    return payload


def changed(body: bytes, stood: dict[str, Any] | None = None) -> CaseEvent:
    payload = SERVICE.completed(one(body), STOOD if stood is None else stood, RECEIVED)
    events = translate(payload, config())
    assert not isinstance(events, Rejected), events
    (event,) = events
    assert "case_id" in event
    return event


def test_a_change_of_the_level_neither_shows_a_hidden_case_nor_touches_its_title() -> None:
    event = changed(change(level("FOELSOMME_PERSONOPLYSNINGER")))

    assert event["access"] == {"sensitivity": "FOELSOMME_PERSONOPLYSNINGER", "hidden_from_citizen": True}
    assert "properties" not in event
    assert "classification" not in event


def test_a_class_of_display_hides_and_keeps_the_level_and_its_end_does_not_show() -> None:
    shown = {**STOOD, "access": {"sensitivity": "VIP_SAGER", "hidden_from_citizen": False}}
    hides = changed(change(klasse(VISIBILITY, "UNDTAGET")), shown)
    assert hides["access"] == {"sensitivity": "VIP_SAGER", "hidden_from_citizen": True}

    over = EFFECT.replace(
        "<sd:GraenseIndikator>true</sd:GraenseIndikator>",
        "<sd:TidsstempelDatoTid>2024-05-02T00:00:00Z</sd:TidsstempelDatoTid>",
    )
    payload = SERVICE.completed(one(change(klasse(VISIBILITY, "UNDTAGET", over))), STOOD, RECEIVED)
    assert translate(payload, config()) == []


def test_a_change_of_the_subject_keeps_the_facet() -> None:
    event = changed(change(klasse("a86c6581-ec85-412d-a655-31a1f1d5b14f", "27.36.08")))

    assert event["classification"] == {"kle": "27.36.08", "facet": "G01"}
    assert "access" not in event


def test_the_title_that_the_public_may_not_see_goes_when_the_attributes_come_without_it() -> None:
    own = (
        f"<sag:AttributListe><sag:Egenskaber>{EFFECT.replace('gd:', 'sag:')}<sag:BrugervendtNoegle>S-2"
        "</sag:BrugervendtNoegle><sag:Sagsnummer>S-2</sag:Sagsnummer><sag:Titel>Ny</sag:Titel></sag:Egenskaber>"
        "</sag:AttributListe>"
    )
    event = changed(change(own))

    assert event["properties"] == {
        **STOOD["properties"],  # type: ignore[dict-item]
        "user_key": "S-2",
        "title": "Ny",
        "confidential_title": None,
        "legal_basis": None,
    }


def test_what_stands_is_no_part_of_the_events_identity() -> None:
    body = change(level("FOELSOMME_PERSONOPLYSNINGER"))
    other = {**STOOD, "properties": {**STOOD["properties"], "title": "Anden"}}  # type: ignore[dict-item]

    assert changed(body)["event_id"] == changed(body, other)["event_id"]


def test_only_changes_of_a_part_ask_for_what_stands() -> None:
    assert SERVICE.before(one(change(level("VIP_SAGER")))) == (CASE, True)
    for name in ("change_of_parties", "change_of_state", "change_of_journal_and_profile", "person"):
        assert SERVICE.before(one((GOLDEN / f"{name}.xml").read_bytes())) is None
    for name in ("flags_and_headers", "disposal_of_the_case"):
        assert SERVICE.before(one((GOLDEN / f"{name}.xml").read_bytes())) == (CASE, False)


def test_the_second_change_of_a_part_of_one_case_in_a_request_is_refused() -> None:
    inner = change(level("VIP_SAGER")).decode()
    head, _, tail = inner.partition("<sdi:OpdaterSagIndeks>")
    case = f"<sdi:OpdaterSagIndeks>{tail.removesuffix('</sdi:OpdaterSagDokumentIndeksInput>')}"
    found = split(f"{head}{case}{case}</sdi:OpdaterSagDokumentIndeksInput>".encode())
    assert not isinstance(found, Rejected)

    first, second = (translate(SERVICE.completed(payload, STOOD, RECEIVED), config()) for payload in found)

    assert not isinstance(first, Rejected)
    assert isinstance(second, Rejected)
    assert (second.code, second.pointer) == (Code.MANDATORY_MISSING, "/OpdaterSagIndeks")


@pytest.mark.parametrize(
    ("name", "reason"), [("flags_and_headers", "LEFT_INDEX"), ("disposal_of_the_case", "DISPOSED")]
)
def test_a_removal_is_as_of_its_coming_and_never_older_than_what_is_held(name: str, reason: str) -> None:
    payload = one((GOLDEN / f"{name}.xml").read_bytes())
    for stood, at in ((None, RECEIVED), (STOOD, RECEIVED), ({"registered_at": RECEIVED + 9}, RECEIVED + 9)):
        events = translate(SERVICE.completed(payload, stood, RECEIVED), config())
        assert not isinstance(events, Rejected)
        (event,) = events
        assert "case_id" in event
        assert (event["change"], event.get("removal_reason")) == ("REMOVED", reason)
        assert (event["case_id"], event["registered_at"]) == (CASE, at)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.xml")), ids=lambda path: path.stem)
def test_what_a_rejection_kept_is_completed_anew_but_for_when_a_removal_came(path: Path) -> None:
    found = split(path.read_bytes())
    later = {**STOOD, "registered_at": RECEIVED + 5, "properties": {"title": "Senere"}}
    for payload in () if isinstance(found, Rejected) else found:
        first = SERVICE.completed(payload, STOOD, RECEIVED)
        again = SERVICE.completed(SERVICE.kept(first), later, RECEIVED + 9)
        fresh = SERVICE.completed(SERVICE.kept(payload), later, RECEIVED + 9)
        assert again == (first if isinstance(first, dict) and AS_OF in first else fresh)


@pytest.mark.parametrize("payload", [None, [], {}, "SagIndeks", {"plan": {}}, {"SagIndeks": {}, "Kasser": {}}])
def test_what_is_no_object_of_the_service_is_left_to_the_vendors_connector(payload: object) -> None:
    assert SERVICE.kept(payload) is None
    assert SERVICE.kept({"SagIndeks": {}, "case": payload}) is None


@given(
    payload=st.fixed_dictionaries({}, optional=dict.fromkeys(("SagUuid", "Kasser", "OpdaterSagIndeks"), json_values))
)
def test_no_object_whatever_makes_the_service_raise(payload: dict[str, Any]) -> None:
    SERVICE.before(payload)
    translate(SERVICE.completed(payload, STOOD, RECEIVED), config())
    SERVICE.search(
        Call(searches=True, key=None, digest=b"", payloads=[payload], asked=Request("fremsoeg", None, b"", [payload]))
    )


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("urn:oio:cvr-nr:55133018", ("CVR", "55133018")),
        ("urn:oio:cvr:55133018", ("CVR", "55133018")),
        ("URN:OIO:CPR-NR:010101-4444", ("CPR", "0101014444")),
        ("urn:oio:cpr-nr:010101ABC1", ("ECPR", "010101ABC1")),
        ("urn:oio:pnr:1234567890", ("PNR", "1234567890")),
        ("urn:oio:udk:borgerid:123456789123", ("URN", "urn:oio:udk:borgerid:123456789123")),
        ("urn:oio:cpr-nr:000000-0000", urn.NOBODY),
        ("urn:oio:cpr-nr:9999999999", None),
        ("urn:oio:cvr:123", None),
        ("urn:oio:andet:0101014444", None),
        ("0101014444", None),
    ],
)
def test_a_reference_names_a_party(said: str, meant: object) -> None:
    assert urn.party_of(said) == meant


def asked(**case: Any) -> dict[str, Any] | Rejected:
    return search.asked({"SoegUdtryk": {"operation": "AND", "SoegSag": [case]}})


def party(reference: str) -> dict[str, Any]:
    return {"Sagspart": [{"ReferenceID": {"URNIdentifikator": reference}}]}


def test_a_search_by_party_key_subject_state_and_number_is_the_overviews_own() -> None:
    number = {"LokalUdvidelseListe": {"SagsklasseLokalUdvidelse": {"BrugervendtNoegle": "27.36.04"}}}
    found = asked(
        MaksimalAntalKvantitet="20",
        FoersteResultatReference="0",
        AttributListe=None,
        TilstandListe={"Fremdrift": [{"FremdriftStatusKode": "Oplyst"}, {"FremdriftStatusKode": "Afgjort"}]},
        RelationListe={**party("urn:oio:cpr-nr:0101014444"), "Sagsklasse": [number]},
    )
    assert found == {"citizen": "0101014444", "kle": ["27.36.04"], "states": ["AFGJORT", "OPLYST"], "limit": 20}
    SearchRequest.model_validate(found)
    assert asked(AttributListe={"Egenskaber": [{"Sagsnummer": "S-1"}]}) == {"user_key": "S-1"}
    assert asked(RelationListe=party("urn:oio:cvr:55133018")) == {"party": {"id_type": "CVR", "id": "55133018"}}


@pytest.mark.parametrize(
    ("case", "pointer"),
    [
        ({}, ""),
        (
            {"FoersteResultatReference": "10", "RelationListe": party("urn:oio:cvr:55133018")},
            "/FoersteResultatReference",
        ),
        ({"SoegVirkning": {"FraTidspunkt": {}}}, "/SoegVirkning"),
        ({"AttributListe": {"Egenskaber": [{"Titel": "Hans"}]}}, "/AttributListe/Egenskaber/0/Titel"),
        ({"RelationListe": {"Sagsaktoer": [{}]}}, "/RelationListe/Sagsaktoer"),
        (
            {"RelationListe": {"Sagspart": [{"Rolle": {"UUIDIdentifikator": CASE}}]}},
            "/RelationListe/Sagspart/0/Rolle",
        ),
    ],
)
def test_what_a_search_does_not_know_is_refused_and_never_overheard(case: dict[str, Any], pointer: str) -> None:
    found = asked(**case)

    assert isinstance(found, Rejected)
    assert found.pointer == f"/SoegUdtryk/SoegSag/0{pointer}"


def test_cases_are_asked_for_by_their_numbers_alone() -> None:
    found = search.asked({"SagUuid": [CASE.upper(), CASE], "Filter": {"SagVis": [{"Vis": "egenskaber"}]}})
    assert found == {"case_ids": [CASE]}
    SearchRequest.model_validate(found)


def test_negations_alternatives_and_what_narrows_a_list_of_cases_are_refused() -> None:
    asked_for: list[dict[str, Any]] = [
        {"SagUuid": [CASE], "SoegUdtryk": {}},
        {"SagUuid": []},
        {"SagUuid": CASE},
        {"SagUuid": [CASE, None]},
        {"SagUuid": [CASE] * 11},
        {"SoegUdtryk": {"NOT": [{}]}},
        {"SoegUdtryk": {"SoegSag": [{}, {}]}},
        {},
    ]
    for said in asked_for:
        assert isinstance(search.asked(said), Rejected)


def written(folder: Path) -> etree.XMLSchema:
    for prefix in NAMESPACES:
        (folder / prefix).write_bytes(schema.xsd(prefix, "").replace(b'"?xsd=', b'"'))
    every = "".join(
        f'<xs:import namespace="{namespace}" schemaLocation="{folder / prefix}"/>'
        for prefix, namespace in NAMESPACES.items()
    )
    return etree.XMLSchema(
        etree.fromstring(f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">{every}</xs:schema>')
    )


def body_of(reply: bytes) -> etree._Element:
    (body,) = etree.fromstring(reply).find(f"{{{SOAP}}}Body")
    return etree.fromstring(etree.tostring(body))


GOOD = [
    path
    for path in sorted(GOLDEN.glob("*.xml"))
    if b'"events"' in path.with_suffix(".expected.json").read_bytes()
    and b'"rejected"' not in path.with_suffix(".expected.json").read_bytes()
]


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_what_is_accepted_fits_the_schema_that_is_served(path: Path, tmp_path: Path) -> None:
    root = etree.fromstring(path.read_bytes())
    body = root.find(f"{{{SOAP}}}Body")
    written(tmp_path).assertValid(etree.fromstring(etree.tostring(root if body is None else body[0])))


ENTRY = {
    "case_id": CASE,
    "authority": "55133018",
    "authority_name": None,
    "user_key": "x" * 60,
    "title": "y" * 300 + "\0\x0b",
    "confidential_title": "Hemmelig",
    "kle": "27.36.04",
    "kle_title": "Pleje",
    "facet": None,
    "progress": [{"state": "OPLYST", "effective_from": "2024-05-01T09:00:00.000000Z", "effective_to": None}],
    "sensitivity": "VIP_SAGER",
    "responsible": {"id": "not a uuid", "name": None, "authority": None},
    "handler": None,
    "documents": [
        {"document_id": "D 1", "title": "", "registered_at": "2024-05-01T09:00:00.000000Z"},
        {"document_id": None, "title": "", "registered_at": "2024-05-01T09:00:00.000000Z"},
    ],
    "registered_at": "2024-05-01T09:00:00.000000Z",
    "indexed_at": "2024-05-01T09:00:00.000000Z",
}


@pytest.mark.parametrize("asked_for", [{}, {"Filter": None}, {"Filter": {"SagVis": [{"Vis": "egenskaber"}]}}])
def test_any_entry_whatever_its_system_is_shown_in_a_reply_that_fits(asked_for: dict[str, Any], tmp_path: Path) -> None:
    call = Call(
        searches=True, key="k", digest=b"", payloads=[asked_for], asked=Request("fremsoeg", "k", b"", [asked_for])
    )
    found = body_of(SERVICE.found(call, [ENTRY, {**ENTRY, "user_key": "S-1", "title": ""}]))

    written(tmp_path).assertValid(found)
    sections = {etree.QName(child).localname for child in found.iter() if len(child)}
    assert ("Egenskaber" in sections) == (asked_for.get("Filter", True) is not None)
    assert ("Sagsaktoer" in sections) == (asked_for == {})


def rejections(operation: str) -> Iterator[bytes]:
    payloads: list[dict[str, Any]] = [{"SagIndeks": {}}, {"DokumentIndeks": {"UUIDIdentifikator": CASE}}]
    request = Request(operation, None, b"", payloads[:1] if operation == "kasser" else payloads)
    call = Call(searches=False, key=None, digest=b"", payloads=payloads, asked=request)
    flaw = {"index": 0, "code": "schema_violation", "detail": "a text", "pointer": "/SagIndeks", "remedy": "Mend it."}
    yield SERVICE.returned(call, [flaw, {**flaw, "code": "too_large"}])
    yield SERVICE.returned(call, [])


@pytest.mark.parametrize("operation", sorted(OPERATIONS.keys() - {"fremsoeg"}))
def test_every_reply_fits_the_schema_that_is_served(operation: str, tmp_path: Path) -> None:
    valid = written(tmp_path)
    for reply in rejections(operation):
        valid.assertValid(body_of(reply))


def test_the_first_flaw_of_an_object_is_the_one_that_is_told() -> None:
    refused = body_of(next(rejections("importer")))

    assert [int(code.text or "") for code in refused.iter(f"{{{NAMESPACES['sd']}}}StatusKode")] == [40, 20]
    (told, fine) = refused.iter(f"{{{NAMESPACES['sd']}}}FejlbeskedTekst")
    assert (told.text, fine.text) == ("schema_violation: a text (/SagIndeks)", "OK")


def test_the_same_request_in_another_envelope_is_the_same() -> None:
    path = GOLDEN / "person.xml"
    wrapped = read(path.read_bytes())
    again = read(path.read_bytes().replace(b"BinarySecurityToken>x<", b"BinarySecurityToken>y<"))
    other = read(path.read_bytes().replace(b"Test Testesen", b"Tast Testesen"))
    assert isinstance(wrapped, Request)
    assert isinstance(again, Request)
    assert isinstance(other, Request)

    assert wrapped.digest == again.digest != other.digest
    assert wrapped.transaction == "4f9a7f0e-0000-4000-8000-00000000000a"


@pytest.mark.parametrize("where", [b"<soap:Body", b"<sdi:SagIndeks"])
def test_a_namespace_that_is_no_address_is_refused(where: bytes) -> None:
    body = (GOLDEN / "person.xml").read_bytes()
    assert where in body
    assert read(body.replace(where, where + b' xmlns:x="there"')) == Rejected(
        Code.MALFORMED_PAYLOAD, "", "no namespace is relative"
    )


ALL = sorted(GOLDEN.glob("*.xml"))
texts = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"), max_size=20
)
times = st.sampled_from(
    ["", "true", "0001-01-01T00:00:00", "9999-12-31T23:59:59-12:00", "urn:oio:cpr-nr:", CASE.upper()]
)


@given(data=st.data())
@settings(max_examples=150)
def test_no_change_to_the_xml_makes_reading_or_translating_raise(data: st.DataObject) -> None:
    path = data.draw(st.sampled_from([path for path in ALL if path.stem not in UNREADABLE]))
    root = etree.fromstring(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        element = data.draw(st.sampled_from(list(root.iter("*"))))
        match data.draw(st.sampled_from(["text", "again", "gone", "moved", "emptied", "renamed"])):
            case "text":
                element.text = data.draw(texts | times)
            case "again" if element.getparent() is not None:
                element.addnext(etree.fromstring(etree.tostring(element)))
            case "gone" if element.getparent() is not None:
                element.getparent().remove(element)
            case "moved" if len(element):
                element[0].append(etree.fromstring(etree.tostring(element)))
            case "emptied":
                element.clear()
            case "renamed":
                element.tag = f"{{{NAMESPACES['sdi']}}}SagUuid"
    found = split(etree.tostring(root))
    for payload in () if isinstance(found, Rejected) else found:
        case = SERVICE.before(payload)
        made = translate(SERVICE.completed(payload, None if case is None else STOOD, RECEIVED), config())
        assert isinstance(made, Rejected) or all(event["authority"] == config().authority for event in made)


def test_a_name_that_comes_too_often_is_one_flat_list_and_refused() -> None:
    often = one(change("<sdi:Tidspunkt>2024-06-01T10:00:00Z</sdi:Tidspunkt>" * 50_000))

    assert len(often["OpdaterSagIndeks"]["Tidspunkt"]) == 50_001
    refused = translate(often, config())
    assert isinstance(refused, Rejected)
    assert (refused.code, refused.pointer) == (Code.SCHEMA_VIOLATION, "/OpdaterSagIndeks/Tidspunkt")


def test_the_content_of_a_note_is_left_at_the_door() -> None:
    assert "SGVtbWVsaWd0" not in str(one((GOLDEN / "every_relation.xml").read_bytes()))


REAL = os.environ.get("SAGSBRO_SF1470_WSDL")


@pytest.mark.skipif(REAL is None, reason="the standard's own WSDL is not part of the project: SAGSBRO_SF1470_WSDL")
@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_what_is_accepted_fits_the_standards_own_schema(path: Path) -> None:
    root = etree.fromstring(path.read_bytes())
    body = root.find(f"{{{SOAP}}}Body")
    folder = Path(REAL or "").parent / "xsd" / "6.0.STS-0"
    wanted = etree.fromstring(etree.tostring(root if body is None else body[0]))
    which = "SagIndeksOperationer.xsd" if "sagindeks:6" in str(wanted.tag) else "SagDokumentIndeksOperationer.xsd"
    etree.XMLSchema(etree.parse(folder / which)).assertValid(wanted)
