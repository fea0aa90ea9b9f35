"""The forms that events may come in."""

import json
from typing import Any

import pytest

from broker.domain.outcome import Code, Rejected
from broker.intake import forms
from broker.intake.forms import Item, canonical, lines

EVENT = {"event_id": "e-1", "system": "sbsys"}
ENVELOPE = {"specversion": "1.0", "id": "e-1", "source": "/sbsys", "type": "dk.sagsbro.case-event.v1", "data": EVENT}


def said(found: object) -> list[tuple[str, str]]:
    """Code and pointer of each rejected item."""
    assert isinstance(found, list)
    return [(one.said.code, one.said.pointer) for one in found if isinstance(one.said, Rejected)]


def cloud_event(**more: Any) -> bytes:
    return json.dumps({name: value for name, value in {**ENVELOPE, **more}.items() if value is not ...}).encode()


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n \n"])
def test_each_line_is_an_event_and_blank_ones_are_none(end: bytes) -> None:
    body = b"\xef\xbb\xbf" + json.dumps(EVENT).encode() + b"\r\n\n" + b"[1]" + end
    assert canonical(forms.LINES[0], body) == [Item(EVENT), Item([1])]
    assert canonical(forms.LINES[1], b"") == []


def test_a_line_that_is_no_json_is_one_rejected_event_among_the_others() -> None:
    found = canonical(forms.LINES[0], b'{"a":1}\n{"a":\n{"b":2}\n\xff')
    assert isinstance(found, list)
    assert [index for index, one in enumerate(found) if isinstance(one.said, Rejected)] == [1, 3]
    assert said(found) == [(Code.MALFORMED_PAYLOAD, "")] * 2


def test_a_line_may_hold_several_payloads_when_the_vendor_says_so() -> None:
    assert list(lines(b"[1,2]\n[3]", json.loads)) == [1, 2, 3]


def test_the_data_of_a_cloud_event_are_the_event_and_its_id_the_event_id() -> None:
    assert canonical(forms.CLOUD_EVENT, cloud_event()) == [Item(EVENT, "/data")]
    without = cloud_event(
        data={"system": "sbsys"}, time="2024-05-01T10:00:00Z", datacontenttype="application/json; x=1"
    )
    assert canonical(forms.CLOUD_EVENT, without) == [Item(EVENT, "/data")]
    batch = b"[" + cloud_event() + b"," + cloud_event(ext="x", subject="y") + b"]"
    assert canonical(forms.CLOUD_EVENTS, batch) == [Item(EVENT, "/data")] * 2


@pytest.mark.parametrize(
    ("more", "code", "pointer"),
    [
        ({"specversion": "0.3"}, Code.SCHEMA_VIOLATION, "/specversion"),
        ({"specversion": ...}, Code.MANDATORY_MISSING, "/specversion"),
        ({"id": "e-2"}, Code.SCHEMA_VIOLATION, "/id"),
        ({"id": 7}, Code.SCHEMA_VIOLATION, "/id"),
        ({"id": ...}, Code.MANDATORY_MISSING, "/id"),
        ({"source": ""}, Code.SCHEMA_VIOLATION, "/source"),
        ({"type": "other"}, Code.SCHEMA_VIOLATION, "/type"),
        ({"time": "yesterday"}, Code.SCHEMA_VIOLATION, "/time"),
        ({"time": 7}, Code.SCHEMA_VIOLATION, "/time"),
        ({"datacontenttype": "text/xml"}, Code.SCHEMA_VIOLATION, "/datacontenttype"),
        ({"data": ..., "data_base64": "e30="}, Code.MANDATORY_MISSING, "/data"),
    ],
)
def test_an_envelope_that_is_wrong_is_rejected_where_it_is_wrong(
    more: dict[str, Any], code: Code, pointer: str
) -> None:
    assert said(canonical(forms.CLOUD_EVENT, cloud_event(**more))) == [(code, pointer)]


def test_one_wrong_envelope_does_not_keep_back_the_batch() -> None:
    found = canonical(forms.CLOUD_EVENTS, b"[7," + cloud_event() + b"]")
    assert isinstance(found, list)
    assert (said(found), found[1]) == ([(Code.SCHEMA_VIOLATION, "")], Item(EVENT, "/data"))
    assert isinstance(canonical(forms.CLOUD_EVENTS, cloud_event()), Rejected)
