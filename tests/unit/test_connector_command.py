"""`sagsbro connector`: looked at, tried on files, run, begun."""

import json
import os
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from broker.cli.connector import connector
from broker.domain.identity import has_cpr
from broker.intake.connector import load, names
from connectors.scaffold import scaffold

ROOT = Path(str(files("connectors"))).parent
NEXUS = ROOT / "connectors" / "eoj" / "nexus"
CPR = "010145-5001"


def called(*words: str | Path, given: bytes | None = None) -> Result:
    return CliRunner().invoke(connector, [str(word) for word in words], input=given)


def checked(*words: str | Path, given: bytes | None = None) -> list[dict[str, Any]]:
    return [json.loads(line) for line in called("check", *words, "--json", given=given).stdout.splitlines()]


def test_every_installed_connector_is_listed() -> None:
    listed = json.loads(called("list", "--json").stdout)

    assert [one["name"] for one in listed] == list(names())
    assert {one["name"]: one["delivers"] for one in listed}["nexus"] == "polled"
    assert "sensum" in called("list").stdout


NOTHING_PUBLIC = ("cura", "domus", "modulus", "vitae")


@pytest.mark.parametrize("name", NOTHING_PUBLIC)
def test_where_nothing_is_public_it_is_said(name: str) -> None:
    shown = called("show", name).stdout

    assert "Known: nothing." in shown
    assert "the standards' shape, not the vendor's" in " ".join(shown.split())
    assert "SF1470" in shown
    assert f"as system {name}" in shown


@pytest.mark.parametrize("name", [name for name in names() if name not in NOTHING_PUBLIC])
def test_what_is_known_and_assumed_is_shown_with_the_settings(name: str) -> None:
    said = json.loads(called("show", name, "--json").stdout)

    assert "Known" in said["notes"]
    assert "Auth:" in said["notes"]
    assert said["settings"]
    assert (said["polling"] is None) == (said["delivers"] == "pushes")
    for setting in said["settings"]:
        assert f"  {setting}: " in called("show", name).stdout


def test_a_file_is_shown_at_every_stage_with_its_numbers_masked() -> None:
    ended = called("check", "nexus", NEXUS / "golden" / "pathway.json", "--config", NEXUS / "golden_config.json")

    assert ended.exit_code == 3
    stages = [line.split()[0] for line in ended.stdout.splitlines() if line and not line.startswith(" ")]
    assert stages[:5] == ["raw", "parsed", "left", "event", "verdict"]
    assert "unmapped_local_code at /classification/local_code" in ended.stdout
    assert "patient.fullName (1)" in ended.stdout
    assert not has_cpr(ended.stdout)


def test_numbers_are_shown_only_to_who_asks_for_them() -> None:
    file = NEXUS / "golden" / "grant_with_a_kle_number.json"

    (masked,), (plain,) = checked("nexus", file), checked("nexus", file, "--show-numbers")
    assert masked["parsed"]["patient"]["patientIdentifier"]["identifier"] == "<cpr>"
    assert plain["parsed"]["patient"]["patientIdentifier"]["identifier"] == CPR
    assert masked["verdicts"] == plain["verdicts"] == [{"verdict": "accepted", "warnings": []}]


def test_a_number_that_came_as_a_whole_number_is_masked_too() -> None:
    row = {"SagId": 1, "BorgerCPR": 3112455001, "0101455001": 1}
    (said,) = checked("sensum", "-", given=json.dumps([row]).encode())

    assert said["parsed"] == {"SagId": 1, "BorgerCPR": "<cpr>", "<cpr>": 1}


def test_what_would_be_rejected_ends_the_command_with_3_and_what_is_good_with_0() -> None:
    good, bad = NEXUS / "golden" / "grant_with_a_kle_number.json", NEXUS / "golden" / "state_unknown.json"

    assert called("check", "nexus", good).exit_code == 0
    assert called("check", "nosuch", good).exit_code == 2
    assert called("check", "nexus", good, bad).exit_code == 3
    (said,) = checked("nexus", bad)
    assert (said["verdicts"][0]["code"], said["verdicts"][0]["pointer"]) == (
        "state_unknown",
        "/grant/workflowState/name",
    )
    assert said["verdicts"][0]["remedy"]


def test_form_is_judged_as_the_intake_judges_it(tmp_path: Path) -> None:
    payload = json.loads((NEXUS / "golden" / "grant_with_a_kle_number.json").read_text(encoding="utf-8"))
    later = tmp_path / "later.json"
    later.write_text(json.dumps(payload | {"readAt": "2999-01-01T00:00:00Z"}), encoding="utf-8")

    assert checked("nexus", later)[0]["verdicts"][0]["code"] == "registered_in_future"


def test_a_body_may_come_on_stdin_and_one_that_cannot_be_read_is_told_of() -> None:
    (said,) = checked("nexus", "-", given=b"{")

    assert said["verdicts"][0]["code"] == "malformed_payload"
    assert (said["parsed"], said["events"], said["raw"]["bytes"]) == (None, [], 1)


def test_a_configuration_is_json_or_toml(tmp_path: Path) -> None:
    config = tmp_path / "nexus.toml"
    config.write_text('[kle."forløbstype 7"]\nkle = "27.36.04"\n', encoding="utf-8")
    (said,) = checked("nexus", NEXUS / "golden" / "pathway.json", "--config", config)
    assert said["events"][0]["classification"]["kle"] == "27.36.04"
    assert said["verdicts"][0]["verdict"] == "accepted"

    config.write_text("kle = ", encoding="utf-8")
    assert called("check", "nexus", NEXUS / "golden" / "pathway.json", "--config", config).exit_code == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["show", "nothing"], 2),
        (["check", "nexus"], 2),
        (["check", "nexus", "no-such-file"], 2),
        (["check", "nexus", str(NEXUS / "golden" / "pathway.json"), "--authority", "12"], 2),
        (["run", "nexus"], 2),
        (["run", "cura", "--config", str(NEXUS / "golden_config.json")], 1),
        (["run", "nexus", "--config", str(NEXUS / "golden_config.json")], 1),
        (["new", "Nope!"], 1),
    ],
)
def test_a_wrong_call_ends_with_its_reason(words: list[str], code: int) -> None:
    ended = called(*words)

    assert ended.exit_code == code
    assert ended.stderr
    assert "Traceback" not in ended.output


FILLED = """
    state = state_of(case.Status, config, mapping.STATES)
    if state is None:
        return Rejected(Code.STATE_UNKNOWN, "/Status", "no mapping of this status")
    number = bare(case.Cpr or "")
    kind = id_type(number)
    if kind is None:
        return Rejected(Code.PARTY_MALFORMED, "/Cpr", "a CPR number")
    person = item_id(case.Id.lower(), "PRIMARY", kind, number)
    event["properties"] = {
        "user_key": case.Nummer,
        "title": case.Titel,
        "created_at": case.Oprettet,
        "local_status": case.Status,
    }
    event["access"] = {"sensitivity": None, "hidden_from_citizen": False}
    event["classification"] = {"kle": case.Kle}
    event["progress"] = {"complete": True, "items": [{"state": state, "effective_from": case.Oprettet}]}
    party = {"item_id": person, "role": "PRIMARY", "id_type": kind, "id": number}
    event["parties"] = {"complete": True, "items": [party]}
    return event
"""
IMPORTS = """from connectors.configuration import state_of
from connectors.esdh.acme import mapping
from connectors.person import bare, id_type, item_id
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what a connector's author has, with the project installed from there."""
    for folder in ("broker", "connectors", "ops", "schemas", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "*.jar"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def suite(checkout: Path) -> subprocess.CompletedProcess[str]:
    """The contract suite on the copy, for the new connector alone."""
    project = (checkout / "pyproject.toml").read_text(encoding="utf-8")
    lines = project.partition('[project.entry-points."sagsbro.connectors"]\n')[2].partition("\n\n")[0]
    announced = checkout / "acme-0.dist-info"
    announced.mkdir(exist_ok=True)
    (announced / "METADATA").write_text("Name: acme\nVersion: 0\n")
    (line,) = (line.replace('"', "") for line in lines.splitlines() if line.startswith("acme"))
    (announced / "entry_points.txt").write_text(f"[sagsbro.connectors]\n{line}\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "acme", "tests/contract"],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_a_connector_that_was_begun_passes_the_contract_once_translate_is_filled_in(checkout: Path) -> None:
    made = called("new", "acme", "--folder", checkout / "connectors", "--insert")
    assert made.exit_code == 0, made.output
    assert 'acme = "connectors.esdh.acme:CONNECTOR"' in (checkout / "pyproject.toml").read_text(encoding="utf-8")
    assert "SYSTEMS" in made.output
    before = suite(checkout)
    assert before.returncode == 1
    assert "test_a_golden_payload_becomes_what_its_file_says[acme-case.json]" in before.stdout

    translate = checkout / "connectors" / "esdh" / "acme" / "translate.py"
    written = translate.read_text(encoding="utf-8")
    head, _, _ = written.partition("    del event, case, config\n")
    head = head.replace("from connectors.payload", f"{IMPORTS}from connectors.payload", 1)
    translate.write_text(head + FILLED.lstrip("\n"), encoding="utf-8")
    after = suite(checkout)
    assert after.returncode == 0, after.stdout


def test_what_was_begun_is_as_clean_as_the_rest(checkout: Path) -> None:
    for kind in ("esdh", "eoj", "standards"):
        called("new", f"acme{kind}", "--kind", kind, "--folder", checkout / "connectors", "--insert")

    for tool in (["ruff", "check"], ["ruff", "format", "--check"]):
        command = [sys.executable, "-m", *tool, "connectors"]
        ran = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout


def test_nothing_is_written_over(tmp_path: Path) -> None:
    scaffold("acme", "esdh", tmp_path)
    with pytest.raises(FileExistsError):
        scaffold("acme", "esdh", tmp_path)
    with pytest.raises(ValueError, match="kind"):
        scaffold("acme", "other", tmp_path)
    assert load("acme") is None
