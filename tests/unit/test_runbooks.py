"""One page for each alert, and commands in it that exist; `tests/integration/test_runbooks.py` runs them."""

import re
import shlex
from pathlib import Path

import click
import pytest

from broker.cli import main
from tests.unit.operating import OPS, read, rules

PAGES = sorted((OPS / "runbooks").glob("*.md"))
VALUES = {"$PARTITION": "0", "$OFFSET": "0", "$REJECTION": "00000000-0000-4000-8000-000000000000", "$EVENT": "e-1"}
"""What stands in a page for something that only the moment knows."""


def lines(page: Path) -> list[str]:
    """Its commands, as they stand there."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line and not line.startswith("#")]


def commands(page: Path) -> list[list[str]]:
    return [[VALUES.get(word, word) for word in shlex.split(line)] for line in lines(page)]


def understood(words: list[str]) -> click.Command:
    """The command with these arguments as click reads them; nothing is run. Raises click.UsageError."""
    found: click.Command = main
    context = click.Context(main, info_name="sagsbro")
    while isinstance(found, click.Group):
        _, named, words = found.resolve_command(context, words)
        assert named is not None
        found = named
    found.make_context(found.name, words, parent=context)
    return found


def test_each_alert_has_its_page_and_each_page_its_alert() -> None:
    assert {page.stem for page in PAGES} == {rule["alert"] for rule in rules("alert")}
    for rule in rules("alert"):
        assert rule["annotations"]["runbook"] == f"ops/runbooks/{rule['alert']}.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_its_four_parts(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {page.stem}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Meaning", "First look", "Commands", "Whom to wake"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_its_commands_exist_with_their_options(page: Path) -> None:
    services = set(read(OPS / "compose.yaml")["services"])
    assert commands(page)
    for program, *words in commands(page):
        if program == "sagsbro":
            understood(words)
        else:
            assert [program, *words[:3]] == ["docker", "compose", "-f", "ops/compose.yaml"]
            assert words[3] in {"ps", "logs", "restart", "stats", "exec"}
            named = [word for word in words[4:] if re.fullmatch(r"[a-z]+(-\d)?", word) and word != "df"]
            assert set(named) <= services


WRONG = ["positions shoe", "positions show --jason", "rejections show x", "positions reset 0"]


@pytest.mark.parametrize("wrong", WRONG)
def test_a_command_that_does_not_exist_would_be_found(wrong: str) -> None:
    with pytest.raises(click.UsageError):
        understood(wrong.split())
