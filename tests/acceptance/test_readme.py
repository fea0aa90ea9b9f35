"""The README tells the truth: its commands work and print what it says."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONSOLE = re.search(r"```console\n(.*?)```", README, re.DOTALL)
ENTRY = [sys.executable, "-m", "broker.cli"]


def console() -> list[str]:
    assert CONSOLE is not None
    return CONSOLE[1].splitlines()


def test_the_first_command_prints_the_books_that_the_readme_shows(tmp_path: Path) -> None:
    command, shown, *_ = console()
    words = command.removeprefix("$ ./sagsbro ").split()
    ran = subprocess.run(
        [*ENTRY, *words, "--data", str(tmp_path / "demo"), "--api-port", "0"],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    assert shown in ran.stdout


def test_every_other_command_it_names_exists() -> None:
    named = set(re.findall(r"\./?sagsbro ([a-z]+)|`sagsbro ([a-z]+)", README))
    commands = {one or other for one, other in named} - {"test"}
    assert len(commands) > 4
    for command in sorted(commands):
        subprocess.run([*ENTRY, command, "--help"], capture_output=True, timeout=60, check=True)


@pytest.mark.parametrize(
    "page", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("ops/**/*.md")), ids=lambda page: page.name
)
def test_every_link_in_the_pages_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_settings_it_names_exist() -> None:
    from broker.settings import Settings  # noqa: PLC0415 - beside the sentence that uses it

    named = {name.lower() for name in re.findall(r"SAGSBRO_([A-Z_]+)`", README)}
    assert named <= set(Settings.model_fields), json.dumps(sorted(named))
