"""SBSYS's words become the index's: the rules that the golden payloads do not show, one by one."""

import hashlib
import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.case import CaseEvent
from broker.domain.identity import has_cpr, vendor_event_id
from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Source
from connectors.esdh.sbsys.translate import split, translate
from connectors.times import micros

AUTHORITY = "55133018"
CITIZEN = "010145-5001"
CREATED = "2024-03-18T09:24:48+01:00"


def case(**changes: Any) -> dict[str, Any]:
    """A case as SBSYS shows it; `...` leaves a field out."""
    whole = {
        "Id": 4101,
        "SagIdentity": "3f2b8c1e-5d0a-4e7b-9c61-0a1b2c3d4e01",
        "Nummer": "27.36.04-G01-17-24",
        "SagsTitel": "Hjælp i hjemmet",
        "SagsStatus": {"Navn": "Opstået"},
        "Oprettet": CREATED,
        "SenestAendret": "2024-03-19T10:00:00+01:00",
        "SenesteStatusAendring": "2024-03-19T09:00:00+01:00",
        "PrimaryPart": {"PartId": 31, "PartType": "Person", "CPRnummer": CITIZEN, "Navn": "Alma Testborg"},
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not ...}


def event(payload: object, **config: Any) -> CaseEvent:
    (only,) = accepted(translate(payload, Source("sbsys", AUTHORITY, config)))
    return only


def accepted(result: Any) -> list[CaseEvent]:
    assert not isinstance(result, Rejected), result
    return list(result)


def refused(payload: object, **config: Any) -> tuple[Code, str]:
    result = translate(payload, Source("sbsys", AUTHORITY, config))
    assert isinstance(result, Rejected)
    return result.code, result.pointer


def content(event: CaseEvent, group: str) -> Any:
    return dict(event)[group]


def items(event: CaseEvent, group: str) -> list[dict[str, Any]]:
    return list(content(event, group)["items"])


def test_the_event_id_is_made_of_sender_case_time_and_content() -> None:
    payload = case()
    digest = hashlib.sha256(orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)).hexdigest()

    assert event(payload)["event_id"] == vendor_event_id(
        "sbsys", AUTHORITY, payload["SagIdentity"], micros(payload["SenestAendret"]), digest
    )


def test_the_order_of_fields_makes_no_other_event() -> None:
    assert event(case())["event_id"] == event(dict(reversed(case().items())))["event_id"]


def test_a_list_gives_its_cases_and_one_case_gives_itself() -> None:
    assert split(json.dumps([case(), case()]).encode()) == [case(), case()]
    assert split(json.dumps(case()).encode()) == [case()]
    assert split(b"[]") == []


@pytest.mark.parametrize("body", [b"", b"7", b'"text"', b"null", b"{", b"\xff", b'{"a":NaN}', b"[1e999]"])
def test_what_is_no_case_and_no_list_is_malformed(body: bytes) -> None:
    found = split(body)

    assert isinstance(found, Rejected)
    assert found.code is Code.MALFORMED_PAYLOAD


def test_a_byte_order_mark_is_passed_over_and_of_a_doubled_key_the_last_stands() -> None:
    assert split(b'\xef\xbb\xbf{"Firmaer":[],"Firmaer":[1]}') == [{"Firmaer": [1]}]


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2024-03-18T09:24:48.507+01:00", "2024-03-18T08:24:48.507Z"),
        ("2024-03-18T09:24:48.507+0100", "2024-03-18T08:24:48.507Z"),
        ("2024-03-18T09:24:48.507", "2024-03-18T08:24:48.507Z"),
        ("2024-07-18 09:24:48", "2024-07-18T07:24:48Z"),
        ("2024-03-18T09:24:48.1234567Z", "2024-03-18T09:24:48.123456Z"),
        ("2024-10-27T02:30:00", "2024-10-27T00:30:00Z"),  # comes twice: the first
        ("2024-10-27T03:00:00", "2024-10-27T02:00:00Z"),
        ("2024-03-31T02:30:00", "2024-03-31T01:30:00Z"),  # never comes: as if the clock had not been moved
    ],
)
def test_a_time_is_read_in_its_zone_or_in_danish_time(text: str, utc: str) -> None:
    assert micros(text) == micros(utc)


@pytest.mark.parametrize(
    "value", [None, 7, "", "2024-03-18", "i går", "2024-13-01T00:00:00", "24-03-18T00:00:00", ["x"]]
)
def test_what_is_no_time_is_refused_and_not_repeated(value: object) -> None:
    with pytest.raises(ValueError, match=r"^a date and time in ISO 8601$"):
        micros(value)


@given(st.text(st.characters()))
def test_no_text_makes_the_reading_of_times_fail_in_another_way(text: str) -> None:
    with suppress(ValueError):
        assert isinstance(micros(text), int)


@pytest.mark.parametrize(
    ("name", "state"),
    [("Aktiv", "OPSTAAET"), ("oplyst", "OPLYST"), (" Afgjort ", "AFGJORT"), ("AFSLUTTET", "AFSLUTTET")],
)
def test_a_known_status_is_a_state(name: str, state: str) -> None:
    assert items(event(case(SagsStatus={"Navn": name})), "progress")[-1]["state"] == state


def test_the_history_begins_when_the_case_arose_and_ends_where_the_status_begins() -> None:
    progress = content(event(case(SagsStatus={"Navn": "Afgjort"})), "progress")
    since = micros("2024-03-19T09:00:00+01:00")

    assert progress == {
        "complete": True,
        "items": [
            {"state": "OPSTAAET", "effective_from": micros(CREATED), "effective_to": since},
            {"state": "AFGJORT", "effective_from": since},
        ],
    }


def test_a_municipalitys_own_word_for_a_status_comes_before_ours() -> None:
    paused = case(SagsStatus={"Navn": "Sat på pause"})

    assert refused(paused) == (Code.STATE_UNKNOWN, "/SagsStatus/Navn")
    assert items(event(paused, states={"sat på PAUSE": "OPLYST"}), "progress")[-1]["state"] == "OPLYST"
    assert items(event(case(), states={"Opstået": "OPLYST"}), "progress")[-1]["state"] == "OPLYST"
    assert refused(paused, states={"Sat på pause": "PAUSE"}) == (Code.STATE_UNKNOWN, "/SagsStatus/Navn")


def test_a_status_a_moment_older_than_its_case_begins_with_it() -> None:
    progress = items(
        event(case(SagsStatus={"Navn": "Oplyst"}, SenesteStatusAendring="2024-03-18T09:24:47+01:00")), "progress"
    )

    assert [step["effective_from"] for step in progress] == [micros(CREATED), micros(CREATED)]


def test_without_when_a_status_began_it_cannot_be_told_in_a_history() -> None:
    unsaid = {"SenesteStatusAendring": "0001-01-01T00:00:00"}

    assert refused(case(SagsStatus={"Navn": "Oplyst"}, **unsaid)) == (Code.MANDATORY_MISSING, "/SenesteStatusAendring")
    assert len(items(event(case(**unsaid)), "progress")) == 1


@pytest.mark.parametrize(
    ("changes", "code", "pointer"),
    [
        ({"Nummer": ...}, Code.MANDATORY_MISSING, "/Nummer"),
        ({"SagsTitel": None}, Code.MANDATORY_MISSING, "/SagsTitel"),
        ({"SagsStatus": {}}, Code.MANDATORY_MISSING, "/SagsStatus/Navn"),
        ({"Oprettet": ...}, Code.MANDATORY_MISSING, "/Oprettet"),
        ({"SenestAendret": "i går"}, Code.SCHEMA_VIOLATION, "/SenestAendret"),
        ({"SagIdentity": "4101"}, Code.SCHEMA_VIOLATION, "/SagIdentity"),
        ({"SagsTitel": ["x"]}, Code.SCHEMA_VIOLATION, "/SagsTitel"),
        (
            {"SagsNummer": {"EmneplanNummer": {"Nummer": 27}}},
            Code.SCHEMA_VIOLATION,
            "/SagsNummer/EmneplanNummer/Nummer",
        ),
        ({"Personer": "x"}, Code.PARTY_MALFORMED, "/Personer"),
        ({"Personer": [{}, {"CprNummer": 101455001}]}, Code.PARTY_MALFORMED, "/Personer/1/CprNummer"),
        ({"Firmaer": [{"CvrNummer": "123"}]}, Code.PARTY_MALFORMED, "/Firmaer/0/CvrNummer"),
        ({"PrimaryPart": {"PartType": "Person", "CPRnummer": "x"}}, Code.PARTY_MALFORMED, "/PrimaryPart/CPRnummer"),
        ({"PrimaryPart": {"PartType": "Ejendom"}}, Code.PARTY_UNKNOWN_TYPE, "/PrimaryPart/PartType"),
    ],
)
def test_a_flaw_is_pointed_at_in_the_vendors_own_payload(changes: dict[str, Any], code: Code, pointer: str) -> None:
    assert refused(case(**changes)) == (code, pointer)


@pytest.mark.parametrize(
    "field", ["Nummer", "SenestAendret", "SagIdentity", "Id", "ErBeskyttet", "SagsStatus", "Personer"]
)
def test_a_refusal_never_repeats_what_was_sent(field: str) -> None:
    for wrong in (CITIZEN, [CITIZEN], {"Navn": [CITIZEN]}, [{"CprNummer": [CITIZEN]}], [{"CprNummer": "9" + CITIZEN}]):
        result = translate(case(**{field: wrong}), Source("sbsys", AUTHORITY))
        if isinstance(result, Rejected):
            assert not has_cpr(f"{result.detail} {result.pointer}")
            assert CITIZEN not in repr(result)


def test_the_subject_comes_from_its_own_field_and_else_from_the_case_number() -> None:
    own = {"EmneplanNummer": {"Nummer": "32.24.04", "ErUdgaaet": True}, "Facet": {"Nummer": "G02"}}

    assert content(event(case(SagsNummer=own)), "classification") == {"kle": "32.24.04", "facet": "G02"}
    assert content(event(case()), "classification") == {"kle": "27.36.04", "facet": "G01"}
    assert content(event(case(Nummer="27.36.04")), "classification") == {"kle": "27.36.04", "facet": None}


def test_the_hyphen_goes_and_nobody_is_no_party() -> None:
    nobody = {"PartType": "Person", "CPRnummer": "000000-0000"}

    assert [party["id"] for party in items(event(case()), "parties")] == ["0101455001"]
    assert content(event(case(PrimaryPart=nobody)), "parties") == {"complete": True, "items": []}


def test_the_primary_part_is_found_in_the_lists_by_its_id_and_not_listed_twice() -> None:
    people = [
        {"Id": 31, "CprNummer": CITIZEN},
        {"Id": 32, "CprNummer": "030347-5003"},
        {"Id": 33, "CprNummer": "030347-5003"},
    ]
    parties = items(event(case(PrimaryPart={"PartType": "Person", "PartId": 31}, Personer=people)), "parties")

    assert [(party["role"], party["id"]) for party in parties] == [
        ("PRIMARY", "0101455001"),
        ("SECONDARY", "0303475003"),
    ]


def test_firms_are_named_by_their_organisation_number() -> None:
    firms = [{"Id": 23, "CvrNummer": "10000009"}, {"Id": 24, "CvrNummer": "20000008"}, {"Id": 25}]
    parties = items(event(case(PrimaryPart={"PartType": "Firma", "PartId": 23}, Firmaer=firms)), "parties")

    assert [(party["role"], party["id_type"], party["id"]) for party in parties] == [
        ("PRIMARY", "CVR", "10000009"),
        ("SECONDARY", "CVR", "20000008"),
    ]


def test_a_replacement_number_is_kept_apart_from_cpr_numbers() -> None:
    part = {"PartType": "Person", "CPRnummer": "010145-5ab1"}

    assert items(event(case(PrimaryPart=part)), "parties")[0]["id_type"] == "ECPR"


def test_an_items_id_is_stable_and_says_nothing() -> None:
    first, later = event(case()), event(case(SenestAendret="2024-04-01T00:00:00Z", SagsTitel="Andet"))

    assert items(first, "parties")[0]["item_id"] == items(later, "parties")[0]["item_id"]
    assert not has_cpr(items(first, "parties")[0]["item_id"])


def test_a_parents_number_is_not_read_at_all() -> None:
    person = {"Id": 32, "CprNummer": "030347-5003", "MorCPR": "110340-5011", "FarCPR": {"anything": 1}}

    assert "110340" not in repr(event(case(Personer=[person])))


def test_a_handler_known_by_a_cpr_number_is_not_named_and_a_name_is_freed_of_one() -> None:
    actors = items(
        event(case(Behandler={"LogonId": CITIZEN}, Ansaettelsessted={"Id": 5, "Navn": f"Team {CITIZEN}"})), "actors"
    )

    assert actors == [{"item_id": "RESPONSIBLE:5", "role": "RESPONSIBLE", "id": "5", "name": "Team <cpr>"}]


@pytest.mark.parametrize(
    ("protected", "config", "level"),
    [
        (True, {}, "FOELSOMME_PERSONOPLYSNINGER"),
        (True, {"unprotected_is_confidential": True}, "FOELSOMME_PERSONOPLYSNINGER"),
        (False, {}, None),
        (False, {"unprotected_is_confidential": True}, "FORTROLIGE_PERSONOPLYSNINGER"),
        (False, {"unprotected_is_confidential": "no"}, None),
        (None, {"unprotected_is_confidential": True}, None),
        (..., {"unprotected_is_confidential": True}, None),
    ],
)
def test_a_level_is_lowered_only_where_the_configuration_says_so(
    protected: Any, config: dict[str, Any], level: str | None
) -> None:
    # Said even when unknown: a lower level said earlier must not stand.
    assert content(event(case(ErBeskyttet=protected), **config), "access") == {
        "sensitivity": level,
        "hidden_from_citizen": False,
    }


def test_a_security_set_is_translated_only_by_configuration_and_an_unknown_one_stops_the_case() -> None:
    sets = {"9001": ["b", "a", "b"]}

    assert "security_profile" not in event(case(SecuritySetId=9001))
    assert [
        item["principal_id"] for item in items(event(case(SecuritySetId=9001), security_sets=sets), "security_profile")
    ] == [
        "a",
        "b",
    ]
    assert items(event(case(), security_sets=sets), "security_profile") == []
    assert refused(case(SecuritySetId=1), security_sets=sets) == (Code.SENSITIVITY_UNKNOWN, "/SecuritySetId")
    assert refused(case(SecuritySetId=1), security_sets={"1": "abc"}) == (Code.SENSITIVITY_UNKNOWN, "/SecuritySetId")


def test_a_link_is_made_of_keys_without_meaning() -> None:
    template = "https://sbsys.example/sag/{Id}?g={SagIdentity}&n={Nummer}"
    link = content(event(case(), link_template=template), "properties")["link"]

    assert link == "https://sbsys.example/sag/4101?g=3f2b8c1e-5d0a-4e7b-9c61-0a1b2c3d4e01&n={Nummer}"
    assert "link" not in content(event(case(Id=...), link_template=template), "properties")


def test_a_journal_is_complete_only_when_documents_and_notes_both_came() -> None:
    document = {"Id": 9, "Navn": "Ansøgning", "Oprettet": CREATED}

    assert "journal" not in event(case())
    assert content(event(case(Dokumenter=[document, document])), "journal")["complete"] is False
    assert content(event(case(Dokumenter=[document], JournalArkNoter=[])), "journal")["complete"] is True
    assert len(items(event(case(Dokumenter=[document, document])), "journal")) == 1


@pytest.mark.parametrize(
    ("said", "reason"),
    [({}, "LEFT_INDEX"), ({"SletteAarsag": "Kassation"}, "DISPOSED"), ({"SletteAarsag": "?"}, "LEFT_INDEX")],
)
def test_a_deleted_case_leaves_with_its_reason(said: dict[str, str], reason: str) -> None:
    gone = event({"SagIdentity": case()["SagIdentity"].upper(), "Slettet": True, "SlettetTidspunkt": CREATED, **said})

    assert (gone["change"], gone["removal_reason"], gone["registered_at"]) == ("REMOVED", reason, micros(CREATED))
    assert gone["case_id"] == case()["SagIdentity"]


def test_a_deletion_needs_its_time_and_a_case_that_is_not_deleted_is_a_case() -> None:
    assert refused({"SagIdentity": case()["SagIdentity"], "Slettet": True}) == (
        Code.MANDATORY_MISSING,
        "/SlettetTidspunkt",
    )
    assert event(case(Slettet=False))["change"] == "REGISTERED"


def test_a_configuration_of_any_shape_does_no_harm() -> None:
    for wrong in (None, 7, "x", ["x"], {1: 2}, {"9001": None}):
        config = dict.fromkeys(("states", "security_sets", "link_template", "unprotected_is_confidential"), wrong)
        translate(case(SecuritySetId=9001), Source("sbsys", AUTHORITY, config))
