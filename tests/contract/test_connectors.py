"""What every connector owes the broker, whatever its vendor."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import connectors
from broker.domain.agreement import AgreementState, Authority, Facts, SenderAgreement
from broker.domain.classify import judge
from broker.domain.document import Event
from broker.domain.identity import has_cpr, is_uuid
from broker.domain.kle import Edition, KleBook, Patterns
from broker.domain.outcome import Rejected
from broker.intake.connector import Connector, Source, load, names
from broker.stream.framing import Decoder, encode

AUTHORITY = "55133018"
RECEIVED = 1_780_000_000_000_000
TIMES = frozenset({"created_at", "registered_at", "effective_from", "effective_to"})
PARENT_FIELDS = frozenset({"MorCPR", "FarCPR"})
UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Golden(NamedTuple):
    """A payload file with what must become of it."""

    connector: Connector
    path: Path

    @property
    def body(self) -> bytes:
        return self.path.read_bytes()

    @property
    def expected(self) -> Any:
        return json.loads(self.path.with_suffix(".expected.json").read_text(encoding="utf-8"))

    @property
    def payloads(self) -> list[Any]:
        found = self.connector.split(self.body)
        return [] if isinstance(found, Rejected) else list(found)


def installed() -> list[Connector]:
    return [found for name in names() if (found := load(name)) is not None]


def goldens() -> Iterator[Golden]:
    for connector in installed():
        for folder in Path(connectors.__file__).parent.glob(f"*/{connector.name}/golden"):
            for path in sorted(folder.iterdir()):
                if ".expected" not in path.suffixes:
                    yield Golden(connector, path)


@cache
def source(connector: Connector) -> Source:
    """With the configuration that the connector's goldens are made for, where it cannot do without one."""
    for path in Path(connectors.__file__).parent.glob(f"*/{connector.name}/golden_config.json"):
        return Source(connector.name, AUTHORITY, json.loads(path.read_text(encoding="utf-8")))
    return Source(connector.name, AUTHORITY)


def readable(value: Any, name: str = "") -> Any:
    """The canonical event's JSON form: times as text."""
    match value:
        case dict():
            return {key: readable(inner, key) for key, inner in value.items()}
        case list():
            return [readable(inner) for inner in value]
        case int() if name in TIMES:
            return (EPOCH + timedelta(microseconds=value)).isoformat(timespec="microseconds").replace("+00:00", "Z")
        case _:
            return value


def outcome(result: object) -> Any:
    if isinstance(result, Rejected):
        return {"rejected": {"code": str(result.code), "pointer": result.pointer}}
    assert isinstance(result, list)
    return {"events": readable(result)}


def results(golden: Golden) -> list[Any]:
    found = golden.connector.split(golden.body)
    if isinstance(found, Rejected):
        return [outcome(found)]
    return [outcome(golden.connector.translate(payload, source(golden.connector))) for payload in found]


def filled_facts(system: str) -> Facts:
    agreement = SenderAgreement(
        AUTHORITY, system, 1, AgreementState.FULL, Patterns.of(["N*"]), 4, datetime(1900, 1, 1, tzinfo=UTC).date()
    )
    edition = Edition(datetime(2020, 1, 1, tzinfo=UTC).date(), {"27.36.04": "Pleje", "05.01.00": "Veje"})
    return Facts(
        1,
        senders={(AUTHORITY, system): agreement},
        authorities={AUTHORITY: Authority(AUTHORITY, "Testborg")},
        kle=KleBook((edition,)),
    )


def strings_under(value: Any, fields: frozenset[str]) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in fields and isinstance(inner, str):
                yield inner.replace("-", "")
            yield from strings_under(inner, fields)
    elif isinstance(value, list):
        for inner in value:
            yield from strings_under(inner, fields)


def assert_sound(connector: Connector, payload: object) -> None:
    """Whatever came in: no exception, and nothing goes out that the stream could not carry."""
    translated = connector.translate(payload, source(connector))
    if isinstance(translated, Rejected):
        assert not has_cpr(translated.detail)
        assert not has_cpr(translated.pointer)
        return
    for event in translated:
        assert_event_sound(connector, event)


def assert_event_sound(connector: Connector, event: Event) -> None:
    assert (event["system"], event["authority"]) == (connector.name, AUTHORITY)
    assert is_uuid(event["event_id"])
    if "case_id" not in event:
        framed = encode("document_event", event)
        assert Decoder("document_event", lambda _: None).decode(framed)["document_id"] == event["document_id"]
        return
    framed = encode("case_event", event)
    assert Decoder("case_event", lambda _: None).decode(framed)["case_id"] == event["case_id"]
    for facts in (Facts(), filled_facts(connector.name)):
        judge(event, facts, RECEIVED)
    for item_id in strings_under(dict(event), frozenset({"item_id"})):
        assert not has_cpr(UUID.sub("", item_id))  # by chance a UUID can read as a number


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.just(10**300)
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from(
        ["0101455001", "010145-5001", "2024-10-27T02:30:00", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value but the whole."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, under in inner:
        yield (*path, step)
        yield from places(under, (*path, step))


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with another value at one place."""
    if not path:
        return new
    if isinstance(value, dict):
        return {key: changed(inner, path[1:], new) if key == path[0] else inner for key, inner in value.items()}
    return [changed(inner, path[1:], new) if index == path[0] else inner for index, inner in enumerate(value)]


def name_of(thing: Golden | Connector) -> str:
    return f"{thing.connector.name}-{thing.path.name}" if isinstance(thing, Golden) else thing.name


every_connector = pytest.mark.parametrize("connector", installed(), ids=name_of)
every_golden = pytest.mark.parametrize("golden", list(goldens()), ids=name_of)
unhurried = settings(max_examples=200)


@every_connector
def test_a_connector_has_goldens_that_translate_and_goldens_that_are_refused(connector: Connector) -> None:
    kinds = {
        kind for golden in goldens() if golden.connector is connector for result in results(golden) for kind in result
    }

    assert kinds == {"events", "rejected"}


@every_golden
def test_a_golden_payload_becomes_what_its_file_says(golden: Golden) -> None:
    assert results(golden) == golden.expected


@every_golden
def test_the_same_payload_is_the_same_event_when_it_is_polled_again(golden: Golden) -> None:
    first, again = results(golden), results(golden)

    assert first == again


@every_golden
def test_a_change_of_content_is_another_event(golden: Golden) -> None:
    for payload in golden.payloads:
        before = golden.connector.translate(payload, source(golden.connector))
        after = golden.connector.translate({**payload, "SomethingNew": 1}, source(golden.connector))
        if not isinstance(before, Rejected):
            assert not isinstance(after, Rejected)
            assert {event["event_id"] for event in before}.isdisjoint(event["event_id"] for event in after)


@every_golden
def test_every_golden_event_fits_the_schema_and_can_be_judged(golden: Golden) -> None:
    for payload in golden.payloads:
        assert_sound(golden.connector, payload)


@every_golden
def test_a_parents_number_never_leaves(golden: Golden) -> None:
    out = json.dumps(results(golden)).replace("-", "")

    for payload in golden.payloads:
        for number in strings_under(payload, PARENT_FIELDS):
            assert number == "0000000000" or number not in out


@every_connector
@given(value=json_values)
@unhurried
def test_no_value_whatever_makes_translate_raise(connector: Connector, value: object) -> None:
    assert_sound(connector, value)


@every_connector
@given(body=st.binary())
@unhurried
def test_no_body_whatever_makes_split_raise(connector: Connector, body: bytes) -> None:
    found = connector.split(body)

    assert isinstance(found, Rejected) or all(True for _ in found)


@every_connector
@pytest.mark.parametrize("depth", [100, 300, 5_000, 200_000])
def test_no_depth_makes_a_connector_raise(connector: Connector, depth: int) -> None:
    found = connector.split(b'{"a":' * depth + b"1" + b"}" * depth)
    nested: Any = 1
    for _ in range(min(depth, 50_000)):
        nested = {"a": nested}

    assert isinstance(found, Rejected) or [connector.translate(payload, source(connector)) for payload in found]
    assert isinstance(connector.translate(nested, source(connector)), Rejected)


@every_connector
def test_no_number_is_too_long_to_be_refused(connector: Connector) -> None:
    for payload in (10**5000, {"Id": 10**5000}, [-(10**5000)]):
        assert isinstance(connector.translate(payload, source(connector)), Rejected)
    for body in (b"9" * 5000, b'{"Id":' + b"9" * 5000 + b"}"):
        assert isinstance(connector.split(body), Rejected)


@every_golden
@given(data=st.data())
@settings(max_examples=25)
def test_no_change_to_a_golden_payload_makes_translate_raise(golden: Golden, data: st.DataObject) -> None:
    for payload in golden.payloads:
        path = data.draw(st.sampled_from(sorted(places(payload), key=repr)))
        assert_sound(golden.connector, changed(payload, path, data.draw(json_values)))


@every_connector
def test_a_source_with_several_instances_keeps_them_apart(connector: Connector) -> None:
    golden = next(golden for golden in goldens() if golden.connector is connector and "events" in results(golden)[0])
    ids: list[Mapping[str, Any]] = []
    for system in (connector.name, f"{connector.name}:two"):
        translated = connector.translate(golden.payloads[0], replace(source(connector), system=system))
        assert not isinstance(translated, Rejected)
        ids.append({"system": translated[0]["system"], "id": translated[0]["event_id"]})

    assert [one["system"] for one in ids] == [connector.name, f"{connector.name}:two"]
    assert ids[0]["id"] != ids[1]["id"]
