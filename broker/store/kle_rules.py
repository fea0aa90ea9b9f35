"""Mapping rules in the database: sets with their versions, what is owed by them, and checks of code lists.

A set is all rules of one authority (or `*`) and one system (or `*`); to put rules is to replace the sets they name.
That the index has yet to be derived anew by a set is noted in the transaction that puts it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import psycopg

from broker.domain import moments
from broker.domain.kle import KleBook
from broker.domain.kle_rules import ANY, Rule, Rules, ties
from broker.store import facts, kle_book, widening
from broker.store.change import changing
from broker.store.database import query
from broker.store.kle import keep
from broker.store.kle_shapes import KleRule
from broker.store.rederivation import Scope
from broker.store.reference import Kept, Putter

Connection = psycopg.AsyncConnection[Any]
Session = psycopg.Connection[Any]
SETS: Final = Kept("kle_rules", ("authority", "system"))
Key = tuple[str, str]


class TiedRulesError(Exception):
    """Two rules are equally specific, match the same, and are in force on one day: nothing could tell which wins."""

    code: Final = "rules_tie"

    def __init__(self, one: int, other: int) -> None:
        """By their places in what was put."""
        super().__init__(f"/{other}/match: nothing tells it from /{one}/match on a day on which both are in force")
        self.pointer = f"/{other}/match"


@dataclass(frozen=True, slots=True)
class Owed:
    """A set that was put, and by which the index has not been derived anew yet."""

    authority: str
    system: str
    since: datetime

    @property
    def scope(self) -> Scope:
        """The entries that it may concern."""
        return scope_of((self.authority, self.system))


@dataclass(frozen=True, slots=True)
class MappingCheck:
    """The newest review of the codes that an authority uses in a system. revision: of the reference data of then."""

    at: datetime
    codes: int
    unmapped: int
    revision: int


def sets_of(rules: Sequence[KleRule]) -> dict[Key, list[Rule]]:
    """By authority and system. Raises TiedRulesError."""
    listed = [kle_book.rule(rule.body()) for rule in rules]
    for one, other in ties(listed):
        raise TiedRulesError(one, other)
    sets: dict[Key, list[Rule]] = defaultdict(list)
    for rule in listed:
        sets[rule.authority, rule.system].append(rule)
    return dict(sets)


def replaced(rules: Rules, sets: Mapping[Key, Sequence[Rule]]) -> Rules:
    """The rules as they would stand with these sets."""
    kept = [rule for rule in rules.listed if (rule.authority, rule.system) not in sets]
    return Rules((*kept, *(rule for listed in sets.values() for rule in listed)))


def unknown(book: KleBook, rules: Iterable[Rule]) -> list[str]:
    """Numbers that rules lead to, and that neither an edition knows nor the authority itself: they let nothing in.

    A rule may be put before the edition that brings its number, so it stands; of a rule for all, any authority's do.
    """
    return sorted({rule.number for rule in rules if not _is_known(book, rule)})


def _is_known(book: KleBook, rule: Rule) -> bool:
    return any(rule.number in edition.titles for edition in book.editions) or any(
        own.number == rule.number and rule.authority in (ANY, own.authority) for own in book.local
    )


def scope_of(key: Key) -> Scope:
    """The entries that a set may concern."""
    authority, system = key
    return Scope(None if authority == ANY else authority, None if system == ANY else system)


async def put(connection: Connection, rules: Sequence[KleRule], putter: Putter) -> list[dict[str, Any]]:
    """Replace every set that is named; all or none. Raises TiedRulesError, NotYoursError.

    owed: the index has yet to be derived anew by it. unknown_numbers: `unknown`. asks_again: the sources that are asked
    again, since what a set lets in was outside, and not kept.
    """
    sets_of(rules)
    bodies: dict[Key, list[dict[str, Any]]] = defaultdict(list)
    for rule in rules:
        bodies[rule.authority, rule.system].append(rule.body())
    return await _put(connection, bodies, putter)


async def clear(connection: Connection, key: Key, putter: Putter) -> dict[str, Any]:
    """No rule of this set is in force any more. Raises NotYoursError."""
    (cleared,) = await _put(connection, {key: []}, putter)
    return cleared


async def every(connection: Connection) -> list[dict[str, Any]]:
    """The newest version of every set: its rules, version, who put it and when."""
    rows = await (
        await connection.execute(
            "SELECT DISTINCT ON (authority, system) authority, system, version, body, put_by, put_at"
            " FROM kle_rules ORDER BY authority, system, version DESC"
        )
    ).fetchall()
    names = ("authority", "system", "version", "rules", "put_by", "put_at")
    return [dict(zip(names, (*row[:5], moments.text(row[5])), strict=True)) for row in rows]


async def versions(connection: Connection, key: Key) -> list[dict[str, Any]]:
    """Every version of one set, the newest first."""
    rows = await (
        await connection.execute(
            "SELECT version, body, put_by, put_at FROM kle_rules"
            " WHERE authority = %s AND system = %s ORDER BY version DESC",
            key,
        )
    ).fetchall()
    return [{"version": v, "rules": body, "put_by": by, "put_at": moments.text(at)} for v, body, by, at in rows]


async def owed(connection: Connection) -> list[Owed]:
    """Oldest first."""
    rows = await connection.execute("SELECT authority, system, since FROM kle_rules_owed ORDER BY since, authority")
    return [Owed(*row) for row in await rows.fetchall()]


def is_owed_for(connection: Session, seconds: float) -> bool:
    """Whether anything has been for so long."""
    asked = "SELECT EXISTS (SELECT FROM kle_rules_owed WHERE since <= clock_timestamp() - make_interval(secs => %s))"
    return connection.execute(asked, [seconds]).fetchone() == (True,)


async def settle(connection: Connection, done: Iterable[Owed]) -> None:
    """It has been done by the set as it stood; one that was put again meanwhile is still owed."""
    for one in done:
        await connection.execute(
            "DELETE FROM kle_rules_owed WHERE authority = %s AND system = %s AND since = %s",
            [one.authority, one.system, one.since],
        )


async def record_check(connection: Connection, key: Key, codes: int, unmapped: int, revision: int) -> None:
    """A review has been made."""
    await connection.execute(
        "INSERT INTO kle_check (authority, system, codes, unmapped, revision) VALUES (%s, %s, %s, %s, %s)",
        [*key, codes, unmapped, revision],
    )


async def mapping_checked(connection: Connection, authority: str, system: str) -> MappingCheck | None:
    """The newest review of these codes; None when there never was one."""
    rows = await connection.execute(query("kle_newest_check"), {"authority": authority, "system": system})
    row = await rows.fetchone()
    return None if row is None else MappingCheck(*row)


async def _put(
    connection: Connection, bodies: Mapping[Key, list[dict[str, Any]]], putter: Putter
) -> list[dict[str, Any]]:
    sets = {key: [kle_book.rule(rule) for rule in body] for key, body in bodies.items()}
    async with changing(connection) as said:
        known = await facts.stands(connection)
        made = [await keep(connection, SETS, key, body, putter, said) for key, body in sorted(bodies.items())]
        scopes = [scope_of((one["authority"], one["system"])) for one in made]
        changed = [(one, scope) for one, scope in zip(made, scopes, strict=True) if one["changed"]]
        for one, _ in changed:
            await connection.execute(query("owe_rules"), one)
        whys = {f"{SETS.table} {one['authority']}/{one['system']} version {one['version']}": of for one, of in changed}
        wanted = replace(known.kle, rules=replaced(known.kle.rules, sets))
        brought = await widening.ask(connection, known, wanted, whys) if whys else []
        still = {(one.authority, one.system) for one in await owed(connection)}
    return [
        {
            **one,
            "owed": key in still,
            "unknown_numbers": unknown(known.kle, sets[key]),
            "asks_again": widening.told(brought, scope_of(key)) if one["changed"] else [],
        }
        for key, one in zip(sorted(bodies), made, strict=True)
    ]
