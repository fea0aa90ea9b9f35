"""Searching an overview. Everything found is decided on, every read is logged before it is answered."""

from contextlib import aclosing
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from broker import metrics
from broker.domain.agreement import Facts
from broker.domain.entry import Entry
from broker.domain.kle import Patterns
from broker.domain.policy import POLICY, Overview, Permit, Query, Reader, Reason, decide
from broker.overviews.cursor import seal, unseal
from broker.overviews.grants import authorities, grants, principals, roles
from broker.overviews.reading import Connection, Core, Read, note
from broker.overviews.request import SearchRequest
from broker.overviews.shown import moment, show
from broker.store import access_log
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
                async with connection.transaction():
                    facts = await core.facts.current(connection)
                    outcome = await _answer(connection, query, request, facts, at)
            await _log(connection, query, request, outcome)
            return outcome


@dataclass(frozen=True, slots=True)
class _Search:
    """One search, with all that deciding needs."""

    query: Query
    request: SearchRequest
    facts: Facts
    on: date
    allowed: index.Grants

    @property
    def identity(self) -> list[Any]:
        """What a cursor is good for: this search by this reader."""
        reader = self.query.reader
        return [self.query.overview, reader.subject, reader.client, self.request.identity()]

    @property
    def asked(self) -> index.Asked:
        """The search in the index's words."""
        request = self.request
        references = () if request.reference is None else (request.reference,)
        kle = None if request.kle is None else Patterns.of(request.kle).prefixes
        row = POLICY[self.query.overview]
        return index.Asked(references, roles(row, self.query), request.user_key, kle, principals(row, self.query))

    def permits(self, entry: Entry) -> bool:
        """Whether it may be shown, and is asked for."""
        wanted = self.request.states is None or entry.state in self.request.states
        return wanted and isinstance(decide(entry, self.query, self.facts, self.on), Permit)


async def _answer(connection: Connection, query: Query, request: SearchRequest, facts: Facts, at: datetime) -> Answer:
    allowed = grants(POLICY[query.overview], query, facts, at.date())
    search = _Search(query, request, facts, at.date(), allowed)
    after = None
    if request.cursor is not None:
        after = unseal(request.cursor, search.identity, await access_log.pepper(connection))
    entries, last = await _page(connection, search, after)
    cursor = None
    if last is not None:
        cursor = seal(last, search.identity, await access_log.pepper(connection))
    sources = await index.freshness(connection, authorities(allowed))
    return Answer(entries, cursor, [_fresh(source, at) for source in sources])


async def _page(
    connection: Connection, search: _Search, after: index.Position | None
) -> tuple[list[dict[str, Any]], index.Position | None]:
    """Go on until the page is full and one more is permitted, or there are no more: what is hidden leaves no trace.

    Returns:
        The entries, and the position of the last of them when more follow.
    """
    entries: list[dict[str, Any]] = []
    last: index.Position | None = None
    reference = search.request.reference
    found_in_order = index.candidates(connection, search.asked, search.allowed, after, search.request.limit + 1)
    async with aclosing(found_in_order) as candidates:
        async for found in candidates:
            state = found.state()
            entry = found.entry(state)
            if not search.permits(entry):
                continue
            if len(entries) == search.request.limit:
                return entries, last
            entries.append(show(found, state, entry, search.query, search.facts, search.on, reference=reference))
            last = found.position
    return entries, None


async def _log(connection: Connection, query: Query, request: SearchRequest, outcome: Answer | Refused) -> None:
    denied: str | None
    match outcome:
        case Refused(reason):
            denied, cases = str(reason), []
        case Answer(entries):
            denied = None if entries else NOTHING
            cases = [f"{entry['authority']}/{entry['system']}/{entry['case_id']}" for entry in entries]
    await note(connection, query, Read(request.purpose, request.reference, denied, cases))


def _fresh(source: index.Freshness, at: datetime) -> dict[str, Any]:
    behind = at.timestamp() - source.last_registered_at / MICROSECONDS
    return {
        "authority": source.authority,
        "system": source.system,
        "last_registered_at": moment(source.last_registered_at),
        "seconds_behind": max(0.0, round(behind, 3)),
    }
