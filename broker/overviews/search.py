"""Searching an overview. Everything found is decided on, every read is logged before it is answered."""

from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from broker import metrics
from broker.domain.agreement import Facts
from broker.domain.case import State
from broker.domain.entry import Entry
from broker.domain.kle import Patterns
from broker.domain.policy import BreakGlass, Overview, Permit, Query, Reader, Reason, decide, glass_broken, refused
from broker.overviews.asking import known, with_parties
from broker.overviews.cursor import seal, unseal
from broker.overviews.grants import authorities, grants, principals, roles
from broker.overviews.reading import Connection, Core, Read, note, note_break_glass
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
    query = query_of(overview, reader, request)
    with metrics.SEARCH_SECONDS.labels(overview.name).time():
        async with core.pool.connection() as connection:
            reason = refused(overview, query)
            if reason is not None:
                outcome: Answer | Refused = Refused(reason)
            else:
                outcome = await _answer(core, connection, query, request, at)
            await _log(connection, overview, query, request, outcome)
            return outcome


def query_of(overview: Overview, reader: Reader, request: SearchRequest) -> Query:
    """The request in the policy's words."""
    broken = request.break_glass
    return Query(
        overview.name,
        reader,
        request.persons,
        request.purpose,
        request.control_case,
        None if request.effort_id is None else str(request.effort_id),
        None if broken is None else BreakGlass(broken.basis, broken.reason),
    )


@dataclass(frozen=True, slots=True)
class _Search:
    """One search, with all that deciding needs."""

    query: Query
    request: SearchRequest
    facts: Facts
    at: datetime
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
        return wanted and isinstance(decide(entry, self.query, self.facts, self.at), Permit)


async def _answer(core: Core, connection: Connection, query: Query, request: SearchRequest, at: datetime) -> Answer:
    # No transaction: read committed, each statement would see the same in one, and every journey spared is latency.
    query, facts = await known(connection, query, await core.facts.current(connection))
    row = facts.policy[query.overview]
    asked = asked_of(row, query, request)
    allowed = grants(row, query, facts, at, await index.holders(connection, asked))
    search = _Search(query, request, facts, at, asked, allowed)
    key = await access_log.pepper(connection)
    after = None if request.cursor is None else unseal(request.cursor, search.identity, key)
    entries, last = await _page(connection, search, after)
    # What a broken glass shows it shows once.
    more = last is not None and query.break_glass is None
    cursor = seal(last, search.identity, key) if last is not None and more else None
    sources = await index.freshness(connection, authorities(row, query, facts, at))
    return Answer(entries, cursor, [_fresh(source, at.timestamp()) for source in sources])


def asked_of(row: Overview, query: Query, request: SearchRequest) -> index.Asked:
    """The search in the index's words."""
    references = tuple(sorted(references_of(query, request)))
    kle = None if request.kle is None else Patterns.of(request.kle).prefixes
    return index.Asked(references, roles(row, query), request.user_key, kle, principals(row, query))


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
    registered = await documents.of(connection, ((entry.key, state) for _, state, entry in page))
    facts = await with_parties(connection, search.facts, (entry for _, _, entry in page))
    references = references_of(search.query, search.request)
    return [
        show(found, state, entry, search.query, facts, search.at, registered, references=references)
        for found, state, entry in page
    ]


def references_of(query: Query, request: SearchRequest) -> frozenset[str]:
    """Everything that the party asked about is called in the index; empty when it is no party."""
    if query.citizen is not None:
        return query.citizen
    return frozenset() if request.reference is None else frozenset({request.reference})


async def _log(
    connection: Connection, overview: Overview, query: Query, request: SearchRequest, outcome: Answer | Refused
) -> None:
    denied: str | None
    match outcome:
        case Refused(reason):
            denied, cases = str(reason), []
        case Answer(entries):
            denied = None if entries else NOTHING
            cases = [f"{entry['authority']}/{entry['system']}/{entry['case_id']}" for entry in entries]
    read = Read(request.purpose, request.reference, denied, cases)
    if denied is not None or query.break_glass is None or not glass_broken(query, overview):
        await note(connection, query, read)
        return
    async with connection.transaction():
        await note(connection, query, replace(read, purpose=query.break_glass.reason))
        await note_break_glass(connection, query, cases)


def _fresh(source: index.Freshness, at: float) -> dict[str, Any]:
    behind = at - source.last_registered_at / MICROSECONDS
    return {
        "authority": source.authority,
        "system": source.system,
        "last_registered_at": moment(source.last_registered_at),
        "seconds_behind": max(0.0, round(behind, 3)),
    }
