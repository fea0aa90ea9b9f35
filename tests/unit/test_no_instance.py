"""What a command says where no instance is, and where one is that does not answer."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker.cli import main
from ops.embedded.ports import free_port


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SAGSBRO_DATABASE", raising=False)
    return tmp_path


@pytest.fixture
def nowhere() -> str:
    return f"postgresql://postgres@127.0.0.1:{free_port()}/postgres"


def said(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    return result.output


@pytest.mark.parametrize("command", [("coverage",), ("token", "--role", "auditor", "--client", "fordel")])
def test_a_command_without_an_instance_says_how_to_get_one(here: Path, command: tuple[str, ...]) -> None:
    del here
    told = said(*command, "--data", "gone")
    assert "no Sagsbro is running in gone: start one with `sagsbro up`" in told
    assert "--data" in told


def test_an_instance_or_a_database_that_is_named_does_not_answer(
    here: Path, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "stands").mkdir()
    running = {"kafka": "127.0.0.1:1", "database": nowhere, "api": None}
    (here / "stands" / "instance.json").write_text(json.dumps(running), encoding="utf-8")
    assert "does not answer" in said("coverage", "--data", "stands")
    monkeypatch.setenv("SAGSBRO_DATABASE", nowhere)
    assert "does not answer" in said("coverage", "--data", "gone")
