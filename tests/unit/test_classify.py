"""Every flaw gets its code and a pointer to the field; nothing whatever makes the judgement raise."""

from datetime import date
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.agreement import AgreementState, Delimitation, Facts, SenderAgreement
from broker.domain.case import CaseEvent
from broker.domain.classify import Classified, Verdict, judge
from broker.domain.kle import Edition, KleBook, Patterns
from broker.domain.outcome import REMEDY, VERDICT_BYTE, VERDICTS, Code, Delimited, Rejected, read_verdict
from tests.strategies import AUTHORITY, events

NOW = 1_800_000_000_000_000
CREATED = 1_700_000_000_000_000
OLD, NEW = date(2010, 1, 1), date(2020, 1, 1)
BOOK = KleBook((Edition(OLD, {"27.36.04": "hjælp", "27.01.01": "gone"}), Edition(NEW, {"27.36.04": "hjælp"})))
Groups = dict[str, Any]


def facts(**changes: Any) -> Facts:
    terms = {
        "authority": AUTHORITY,
        "system": "sbsys",
        "version": 3,
        "state": AgreementState.FULL,
        "kle": Patterns.of(["27.*"]),
        "sensitivity": 3,
        "from_date": date(2020, 1, 1),
        **changes,
    }
    return Facts(1, {(AUTHORITY, "sbsys"): SenderAgreement(**terms)}, kle=BOOK)


def event(**changes: Any) -> CaseEvent:
    said: Groups = {
        "event_id": "e-1",
        "system": "sbsys",
        "authority": AUTHORITY,
        "case_id": "00000000-0000-0000-0000-000000000001",
        "registered_at": CREATED,
        "change": "REGISTERED",
        "properties": {"user_key": "S-1", "title": "ansøgning", "created_at": CREATED},
        "classification": {"kle": "27.36.04", "facet": "G01", "local_code": None},
        "progress": progress(("OPSTAAET", CREATED, None)),
        **changes,
    }
    return cast("CaseEvent", said)


def progress(*steps: tuple[str, int, int | None], complete: bool = True) -> Groups:
    items = [{"state": state, "effective_from": start, "effective_to": end} for state, start, end in steps]
    return {"complete": complete, "items": items}


def party(**changes: Any) -> Groups:
    item = {"item_id": "p", "role": "PRIMARY", "id_type": "CPR", "id": "0101011234", **changes}
    return {"parties": {"complete": True, "items": [item]}}


DOCUMENT = {"item_id": "d", "kind": "DOCUMENT", "title": "brev", "registered_at": CREATED}
FLAWS: list[tuple[Groups, Code, str]] = [
    ({"event_id": ""}, Code.SCHEMA_VIOLATION, "/event_id"),
    ({"event_id": "x" * 201}, Code.SCHEMA_VIOLATION, "/event_id"),
    ({"event_id": "case of 010101-1234"}, Code.SCHEMA_VIOLATION, "/event_id"),
    ({"event_id": "a\0b"}, Code.SCHEMA_VIOLATION, "/event_id"),
    ({"case_id": "1"}, Code.SCHEMA_VIOLATION, "/case_id"),
    ({"case_id": "0" * 8 + "-0000-0000-0000-" + "A" * 12}, Code.SCHEMA_VIOLATION, "/case_id"),
    ({"change": "FORGOTTEN"}, Code.SCHEMA_VIOLATION, "/change"),
    ({"change": "REMOVED", "removal_reason": None}, Code.MANDATORY_MISSING, "/removal_reason"),
    ({"change": "REMOVED", "removal_reason": "GONE"}, Code.SCHEMA_VIOLATION, "/removal_reason"),
    ({"sequence": 1 << 63}, Code.SCHEMA_VIOLATION, "/sequence"),
    ({"registered_at": NOW + 301_000_000}, Code.REGISTERED_IN_FUTURE, "/registered_at"),
    ({"registered_at": -(1 << 62)}, Code.SCHEMA_VIOLATION, "/registered_at"),
    ({"properties": None, "classification": None, "progress": None}, Code.MANDATORY_MISSING, ""),
    (
        {"properties": {"user_key": "\0", "title": "", "created_at": CREATED}},
        Code.SCHEMA_VIOLATION,
        "/properties/user_key",
    ),
    (
        {"properties": {"user_key": "x" * 201, "title": "", "created_at": CREATED}},
        Code.SCHEMA_VIOLATION,
        "/properties/user_key",
    ),
    (party(id_type="FREE", id="x" * 201), Code.PARTY_MALFORMED, "/parties/items/0/id"),
    (
        {"journal": {"complete": True, "items": [{**DOCUMENT, "sensitivity": "VIP_SAGER"}]}},
        Code.OUTSIDE_AGREEMENT,
        "/access/sensitivity",
    ),
    ({"classification": {"kle": "27.3604"}}, Code.KLE_MALFORMED, "/classification/kle"),
    ({"classification": {"kle": "２7.36.04"}}, Code.KLE_MALFORMED, "/classification/kle"),
    ({"classification": {"kle": "27.99.99"}}, Code.KLE_UNKNOWN, "/classification/kle"),
    ({"classification": {"kle": "27.01.01"}}, Code.KLE_RETIRED, "/classification/kle"),
    ({"classification": {"kle": "27.36.04", "facet": "1G0"}}, Code.FACET_UNKNOWN, "/classification/facet"),
    ({"classification": {"local_code": "§ 83"}}, Code.UNMAPPED_LOCAL_CODE, "/classification/local_code"),
    ({"classification": {}}, Code.MANDATORY_MISSING, "/classification"),
    ({"access": {"sensitivity": "SECRET"}}, Code.SENSITIVITY_UNKNOWN, "/access/sensitivity"),
    ({"access": {"sensitivity": "VIP_SAGER"}}, Code.OUTSIDE_AGREEMENT, "/access/sensitivity"),
    ({"progress": progress(("OPLYST", CREATED, None))}, Code.STATE_HISTORY_INCOMPLETE, "/progress/items"),
    ({"progress": progress(("BORN", CREATED, None))}, Code.STATE_UNKNOWN, "/progress/items/0/state"),
    (
        {"progress": progress(("OPSTAAET", CREATED, CREATED + 9), ("OPLYST", CREATED + 5, None))},
        Code.VIRKNING_OVERLAP,
        "/progress/items/1/effective_from",
    ),
    (
        {"progress": progress(("OPSTAAET", CREATED, CREATED - 1))},
        Code.VIRKNING_OVERLAP,
        "/progress/items/0/effective_to",
    ),
    (party(id="0000000000"), Code.PARTY_MALFORMED, "/parties/items/0/id"),
    (party(id="9999999999"), Code.PARTY_MALFORMED, "/parties/items/0/id"),
    (party(id="٠١٠١٠١١٢٣٤"), Code.PARTY_MALFORMED, "/parties/items/0/id"),
    (party(id_type="CVR", id="1234567"), Code.PARTY_MALFORMED, "/parties/items/0/id"),
    (party(id_type="PASSPORT"), Code.PARTY_UNKNOWN_TYPE, "/parties/items/0/id_type"),
    (party(role="NEIGHBOUR"), Code.PARTY_MALFORMED, "/parties/items/0/role"),
]


@pytest.mark.parametrize(("changes", "code", "pointer"), FLAWS, ids=lambda value: str(value)[:40])
def test_each_flaw_has_its_code_and_points_at_its_field(changes: Groups, code: Code, pointer: str) -> None:
    verdict = judge(event(**changes), facts(), NOW)
    assert isinstance(verdict, Rejected)
    assert (verdict.code, verdict.pointer) == (code, pointer)


def test_a_good_event_is_classified_and_keeps_its_original_classification() -> None:
    verdict = judge(event(), facts(), NOW)
    assert isinstance(verdict, Classified)
    assert verdict.agreement_version == 3
    assert verdict.event["classification"] == {
        "kle": "27.36.04",
        "facet": "G01",
        "original": {"kle": "27.36.04", "facet": "G01", "local_code": None},
        "rule": None,
        "edition": "2020-01-01",
        "on": "2023-11-14",
    }


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"system": "sbsys:north"}, Code.NO_AGREEMENT),
        ({"system": "excel"}, Code.UNKNOWN_SYSTEM),
        ({"authority": "12345678"}, Code.NO_AGREEMENT),
        ({"classification": {"kle": "32.45.04"}}, Code.KLE_UNKNOWN),
    ],
)
def test_what_no_agreement_covers_is_marked_as_not_to_be_kept(change: Groups, code: Code) -> None:
    verdict = judge(event(**change), facts(), NOW)
    assert isinstance(verdict, Rejected)
    assert (verdict.code, verdict.covered) == (code, False)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (AgreementState.SUSPENDED, Code.SUSPENDED),
        (AgreementState.DRAFT, Code.NO_AGREEMENT),
        (AgreementState.ENDED, Code.NO_AGREEMENT),
    ],
)
def test_only_an_open_agreement_takes_anything(state: AgreementState, code: Code) -> None:
    verdict = judge(event(), facts(state=state), NOW)
    assert isinstance(verdict, Rejected)
    assert (verdict.code, verdict.covered) == (code, False)


def test_a_malformed_part_of_an_uncovered_case_is_not_kept_either() -> None:
    changes = {**party(id="1"), "classification": {"kle": "27.36.04"}}
    verdict = judge(event(**changes), facts(kle=Patterns.of(["32.*"])), NOW)
    assert isinstance(verdict, Rejected)
    assert (verdict.code, verdict.covered) == (Code.OUTSIDE_AGREEMENT, False)


def test_a_restricted_agreement_takes_the_named_areas_and_citizens_only() -> None:
    restricted = {"state": AgreementState.RESTRICTED, "restricted_citizens": frozenset({"0101011234"})}
    assert isinstance(judge(event(**party()), facts(**restricted), NOW), Classified)
    for other in (event(**party(id="0202021234")), event()):
        verdict = judge(other, facts(**restricted), NOW)
        assert isinstance(verdict, Rejected)
        assert (verdict.code, verdict.pointer) == (Code.OUTSIDE_AGREEMENT, "/parties")
    named = {"state": AgreementState.RESTRICTED, "restricted_kle": Patterns.of(["27.36.*"])}
    assert isinstance(judge(event(), facts(**named), NOW), Classified)
    outside = judge(event(), facts(**named | {"restricted_kle": Patterns.of(["32.*"])}), NOW)
    assert isinstance(outside, Rejected)
    assert outside.pointer == "/classification/kle"


@pytest.mark.parametrize(
    ("state", "detail"),
    [
        (AgreementState.DRAFT, "the agreement is only DRAFT"),
        (AgreementState.ENDED, "the agreement is ENDED"),
        (AgreementState.DISPENSATION, "the agreement is DISPENSATION"),
    ],
)
def test_a_state_beside_the_way_is_not_one_that_leads_there(state: AgreementState, detail: str) -> None:
    verdict = judge(event(), facts(state=state), NOW)
    assert isinstance(verdict, Rejected)
    assert verdict.detail == detail


def test_what_the_municipality_does_not_want_is_delimited() -> None:
    given_facts = facts()
    choice = Delimitation(Patterns.of(["27.36.*"]), date(2024, 1, 1), active_only=False)
    chosen = Facts(1, given_facts.senders, delimitations={AUTHORITY: (choice,)}, kle=BOOK)
    assert isinstance(judge(event(), chosen, NOW), Delimited)


def test_a_number_in_a_title_is_taken_out_and_told_or_refused_as_agreed() -> None:
    titled = event(properties={"user_key": "S-1", "title": "barn 010101-1234", "created_at": CREATED})
    verdict = judge(titled, facts(), NOW)
    assert isinstance(verdict, Classified)
    assert [(one.code, one.pointer) for one in verdict.warnings] == [("title_replaced", "/properties/title")]
    assert cast("Groups", verdict.event["properties"])["title"] == ""
    refused = judge(titled, facts(refuse_title_cpr=True), NOW)
    assert isinstance(refused, Rejected)
    assert refused.code is Code.TITLE_HAS_CPR


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", " https://sager.example/1", "data:text/html,x", "sager/1", "\0"]
)
def test_a_link_that_is_no_web_address_is_dropped_and_told(link: str) -> None:
    properties = {"user_key": "S-1", "title": "t", "created_at": CREATED, "link": link}
    items = [
        {"item_id": one, "kind": "NOTE", "title": "n", "registered_at": CREATED, "link": address, "removed": False}
        for one, address in (("a", "HTTPS://sager.example/1"), ("b", link), ("c", None))
    ]
    said = event(properties=properties, journal={"complete": True, "items": items})
    # Not as a number in a title: an agreement that refuses these means persons, and nobody is named here.
    verdict = judge(said, facts(refuse_title_cpr=True), NOW)
    assert isinstance(verdict, Classified)
    assert verdict.emptied
    assert [(one.code, one.pointer) for one in verdict.warnings] == [
        ("title_replaced", "/properties/link"),
        ("title_replaced", "/journal/items/1/link"),
    ]
    kept = cast("Groups", verdict.event)
    assert kept["properties"]["link"] is None
    assert [item["link"] for item in kept["journal"]["items"]] == ["HTTPS://sager.example/1", None, None]
    assert said["properties"] is properties


def test_a_case_is_judged_by_the_edition_in_force_on_its_own_date() -> None:
    old = 1_300_000_000_000_000
    of_then = event(properties={"user_key": "S-1", "title": "t", "created_at": old}, classification={"kle": "27.01.01"})
    assert isinstance(judge(of_then, facts(from_date=OLD), NOW), Classified)


def test_a_removal_needs_no_groups() -> None:
    gone = event(change="REMOVED", removal_reason="DISPOSED", properties=None, classification=None, progress=None)
    assert isinstance(judge(gone, facts(), NOW), Classified)


TEXT = st.text(max_size=12) | st.sampled_from(("27.36.04", "CPR", "0101011234", "PRIMARY", "OPSTAAET", "\0", "REMOVED"))
LONG = st.integers(-(1 << 63), (1 << 63) - 1)


@st.composite
def decoded(draw: st.DrawFn) -> CaseEvent:
    """Whatever the Avro reader can hand over: the right types, any content."""
    made: Groups = dict(draw(events()))
    for name in draw(st.sets(st.sampled_from(("event_id", "system", "authority", "case_id", "change")), max_size=3)):
        made[name] = draw(TEXT)
    made["registered_at"] = draw(LONG)
    made["removal_reason"] = draw(st.none() | TEXT)
    made["classification"] = draw(
        st.none() | st.fixed_dictionaries({name: st.none() | TEXT for name in ("kle", "facet", "local_code")})
    )
    made["properties"] = draw(
        st.none()
        | st.fixed_dictionaries({"user_key": TEXT, "title": TEXT, "created_at": LONG, "link": st.none() | TEXT})
    )
    item = st.fixed_dictionaries({"item_id": TEXT, "role": TEXT, "id_type": TEXT, "id": TEXT})
    made["parties"] = draw(
        st.none() | st.fixed_dictionaries({"complete": st.booleans(), "items": st.lists(item, max_size=2)})
    )
    step = st.fixed_dictionaries({"state": TEXT, "effective_from": LONG, "effective_to": st.none() | LONG})
    made["progress"] = draw(
        st.none() | st.fixed_dictionaries({"complete": st.booleans(), "items": st.lists(step, max_size=3)})
    )
    return cast("CaseEvent", made)


@given(decoded(), st.sampled_from((AgreementState.FULL, AgreementState.RESTRICTED, AgreementState.SUSPENDED)))
def test_nothing_that_can_be_decoded_makes_the_judgement_raise(said: CaseEvent, state: AgreementState) -> None:
    terms = facts(state=state, kle=Patterns.of(["N*"])).senders[AUTHORITY, "sbsys"]
    known = Facts(1, {(said["authority"], said["system"]): terms}, kle=BOOK)
    verdict: Verdict = judge(said, known, NOW)
    assert isinstance(verdict, Classified | Delimited | Rejected)


def test_every_code_has_a_remedy_and_every_verdict_a_byte_of_its_own() -> None:
    assert set(REMEDY) == set(Code)
    assert len(VERDICT_BYTE) == len(VERDICTS) < 256
    assert read_verdict(VERDICT_BYTE["indexed:incomplete"]) == ("indexed", "incomplete")
    assert all(read_verdict(VERDICT_BYTE[f"rejected:{code}"]) == ("rejected", code) for code in Code)
