"""Reference data on the command line."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from pydantic import SecretStr

from broker.cli import main
from broker.domain.policy import Role
from broker.security import Issuer
from broker.settings import Settings
from tests.integration.referring import AARHUS, CITIZEN, CSV, READER, SENDER, UDK, Store


@pytest.fixture
def instance(store: Store, tmp_path: Path) -> Path:
    running = {
        "api": "http://127.0.0.1:9",
        "registry": "http://127.0.0.1:9",
        "kafka": "127.0.0.1:9",
        "database": store.dsn,
    }
    (tmp_path / "instance.json").write_text(json.dumps(running))
    return tmp_path


def sagsbro(instance: Path, *arguments: str, given: str = "") -> tuple[int, str]:
    ran = CliRunner().invoke(main, [*arguments, "--data", str(instance)], input=given)
    return ran.exit_code, ran.stdout if ran.exit_code == 0 else ran.output


def test_the_command_line_puts_and_shows_agreements_and_editions(instance: Path, store: Store) -> None:
    code, output = sagsbro(instance, "agreement", "put", "-", "--json", given=json.dumps([SENDER, READER]))
    assert (code, [one["version"] for one in json.loads(output)]) == (0, [1, 1])
    toml = '[[agreement]]\nauthority = "55133018"\nsystem = "sbsys"\nstate = "SUSPENDED"\nkle = ["27.*"]\n'
    toml += 'sensitivity = "VIP_SAGER"\nfrom_date = 2020-01-01\n'
    code, output = sagsbro(instance, "agreement", "put", "-", given=toml)
    assert (code, output) == (0, "55133018 sbsys  SUSPENDED  version 2\n")
    assert "55133018 sapa *  FULL  version 1  N*" in sagsbro(instance, "agreement", "list")[1]
    assert json.loads(sagsbro(instance, "agreement", "show", AARHUS, "sbsys", "--json")[1])[0]["state"] == "SUSPENDED"
    assert sagsbro(instance, "agreement", "show", UDK, "sbsys")[0] == 1

    code, output = sagsbro(instance, "kle", "import", "-", "--edition", "2024-01-01", given=CSV)
    assert (code, output) == (0, "edition 2024-01-01: 2 subjects, 2 changed\n")
    assert sagsbro(instance, "kle", "show", "27.36.04")[1].startswith("27.36.04  Hjemmehjælp\n")
    assert sagsbro(instance, "kle", "show", "99.99.99")[0] == 1
    assert sagsbro(instance, "kle", "show", "abc")[0] == 2
    assert store.revision == 4


def test_the_command_line_refuses_with_the_place_and_never_the_input(instance: Path) -> None:
    flawed = {**SENDER, "restricted": {"citizens": [f"{CITIZEN}9"]}}
    code, output = sagsbro(instance, "agreement", "put", "-", given=json.dumps(flawed))
    assert code == 1
    assert "restricted/citizens/0" in output
    assert CITIZEN not in output
    assert sagsbro(instance, "agreement", "put", "-", given="neither = = of both")[0] == 1


def test_a_token_says_what_the_options_say(instance: Path, store: Store) -> None:
    scope = f"{AARHUS}:27.*,15.*:VIP_SAGER"
    code, output = sagsbro(instance, "token", "--role", "employee", "--scope", scope, "--name", "Ea", "--json")
    assert code == 0
    token = Issuer(Settings(database=SecretStr(store.dsn))).verify(json.loads(output)["token"])
    assert (token.role, token.name, token.scopes[0].level("15.20.01")) == (Role.EMPLOYEE, "Ea", 4)
    for wrong in ("27.*", f"{AARHUS}:27*:VIP_SAGER", f"{AARHUS}:27.*:HEMMELIG"):
        assert sagsbro(instance, "token", "--role", "employee", "--scope", wrong)[0] == 2
