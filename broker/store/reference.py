"""Changing and reading reference data: agreements, delimitations, authorities. KLE is in `kle.py` beside it.

Every change is one transaction: take the revision for update, write, bump it, mark the entries it touches, commit.
Versions are kept; what says the same as before makes none.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from broker.domain.agreement import AgreementState
from broker.domain.policy import Role
from broker.store import transition
from broker.store.change import changing
from broker.store.database import query
from broker.store.shapes import Authority, Delimitation, Reader, Sender

Connection = psycopg.AsyncConnection[Any]
PURGE, USUAL = 0, 1


class TransitionRefusedError(Exception):
    """A state that skips steps came without `override`."""


class NotYoursError(Exception):
    """Who puts it may not: not their authority, or more than a role may do."""


@dataclass(frozen=True, slots=True)
class Putter:
    """Who changes reference data. authorities: None when every one is theirs (the owner of the database)."""

    name: str
    role: Role
    authorities: frozenset[str] | None = None

    def must_be_of(self, authority: str) -> None:
        """Raises NotYoursError."""
        if self.authorities is not None and authority not in self.authorities:
            raise NotYoursError(f"the token does not name {authority}")

    def must_serve_all(self) -> None:
        """Raises NotYoursError: what every authority shares is for an operator, or for the database's owner."""
        if self.authorities is not None and self.role is not Role.OPERATOR:
            raise NotYoursError("only an operator may change what every authority shares")


@dataclass(frozen=True, slots=True)
class Kept:
    """Where the versions of a kind of thing are, and what tells them apart."""

    table: str
    key: tuple[str, ...]

    def newest(self) -> sql.Composed:
        """Look up the newest version of one, or of each when no key is given."""
        return sql.SQL("SELECT version, body FROM {} WHERE {} ORDER BY version DESC LIMIT 1").format(
            sql.Identifier(self.table),
            sql.SQL(" AND ").join(sql.SQL("{} = %s").format(sql.Identifier(k)) for k in self.key),
        )

    def every(self) -> sql.Composed:
        """The newest version of each."""
        columns = sql.SQL(", ").join(map(sql.Identifier, self.key))
        return sql.SQL(
            "SELECT DISTINCT ON ({0}) version, body, put_by, put_at FROM {1} ORDER BY {0}, version DESC"
        ).format(columns, sql.Identifier(self.table))

    def insert(self) -> sql.Composed:
        """Add a version."""
        columns = (*self.key, "version", "body", "put_by")
        return sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(self.table),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
        )


SENDERS: Final = Kept("sender_agreement", ("authority", "system"))
READERS: Final = Kept("reader_agreement", ("authority", "overview", "client"))
DELIMITATIONS: Final = Kept("delimitation", ("authority",))


async def put_agreements(
    connection: Connection, agreements: Sequence[Sender | Reader], putter: Putter
) -> list[dict[str, Any]]:
    """All or none. Raises TransitionRefusedError, NotYoursError."""
    async with _change(connection) as change:
        return [await _put_agreement(change, agreement, putter) for agreement in agreements]


async def put_delimitations(
    connection: Connection, choices: Iterable[Delimitation], putter: Putter
) -> list[dict[str, Any]]:
    """Replace the whole list of every authority that is named. Raises NotYoursError."""
    lists: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for choice in choices:
        lists[choice.authority].append(choice.model_dump(mode="json"))
    async with _change(connection) as change:
        return [await _put_list(change, authority, listed, putter) for authority, listed in sorted(lists.items())]


async def clear_delimitations(connection: Connection, authority: str, putter: Putter) -> dict[str, Any]:
    """The authority takes all that its agreements cover. Raises NotYoursError."""
    async with _change(connection) as change:
        return await _put_list(change, authority, [], putter)


async def put_authorities(
    connection: Connection, authorities: Iterable[Authority], putter: Putter
) -> list[dict[str, Any]]:
    """Add or replace. Raises NotYoursError."""
    async with _change(connection) as change:
        put = []
        for authority in authorities:
            _must_onboard(putter, authority.cvr)
            put.append({"cvr": authority.cvr, "changed": await change.keep_authority(authority)})
        return put


async def agreements(connection: Connection) -> list[dict[str, Any]]:
    """The newest version of every agreement, senders first."""
    return [row for kept in (SENDERS, READERS) for row in await _every(connection, kept)]


async def delimitations(connection: Connection) -> list[dict[str, Any]]:
    """Every authority's choices, one by one."""
    rows = await (await connection.execute(DELIMITATIONS.every())).fetchall()
    return [choice for _, body, _, _ in rows for choice in body]


async def authorities(connection: Connection) -> list[dict[str, Any]]:
    """Every authority there is."""
    rows = await (await connection.execute("SELECT body FROM authority ORDER BY cvr")).fetchall()
    return [body for (body,) in rows]


@dataclass(slots=True)
class _Change:
    """One change under way. `said`: what it did; empty when everything stood so already."""

    connection: Connection
    said: list[str]

    async def newest(self, kept: Kept, key: tuple[str, ...]) -> tuple[int, Any] | None:
        row: tuple[int, Any] | None = await (await self.connection.execute(kept.newest(), key)).fetchone()
        return row

    async def keep(
        self, kept: Kept, key: tuple[str, ...], body: Any, before: tuple[int, Any] | None, putter: Putter
    ) -> int | None:
        if before is not None and _same(before[1], body):
            return None
        version = 1 if before is None else before[0] + 1
        await self.connection.execute(kept.insert(), (*key, version, Jsonb(body), putter.name))
        self.said.append(f"{kept.table} {'/'.join(key)} version {version}")
        return version

    async def keep_authority(self, authority: Authority) -> bool:
        statement = (
            "INSERT INTO authority AS a VALUES (%s, %s)"
            " ON CONFLICT (cvr) DO UPDATE SET body = excluded.body WHERE a.body <> excluded.body"
        )
        body = Jsonb(authority.model_dump(mode="json"))
        changed = (await self.connection.execute(statement, (authority.cvr, body))).rowcount == 1
        if changed:
            self.said.append(f"authority {authority.cvr}")
        return changed

    async def touch(self, authority: str, system: str | None, lane: int) -> None:
        await self.connection.execute(query("touch_entries"), {"authority": authority, "system": system, "lane": lane})


@asynccontextmanager
async def _change(connection: Connection) -> AsyncIterator[_Change]:
    async with changing(connection) as said:
        yield _Change(connection, said)


async def _put_agreement(change: _Change, agreement: Sender | Reader, putter: Putter) -> dict[str, Any]:
    putter.must_be_of(agreement.authority)
    kept, system = (SENDERS, agreement.system) if isinstance(agreement, Sender) else (READERS, None)
    key = tuple(getattr(agreement, column) for column in kept.key)
    before = await change.newest(kept, key)
    stood = None if before is None else before[1]
    body = agreement.model_dump(mode="json", exclude={"override"})
    if putter.role is not Role.ONBOARDING and not transition.only_closes(stood, body):
        raise NotYoursError("an operator may suspend or end an agreement, and change nothing else of it")
    overridden = isinstance(agreement, Sender) and _overrides(agreement, stood)
    version = await change.keep(kept, key, body | ({"override": True} if overridden else {}), before, putter)
    if version is not None:
        await change.touch(agreement.authority, system, PURGE if transition.narrows(stood, body) else USUAL)
    told = dict(zip(kept.key, key, strict=True))
    return told | {"version": version or (before and before[0]), "state": agreement.state, "changed": bool(version)}


async def _put_list(change: _Change, authority: str, listed: list[dict[str, Any]], putter: Putter) -> dict[str, Any]:
    _must_onboard(putter, authority)
    before = await change.newest(DELIMITATIONS, (authority,))
    version = None
    if listed or before is not None:
        version = await change.keep(DELIMITATIONS, (authority,), listed, before, putter)
    if version is not None:
        await change.touch(authority, None, PURGE if listed else USUAL)
    return {"authority": authority, "version": version or (before and before[0]), "changed": version is not None}


def _overrides(agreement: Sender, stood: Mapping[str, Any] | None) -> bool:
    """Whether the step needed the override it came with. Raises TransitionRefusedError."""
    before = None if stood is None else AgreementState(stood["state"])
    if transition.follows(before, agreement.state):
        return False
    if not agreement.override:
        raise TransitionRefusedError(
            f"{agreement.state} does not follow {before or 'nothing'}; say override to skip steps"
        )
    return True


def _must_onboard(putter: Putter, authority: str) -> None:
    putter.must_be_of(authority)
    if putter.role is not Role.ONBOARDING:
        raise NotYoursError("only onboarding may change this")


def _same(one: Any, other: Any) -> bool:
    def bare(body: Any) -> Any:
        return {k: v for k, v in body.items() if k != "override"} if isinstance(body, dict) else body

    return bool(bare(one) == bare(other))


async def _every(connection: Connection, kept: Kept) -> list[dict[str, Any]]:
    rows = await (await connection.execute(kept.every())).fetchall()
    return [
        body | {"version": version, "put_by": put_by, "put_at": put_at.isoformat()}
        for version, body, put_by, put_at in rows
    ]
