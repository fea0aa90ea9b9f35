"""Nothing of a person is left in a masked payload."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.masking import LEFT, WORDS, masked

NAME = "Kirsten"
VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20))
NAMES = st.one_of(st.sampled_from(sorted(LEFT)), st.sampled_from(["name", "id", "cpr"]), st.text(max_size=12))
PAYLOADS = st.recursive(
    VALUES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for one in value.values() for leaf in leaves(one)]
    return [leaf for one in value for leaf in leaves(one)] if isinstance(value, list) else [value]


def with_secret(value: Any) -> Any:
    """Every text has somebody's name in it."""
    if isinstance(value, dict):
        return {name: with_secret(one) for name, one in value.items()}
    if isinstance(value, list):
        return [with_secret(one) for one in value]
    return f"{NAME} {value}" if isinstance(value, str) else value


@given(PAYLOADS)
def test_no_text_of_the_payload_is_left_wherever_it_stands(payload: Any) -> None:
    assert NAME not in str(masked(with_secret(payload)))


@given(PAYLOADS)
def test_the_form_is_left_and_masking_twice_is_masking_once_in_its_form(payload: Any) -> None:
    once = masked(payload)
    assert len(leaves(once)) == len(leaves(payload))
    for leaf in leaves(once):
        assert leaf is None or isinstance(leaf, bool | int | str)


@given(
    st.sampled_from(sorted(LEFT)), st.sampled_from(["0101014444", "010101-4444", 101014444, 101014444.0, "01-01-2001"])
)
def test_a_number_of_a_person_is_masked_in_every_field(field: str, number: Any) -> None:
    assert str(number) not in str(masked({field: number, str(number): 1, "list": [number, {field: [number]}]}))


def test_the_words_of_the_standards_and_what_says_which_case_are_left() -> None:
    event = {
        "event_id": "e-1",
        "authority": "55133018",
        "classification": {"kle": "27.36.04"},
        "registered_at": 1_700_000_000_000_000,
        "parties": {"complete": True, "items": [{"role": "PRIMARY", "id_type": "CPR", "id": "0101014444"}]},
        "properties": {"title": "Hjemmehjælp til Kirsten", "created_at": "2024-01-01T00:00:00Z"},
        "kle": "Kirsten",
    }
    assert masked(event) == {
        "event_id": "<text 3>",
        "authority": "55133018",
        "classification": {"kle": "27.36.04"},
        "registered_at": 1_700_000_000_000_000,
        "parties": {"complete": True, "items": [{"role": "PRIMARY", "id_type": "CPR", "id": "<text 10>"}]},
        "properties": {"title": "<text 23>", "created_at": "2024-01-01T00:00:00Z"},
        "kle": "<text 7>",
    }


def test_what_is_nested_without_end_is_cut() -> None:
    value: Any = NAME
    for _ in range(500):
        value = [value]
    text = orjson.dumps(masked(value))
    assert b"<deeper>" in text
    assert {"PRIMARY", "OPSTAAET", "CPR"} <= WORDS
