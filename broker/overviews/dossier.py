"""Everything that is held on one citizen in one authority, for whoever answers a request for access. Logged.

Nothing is left out, whatever an overview would hide: what the citizen is given is the authority's decision. So it is
for the authority's auditors, and for nobody else.
"""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Final

from psycopg.rows import class_row, dict_row
from pydantic import AfterValidator, Field

from broker.domain.case import NEVER, State
from broker.domain.entry import Entry, party_ref
from broker.domain.form import PARTY_ROLES
from broker.domain.retention import closed_at
from broker.overviews.access import NotYours, plain
from broker.overviews.asking import numbers_of
from broker.overviews.reading import Caller, Connection, who, written
from broker.overviews.request import Strict, Text, cpr
from broker.overviews.shown import provenance, text
from broker.store import access_log, documents
from broker.store.access_log import Access
from broker.store.database import query
from broker.store.search import Found
from broker.stream.topics import DAY, TOPICS

LOG: Final = "dossier"
BASIS: Final = "right_of_access"
MOST_READS: Final = 10_000


class DossierRequest(Strict):
    """Whom it is about, and in which authority; `purpose`: why it is asked for."""

    citizen: Annotated[str, AfterValidator(cpr)] = Field(repr=False)
    authority: Annotated[str, Field(pattern=r"^\d{8}$")]
    purpose: Annotated[Text, Field(max_length=1000)] | None = None


async def dossier(connection: Connection, caller: Caller, asked: DossierRequest) -> dict[str, Any] | NotYours:
    """All of it, as it stands in one snapshot. Raises NotLoggedError."""
    about = party_ref("CPR", asked.citizen)
    if asked.authority not in caller.authorities:
        await written(connection, Access(who(caller.reader), LOG, "deny", asked.purpose, about, None, "not_yours"))
        return NotYours()
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        persons = sorted(await numbers_of(connection, frozenset({about})))
        numbers = [one.removeprefix(party_ref("CPR", "")) for one in persons]
        within = {"authority": asked.authority, "numbers": numbers}
        held = await _entries(connection, persons, asked.authority)
        states = await asyncio.to_thread(lambda: [(found, found.state()) for found in held])
        answer = {
            "authority": asked.authority,
            "entries": await _shown(connection, states),
            "rejected_events": await _rejected(connection, numbers, asked.authority),
            "registered": await _rows(connection, "dossier_register", within),
            "glass_broken": await _rows(connection, "dossier_break_glass", within),
            "access_log": await _reads(connection, persons, asked.authority),
            "followed_until": [one["until"] for one in await _rows(connection, "dossier_followed", within)],
            "sources": sorted({found.system for found in held}),
            "kept_in_topics_days": {topic.name: _kept_days(topic.config) for topic in TOPICS},
        }
        keys = [f"{found.authority}/{found.system}/{found.case_id}" for found in held]
        await written(connection, Access(who(caller.reader), LOG, "permit", asked.purpose, about, BASIS, None, keys))
    return answer


async def _entries(connection: Connection, persons: Sequence[str], authority: str) -> list[Found]:
    """In whatever part of the case, complete or not."""
    parties = [f"{role}|{person}" for role in sorted(PARTY_ROLES) for person in persons]
    asked = {"persons": persons, "parties": parties, "authority": authority}
    async with connection.cursor(row_factory=class_row(Found)) as cursor:
        await cursor.execute(query("dossier_entries"), asked)
        return await cursor.fetchall()


async def _shown(connection: Connection, states: Sequence[tuple[Found, State]]) -> list[dict[str, Any]]:
    """The state group by group, as it is held, with its documents and how long it is kept."""
    entries = [found.entry(state) for found, state in states]
    retention = await _retention(connection, entries, [closed_at(state) for _, state in states])
    known = await documents.of(
        connection, ((entry.key, state) for entry, (_, state) in zip(entries, states, strict=True))
    )
    registered = {
        reference.document_id: [
            {"system": system, "title": one.title, "confidential_title": one.confidential_title, "type": one.type}
            for system, one in by_system.items()
        ]
        for reference, by_system in known.items()
    }
    # However many they are, others are answered meanwhile.
    return await asyncio.to_thread(
        lambda: [
            _entry(found, state, registered) | {"retention": retention.get(number)}
            for number, (found, state) in enumerate(states, 1)
        ]
    )


async def _retention(
    connection: Connection, entries: Sequence[Entry], closed: Sequence[int | None]
) -> dict[int, dict[str, Any]]:
    """By the entry's number, from 1: what KLE says of how long it is kept; nothing where no edition here does.

    closed: microseconds since 1970, UTC.
    delete_after: None where the case is not closed, or KLE states no deletion.
    """
    asked = {"numbers": [entry.kle for entry in entries], "closed_at": closed}
    return {row.pop("ordinal"): row for row in await _rows(connection, "dossier_retention", asked)}


def _entry(found: Found, state: State, registered: dict[str, Any]) -> dict[str, Any]:
    groups = {name: content for name, (_, content) in state.groups.items()}
    items = [{"group": group, **content} for (group, _), (_, content) in state.items.items() if content is not None]
    named = {item.get("document_id") for item in [*groups.get("journal", ()), *items]}
    return {
        "case_id": found.case_id,
        "system": found.system,
        "removed": state.removed[0] != NEVER,
        "received_at": text(found.received_at),
        "indexed_at": text(found.indexed_at),
        "provenance": provenance(state),
        "groups": groups,
        "items": items,
        "documents": {one: registered[one] for one in named if one in registered},
    }


async def _rejected(connection: Connection, numbers: Sequence[str], authority: str) -> list[dict[str, Any]]:
    """Events that could not be used and are still kept, where a number stands in them in the clear."""
    said = {"authority": authority, "numbers": [number.encode() for number in numbers]}
    return await _rows(connection, "dossier_rejections", said)


async def _reads(connection: Connection, persons: Sequence[str], authority: str) -> list[dict[str, Any]]:
    """Who has looked, as an auditor sees it; also what is kept out of the citizen's own log for a time."""
    key = await access_log.pepper(connection)
    keyed = [access_log.keyed(person, key) for person in persons]
    return await _rows(connection, "dossier_reads", {"persons": keyed, "authority": authority, "limit": MOST_READS})


async def _rows(connection: Connection, name: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query(name), asked)
        rows = await cursor.fetchall()
    return [plain(row) for row in rows]


def _kept_days(config: dict[str, str]) -> float | None:
    """None: no longer than a newer value stands, or for ever where there is no personal data."""
    kept = int(config.get("retention.ms", "-1"))
    return None if kept < 0 else kept / DAY
