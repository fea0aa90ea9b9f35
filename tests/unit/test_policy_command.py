"""`sagsbro policy`: what a lawyer reads, and what keeps a policy from being in force."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from broker.cli import main
from broker.domain.overview import text
from broker.domain.policy import POLICY


def ran(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["policy", *arguments])
    return result.exit_code, result.output


def test_the_policy_is_shown_with_what_each_of_its_tests_asks() -> None:
    status, told = ran("show")
    assert status == 0
    assert all(f"# {test}: " in told for row in POLICY.values() for test in row.tests)
    assert set(json.loads(ran("show", "--json")[1])["overviews"]) == set(POLICY)


def test_the_policy_in_force_has_no_flaw_and_would_change_nothing_of_itself(tmp_path: Path) -> None:
    assert ran("check") == (0, "the policy has no flaw\n")
    (tmp_path / "same.toml").write_text(text(), encoding="utf-8")
    assert ran("diff", str(tmp_path / "same.toml")) == (0, "nothing would change\n")


@pytest.mark.parametrize(
    ("was", "becomes", "why"),
    [
        ('"joined", "reader_scope"', '"reader_scope"', "joined is never left out"),
        ('"primary", "no_objection", "consent"', '"primary", "consent"', "an objection beats it"),
        ('nothing_registered = "deny"', 'nothing_registered = "permit"', "nothing registered means deny"),
        ('nothing_registered = "deny"', 'nothing_registered = "perhaps"', "no such value"),
        ('"on_control_list", ', "", "go together"),
        ('"written_purpose"', '"purpose_written"', "no test is called purpose_written"),
        ('role = "control"', 'role = "anyone"', "no such value"),
        ("break_glass = true", "break_glass = 1", "break_glass must be there"),
        ('control_kle = ["32.*"]', 'control_kle = ["*"]', "KLE patterns"),
        ("version = 1", "", "a policy is a version"),
        ("[overview.sapa]", "[overview.sapa", "not TOML"),
    ],
)
def test_a_policy_with_a_flaw_is_told_where(was: str, becomes: str, why: str, tmp_path: Path) -> None:
    assert was in text()
    (tmp_path / "other.toml").write_text(text().replace(was, becomes), encoding="utf-8")
    status, told = ran("check", str(tmp_path / "other.toml"))
    assert status == 3
    assert why in told


def test_a_difference_is_told_field_by_field(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(text().replace("break_glass = true", "break_glass = false"), encoding="utf-8")
    assert ran("diff", str(tmp_path / "other.toml")) == (0, "hoi.break_glass: true -> false\n")
