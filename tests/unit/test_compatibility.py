"""Which schemas may follow one another, and which texts are the same schema."""

import json
from typing import Any

import pytest

from broker.stream.compatibility import InvalidSchemaError, Level, digest_of, disagreements

ID = {"name": "id", "type": "string"}
OPTIONAL = {"name": "title", "type": ["null", "string"], "default": None}
REQUIRED = {"name": "title", "type": "string"}


def record(*fields: dict[str, Any], name: str = "A", **more: Any) -> str:
    return json.dumps({"type": "record", "name": name, "fields": fields, **more})


PLAIN, ADDED, DEMANDED = record(ID), record(ID, OPTIONAL), record(ID, REQUIRED)


@pytest.mark.parametrize(
    ("level", "new", "earlier", "agrees"),
    [
        (Level.FULL, ADDED, [PLAIN], True),
        (Level.FULL, PLAIN, [ADDED], True),
        (Level.BACKWARD, DEMANDED, [PLAIN], False),
        (Level.FORWARD, DEMANDED, [PLAIN], True),
        (Level.FULL, DEMANDED, [PLAIN], False),
        (Level.BACKWARD, PLAIN, [DEMANDED], True),
        (Level.FORWARD, PLAIN, [DEMANDED], False),
        (Level.BACKWARD, DEMANDED, [PLAIN, DEMANDED], True),
        (Level.BACKWARD_TRANSITIVE, DEMANDED, [PLAIN, DEMANDED], False),
        (Level.FORWARD_TRANSITIVE, PLAIN, [DEMANDED, ADDED], False),
        (Level.FULL_TRANSITIVE, PLAIN, [ADDED, PLAIN], True),
        (Level.FULL_TRANSITIVE, record(ID, name="B"), [PLAIN], False),
        (Level.NONE, '"long"', [PLAIN], True),
        (Level.FULL_TRANSITIVE, DEMANDED, [], True),
        (Level.BACKWARD, '"long"', ['"int"'], True),
        (Level.FORWARD, '"long"', ['"int"'], False),
    ],
)
def test_each_level_asks_for_what_it_says(level: Level, new: str, earlier: list[str], agrees: bool) -> None:  # noqa: FBT001
    flaws = disagreements(level, new, earlier)
    assert (not flaws) is agrees


def test_a_disagreement_names_the_field() -> None:
    (flaw,) = disagreements(Level.BACKWARD, DEMANDED, [PLAIN])
    assert "title" in flaw
    assert "/fields/1" in flaw


def test_schemas_that_contain_themselves_are_judged() -> None:
    tree = {"name": "left", "type": ["null", "A"], "default": None}
    right = {"name": "right", "type": ["null", "A"], "default": None}
    assert disagreements(Level.FULL_TRANSITIVE, record(ID, tree, right), [record(ID, tree)]) == []


def test_blanks_and_the_order_of_names_do_not_count_and_all_else_does() -> None:
    same = json.dumps(json.loads(PLAIN), indent=3, sort_keys=True)
    assert digest_of(same) == digest_of(PLAIN)
    assert len({digest_of(text) for text in (PLAIN, ADDED, DEMANDED, record(ID, doc="x"), '"string"')}) == 5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        '{"type": "nothing"}',
        '{"type": "record", "name": "1", "fields": []}',
        '{"type":"array","items":' * 5_000 + '"int"' + "}" * 5_000,
        '{"type": "string", "doc": "\\u0000"}',
        "NaN",
    ],
)
def test_what_is_no_schema_is_refused(text: str) -> None:
    with pytest.raises(InvalidSchemaError):
        digest_of(text)


def test_a_logical_type_nobody_knows_is_taken_as_what_it_stands_on() -> None:
    odd = '{"type": "long", "logicalType": "moon-phase"}'
    assert digest_of(odd) != digest_of('"long"')
    assert disagreements(Level.FULL, odd, ['"long"']) == []
