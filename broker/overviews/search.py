"""Searching an overview. Everything found is decided on, every read is logged before it is answered."""

from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import psycopg

from broker import metrics
from broker.domain.agreement import Facts
from broker.domain.case import State
from broker.domain.entry import Entry
from broker.domain.form import PARTY_ROLES
from broker.domain.identity import EntryKey
from broker.domain.kle import Patterns
from broker.domain.policy import (
    POLICY,
    BreakGlass,
    Deny,
    Overview,
    Query,
    Reader,
    Reason,
    decide,
    glass_broken,
    refused,
)
from broker.overviews.asking import mentioned, told, with_parties
from broker.overviews.cursor import seal, unseal
from broker.overviews.grants import authorities, bounds, grants, principals, roles, sources, telling
from broker.overviews.reading import Connection, Core, Read, at_one_moment, note, note_break_glass, primary_persons
from broker.overviews.request import SearchRequest
from broker.overviews.shown import moment, show
from broker.store import access_log, beginning, documents
from broker.store import search as index
from broker.store.second_line import behind

NOTHING = "nothing_permitted"
MICROSECONDS = 1_000_000
HIDDEN: Final = "something_hidden"
OF_THE_READER: Final = frozenset({Reason.OUTSIDE_SCOPE, Reason.OUTSIDE_CLIENT_SCOPE, Reason.SECURITY_PROFILE})
"""What is hidden for one of these, another reader is shown; what is shown to nobody in the overview is not told of."""
_SCOPES: Final = frozenset({"reader_scope", "client_scope"})
LEAST: Final = 101
"""Candidates that are asked for at once, however few the reader wants: or another journey would tell of some hidden."""
Page = list[tuple[index.Found, State, Entry]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A page of what the reader may see, and how fresh each source in their scope is.

    notice: `HIDDEN` where an authority of theirs has them told that there is something they may not be shown.
    """

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
            if (reason := refused(overview, query)) is not None:
                await note(connection, query, Read(request.purpose, request.reference, str(reason), ()))
                return Refused(reason)
            key = await access_log.pepper(connection)
            async with at_one_moment(connection):
                answer, citizens = await _answer(core, connection, query, request, at, key)
                await _log(connection, overview, query, _read(request, answer, citizens))
            return answer


def query_of(overview: Overview, reader: Reader, request: SearchRequest) -> Query:
    """The request in the policy's words. Where everything is one's own, who names nobody asks for themselves."""
    broken = request.break_glass
    nobody = reader.citizen if "own_or_represented" in overview.tests else None
    return Query(
        overview.name,
        reader,
        nobody if request.persons is None else request.persons,
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

    def wants(self, entry: Entry) -> bool:
        """Whether it is asked for."""
        return self.request.states is None or entry.state in self.request.states

    def reason_against(self, entry: Entry) -> Reason | None:
        """Why it may not be shown; None where it may."""
        decided = decide(entry, self.query, self.facts, self.at)
        return decided.reason if isinstance(decided, Deny) else None


async def _answer(
    core: Core, connection: Connection, query: Query, request: SearchRequest, at: datetime, key: bytes
) -> tuple[Answer, frozenset[str]]:
    """The page, and the persons whose cases are on it."""
    query, facts, asked, holders = await _begun(core, connection, query, request)
    row = facts.policy[query.overview]
    readable = authorities(row, query, facts, at)
    came = await index.freshness(connection, readable)
    async with behind(connection, bounds(row, query)):
        allowed = grants(row, query, facts, at, holders)
        search = _Search(query, request, facts, at, asked, allowed)
        after = None if request.cursor is None else unseal(request.cursor, search.identity, key)
        page, last = await _page(connection, search, after)
        told_of = telling(row, query, facts, at, holders)
        notice = HIDDEN if told_of and await _hides(connection, search, told_of) else None
    entries = await _shown(connection, search, page)
    # What a broken glass shows it shows once.
    more = last is not None and query.break_glass is None
    cursor = seal(last, search.identity, key) if last is not None and more else None
    answer = Answer(entries, cursor, _fresh(await _sources(came, search, readable), at.timestamp()), notice)
    return answer, frozenset(person for _, _, entry in page for person in primary_persons(entry))


async def _sources(
    came: psycopg.AsyncCursor[index.Freshness], search: _Search, readable: Sequence[str]
) -> list[index.Freshness]:
    """All that something came from, and those that something may come from: silent since the beginning."""
    heard = {(one.authority, one.system): one for one in await came.fetchall()}
    row = search.facts.policy[search.query.overview]
    silent = sources(row, search.query, search.facts, search.at, readable, heard)
    return sorted([*heard.values(), *(index.Freshness(*of, None) for of in silent)], key=lambda one: one[:2])


async def _begun(
    core: Core, connection: Connection, query: Query, request: SearchRequest
) -> tuple[Query, Facts, index.Asked, list[str]]:
    """The question and the facts with what is registered, what is looked for, and who holds anything of it."""
    first = asked_of(POLICY[query.overview], query, request)
    begun = await beginning.begin(connection, mentioned(query), query.effort_id, first)
    query, facts = told(query, await core.facts.current(connection, begun.revision), begun.registered)
    asked = asked_of(facts.policy[query.overview], query, request, facts.senders)
    # Who has had several numbers, or names cases alone, is looked for by more than was known before.
    holders = begun.holders if asked == first else await index.holders(connection, asked)
    return query, facts, asked, holders


def asked_of(
    row: Overview, query: Query, request: SearchRequest, sources: Iterable[tuple[str, str]] = ()
) -> index.Asked:
    """The search in the index's words. `sources`: (authority, system) of all who may be shown; for `case_ids` only."""
    references = tuple(sorted(references_of(query, request)))
    kle = None if request.kle is None else Patterns.of(request.kle).prefixes
    keys = tuple(EntryKey(*source, case_id) for case_id in request.case_ids or () for source in sources)
    counted = tuple(sorted(PARTY_ROLES)) if request.persons is None else roles(row, query)
    return index.Asked(references, counted, request.user_key, kle, principals(row, query), keys)


async def _page(
    connection: Connection, search: _Search, after: index.Position | None
) -> tuple[Page, index.Position | None]:
    """Go on until the page is full and one more is permitted, or there are no more: what is hidden leaves no trace.

    Returns:
        The entries, and the position of the last of them when more follow.
    """
    page: Page = []
    last: index.Position | None = None
    first = max(search.request.limit + 1, LEAST)
    found_in_order = index.candidates(connection, search.asked, search.allowed, after, first)
    async with aclosing(found_in_order) as candidates:
        async for found in candidates:
            state = found.state()
            entry = found.entry(state)
            if not search.wants(entry) or search.reason_against(entry) is not None:
                continue
            if len(page) == search.request.limit:
                return page, last
            page.append((found, state, entry))
            last = found.position
    return page, None


async def _hides(connection: Connection, search: _Search, authorities: list[str]) -> bool:
    """Whether any of these holds something that is asked for, and that the reader's own work alone keeps from them."""
    asked = replace(search.asked, principals=None)
    wider = {
        kind: [grant for grant in listed if grant.authority in authorities]
        for kind, listed in search.allowed.items()
        if kind not in _SCOPES
    }
    async with aclosing(index.candidates(connection, asked, wider, None, LEAST)) as candidates:
        async for found in candidates:
            entry = found.entry(found.state())
            if search.wants(entry) and search.reason_against(entry) in OF_THE_READER:
                return True
    return False


async def _shown(connection: Connection, search: _Search, page: Page) -> list[dict[str, Any]]:
    registered = await documents.of(connection, ((entry.key, state) for _, state, entry in page))
    facts = await with_parties(connection, search.facts, (entry for _, _, entry in page), mentioned(search.query))
    references = references_of(search.query, search.request)
    return [
        show(found, state, entry, search.query, facts, search.at, registered, references=references)
        for found, state, entry in page
    ]


def references_of(query: Query, request: SearchRequest) -> frozenset[str]:
    """Everything that the party asked about is called in the index; empty when it is no party."""
    if request.persons is not None:
        return query.citizen or request.persons
    return frozenset() if request.reference is None else frozenset({request.reference})


def _read(request: SearchRequest, answer: Answer, citizens: frozenset[str]) -> Read:
    """The row of the log: also whose cases were shown, where it was not they that were asked about."""
    cases = [f"{entry['authority']}/{entry['system']}/{entry['case_id']}" for entry in answer.entries]
    return Read(request.purpose, request.reference, None if cases else NOTHING, cases, citizens)


async def _log(connection: Connection, overview: Overview, query: Query, read: Read) -> None:
    if read.denied is not None or query.break_glass is None or not glass_broken(query, overview):
        await note(connection, query, read)
        return
    await note(connection, query, replace(read, purpose=query.break_glass.reason))
    await note_break_glass(connection, query, read.cases)


def _fresh(sources: Iterable[index.Freshness], at: float) -> list[dict[str, Any]]:
    return [
        {
            "authority": authority,
            "system": system,
            "last_registered_at": None if last is None else moment(last),
            "seconds_behind": None if last is None else max(0.0, round(at - last / MICROSECONDS, 3)),
        }
        for authority, system, last in sources
    ]
