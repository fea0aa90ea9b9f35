"""The policy as data: a row for each overview, out of `policy.toml`. Knows tests by their names alone."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

from broker.domain.kle import Patterns

_NOWHERE: Final = Patterns(())


class Role(StrEnum):
    """What a token may be used for."""

    VENDOR = "vendor"
    EMPLOYEE = "employee"
    CONTROL = "control"
    CITIZEN = "citizen"
    CONSENT = "consent"
    ONBOARDING = "onboarding"
    OPERATOR = "operator"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True)
class Overview:
    """One row of the policy: who reads, why, and the names of the tests that must hold, in order.

    nothing_registered: what it means for the basis that the citizen has registered nothing.
    shows: what may be shown beyond the plain: of an entry `handlers`, `confidential_titles`, `documents`; and `hidden`,
        where a municipality has switched it on: that there is something which the reader may not be shown.
    hidden_for: how long a read is kept out of the citizen's own log; None: it is there at once.
    custody_below_age: children up to that age are seen by who has custody; None: custody gives nothing.
    """

    name: str
    purpose: str
    basis: str
    role: Role
    tests: tuple[str, ...]
    nothing_registered: Literal["deny", "permit"]
    published: bool
    shows: frozenset[str]
    break_glass: bool = False
    control_kle: Patterns = _NOWHERE
    custody_below_age: int | None = None
    hidden_for: timedelta | None = None


Policy = Mapping[str, Overview]
SHOWN: Final = frozenset({"handlers", "confidential_titles", "documents", "hidden"})
_NEEDED: Final[Mapping[str, type]] = {
    "purpose": str,
    "basis": str,
    "role": str,
    "tests": list,
    "nothing_registered": str,
    "topic": bool,
    "shows": list,
}
_BESIDES: Final[Mapping[str, type]] = {
    "break_glass": bool,
    "control_kle": list,
    "custody_below_age": int,
    "log_hidden_days": int,
}


class FlawedPolicyError(ValueError):
    """No policy: the text says where and why."""


def read(text: str) -> tuple[int, Policy]:
    """Version and rows. Raises FlawedPolicyError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FlawedPolicyError(f"not TOML: {error}") from None
    version, rows = document.pop("version", None), document.pop("overview", None)
    if document or type(version) is not int or not isinstance(rows, dict):
        raise FlawedPolicyError("a policy is a version (a whole number), and tables overview.NAME")
    return version, {name: _row(name, row) for name, row in rows.items()}


@cache
def bundled() -> Policy:
    """The policy in force: part of the program, as its tests are."""
    return read(text())[1]


def text() -> str:
    """The document, as lawyers read it."""
    return files("broker.domain").joinpath("policy.toml").read_text(encoding="utf-8")


def _row(name: str, row: Any) -> Overview:
    if not isinstance(row, dict):
        raise FlawedPolicyError(f"{name}: not a table")
    for field, kind in {**_NEEDED, **{each: kind for each, kind in _BESIDES.items() if each in row}}.items():
        if type(row.get(field)) is not kind:
            raise FlawedPolicyError(f"{name}: {field} must be there, as {kind.__name__}")
    if unknown := sorted(row.keys() - _NEEDED.keys() - _BESIDES.keys()):
        raise FlawedPolicyError(f"{name}: unknown {', '.join(unknown)}")
    said = row["nothing_registered"]
    if said not in ("deny", "permit") or row["role"] not in list(Role) or not SHOWN.issuperset(row["shows"]):
        raise FlawedPolicyError(f"{name}: nothing_registered, role or shows has no such value")
    try:
        control = Patterns.of(row.get("control_kle", ()))
    except (ValueError, TypeError):
        raise FlawedPolicyError(f"{name}: control_kle is a list of KLE patterns") from None
    return Overview(
        name,
        row["purpose"],
        row["basis"],
        Role(row["role"]),
        tuple(map(str, row["tests"])),
        said,
        row["topic"],
        frozenset(row["shows"]),
        row.get("break_glass", False),
        control,
        row.get("custody_below_age"),
        timedelta(days=row["log_hidden_days"]) if "log_hidden_days" in row else None,
    )
