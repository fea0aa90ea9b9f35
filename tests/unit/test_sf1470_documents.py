"""A document's registration becomes the event of a document, or is refused by the name of an element."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import connectors
from broker.domain.outcome import Rejected
from broker.intake.connector import Source
from connectors.standards.sf1470.documents import translate
from connectors.standards.sf1470.requests import split
from tests.contract.test_connectors import changed, json_values, outcome, places

GOLDEN = Path(connectors.__file__).parent / "standards" / "sf1470" / "golden_documents"
SOURCE = Source("sf1470", "55133018")


def results(path: Path) -> list[Any]:
    found = split(path.read_bytes())
    assert not isinstance(found, Rejected)
    return [outcome(translate(payload, SOURCE)) for payload in found]


every_golden = pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.xml")), ids=lambda path: path.stem)


@every_golden
def test_a_document_becomes_what_its_file_says(path: Path) -> None:
    assert results(path) == json.loads(path.with_suffix(".expected.json").read_text(encoding="utf-8"))


@every_golden
@given(data=st.data())
@settings(max_examples=20)
def test_no_change_to_a_document_makes_its_translation_raise(path: Path, data: st.DataObject) -> None:
    found = split(path.read_bytes())
    assert not isinstance(found, Rejected)
    for payload in found:
        where = data.draw(st.sampled_from(sorted(places(payload), key=repr)))
        made = translate(changed(payload, where, data.draw(json_values)), SOURCE)
        assert isinstance(made, Rejected) or all(event["authority"] == SOURCE.authority for event in made)


def test_another_level_is_another_event() -> None:
    body = (GOLDEN / "letter.xml").read_bytes()
    first, second = (
        translate(payload, SOURCE)
        for said in (body, body.replace(b"VIP_SAGER", b"FORTROLIGE_PERSONOPLYSNINGER"))
        for payload in split(said)  # type: ignore[union-attr]
    )
    assert not isinstance(first, Rejected)
    assert not isinstance(second, Rejected)
    assert first[0]["event_id"] != second[0]["event_id"]
