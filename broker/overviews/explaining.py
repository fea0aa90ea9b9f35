"""Explaining why a case is, or is not, shown: to the citizen, to auditors, to operators. Every explanation is logged.

Nothing here tells a case that may not be spoken of from one that is not there.
"""

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple
from uuid import UUID

from pydantic import AfterValidator, Field

from broker.domain import unfit
from broker.domain.agreement import Facts
from broker.domain.entry import party_ref
from broker.domain.explanation import Explanation, Origin, explain
from broker.domain.identity import EntryKey, is_cvr, is_system, is_uuid
from broker.domain.policy import Overview, Permit, Query, Reader, Role, decide
from broker.domain.unfit import UnfitError
from broker.overviews.asking import known, known_at
from broker.overviews.reading import Caller, Connection, FactsSource, primary_persons, who, written
from broker.overviews.request import Moment, Strict, Text, cpr
from broker.overviews.shown import provenance, text
from broker.store import facts as facts_store
from broker.store import search as index
from broker.store.access_log import Access
from broker.store.search import Found

LOG: Final = "explain"
BASIS: Final = "explanation"
NOT_FOUND: Final = "not_found"


def _of(check: Any, valid: str) -> AfterValidator:
    def test(said: str) -> str:
        if not check(said):
            raise UnfitError(valid)
        return said

    return AfterValidator(test)


class ExplainRequest(Strict):
    """Which case in which overview; `reader`: see the API; `at`: None is now.

    citizen, purpose, control_case, effort_id: what the reader would search with.
    """

    authority: Annotated[str, _of(is_cvr, unfit.CVR)]
    system: Annotated[str, _of(is_system, unfit.SYSTEM)]
    case_id: Annotated[str, _of(is_uuid, unfit.UUID)]
    overview: Annotated[Text, Field(max_length=40)]
    citizen: Annotated[str, AfterValidator(cpr)] | None = Field(default=None, repr=False)
    purpose: Annotated[Text, Field(max_length=1000)] | None = None
    control_case: Annotated[Text, Field(max_length=200)] | None = None
    effort_id: UUID | None = None
    reader: dict[str, Any] | None = Field(default=None, repr=False)
    at: Moment | None = None

    @property
    def key(self) -> EntryKey:
        """The entry."""
        return EntryKey(self.authority, self.system, self.case_id)


@dataclass(frozen=True, slots=True)
class NotFound:
    """No such case, or none that the caller may be told of."""


async def explained(
    connection: Connection, source: FactsSource, caller: Caller, asked: ExplainRequest, reader: Reader, now: datetime
) -> dict[str, Any] | NotFound:
    """The verdict on `reader` and its steps. Raises NotLoggedError."""
    # A citizen asks about themselves, whatever they name: nobody else's log tells of it.
    named = caller.citizen if caller.reader.role is Role.CITIZEN else asked.citizen
    about = None if named is None else party_ref("CPR", named)
    citizen = None if about is None else frozenset({about})
    effort_id = None if asked.effort_id is None else str(asked.effort_id)
    query = Query(asked.overview, reader, citizen, asked.purpose, asked.control_case, effort_id)
    if caller.reader.role is Role.CITIZEN:
        query = _own(query, caller)
    # All of it is read whether or not the case is there, so that how long it takes does not tell.
    found = await index.by_key(connection, asked.key)
    now_query, now_facts = await known(connection, query, await source.current(connection))
    query, facts, kept = now_query, now_facts, _Kept()
    if asked.at is not None:
        query, facts, kept = await _then(connection, query, asked.at)
    overview = facts.policy.get(asked.overview)
    if overview is not None and found is not None:
        entry = found.entry(found.state())
        judged = explain(overview, entry, query, facts, asked.at or now, _origin(found, asked.at, kept))
        permitted = isinstance(decide(entry, now_query, now_facts, now), Permit)
        if _may_be_told(caller, overview, asked, permitted=permitted):
            about_them = {*primary_persons(entry)}
            access = Access(who(caller.reader), LOG, "permit", None, about, BASIS, None, [str(asked.key)], about_them)
            await written(connection, access)
            return told(judged)
    await written(connection, Access(who(caller.reader), LOG, "deny", None, about, None, NOT_FOUND))
    return NotFound()


class _Kept(NamedTuple):
    """What of the moment that is asked about is kept."""

    policy: bool = True
    numbers: bool = True


async def _then(connection: Connection, query: Query, at: datetime) -> tuple[Query, Facts, _Kept]:
    """The question and the facts as they were at that moment."""
    facts, policy_known = await facts_store.at(connection, at)
    query, facts, joined_since = await known_at(connection, query, facts, at)
    return query, facts, _Kept(policy_known, not joined_since)


def told(explanation: Explanation) -> dict[str, Any]:
    """As the contract has it."""
    return asdict(explanation)


def _own(query: Query, caller: Caller) -> Query:
    """A citizen asks as themselves, for themselves."""
    return replace(query, reader=caller.reader, citizen=caller.reader.citizen)


def _may_be_told(caller: Caller, overview: Overview, asked: ExplainRequest, *, permitted: bool) -> bool:
    """A citizen of what they may see now; others within their authorities, operators about no named citizen."""
    if caller.reader.role is Role.CITIZEN:
        return overview.role is Role.CITIZEN and permitted
    named = asked.citizen is not None and caller.reader.role is not Role.AUDITOR
    return asked.authority in caller.authorities and not named


def _origin(found: Found, at: datetime | None, kept: _Kept) -> Origin:
    source = provenance(found.state())
    return Origin(
        source["event_id"],
        text(found.received_at),
        source["kle_original"],
        source["kle_rule"],
        source["kle_edition"],
        source["agreement_version"],
        at is not None and found.indexed_at > at,
        not kept.numbers,
        kept.policy,
    )
