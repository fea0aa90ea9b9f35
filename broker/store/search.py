"""Finding candidate entries in the index: narrows by what it is given, decides nothing."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson
import psycopg
from psycopg.rows import args_row, class_row
from psycopg.types.json import Jsonb

from broker.domain.case import State
from broker.domain.entry import PRIMARY, Entry, entry_of
from broker.domain.identity import EntryKey
from broker.store.database import query
from broker.store.document import load
from broker.store.text import array


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


MOST_AT_ONCE: Final = 1000
# By kind: an entry needs a grant of every kind. A kind without grants lets nothing through.
Grants = Mapping[str, Sequence[Grant]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked for. `references` as in `entry.party_ref`, in one of the `roles`; `kle` as prefixes.

    principals: who reads, for cases with a security profile; None when profiles do not count.
    keys: the entries that are looked for, whoever they are about.
    """

    references: tuple[str, ...]
    roles: tuple[str, ...]
    user_key: str | None
    kle: tuple[str, ...] | None
    principals: frozenset[str] | None
    keys: tuple[EntryKey, ...] = ()


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
    document: bytes

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
    """The newest registration of one source, microseconds since 1970, UTC; None: nothing ever came."""

    authority: str
    system: str
    last_registered_at: int | None


async def candidates(
    connection: psycopg.AsyncConnection[Any], asked: Asked, grants: Grants, after: Position | None, page: int
) -> AsyncGenerator[Found, None]:
    """Candidates in order: `page` of them, then twice as many each time, from behind the last one on."""
    while True:
        async with connection.cursor(row_factory=class_row(Found)) as cursor:
            await cursor.execute(query("search_entries"), parameters(asked, grants, after, page))
            rows = await cursor.fetchall()
        for found in rows:
            yield found
        if len(rows) < page:
            return
        after, page = rows[-1].position, min(2 * page, MOST_AT_ONCE)


async def holders(connection: psycopg.AsyncConnection[Any], asked: Asked) -> list[str]:
    """The authorities that hold anything of what is asked for, whoever asks."""
    cursor = await connection.execute(query("holding_authorities"), named(asked))
    return [authority for (authority,) in await cursor.fetchall()]


async def by_key(connection: psycopg.AsyncConnection[Any], key: EntryKey) -> Found | None:
    """One entry as it stands; None when there is none that anybody could be shown."""
    async with connection.cursor(row_factory=class_row(Found)) as cursor:
        await cursor.execute(query("read_entry"), key._asdict())
        return await cursor.fetchone()


async def by_keys(connection: psycopg.AsyncConnection[Any], keys: Sequence[EntryKey]) -> list[Found]:
    """Those of the entries that anybody could be shown, as they stand."""
    authorities, systems, case_ids = zip(*keys, strict=True)
    asked = {"authorities": list(authorities), "systems": list(systems), "case_ids": list(case_ids)}
    async with connection.cursor(row_factory=class_row(Found)) as cursor:
        await cursor.execute(query("read_entries"), asked)
        return await cursor.fetchall()


async def parties(connection: psycopg.AsyncConnection[Any], keys: Sequence[EntryKey]) -> list[tuple[str, str]]:
    """(key as text, party as in `entry.party_ref`) for every party of these entries."""
    authorities, systems, case_ids = zip(*keys, strict=True)
    asked = {"authorities": list(authorities), "systems": list(systems), "case_ids": list(case_ids)}
    return await (await connection.execute(query("entry_parties"), asked)).fetchall()


async def freshness(
    connection: psycopg.AsyncConnection[Any], authorities: Sequence[str]
) -> psycopg.AsyncCursor[Freshness]:
    """How fresh every source of these authorities is; fetched when it is needed, in a pipeline."""
    cursor = connection.cursor(row_factory=args_row(Freshness))
    return await cursor.execute(query("source_freshness"), {"authorities": array(authorities)})


def named(asked: Asked) -> dict[str, Any]:
    """What finds candidates."""
    return {
        "primary_parties": array(asked.references if PRIMARY in asked.roles else ()),
        "other_parties": array(f"{role}|{reference}" for role in asked.roles for reference in asked.references),
        "user_key": asked.user_key,
        "authorities": array(key.authority for key in asked.keys),
        "systems": array(key.system for key in asked.keys),
        "case_ids": array(key.case_id for key in asked.keys),
    }


def parameters(asked: Asked, grants: Grants, after: Position | None, limit: int) -> dict[str, Any]:
    """Of `search_entries.sql`."""
    return {
        **named(asked),
        "grants": Jsonb([_granted(kind, grant) for kind, listed in grants.items() for grant in listed], orjson.dumps),
        "kinds": len(grants),
        "kle": None if asked.kle is None else array(asked.kle),
        "principals": None if asked.principals is None else array(sorted(asked.principals)),
        "after_created": after and after.created_at,
        "after_authority": after and after.authority,
        "after_system": after and after.system,
        "after_case": after and after.case_id,
        "limit": limit,
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
