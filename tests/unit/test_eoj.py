"""Care-journal systems: what their golden payloads do not show one by one."""

import copy
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

import connectors
from broker.domain.case import State, content_hash, merge_all, said_by, stamp_of, visible_items
from broker.domain.identity import has_cpr
from broker.domain.outcome import Rejected
from broker.intake.connector import Source, load
from connectors.standards.klgateway.vendor import over

ROOM = Path(connectors.__file__).parent / "eoj"
AUTHORITY = "55133018"
SILENT = ["cura", "domus", "modulus", "vitae"]


def golden(system: str, name: str) -> Any:
    return json.loads((ROOM / system / "golden" / f"{name}.json").read_text(encoding="utf-8"))


def events(system: str, *payloads: Any, **config: Any) -> list[Any]:
    connector = load(system)
    assert connector is not None
    found: list[Any] = []
    for payload in payloads:
        result = connector.translate(payload, Source(system, AUTHORITY, config))
        assert not isinstance(result, Rejected), result
        found += list(result)
    return found


def entry_of(listed: list[Any]) -> State:
    return merge_all(
        said_by(one, stamp_of(one, content_hash(json.dumps(one, sort_keys=True).encode()))) for one in listed
    )


def grant(version: int, state: str, read_at: str = "2024-05-02T06:00:00Z") -> Any:
    record = copy.deepcopy(golden("nexus", "grant_by_its_paragraph"))
    record["readAt"] = read_at
    record["grant"] |= {"version": version, "workflowState": {"name": state}}
    return record


def test_of_two_versions_read_at_one_time_the_higher_stands_in_any_order() -> None:
    listed = events("nexus", grant(3, "Ansøgt"), grant(4, "Bestilt"))

    for order in itertools.permutations(listed):
        assert visible_items(entry_of(list(order)), "progress")[-1]["state"] == "AFGJORT"


def test_a_grant_and_a_pathway_of_one_number_are_two_cases_and_so_are_those_of_two_authorities() -> None:
    record = golden("nexus", "grant_by_its_paragraph")
    number = record["pathway"]["patientPathwayId"]
    record["grant"]["identifier"]["patientGrantId"] = number
    (granted,) = events("nexus", record)
    (pathway,) = events("nexus", {name: value for name, value in record.items() if name != "grant"})
    connector = load("nexus")
    assert connector is not None
    other = connector.translate(record, Source("nexus", "35209115"))
    assert not isinstance(other, Rejected)

    (elsewhere,) = other
    assert "case_id" in elsewhere
    assert len({granted["case_id"], pathway["case_id"], elsewhere["case_id"]}) == 3


def test_a_grant_that_is_removed_and_comes_back_is_there_again() -> None:
    listed = events(
        "nexus",
        grant(1, "Bestilt", "2024-05-01T06:00:00Z"),
        grant(2, "Fjernet", "2024-05-02T06:00:00Z"),
        grant(3, "Bestilt", "2024-05-03T06:00:00Z"),
    )

    assert [one["change"] for one in listed] == ["REGISTERED", "REMOVED", "REGISTERED"]
    assert entry_of(listed[:2]).groups == {}
    assert visible_items(entry_of(listed), "progress")


def test_what_comes_out_of_nexus_holds_no_free_text_and_no_other_name() -> None:
    said = json.dumps(events("nexus", golden("nexus", "grant_by_its_paragraph")), ensure_ascii=False)

    assert "Fritekst" not in said
    assert "Test Borger" not in said


def test_the_services_of_one_intervention_are_notes_of_one_case_in_any_order() -> None:
    base = {"UdtrukketTidspunkt": "2024-05-02", **golden("sensum", "as_json")[0]}
    rows = [{**base, "YdelseNavn": name} for name in ("Individuel", "Gruppe", "Akut")]
    listed = events("sensum", *rows)

    assert len({one["case_id"] for one in listed}) == 1
    for order in itertools.permutations(listed):
        titles = [note["title"] for note in visible_items(entry_of(list(order)), "journal")]
        assert sorted(titles) == ["Akut", "Gruppe", "Individuel"]


@pytest.mark.parametrize("column", ["SagNavn", "LeverandørNavn", "AfdelingNavn", "YdelseNavn", "MedarbejderFornavn"])
def test_a_number_in_a_name_of_an_extract_stands_in_no_actor_note_or_public_title(column: str) -> None:
    row = {"UdtrukketTidspunkt": "2024-05-02", **golden("sensum", "as_json")[0], column: "Borger 010145-5001"}
    (event,) = events("sensum", row)
    rest = {name: value for name, value in event.items() if name not in ("parties", "registered_at")}
    rest["properties"] = {"title": event["properties"]["title"], "user_key": event["properties"]["user_key"]}

    assert not has_cpr(json.dumps(rest))


@pytest.mark.parametrize("system", SILENT)
def test_who_speaks_the_standard_says_the_same_as_the_standard_and_as_itself(system: str) -> None:
    config = json.loads((ROOM / system / "golden_config.json").read_text(encoding="utf-8"))
    body = (ROOM / system / "golden" / "care.json").read_bytes()
    theirs, standard = load(system), load("klgateway")
    assert theirs is not None
    assert standard is not None
    listed = []
    for connector in (theirs, standard):
        found = connector.split(body)
        assert not isinstance(found, Rejected)
        (said,) = events(connector.name, found[0], **config)
        listed.append({name: value for name, value in said.items() if name not in ("event_id", "system")})
        assert said["system"] == connector.name

    assert listed[0] == listed[1]


@pytest.mark.parametrize("system", SILENT)
def test_a_municipalitys_configuration_is_laid_over_the_vendors(system: str) -> None:
    bundle = golden(system, "local_level_3")
    connector = load(system)
    assert connector is not None
    found = connector.split(json.dumps(bundle).encode())
    assert not isinstance(found, Rejected)
    sor = {"999000000016001": AUTHORITY}

    (bare,) = events(system, found[0], sor=sor)
    (own,) = events(system, found[0], sor=sor, local_codes=["urn:x"], kle={"L1": {"kle": "27.36.20"}})
    assert (bare["properties"]["title"], bare["classification"]["kle"]) == ("Lokal indsats", None)
    assert (own["properties"]["title"], own["classification"]["kle"]) == ("Lokal indsats", "27.36.20")


def test_tables_are_laid_over_row_by_row_and_lists_together() -> None:
    defaults = {"a": {"x": 1, "y": 1}, "b": ["p"], "c": 1}

    assert over(defaults, {"a": {"y": 2}, "b": ["q"], "c": 2, "d": 3}) == {
        "a": {"x": 1, "y": 2},
        "b": ["p", "q"],
        "c": 2,
        "d": 3,
    }
    assert over(defaults, {"a": "no table"})["a"] == "no table"
    assert defaults == {"a": {"x": 1, "y": 1}, "b": ["p"], "c": 1}


def test_elements_of_a_bundle_that_nothing_reads_are_counted_by_their_resource() -> None:
    connector = load("klgateway")
    assert connector is not None
    bundle = golden("cura", "care")
    bundle["entry"][2]["resource"]["note"] = [{"text": "0101455001"}]

    found = connector.unknown_in(json.dumps(bundle).encode())
    assert found["CarePlan.note"] == 1
    assert found["Patient.deceasedBoolean"] == 1
    assert not any(name.startswith("CarePlan.activity") for name in found)
