"""Acadre's words become the index's: the rules that the golden payloads do not show, one by one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.case import CaseEvent
from broker.domain.identity import has_cpr
from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Source
from connectors.esdh.acadre.translate import split, translate

AUTHORITY = "55133018"
GUID = "0b9f6a58-3f0e-4d57-8f35-5fb8a0f3c001"
CHANGED = "2024-03-19T10:00:00+01:00"


def by_soap(**changes: Any) -> dict[str, Any]:
    """A case as SOAP shows it, with its contact; `...` leaves a field out."""
    case = {
        "CaseFileIdentifier": "4711",
        "CaseFileTitleText": "Hjælp i hjemmet",
        "CaseFileStatusCode": "B",
        "CreationDate": "2024-03-18",
        "Classification": {"Category": [{"Principle": "KL Koder", "Literal": "27.36.04"}]},
        "Party": [{"ContactReference": GUID, "IsPrimary": "true"}],
        "AccessCode": "BO",
        **changes,
    }
    contact = {"@type": "PersonType3", "GUID": GUID, "PersonCivilRegistrationIdentifier": "010145-5001"}
    return {
        "CaseFile": {name: value for name, value in case.items() if value is not ...},
        "ContactObject": [contact],
        "LastChangedDate": CHANGED,
    }


def by_rest(**changes: Any) -> dict[str, Any]:
    return {
        "Id": 4711,
        "Title": "Hjælp i hjemmet",
        "Status": {"Literal": "B"},
        "CaseDate": "2024-03-18T09:00:00",
        "LastChangedDate": CHANGED,
        "Classification": {"Category": [{"Principle": "KL Koder", "Literal": "27.36.04"}]},
        "AccessCode": "BO",
        **changes,
    }


def event(payload: object, system: str = "acadre", **config: Any) -> CaseEvent:
    result = translate(payload, Source(system, AUTHORITY, config))
    assert not isinstance(result, Rejected), result
    return result[0]


def refused(payload: object, **config: Any) -> tuple[Code, str]:
    result = translate(payload, Source("acadre", AUTHORITY, config))
    assert isinstance(result, Rejected)
    return result.code, result.pointer


def content(event: CaseEvent, group: str) -> Any:
    return dict(event)[group]


def test_both_services_show_one_case_and_two_instances_show_two() -> None:
    assert event(by_soap())["case_id"] == event(by_rest())["case_id"]
    assert event(by_soap())["case_id"] != event(by_soap(), "acadre:two")["case_id"]


@pytest.mark.parametrize("payload", [by_soap(AccessCode="BO"), by_rest(AccessCode="BO")])
def test_an_access_code_may_name_who_has_access(payload: dict[str, Any]) -> None:
    groups = {"BO": ["b", "a"]}

    profile = content(event(payload, access_groups=groups), "security_profile")

    assert [item["principal_id"] for item in profile["items"]] == ["a", "b"]
    assert "security_profile" not in event(payload)
    assert refused(payload, access_groups={"KK": ["a"]})[0] is Code.SENSITIVITY_UNKNOWN


def test_a_municipality_says_what_its_codes_mean() -> None:
    assert refused(by_soap(AccessCode="ZZ")) == (Code.SENSITIVITY_UNKNOWN, "/CaseFile/AccessCode")
    assert (
        content(event(by_soap(AccessCode="ZZ"), sensitivity={"zz": "VIP_SAGER"}), "access")["sensitivity"]
        == "VIP_SAGER"
    )
    assert (
        content(event(by_soap(CaseFileStatusCode="P"), states={"p": "OPLYST"}), "progress")["items"][1]["state"]
        == "OPLYST"
    )


def test_a_level_that_is_none_is_no_mapping() -> None:
    assert refused(by_soap(AccessCode="ZZ"), sensitivity={"ZZ": "HEMMELIGT"})[0] is Code.SENSITIVITY_UNKNOWN


@pytest.mark.parametrize("level", ["IKKE_FORTROLIGE_DATA", "FORTROLIGE_PERSONOPLYSNINGER"])
def test_a_childs_case_is_sensitive_whatever_is_configured(level: str) -> None:
    childs = by_soap(CaseFileTypeCode="BUSAG")

    assert content(event(childs, sensitivity={"BO": level}), "access")["sensitivity"] == "FOELSOMME_PERSONOPLYSNINGER"
    assert content(event(childs, sensitivity={"BO": "VIP_SAGER"}), "access")["sensitivity"] == "VIP_SAGER"


def test_a_municipality_may_have_child_case_types_of_its_own() -> None:
    case = by_soap(CaseFileTypeCode="BARN", CaseFileTitleText="Alma Testborg")

    assert content(event(case), "properties")["title"] == "Alma Testborg"
    assert content(event(case, child_case_types=["barn"]), "properties")["title"] == ""


def test_the_other_title_is_public_only_where_a_municipality_says_so() -> None:
    case = by_soap(TitleUnofficialIndicator="true", TitleAlternativeText="Henvendelse")

    assert content(event(case), "properties")["title"] == ""
    assert content(event(case, alternative_title_is_public=True), "properties")["title"] == "Henvendelse"
    assert content(event(case, alternative_title_is_public="false"), "properties")["title"] == ""


def test_the_confidential_title_never_holds_a_number() -> None:
    case = by_soap(TitleUnofficialIndicator="1", CaseFileTitleText="Om 010145-5001 og 0202465002")

    assert not has_cpr(content(event(case), "properties")["confidential_title"])


def test_principles_may_have_other_names() -> None:
    case = by_soap(Classification={"Category": [{"Principle": "Emneplan", "Literal": "27.36.04"}]})

    assert refused(case) == (Code.MANDATORY_MISSING, "/CaseFile/Classification")
    assert content(event(case, principles={"kle": ["emneplan"]}), "classification")["kle"] == "27.36.04"


def test_on_a_childs_case_a_party_without_its_contact_may_be_a_parent_and_is_passed_over() -> None:
    case = by_soap(
        CaseFileTypeCode="BUSAG",
        Party=[{"ContactReference": GUID, "IsPrimary": "true"}, {"ContactReference": "x", "IsPrimary": "false"}],
    )

    assert len(content(event(case), "parties")["items"]) == 1


@pytest.mark.parametrize("body", [b"\xef\xbb\xbf  <Cases/>", "<Cases/>".encode("utf-16"), b"<Cases></Cases>"])
def test_xml_is_known_by_its_first_sign(body: bytes) -> None:
    assert split(body) == []


def test_an_element_that_is_given_twice_is_no_text() -> None:
    found = split(
        b"<CaseFile3><CaseFileIdentifier>1</CaseFileIdentifier><CaseFileIdentifier>2</CaseFileIdentifier></CaseFile3>"
    )

    assert not isinstance(found, Rejected)
    assert refused(found[0]) == (Code.SCHEMA_VIOLATION, "/CaseFile/CaseFileIdentifier")


names = st.sampled_from(
    ["Cases", "Case", "CaseFile3", "Party", "Category", "ContactObject", "ClosedDate", "GUID", "Memo"]
)
trees = st.recursive(
    st.text("ab<&0", max_size=4).map(lambda text: text.replace("&", "&amp;").replace("<", "&lt;")),
    lambda inner: st.lists(
        st.tuples(names, inner).map(lambda pair: f"<{pair[0]}>{pair[1]}</{pair[0]}>"), max_size=4
    ).map("".join),
    max_leaves=15,
)


@given(names, trees)
def test_no_tree_whatever_raises(name: str, tree: str) -> None:
    found = split(f"<{name}>{tree}</{name}>".encode())

    for payload in [] if isinstance(found, Rejected) else found:
        translate(payload, Source("acadre", AUTHORITY))
