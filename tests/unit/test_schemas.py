"""The committed schemas: their examples, their history, and the command that guards it."""

import json
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner

from broker.cli import main
from broker.domain.case import CaseEvent
from broker.intake.canonical import from_json, to_json
from broker.stream.framing import BUNDLED, Decoder, encode

SCHEMAS = Path(str(files("schemas")))


def example(name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((SCHEMAS / "examples" / f"{name}.json").read_text(encoding="utf-8"))
    return value | ({"payload": value["payload"].encode()} if "payload" in value else {})


def check(folder: Path) -> tuple[int, list[tuple[str, str]]]:
    ran = CliRunner().invoke(main, ["schemas", "check", "--json", "--folder", str(folder)])
    return ran.exit_code, [(one["schema"], one["why"]) for one in json.loads(ran.stdout)["flaws"]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(SCHEMAS, tmp_path / "schemas"))


def change(file: Path, how: Callable[[dict[str, Any]], object]) -> None:
    schema = json.loads(file.read_text(encoding="utf-8"))
    how(schema)
    file.write_text(json.dumps(schema), encoding="utf-8")


def add(**field: Any) -> Callable[[dict[str, Any]], object]:
    return lambda schema: schema["fields"].append(field)


@pytest.mark.parametrize("name", BUNDLED)
def test_the_example_is_read_as_it_was_written(name: str) -> None:
    value = example(name)
    assert Decoder(name, lambda _: None).decode(encode(name, value)) == value


@pytest.mark.parametrize("name", BUNDLED)
def test_the_example_says_every_field(name: str) -> None:
    schema = json.loads((SCHEMAS / f"{name}.avsc").read_text(encoding="utf-8"))
    assert set(example(name)) == {field["name"] for field in schema["fields"]}


def test_the_example_of_an_event_is_one_that_vendors_may_send() -> None:
    event = cast("CaseEvent", example("case_event"))
    assert from_json(json.loads(json.dumps(to_json(event)))) == event


def test_the_committed_schemas_are_all_recorded_and_understand_each_other() -> None:
    ran = CliRunner().invoke(main, ["schemas", "check"])
    assert (ran.exit_code, ran.output.count("\n")) == (0, 1)
    assert check(SCHEMAS) == (0, [])


def test_a_change_that_is_not_recorded_is_refused_and_recorded_it_is_not(folder: Path) -> None:
    change(folder / "case_event.avsc", add(name="archived_at", type=["null", "long"], default=None))
    status, ((name, why),) = check(folder)
    assert (status, name, "v2.avsc" in why) == (3, "case_event", True)
    shutil.copy(folder / "case_event.avsc", folder / "history" / "case_event" / "v2.avsc")
    assert check(folder) == (0, [])


def test_a_change_that_breaks_a_reader_or_a_writer_is_refused_recorded_or_not(folder: Path) -> None:
    change(folder / "rejection.avsc", add(name="severity", type="string"))
    status, found = check(folder)
    assert (status, len(found)) == (3, 2)
    shutil.copy(folder / "rejection.avsc", folder / "history" / "rejection" / "v2.avsc")
    status, ((name, why),) = check(folder)
    assert (status, name) == (3, "rejection")
    assert "severity" in why


def test_a_schema_without_history_a_history_without_schema_and_a_gap_are_refused(folder: Path) -> None:
    shutil.rmtree(folder / "history" / "rejection")
    (folder / "overview_entry.avsc").unlink()
    (folder / "history" / "case_event" / "v1.avsc").rename(folder / "history" / "case_event" / "v2.avsc")
    status, found = check(folder)
    assert (status, [name for name, _ in found]) == (3, ["overview_entry", "case_event", "rejection"])


def test_what_is_no_schema_is_refused(folder: Path) -> None:
    (folder / "rejection.avsc").write_text("{", encoding="utf-8")
    assert check(folder) == (3, [("rejection", "a file is no Avro schema")])
