"""Care in FHIR bundles becomes cases: the rules that the golden payloads do not show, one by one."""

import copy
import itertools
import json
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.domain.case import State, content_hash, merge_all, said_by, stamp_of, visible_items
from broker.domain.identity import has_cpr
from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Source
from connectors.standards.klgateway import CONNECTOR, references
from tests.contract.test_connectors import changed, goldens, json_values, places

AUTHORITY = "55133018"
OTHER_AUTHORITY = "35209115"
FSIII = "urn:oid:1.2.208.176.2.21"
LOCAL = "http://fhir.kl.dk/gateway/CodeSystem/LocallyDefinedInterventions"
CPR = "urn:oid:1.2.208.176.1.2"
CITIZEN = "0101455001"
PATIENT = "7d0c5c1a-2b6e-4f0d-8a3c-000000000001"
PLAN = "7d0c5c1a-2b6e-4f0d-8a3c-000000000010"
CONFIG = {
    "sor": {"999000000016001": AUTHORITY, "999000000016002": OTHER_AUTHORITY},
    "kle": {"H1.1": {"kle": "27.36.04", "facet": "G01"}},
}
BUNDLES = [
    json.loads(golden.body)
    for golden in goldens()
    if golden.connector is CONNECTOR and golden.path.stem != "broken"  # the others are JSON
]
Resource = dict[str, Any]


def without(resource: Resource) -> Resource:
    """`...` leaves a field out."""
    return {name: value for name, value in resource.items() if value is not ...}


def citizen(number: str = CITIZEN, **fields: Any) -> Resource:
    keeper = {"identifier": {"system": "urn:oid:1.2.208.176.1.1", "value": "999000000016001"}}
    numbers = [{"use": "official", "system": CPR, "value": number}]
    return without(
        {"resourceType": "Patient", "id": PATIENT, "identifier": numbers, "managingOrganization": keeper, **fields}
    )


def concept(code: str, **coding: Any) -> Resource:
    return {"coding": [{"system": FSIII, "code": code, **coding}]}


def plan(stored: str = "2024-03-19T10:00:00Z", code: Resource | None = None, **fields: Any) -> Resource:
    detail = {"code": code or concept("H1.1"), "reasonReference": fields.pop("reasons", [])}
    return without(
        {
            "resourceType": "CarePlan",
            "id": PLAN,
            "meta": {"lastUpdated": stored},
            "status": "active",
            "intent": "plan",
            "subject": {"reference": f"Patient/{PATIENT}"},
            "period": {"start": "2024-03-18"},
            "activity": [{"detail": detail}],
            **fields,
        }
    )


def condition(number: str = "c1", **fields: Any) -> Resource:
    return without(
        {
            "resourceType": "Condition",
            "id": number,
            "code": concept("J1.1"),
            "subject": {"reference": f"Patient/{PATIENT}"},
            "recordedDate": "2024-03-15",
            **fields,
        }
    )


def procedure(code: str = "H1.1", **fields: Any) -> Resource:
    return without(
        {
            "resourceType": "Procedure",
            "id": "p1",
            "status": "completed",
            "code": concept(code),
            "subject": {"reference": f"Patient/{PATIENT}"},
            "performedDateTime": "2024-03-20T08:00:00Z",
            **fields,
        }
    )


def bundle(*resources: Resource, **fields: Any) -> Resource:
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": resource} for resource in resources],
        **fields,
    }


def payloads(whole: object) -> list[Any]:
    found = CONNECTOR.split(json.dumps(whole).encode())
    assert not isinstance(found, Rejected), found
    return list(found)


def outcomes(whole: object, authority: str = AUTHORITY, **config: Any) -> list[Any]:
    """An event, None for a note that is only judged, or (code, pointer), for each payload."""
    source = Source("klgateway", authority, {**CONFIG, **config})
    found: list[Any] = []
    for payload in payloads(whole):
        result = CONNECTOR.translate(payload, source)
        if isinstance(result, Rejected):
            found.append((result.code, result.pointer))
        else:
            found.extend(list[Any](result) or [None])
    return found


def event(whole: object, **config: Any) -> Any:
    (first, *_) = outcomes(whole, **config)
    assert isinstance(first, dict), first
    return first


def notes(whole: object) -> list[tuple[str, bool]]:
    return [(item["title"], item.get("removed", False)) for item in event(whole)["journal"]["items"]]


def entry_of(events: list[Any]) -> State:
    """The entry that events make, in that order."""
    return merge_all(
        said_by(one, stamp_of(one, content_hash(json.dumps(one, sort_keys=True).encode()))) for one in events
    )


def test_each_version_of_a_plan_is_one_event_and_any_order_makes_the_same_entry() -> None:
    over = {"start": "2024-03-18", "end": "2024-04-01"}
    versions = [
        event(bundle(citizen(), plan("2024-03-19T10:00:00Z", status="draft"))),
        event(bundle(citizen(), plan("2024-03-19T11:00:00+01:00"))),
        event(bundle(citizen(), plan("2024-04-01T10:00:00Z", status="completed", period=over))),
    ]

    entries = [entry_of(list(order)) for order in itertools.permutations(versions)]

    assert all(entry == entries[0] for entry in entries)
    assert [step["state"] for step in visible_items(entries[0], "progress")] == ["OPSTAAET", "AFGJORT", "AFSLUTTET"]


def test_the_place_in_the_bundle_and_its_company_make_no_other_event() -> None:
    other = {**citizen("0303475003"), "id": "someone-else"}
    alone = event(bundle(citizen(), plan()))

    assert event(bundle(other, plan(), citizen(), timestamp="2024-05-01T00:00:00Z")) == alone
    assert event(bundle(bundle(other), bundle(plan(), citizen()))) == alone


def test_a_citizen_who_changes_without_the_plan_is_the_newer_event_of_the_plans_time() -> None:
    before = event(bundle(citizen(meta={"lastUpdated": "2024-03-19T10:00:00Z"}), plan()))
    after = event(bundle(citizen("0202465002", meta={"lastUpdated": "2024-04-19T10:00:00Z"}), plan()))

    assert before["registered_at"] == after["registered_at"]
    for order in ([before, after], [after, before]):
        assert [party["id"] for party in visible_items(entry_of(order), "parties")] == ["0202465002"]


def test_a_withdrawal_takes_what_is_as_old_as_itself_and_comes_before_what_it_withdraws() -> None:
    registered = event(bundle(citizen(meta={"lastUpdated": "2030-01-01T00:00:00Z"}), plan()))
    withdrawn = event(bundle(plan(status="entered-in-error", period=..., activity=..., subject=...)))

    for order in ([registered, withdrawn], [withdrawn, registered]):
        assert entry_of(order).groups == {}
    assert (withdrawn["change"], withdrawn["removal_reason"]) == ("REMOVED", "LEFT_INDEX")


def test_a_withdrawal_asks_for_nothing_but_its_id_and_its_time() -> None:
    assert outcomes(bundle(plan(status="entered-in-error", meta=...))) == [
        (Code.MANDATORY_MISSING, "/entry/0/resource/meta")
    ]
    nameless = {"resourceType": "Patient", "id": PATIENT}
    assert event(bundle(nameless, plan(status="entered-in-error")))["change"] == "REMOVED"


def test_a_resource_id_that_is_a_uuid_is_the_case_and_another_is_made_one_for_its_authority() -> None:
    upper = event(bundle(citizen(), plan(id=PLAN.upper())))
    ours, theirs = (
        outcomes(
            bundle(
                citizen(managingOrganization={"identifier": {"system": "urn:oid:1.2.208.176.1.1", "value": sor}}),
                plan(id="4711"),
            ),
            authority,
        )[0]
        for sor, authority in (("999000000016001", AUTHORITY), ("999000000016002", OTHER_AUTHORITY))
    )

    assert upper["case_id"] == PLAN
    assert ours["case_id"] != theirs["case_id"]
    assert ours["case_id"] == event(bundle(citizen(), plan("2024-08-01T00:00:00Z", id="4711")))["case_id"]


@pytest.mark.parametrize(
    "reference",
    [
        f"Patient/{PATIENT}",
        f"Patient/{PATIENT}/_history/3",
        f"https://eoj.example/fhir/Patient/{PATIENT}",
        "urn:uuid:0b9f6a58-3f0e-4d57-8f35-5fb8a0f3c001",
    ],
)
def test_a_citizen_is_found_by_address_and_by_name(reference: str) -> None:
    address = reference if reference.startswith("urn:") else f"https://eoj.example/fhir/Patient/{PATIENT}"
    whole = bundle(citizen(), plan(subject={"reference": reference}))
    whole["entry"][0]["fullUrl"] = address

    assert event(whole)["parties"]["items"][0]["id"] == CITIZEN


def test_a_name_that_could_be_two_citizens_is_neither_and_one_of_the_same_server_is_that_one() -> None:
    whole = bundle(citizen(), citizen("0303475003"), plan())
    for entry, server in zip(whole["entry"], ("https://a.example", "https://b.example"), strict=False):
        entry["fullUrl"] = f"{server}/Patient/{PATIENT}"

    assert outcomes(whole) == [(Code.MANDATORY_MISSING, "/entry/2/resource/subject")]
    whole["entry"][2]["fullUrl"] = f"https://b.example/CarePlan/{PLAN}"
    assert event(whole)["parties"]["items"][0]["id"] == "0303475003"
    whole["entry"][2]["fullUrl"] = f"https://c.example/CarePlan/{PLAN}"
    del whole["entry"][0]
    assert outcomes(whole) == [(Code.MANDATORY_MISSING, "/entry/1/resource/subject")]


def test_a_citizen_in_two_versions_is_read_in_the_newest() -> None:
    old = citizen("0303475003", meta={"lastUpdated": "2023-01-01T00:00:00Z"})
    new = citizen(meta={"lastUpdated": "2024-01-01T00:00:00Z"})

    for versions in ([old, new], [new, old]):
        assert event(bundle(*versions, plan()))["parties"]["items"][0]["id"] == CITIZEN


def test_a_reference_out_of_one_bundle_into_another_leads_nowhere() -> None:
    assert outcomes(bundle(bundle(citizen()), bundle(plan()))) == [
        (Code.MANDATORY_MISSING, "/entry/1/resource/entry/0/resource/subject")
    ]


def test_a_reason_that_is_another_citizens_is_not_written_into_the_case() -> None:
    stranger = {**citizen("0303475003"), "id": "x"}
    theirs = condition(subject={"reference": "Patient/x"})

    assert notes(bundle(citizen(), stranger, theirs, plan(reasons=[{"reference": "Condition/c1"}]))) == []


def test_a_reason_is_a_note_under_its_name_or_else_its_code() -> None:
    named = condition("c2", code=concept("J1.2", display="Klæde sig på"))
    reasons = [{"reference": "Condition/c1"}, {"reference": "Condition/c2"}, {"reference": "Condition/gone"}]

    assert notes(bundle(citizen(), condition(), named, plan(reasons=reasons))) == [
        ("Tilstand J1.1", False),
        ("Klæde sig på", False),
    ]


def test_a_condition_without_a_plan_is_judged_and_nothing_more() -> None:
    assert outcomes(bundle(citizen(), condition(), condition("c2", code=...))) == [
        None,
        (Code.MANDATORY_MISSING, "/entry/2/resource/code"),
    ]


@pytest.mark.parametrize(
    ("plans", "done", "expected"),
    [
        ([plan()], procedure(), ["Leveret indsats H1.1"]),
        ([plan()], procedure(code="G1.39"), []),
        ([plan()], procedure(performedDateTime="2024-03-17T23:30:00Z"), []),
        ([plan(period={"start": "2024-03-01", "end": "2024-03-19"})], procedure(), []),
        ([plan(), plan(id="other")], procedure(), []),  # either could be meant
        ([plan(), plan(id="other")], procedure(basedOn=[{"reference": f"CarePlan/{PLAN}"}]), ["Leveret indsats H1.1"]),
        ([plan()], procedure(basedOn=[{"reference": f"CarePlan/{PLAN}"}], code="G1.39"), ["Leveret indsats G1.39"]),
    ],
)
def test_what_was_done_stands_with_the_one_plan_it_can_belong_to(
    plans: list[Resource], done: Resource, expected: list[str]
) -> None:
    assert [title for title, _ in notes(bundle(citizen(), *plans, done))] == expected


def test_of_two_plans_alike_the_one_with_the_same_local_code_is_meant() -> None:
    own = concept("H1.1")
    own["coding"].append({"system": LOCAL, "code": "H1.1.1", "display": "Morgen"})

    assert notes(bundle(citizen(), plan(code=own), plan(id="other"), procedure() | {"code": own})) == [
        ("Morgen", False)
    ]


def test_a_withdrawn_note_is_removed_from_every_plan_of_its_citizen_and_from_no_other() -> None:
    error = {"coding": [{"code": "entered-in-error"}]}
    whole = bundle(
        citizen(),
        {**citizen("0303475003"), "id": "x"},
        plan(),
        plan(id="b"),
        plan(id="c", subject={"reference": "Patient/x"}),
        condition(verificationStatus=error, code=..., recordedDate=...),
        procedure(status="entered-in-error", performedDateTime=...),
    )

    assert [len(one["journal"]["items"]) for one in outcomes(whole) if one] == [2, 2, 0]


def test_a_note_outlives_a_later_version_of_its_plan_until_it_is_withdrawn() -> None:
    error = {"coding": [{"code": "entered-in-error"}]}
    reasons = [{"reference": "Condition/c1"}]
    told = event(bundle(citizen(), plan(reasons=reasons), condition(), procedure()))
    later = event(bundle(citizen(), plan("2024-05-01T00:00:00Z")))
    mended = event(
        bundle(
            citizen(),
            plan("2024-05-01T00:00:00Z", reasons=reasons),
            condition(verificationStatus=error, meta={"lastUpdated": "2024-05-02T00:00:00Z"}),
        )
    )

    assert len(visible_items(entry_of([told, later]), "journal")) == 2
    for order in itertools.permutations([told, later, mended]):
        assert len(visible_items(entry_of(list(order)), "journal")) == 1


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"H1.1": {"kle": "27.36.04", "facet": "G01"}}, ("27.36.04", "G01", "H1.1")),
        ({"H1.1": {"kle": "27.36.04"}, "H1.1.1": {"kle": "27.36.08"}}, ("27.36.08", None, "H1.1")),
        ({f"{FSIII}|H1.1": {"kle": "27.36.20"}, "H1.1": {"kle": "27.36.04"}}, ("27.36.20", None, "H1.1")),
        ({"H1.1": "27.36.04"}, (None, None, "H1.1")),
        ({}, (None, None, "H1.1")),
    ],
)
def test_the_most_specific_row_gives_the_number_and_the_code_goes_along(row: Any, expected: tuple[Any, ...]) -> None:
    code = concept("H1.1")
    code["coding"].insert(0, {"system": LOCAL, "code": "H1.1.1", "display": "Udvidet"})
    classification = event(bundle(citizen(), plan(code=code)), kle=row)["classification"]

    assert (classification["kle"], classification["facet"], classification["local_code"]) == expected


def test_a_municipalitys_own_reading_of_a_status_comes_before_ours() -> None:
    assert event(bundle(citizen(), plan()), states={"ACTIVE": "OPLYST"})["progress"]["items"][-1]["state"] == "OPLYST"
    assert outcomes(bundle(citizen(), plan(status="unknown"))) == [(Code.STATE_UNKNOWN, "/entry/1/resource/status")]
    assert event(bundle(citizen(), plan(status="unknown")), states={"unknown": "OPSTAAET"})["change"] == "REGISTERED"


@pytest.mark.parametrize(
    ("label", "level"),
    [("U", "FOELSOMME_PERSONOPLYSNINGER"), ("R", "FOELSOMME_PERSONOPLYSNINGER"), ("V", "VIP_SAGER")],
)
@pytest.mark.parametrize("labelled", ["citizen", "plan"])
def test_a_label_raises_the_level_and_never_lowers_it(label: str, level: str, labelled: str) -> None:
    security = [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": label}]
    whole = bundle(
        citizen(meta={"security": security if labelled == "citizen" else []}),
        plan(meta={"lastUpdated": "2024-03-19T10:00:00Z", "security": security if labelled == "plan" else []}),
    )

    assert event(whole)["access"]["sensitivity"] == level


def test_an_own_label_is_refused_until_the_configuration_knows_it() -> None:
    whole = bundle(citizen(meta={"security": [{"system": "local", "code": "vip"}]}), plan())

    assert outcomes(whole) == [(Code.SENSITIVITY_UNKNOWN, "/entry/0/resource/meta/security/0")]
    assert event(whole, security_labels={"local|vip": "VIP_SAGER"})["access"]["sensitivity"] == "VIP_SAGER"


@pytest.mark.parametrize(
    ("patient", "code", "pointer"),
    [
        (citizen(identifier=...), Code.MANDATORY_MISSING, "/identifier"),
        (citizen(identifier=[]), Code.MANDATORY_MISSING, "/identifier"),
        (citizen(identifier=[{"system": CPR}]), Code.PARTY_MALFORMED, "/identifier/0/value"),
        (citizen("0000000000"), Code.PARTY_MALFORMED, "/identifier/0/value"),
        (citizen(identifier=[{"system": CPR, "value": 101455001}]), Code.PARTY_MALFORMED, "/identifier/0/value"),
        (citizen(identifier="x"), Code.PARTY_MALFORMED, "/identifier"),
        (citizen("0101457AB1"), Code.PARTY_MALFORMED, "/identifier/0/value"),  # a replacement number as a CPR number
        (
            citizen(identifier=[{"system": "urn:oid:1.2.208.176.1.6.1.1", "value": CITIZEN}]),
            Code.PARTY_MALFORMED,
            "/identifier/0/value",
        ),
        (
            citizen(managingOrganization={"reference": "Organization/1"}),
            Code.MANDATORY_MISSING,
            "/managingOrganization/identifier",
        ),
        (
            citizen(managingOrganization={"identifier": {"system": "http://cvr.dk", "value": AUTHORITY}}),
            Code.MANDATORY_MISSING,
            "/managingOrganization/identifier",
        ),
    ],
)
def test_a_flaw_in_the_citizen_is_pointed_at_in_the_citizen(patient: Resource, code: Code, pointer: str) -> None:
    assert outcomes(bundle(patient, plan())) == [(code, f"/entry/0/resource{pointer}")]


@pytest.mark.parametrize(
    ("fields", "code", "pointer"),
    [
        ({"id": ...}, Code.MANDATORY_MISSING, "/id"),
        ({"id": "with space"}, Code.SCHEMA_VIOLATION, "/id"),
        ({"meta": {}}, Code.MANDATORY_MISSING, "/meta/lastUpdated"),
        ({"meta": {"lastUpdated": "2024-03-19"}}, Code.SCHEMA_VIOLATION, "/meta/lastUpdated"),
        ({"period": {"start": "2024-03"}}, Code.SCHEMA_VIOLATION, "/period/start"),
        ({"period": {"start": "2024-02-30"}}, Code.SCHEMA_VIOLATION, "/period/start"),
        ({"intent": "order"}, Code.SCHEMA_VIOLATION, "/intent"),
        ({"activity": []}, Code.SCHEMA_VIOLATION, "/activity"),
        ({"activity": [{}]}, Code.MANDATORY_MISSING, "/activity/0/detail"),
        ({"subject": {"reference": "Patient/gone"}}, Code.MANDATORY_MISSING, "/subject"),
    ],
)
def test_a_flaw_in_the_plan_is_pointed_at_in_the_plan(fields: Resource, code: Code, pointer: str) -> None:
    assert outcomes(bundle(citizen(), plan(**fields))) == [(code, f"/entry/1/resource{pointer}")]


def test_no_bytes_are_kept_of_another_authoritys_citizen() -> None:
    for config in (CONFIG, {}):
        (payload,) = payloads(bundle(citizen(), plan()))
        refused = CONNECTOR.translate(payload, Source("klgateway", OTHER_AUTHORITY, config))
        assert isinstance(refused, Rejected)
        assert (refused.code, refused.covered) == (Code.AUTHORITY_MISMATCH, False)


@pytest.mark.parametrize(
    ("whole", "pointer"),
    [
        (bundle(type="history"), "/type"),
        (bundle(entry={}), "/entry"),
        (bundle(entry=[7]), "/entry/0"),
        (bundle(entry=[{}]), "/entry/0/resource"),
        (bundle(entry=[{"resource": {"id": "x"}}]), "/entry/0/resource"),
        (bundle(entry=[{"request": {"method": "DELETE", "url": "Condition/c1"}}]), "/entry/0/request/method"),
    ],
)
def test_what_cannot_be_read_in_a_bundle_is_told_of(whole: Resource, pointer: str) -> None:
    assert outcomes(whole) == [(Code.SCHEMA_VIOLATION, pointer)]


def test_what_is_content_and_what_is_empty_gives_nothing() -> None:
    goal = {"resourceType": "Goal", "id": "g"}
    gone = {"request": {"method": "DELETE", "url": "Goal/g"}}

    assert outcomes(bundle(citizen(), goal)) == []
    assert outcomes(bundle(entry=[gone])) == []
    assert outcomes({"resourceType": "Bundle", "type": "collection"}) == []


def test_bundles_may_stand_in_bundles_as_deep_as_the_parser_reads() -> None:
    whole = bundle(citizen(), plan())
    for _ in range(200):
        whole = bundle(whole)

    assert event(whole)["change"] == "REGISTERED"


def test_a_payload_that_was_kept_is_translated_as_it_was() -> None:
    (kept,) = payloads(bundle(citizen(), plan(period=...)))
    source = Source("klgateway", AUTHORITY, CONFIG)

    assert CONNECTOR.translate(json.loads(json.dumps(kept)), source) == CONNECTOR.translate(kept, source)


@pytest.mark.parametrize("number", [CITIZEN, f"{CITIZEN[:6]}-{CITIZEN[6:]}"])
def test_a_number_in_any_place_is_never_repeated_outside_the_party(number: str) -> None:
    places_for_it: list[Callable[[Resource], object]] = [
        lambda whole: whole["entry"][0]["resource"].update(id=number),
        lambda whole: whole["entry"][1]["resource"].update(id=number),
        lambda whole: whole["entry"][1]["resource"].update(status=number),
        lambda whole: whole["entry"][1]["resource"]["meta"].update(lastUpdated=number),
        lambda whole: whole["entry"][1]["resource"]["subject"].update(reference=f"Patient/{number}"),
        lambda whole: whole["entry"][2]["resource"].update(id=number),
    ]
    for put in places_for_it:
        whole = copy.deepcopy(bundle(citizen(), plan(reasons=[{"reference": "Condition/c1"}]), condition()))
        put(whole)
        for payload in payloads(whole):
            result = CONNECTOR.translate(payload, Source("klgateway", AUTHORITY, CONFIG))
            if isinstance(result, Rejected):
                assert not has_cpr(f"{result.pointer} {result.detail}")
            else:
                for one in list[Any](result):
                    items = [*one["parties"]["items"], *one["journal"]["items"]]
                    assert not any(has_cpr(item["item_id"]) for item in items)
                    assert not has_cpr(f"{one['event_id']} {one['case_id']}")


@given(data=st.data())
@settings(max_examples=300)
def test_no_change_to_a_bundle_makes_reading_it_raise_or_repeat_it(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from(BUNDLES))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(sorted(places(whole), key=repr)))
        value = data.draw(
            json_values.filter(writable) | st.sampled_from([CITIZEN, "#", "Patient/", "entered-in-error"])
        )
        whole = changed(whole, place, value)
        if not isinstance(whole, dict) or not list(places(whole)):
            break
    found = CONNECTOR.split(json.dumps(whole).encode())
    for payload in [] if isinstance(found, Rejected) else found:
        result = CONNECTOR.translate(payload, Source("klgateway", AUTHORITY, CONFIG))
        if isinstance(result, Rejected):
            assert not has_cpr(f"{result.pointer} {result.detail}")


def writable(value: object) -> bool:
    """Whether it can stand in a body at all."""
    try:
        json.dumps(value, allow_nan=False).encode()
    except ValueError:
        return False
    return True


def test_a_resource_that_is_too_large_costs_no_other() -> None:
    large = condition("c2", note=[{"text": "x" * 70_000}])

    assert outcomes(bundle(citizen(), large, plan())) == [
        event(bundle(citizen(), plan())),
        (Code.TOO_LARGE, "/entry/1/resource"),
    ]


def test_a_citizen_with_more_than_can_be_held_together_keeps_the_plans() -> None:
    plans = [plan(id=f"plan-{number}") for number in range(150)]
    found = outcomes(bundle(citizen(), *plans, *(procedure() for _ in range(150))))

    assert [one for one in found if isinstance(one, tuple)] == [(Code.TOO_LARGE, "/entry/151/resource")]
    assert sum(isinstance(one, dict) for one in found) == 150


def test_what_a_resource_contains_and_which_version_is_meant_are_found_out_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contained, newest = Mock(wraps=references._contained), Mock(wraps=references._newest)
    monkeypatch.setattr(references, "_contained", contained)
    monkeypatch.setattr(references, "_newest", newest)
    inside = [condition(f"c{number}") for number in range(100)]
    reasons = [{"reference": f"#c{number}"} for number in range(100)] * 3
    versions = [citizen(address=[{"city": str(number)}]) for number in range(50)]
    found = payloads(bundle(*versions, plan(reasons=reasons, contained=inside)))
    assert len(found[0]["conditions"]) == 100
    assert (contained.call_count, newest.call_count) == (1, 1)
