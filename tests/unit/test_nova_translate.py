"""Nova's words become the index's: the rules that the golden payloads do not show, one by one."""

from typing import Any

import pytest

from broker.domain.case import CaseEvent
from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Source
from connectors.esdh.nova.translate import split, translate

AUTHORITY = "55133018"
UUID = "3f2b8c1e-5d0a-4e7b-9c61-0a1b2c3d4e01"


def read(**changes: Any) -> dict[str, Any]:
    """A case as it is read; `...` leaves a field out."""
    whole = {
        "common": {"uuid": UUID},
        "caseAttributes": {
            "title": "Hjælp i hjemmet",
            "userFriendlyCaseNumber": "S2024-1",
            "caseDate": "2024-03-18T09:00:00",
            "updateDate": "2024-03-19T09:00:00",
        },
        "state": {"progressState": "Opstaaet", "fromDate": "2024-03-18T09:00:00"},
        "sensitivity": {"sensitivity": "Følsomme"},
        "caseClassification": {"kleNumber": {"code": "27.36.04"}},
        "securityUnit": {"losIdentity": {"administrativeUnitId": 818485}},
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not ...}


def written(**changes: Any) -> dict[str, Any]:
    """The same case as it is written."""
    attributes = {"title": "Hjælp i hjemmet", "caseDate": "2024-03-18T09:00:00"}
    return read(caseAttributes=attributes, state="Opstaaet", sensitivity="Følsomme") | changes


def event(payload: object, **config: Any) -> CaseEvent:
    result = translate(payload, Source("nova", AUTHORITY, config))
    assert not isinstance(result, Rejected), result
    return result[0]


def refused(payload: object, **config: Any) -> tuple[Code, str]:
    result = translate(payload, Source("nova", AUTHORITY, config))
    assert isinstance(result, Rejected)
    return result.code, result.pointer


def content(event: CaseEvent, group: str) -> Any:
    return dict(event)[group]


def test_the_same_case_under_another_transaction_is_the_same_event() -> None:
    one, other = ({"uuid": UUID, "transactionId": message} for message in ("a", "b"))

    assert event(read(common=one))["event_id"] == event(read(common=other))["event_id"]
    assert event(read(common=one)) == event(read(common=other))


def test_what_is_written_says_the_same_as_what_is_read_and_is_older() -> None:
    first, later = event(written()), event(read())

    assert first["registered_at"] < later["registered_at"]
    for group in ("access", "classification", "progress", "parties", "actors"):
        assert content(first, group) == content(later, group)


def test_what_is_written_may_say_when() -> None:
    case = written()
    case["caseAttributes"] = {**case["caseAttributes"], "updateDate": "2024-05-01T09:00:00"}

    assert event(case)["registered_at"] > event(read())["registered_at"]


@pytest.mark.parametrize("said", [None, {}, {"sensitivity": None}, ""])
def test_a_level_that_is_not_said_is_said_to_be_unknown(said: Any) -> None:
    assert content(event(read(sensitivity=said)), "access")["sensitivity"] is None


def test_a_municipality_says_what_its_words_mean() -> None:
    parked = read(state={"progressState": "Parkeret", "fromDate": "2024-03-18T10:00:00"})

    assert content(event(parked, states={"parkeret": "OPLYST"}), "progress")["items"][1]["state"] == "OPLYST"
    secret = read(sensitivity={"sensitivity": "Hemmelige"})
    assert content(event(secret, sensitivity={"HEMMELIGE": "VIP_SAGER"}), "access")["sensitivity"] == "VIP_SAGER"


def test_units_are_restricted_only_where_they_are_configured() -> None:
    units = {"818485": ["b", "a"]}

    assert "security_profile" not in event(read())
    assert [
        item["principal_id"] for item in content(event(read(), security_units=units), "security_profile")["items"]
    ] == ["a", "b"]
    assert content(event(read(securityUnit=...), security_units=units), "security_profile")["items"] == []
    other = read(securityUnit={"losIdentity": {"administrativeUnitId": 1}})
    assert refused(other, security_units=units) == (Code.SENSITIVITY_UNKNOWN, "/securityUnit")


def test_more_words_for_parents_can_be_configured() -> None:
    party = {"identificationType": "CprNummer", "identification": "0101455001", "participantRole": "Sekundær"}
    case = read(caseParties=[{**party, "partyRoleName": "Plejefar"}])

    assert len(content(event(case), "parties")["items"]) == 1
    assert content(event(case, parents=["plejefar"]), "parties")["items"] == []


def test_an_answer_whose_cases_are_no_list_is_refused() -> None:
    found = split(b'{"cases": 1}')

    assert isinstance(found, Rejected)
    assert found.pointer == "/cases"
