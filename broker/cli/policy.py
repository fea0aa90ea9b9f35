"""`sagsbro policy`: who may see what, as lawyers read it; held to its form, and compared with another."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, BinaryIO

import click

from broker.cli.running import AS_JSON, FILE, show
from broker.domain.overview import FlawedPolicyError, Policy, read, text
from broker.domain.policy import CASE_TESTS, REQUEST_TESTS, TESTS, flaws

WRONG = 3


@click.group()
def policy() -> None:
    """Who may see what in which overview, and why."""


@policy.command("show")
@AS_JSON
def show_(*, as_json: bool) -> None:
    """Print the policy in force, with what each test asks."""
    version, rows = read(text())
    if as_json:
        show({"version": version, "overviews": _plain(rows)})
        return
    click.echo(text())
    click.echo("# What the tests ask\n#")
    asked = {**REQUEST_TESTS, **CASE_TESTS, **TESTS}
    for name in sorted({"role", *(test for row in rows.values() for test in row.tests)}):
        click.echo(f"# {name}: {asked[name].__doc__}")


@policy.command()
@click.argument("file", type=click.File("rb"), required=False)
@AS_JSON
def check(file: BinaryIO | None, *, as_json: bool) -> None:
    """Hold FILE (or the policy in force) to its form; exit 3 when it may not be in force."""
    found = list(_flaws(text() if file is None else _text(file)))
    if as_json:
        show({"flaws": found})
    else:
        click.echo("\n".join(found) or "the policy has no flaw")
    if found:
        raise SystemExit(WRONG)


@policy.command()
@FILE
@AS_JSON
def diff(file: BinaryIO, *, as_json: bool) -> None:
    """Tell what the policy in FILE would change of the one in force."""
    try:
        (_, ours), (_, theirs) = read(text()), read(_text(file))
    except FlawedPolicyError as flaw:
        raise click.ClickException(str(flaw)) from None
    changes = list(_changes(_plain(ours), _plain(theirs)))
    if as_json:
        show({"changes": changes})
        return
    for change in changes:
        was, becomes = (json.dumps(change[side], ensure_ascii=False) for side in ("from", "to"))
        click.echo(f"{change['overview']}.{change['field']}: {was} -> {becomes}")
    if not changes:
        click.echo("nothing would change")


def _text(file: BinaryIO) -> str:
    try:
        return file.read().decode()
    except UnicodeDecodeError:
        raise click.ClickException("not text in UTF-8") from None


def _flaws(document: str) -> Iterator[str]:
    try:
        yield from flaws(read(document)[1])
    except FlawedPolicyError as flaw:
        yield str(flaw)


def _plain(rows: Policy) -> dict[str, dict[str, Any]]:
    """Lists in the place of sets and patterns."""
    return {
        name: {
            **asdict(row),
            "tests": list(row.tests),
            "shows": sorted(row.shows),
            "control_kle": row.control_kle.patterns(),
            "hidden_for": None if row.hidden_for is None else row.hidden_for.days,
        }
        for name, row in rows.items()
    }


def _changes(ours: dict[str, dict[str, Any]], theirs: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for overview in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get(overview, {}), theirs.get(overview, {})
        for field in dict.fromkeys([*one, *other]):
            if one.get(field) != other.get(field):
                yield {"overview": overview, "field": field, "from": one.get(field), "to": other.get(field)}


command = policy
