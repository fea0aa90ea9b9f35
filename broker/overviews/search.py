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
from broker.overviews.grants import authorities, bounds, grants, principals, roles
from broker.overviews.reading import Connection, Core, Read, note, primary_persons
from broker.overviews.request import SearchRequest
from broker.overviews.shown import moment, show
from broker.store import access_log, documents
from broker.store import search as index
from broker.store.second_line import behind

NOTHING = "nothing_permitted"
MICROSECONDS = 1_000_000
Page = list[tuple[index.Found, State, Entry]]


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
                await note(connection, query, Read(request.purpose, request.reference, str(Reason.ROLE), ()))
                return Refused(Reason.ROLE)
            answer, citizens = await _answer(core, connection, query, request, at)
            await note(connection, query, _read(request, answer, citizens))
            return answer


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


async def _answer(
    core: Core, connection: Connection, query: Query, request: SearchRequest, at: datetime
) -> tuple[Answer, frozenset[str]]:
    """The page, and the persons whose cases are on it."""
    row, on = POLICY[query.overview], at.date()
    facts = await core.facts.current(connection)
    asked = asked_of(query, request, facts.senders)
    key = await access_log.pepper(connection)
    async with behind(connection, bounds(row, query)):
        allowed = grants(row, query, facts, on, await index.holders(connection, asked))
        search = _Search(query, request, facts, on, asked, allowed)
        after = None if request.cursor is None else unseal(request.cursor, search.identity, key)
        page, last = await _page(connection, search, after)
    entries = await _shown(connection, search, page)
    cursor = None if last is None else seal(last, search.identity, key)
    sources = await index.freshness(connection, authorities(row, query, facts, on))
    answer = Answer(entries, cursor, [_fresh(source, at.timestamp()) for source in sources])
    return answer, frozenset(person for _, _, entry in page for person in primary_persons(entry))


def asked_of(query: Query, request: SearchRequest, sources: Iterable[tuple[str, str]] = ()) -> index.Asked:
    """The search in the index's words. `sources`: (authority, system) of all who may be shown; for `case_ids` only."""
    row = POLICY[query.overview]
    references = () if request.reference is None else (request.reference,)
    kle = None if request.kle is None else Patterns.of(request.kle).prefixes
    keys = tuple(EntryKey(*source, case_id) for case_id in request.case_ids or () for source in sources)
    return index.Asked(references, roles(row, query), request.user_key, kle, principals(row, query), keys)


async def _page(
    connection: Connection, search: _Search, after: index.Position | None
) -> tuple[Page, index.Position | None]:
    """Go on until the page is full and one more is permitted, or there are no more: what is hidden leaves no trace.

    Returns:
        The entries, and the position of the last of them when more follow.
    """
    page: Page = []
    last: index.Position | None = None
    found_in_order = index.candidates(connection, search.asked, search.allowed, after, search.request.limit + 1)
    async with aclosing(found_in_order) as candidates:
        async for found in candidates:
            state = found.state()
            entry = found.entry(state)
            if not search.permits(entry):
                continue
            if len(page) == search.request.limit:
                return page, last
            page.append((found, state, entry))
            last = found.position
    return page, None


async def _shown(connection: Connection, search: _Search, page: Page) -> list[dict[str, Any]]:
    known = await documents.of(connection, ((entry.key, state) for _, state, entry in page))
    reference = search.request.reference
    return [
        show(found, state, entry, search.query, search.facts, search.on, known, reference=reference)
        for found, state, entry in page
    ]


def _read(request: SearchRequest, answer: Answer, citizens: frozenset[str]) -> Read:
    """The row of the log: also whose cases were shown, where it was not they that were asked about."""
    cases = [f"{entry['authority']}/{entry['system']}/{entry['case_id']}" for entry in answer.entries]
    return Read(request.purpose, request.reference, None if cases else NOTHING, cases, citizens)


def _fresh(source: index.Freshness, at: float) -> dict[str, Any]:
    behind = at - source.last_registered_at / MICROSECONDS
    return {
        "authority": source.authority,
        "system": source.system,
        "last_registered_at": moment(source.last_registered_at),
        "seconds_behind": max(0.0, round(behind, 3)),
    }
