"""What the tests of `ops` read: rules, their cases, names of metrics, and the tools that judge them."""

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.metrics import page
from ops.tools import NoToolError, tool

OPS = Path(__file__).parents[2] / "ops"
RULES = sorted((OPS / "prometheus" / "rules").glob("*.yml"))
CASES = sorted((OPS / "prometheus" / "tests").glob("*.test.yml"))
_TOLD = re.compile(r"^\| `(?P<name>\w+)` \| (?P<kind>\w+) \| (?P<labels>[^|]*) \|", re.MULTILINE)


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def rules(kind: str) -> list[dict[str, Any]]:
    """Every rule that is an `alert` or a `record`."""
    return [rule for path in RULES for group in read(path)["groups"] for rule in group["rules"] if kind in rule]


def ran(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What the tool says; skips with the reason where it is not to be had."""
    try:
        program = tool(name)
    except NoToolError as why:
        pytest.skip(f"{name}: {why}")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=280, check=False)


@cache
def told() -> dict[str, frozenset[str]]:
    """Each series that our processes tell -> its labels, `le` aside."""
    found: dict[str, frozenset[str]] = {}
    for one in _TOLD.finditer(page()):
        ends = ("_bucket", "_count", "_sum") if one["kind"] == "histogram" else ("",)
        found |= {one["name"] + end: frozenset(re.findall(r"`(\w+)`", one["labels"])) for end in ends}
    return found


def unknown(expression: str) -> set[str]:
    """Names beginning as ours do that neither a process tells nor a rule records."""
    named = set(re.findall(r"\bsagsbro[_:][\w:]+", expression))
    return named - told().keys() - {rule["record"] for rule in rules("record")}
