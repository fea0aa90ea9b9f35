"""Finding candidate entries in the index: narrows by what it is given, decides nothing."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from broker.domain.case import State
from broker.domain.entry import PRIMARY, Entry, entry_of
from broker.domain.identity import EntryKey
from broker.store.database import query
from broker.store.document import load


class Grant(NamedTuple):
    """One scope, or one agreement, taken as a whole.

    ceilings: (KLE prefix, highest sensitivity); the longest prefix that covers a number decides.
    since: cases created from then on, microseconds since 1970, UTC.
    citizens: one of them, as in `entry.party_ref`, is a primary party.
    """

    authority: str
    kle: tuple[str, ...]
    ceilings: tuple[tuple[str, int], ...]
    system: str | None = None
    since: int | None = None
    citizens: tuple[str, ...] | None = None


class Position(NamedTuple):
    """The place of an entry in the order of answers."""

    created_at: int
    authority: str
    system: str
    case_id: str


# By kind: an entry needs a grant of every kind. A kind without grants lets nothing through.
Grants = Mapping[str, Sequence[Grant]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked for. `references` as in `entry.party_ref`, in one of the `roles`; `kle` as prefixes.

    principals: who reads, for cases with a security profile; None when profiles do not count.
    """

    references: tuple[str, ...]
    roles: tuple[str, ...]
    user_key: str | None
    kle: tuple[str, ...] | None
    principals: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Found:
    """One row of the index."""

    authority: str
    system: str
    case_id: str
    created_at: int
    newest: bytes
    received_at: datetime
    indexed_at: datetime
    document: str

    @property
    def position(self) -> Position:
        """Where the next page goes on."""
        return Position(self.created_at, self.authority, self.system, self.case_id)

    def state(self) -> State:
        """Everything that is known of the case."""
        return load(self.document)

    def entry(self, state: State) -> Entry:
        """The case as the policy sees it."""
        return entry_of(EntryKey(self.authority, self.system, self.case_id), state)


class Freshness(NamedTuple):
    """The newest registration of one source, microseconds since 1970, UTC."""

    authority: str
    system: str
    last_registered_at: int


async def candidates(
    connection: psycopg.AsyncConnection[Any], asked: Asked, grants: Grants, after: Position | None, page: int
) -> AsyncGenerator[Found, None]:
    """Candidates in order, fetched `page` at a time; call it inside a transaction."""
    async with connection.cursor("candidates", row_factory=class_row(Found)) as cursor:
        cursor.itersize = page
        await cursor.execute(query("search_entries"), _parameters(asked, grants, after))
        async for found in cursor:
            yield found


async def by_key(connection: psycopg.AsyncConnection[Any], key: EntryKey) -> Found | None:
    """One entry as it stands; None when there is none that anybody could be shown."""
    async with connection.cursor(row_factory=class_row(Found)) as cursor:
        await cursor.execute(query("read_entry"), key._asdict())
        return await cursor.fetchone()


async def parties(connection: psycopg.AsyncConnection[Any], keys: Sequence[EntryKey]) -> list[tuple[str, str]]:
    """(key as text, party as in `entry.party_ref`) for every party of these entries."""
    authorities, systems, case_ids = zip(*keys, strict=True)
    asked = {"authorities": list(authorities), "systems": list(systems), "case_ids": list(case_ids)}
    return await (await connection.execute(query("entry_parties"), asked)).fetchall()


async def freshness(connection: psycopg.AsyncConnection[Any], authorities: Sequence[str]) -> list[Freshness]:
    """How fresh every source of these authorities is."""
    cursor = await connection.execute(query("source_freshness"), {"authorities": list(authorities)})
    return [Freshness(*row) for row in await cursor.fetchall()]


def _parameters(asked: Asked, grants: Grants, after: Position | None) -> dict[str, Any]:
    return {
        "grants": Jsonb([_granted(kind, grant) for kind, listed in grants.items() for grant in listed]),
        "kinds": len(grants),
        "primary_parties": list(asked.references) if PRIMARY in asked.roles else [],
        "other_parties": [f"{role}|{reference}" for role in asked.roles for reference in asked.references],
        "user_key": asked.user_key,
        "kle": None if asked.kle is None else list(asked.kle),
        "principals": None if asked.principals is None else sorted(asked.principals),
        "after_created": after and after.created_at,
        "after_authority": after and after.authority,
        "after_system": after and after.system,
        "after_case": after and after.case_id,
    }


def _granted(kind: str, grant: Grant) -> dict[str, Any]:
    prefixes, levels = zip(*grant.ceilings, strict=True) if grant.ceilings else ((), ())
    return {
        "kind": kind,
        "authority": grant.authority,
        "kle": grant.kle,
        "prefixes": prefixes,
        "levels": levels,
        "system": grant.system,
        "since": grant.since,
        "citizens": grant.citizens,
    }
