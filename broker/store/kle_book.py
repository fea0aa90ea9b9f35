"""The KLE part of the reference data, from the JSON of `load_facts.sql` and the contract's shapes. Pure."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from broker.domain.kle import Edition, KleBook, Local
from broker.domain.kle_rules import Rule, Rules
from broker.domain.retention import Retention


def from_rows(rows: Mapping[str, Any]) -> KleBook:
    """Everything that maps a number."""
    return KleBook(
        tuple(map(edition, rows["editions"])),
        tuple(map(edition, rows["facets"])),
        Rules(tuple(rule(body) for listed in rows["kle_rules"] for body in listed)),
        tuple(local(body) for listed in rows["kle_local"] for body in listed),
    )


def edition(row: Mapping[str, Any]) -> Edition:
    """One of subjects or of facets."""
    retired, successors, kept = (row.get(name) or {} for name in ("retired", "successors", "retention"))
    return Edition(
        date.fromisoformat(row["published"]),
        row["titles"],
        {number: date.fromisoformat(day) for number, day in retired.items()},
        {number: frozenset(by) for number, by in successors.items()},
        {number: Retention(*said) for number, said in kept.items()},
    )


def rule(body: Mapping[str, Any]) -> Rule:
    """From the shape of the contract."""
    match, to = body["match"], body["to"]
    return Rule(
        body["authority"],
        body["system"],
        match.get("kle"),
        match.get("local_code"),
        to["kle"],
        to.get("facet"),
        date.fromisoformat(body["from"]),
        _until(body),
    )


def local(body: Mapping[str, Any]) -> Local:
    """From the shape of the contract."""
    return Local(body["authority"], body["number"], body["title"], date.fromisoformat(body["from"]), _until(body))


def _until(body: Mapping[str, Any]) -> date | None:
    return None if body.get("to_date") is None else date.fromisoformat(body["to_date"])
