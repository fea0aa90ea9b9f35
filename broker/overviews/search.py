"""Searching an overview. Everything found is decided on, every read is logged before it is answered."""

from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from broker import metrics
from broker.domain.agreement import Facts
from broker.domain.case import State
from broker.domain.entry import Entry
from broker.domain.identity import EntryKey
from broker.domain.kle import Patterns
from broker.domain.policy import POLICY, Overview, Permit, Query, Reader, Reason, decide
from broker.overviews.cursor import seal, unseal
from broker.overviews.grants import authorities, grants, principals, roles
from broker.overviews.reading import Connection, Core, Read, note
from broker.overviews.request import SearchRequest
from broker.overviews.shown import moment, show
from broker.store import access_log, documents
from broker.store import search as index

NOTHING = "nothing_permitted"
MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class Answer:
    """A page of what the reader may see, and how fresh each source in their scope is."""

    entries: list[dict[str, Any]]
    next_cursor: str | None
    freshness: list[dict[str, Any]]
    notice: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """This reader may not ask this overview at all."""

    reason: Reason


async def search(
    core: Core, reader: Reader, overview: Overview, request: SearchRequest, at: datetime
) -> Answer | Refused:
    """Search, decide, log; only then answer. Raises BrokenCursorError, NotLoggedError."""
    query = Query(overview.name, reader, request.persons)
    with metrics.SEARCH_SECONDS.labels(overview.name).time():
        async with core.pool.connection() as connection:
            if reader.role is not overview.role:
                outcome: Answer | Refused = Refused(Reason.ROLE)
            else:
                outcome = await _answer(core, connection, query, request, at)
            await _log(connection, query, request, outcome)
            return outcome


@dataclass(frozen=True, slots=True)
class _Search:
    """One search, with all that deciding needs."""

    query: Query
    request: SearchRequest
    facts: Facts
    on: date
    asked: index.Asked
    allowed: index.Grants

    @property
    def identity(self) -> list[Any]:
        """What a cursor is good for: this search by this reader."""
        reader = self.query.reader
        return [self.query.overview, reader.subject, reader.client, self.request.identity()]

    def permits(self, entry: Entry) -> bool:
        """Whether it may be shown, and is asked for."""
        wanted = self.request.states is None or entry.state in self.request.states
        return wanted and isinstance(decide(entry, self.query, self.facts, self.on), Permit)


async def _answer(core: Core, connection: Connection, query: Query, request: SearchRequest, at: datetime) -> Answer:
    # No transaction: read committed, each statement would see the same in one, and every journey spared is latency.
    row, on = POLICY[query.overview], at.date()
    facts = await core.facts.current(connection)
    asked = asked_of(query, request, facts.senders)
    allowed = grants(row, query, facts, on, await index.holders(connection, asked))
    search = _Search(query, request, facts, on, asked, allowed)
    key = await access_log.pepper(connection)
    after = None if request.cursor is None else unseal(request.cursor, search.identity, key)
    entries, last = await _page(connection, search, after)
    cursor = None if last is None else seal(last, search.identity, key)
    sources = await index.freshness(connection, authorities(row, query, facts, on))
    return Answer(entries, cursor, [_fresh(source, at.timestamp()) for source in sources])


def asked_of(query: Query, request: SearchRequest, sources: Iterable[tuple[str, str]] = ()) -> index.Asked:
    """The search in the index's words. `sources`: (authority, system) of all who may be shown; for `case_ids` only."""
    row = POLICY[query.overview]
    references = () if request.reference is None else (request.reference,)
    kle = None if request.kle is None else Patterns.of(request.kle).prefixes
    keys = tuple(EntryKey(*source, case_id) for case_id in request.case_ids or () for source in sources)
    return index.Asked(references, roles(row, query), request.user_key, kle, principals(row, query), keys)


async def _page(
    connection: Connection, search: _Search, after: index.Position | None
) -> tuple[list[dict[str, Any]], index.Position | None]:
    """Go on until the page is full and one more is permitted, or there are no more: what is hidden leaves no trace.

    Returns:
        The entries, and the position of the last of them when more follow.
    """
    page: list[tuple[index.Found, State, Entry]] = []
    last: index.Position | None = None
    found_in_order = index.candidates(connection, search.asked, search.allowed, after, search.request.limit + 1)
    async with aclosing(found_in_order) as candidates:
        async for found in candidates:
            state = found.state()
            entry = found.entry(state)
            if not search.permits(entry):
                continue
            if len(page) == search.request.limit:
                return await _shown(connection, search, page), last
            page.append((found, state, entry))
            last = found.position
    return await _shown(connection, search, page), None


async def _shown(
    connection: Connection, search: _Search, page: list[tuple[index.Found, State, Entry]]
) -> list[dict[str, Any]]:
    known = await documents.of(connection, ((entry.key, state) for _, state, entry in page))
    reference = search.request.reference
    return [
        show(found, state, entry, search.query, search.facts, search.on, known, reference=reference)
        for found, state, entry in page
    ]


async def _log(connection: Connection, query: Query, request: SearchRequest, outcome: Answer | Refused) -> None:
    denied: str | None
    match outcome:
        case Refused(reason):
            denied, cases = str(reason), []
        case Answer(entries):
            denied = None if entries else NOTHING
            cases = [f"{entry['authority']}/{entry['system']}/{entry['case_id']}" for entry in entries]
    await note(connection, query, Read(request.purpose, request.reference, denied, cases))


def _fresh(source: index.Freshness, at: float) -> dict[str, Any]:
    behind = at - source.last_registered_at / MICROSECONDS
    return {
        "authority": source.authority,
        "system": source.system,
        "last_registered_at": moment(source.last_registered_at),
        "seconds_behind": max(0.0, round(behind, 3)),
    }
