"""The JSON form of case events."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.case import ITEM_GROUPS, CaseEvent
from broker.domain.outcome import Code, Rejected
from broker.intake.canonical import CaseEventJson, from_json, iso, micros, to_json
from broker.stream.framing import encode, schema
from tests.strategies import events

PLAIN: dict[str, Any] = {
    "event_id": "e",
    "system": "sbsys",
    "authority": "55133018",
    "case_id": "6f1b7c1e-0000-4000-8000-000000000001",
    "registered_at": "2024-05-01T10:00:00Z",
    "change": "REGISTERED",
}
PARTY = {"item_id": "1", "role": "PRIMARY", "id_type": "FREE", "id": "x"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\ud800") | st.just("\0"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(events())
def test_there_and_back_is_the_same_event(event: CaseEvent) -> None:
    back = from_json(orjson.loads(orjson.dumps(to_json(event))))
    assert not isinstance(back, Rejected)
    assert encode("case_event", back) == encode("case_event", event)


@given(events())
def test_a_plain_list_means_complete(event: CaseEvent) -> None:
    said = to_json(event)
    listed: dict[str, Any] = {group: said[group]["items"] for group in ITEM_GROUPS if group in said}
    complete: dict[str, Any] = {group: {"complete": True, "items": items} for group, items in listed.items()}
    assert from_json({**said, **listed}) == from_json({**said, **complete})


@given(JSON, st.sampled_from(sorted(CaseEventJson.model_fields)))
def test_whatever_comes_is_an_event_or_a_rejection(value: object, field: str) -> None:
    for raw in (value, {**PLAIN, field: value}, {**PLAIN, "parties": [{**PARTY, "id": value}]}):
        result = from_json(raw)
        if isinstance(result, Rejected):
            assert result.code in (Code.SCHEMA_VIOLATION, Code.MANDATORY_MISSING)
        else:
            encode("case_event", result)


def test_the_model_has_the_fields_of_the_published_schema() -> None:
    published = schema("case_event")
    assert isinstance(published, dict)
    assert list(CaseEventJson.model_fields) == [field["name"] for field in published["fields"]]


@pytest.mark.parametrize(
    ("change", "code", "pointer"),
    [
        ({"event_id": 1}, Code.SCHEMA_VIOLATION, "/event_id"),
        ({"registered_at": 1714557600000000}, Code.SCHEMA_VIOLATION, "/registered_at"),
        ({"registered_at": "2024-05-01T10:00:00"}, Code.SCHEMA_VIOLATION, "/registered_at"),
        ({"registered_at": "2024-02-30T10:00:00Z"}, Code.SCHEMA_VIOLATION, "/registered_at"),
        ({"sequence": 10**400}, Code.SCHEMA_VIOLATION, "/sequence"),
        ({"sequence": 1.0}, Code.SCHEMA_VIOLATION, "/sequence"),
        ({"wrong": 1}, Code.SCHEMA_VIOLATION, "/wrong"),
        ({"0101014444": 1}, Code.SCHEMA_VIOLATION, ""),
        ({"properties": {"title": "x", "user_key": "y"}}, Code.MANDATORY_MISSING, "/properties/created_at"),
        ({"parties": [PARTY, {**PARTY, "id": None}]}, Code.SCHEMA_VIOLATION, "/parties/1/id"),
        ({"parties": {"items": [{**PARTY, "removed": 0}]}}, Code.SCHEMA_VIOLATION, "/parties/items/0/removed"),
    ],
)
def test_the_pointer_leads_to_the_flaw_in_what_was_sent(change: dict[str, Any], code: Code, pointer: str) -> None:
    result = from_json({**PLAIN, **change})
    assert isinstance(result, Rejected)
    assert (result.code, result.pointer) == (code, pointer)


@given(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999))
def test_times_keep_their_microseconds(moment: int) -> None:
    assert micros(iso(moment)) == moment


def test_times_have_a_zone_and_finer_digits_are_cut() -> None:
    assert micros("1970-01-01T01:00:00.1234567+01:00") == 123_456
    assert micros("1970-01-01t00:00:00z") == 0
    assert iso(1 << 62) == 1 << 62
