"""What every read of an overview needs and does: the parts behind it, and its row in the log before it is answered."""

from collections.abc import AsyncIterator, Awaitable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

import psycopg
from psycopg_pool import AsyncConnectionPool

from broker import metrics
from broker.domain.agreement import Facts
from broker.domain.entry import PRIMARY, Entry, party_ref
from broker.domain.policy import POLICY, Query, Reader, basis_of
from broker.logs import tell
from broker.store import access_log, persons
from broker.store.access_log import Access

Connection = psycopg.AsyncConnection[Any]
PERSONS: Final = tuple(party_ref(kind, "") for kind in ("CPR", "ECPR"))


class FactsSource(Protocol):
    """Reference data as of the transaction that the connection is in."""

    def current(self, connection: Connection, revision: int | None = None) -> Awaitable[Facts]:
        """All of it; `revision`: the one that stands, where it has been read."""


class Core(Protocol):
    """What reading needs of a running service."""

    @property
    def pool(self) -> AsyncConnectionPool[Connection]:
        """Connections to the index."""

    @property
    def facts(self) -> FactsSource:
        """Reference data."""


class NotLoggedError(Exception):
    """The read could not be written down, so nothing is read."""


@dataclass(frozen=True, slots=True)
class Read:
    """What was asked and shown. `denied` None: something was shown.

    subject: whom was asked about; citizens: whose cases were shown. As in `entry.party_ref`.
    """

    purpose: str | None
    subject: str | None
    denied: str | None
    cases: Sequence[str]
    citizens: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, beyond what an overview's policy asks. `citizen`: their own number, where the token has one."""

    reader: Reader
    authorities: frozenset[str]
    citizen: str | None = field(default=None, repr=False)


@asynccontextmanager
async def at_one_moment(connection: Connection) -> AsyncIterator[None]:
    """Within the block all is read as of one moment, and with its end it is committed. Raises NotLoggedError.

    In a pipeline: what is not fetched goes along with what is, so that there are few journeys.
    """
    read = False
    try:
        async with connection.pipeline():
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            yield
            read = True
            await connection.execute("COMMIT")
    except BaseException as error:
        with suppress(psycopg.Error):
            await connection.rollback()
        if read and isinstance(error, psycopg.Error):
            raise NotLoggedError(type(error).__name__) from None
        raise


async def note(connection: Connection, query: Query, read: Read) -> None:
    """Write the read down, in a transaction of its own or in the caller's. Raises NotLoggedError."""
    decision: Literal["permit", "deny"] = "permit" if read.denied is None else "deny"
    row = POLICY[query.overview]
    access = Access(
        who(query.reader),
        query.overview,
        decision,
        read.purpose,
        read.subject,
        basis_of(row, query) if read.denied is None else None,
        read.denied,
        read.cases,
        read.citizens,
        row.hidden_for,
    )
    await written(connection, access)


async def written(connection: Connection, access: Access) -> None:
    """The one way into the log. Raises NotLoggedError."""
    try:
        await access_log.write(connection, access)
    except psycopg.Error as error:
        raise NotLoggedError(type(error).__name__) from None
    metrics.ACCESS.labels(access.overview, access.decision, access.reason or "").inc()


def primary_persons(entry: Entry) -> Iterator[str]:
    """Whose case it is: the log of each of them has the read."""
    return (party for role, party in entry.parties if role == PRIMARY and party.startswith(PERSONS))


async def note_break_glass(connection: Connection, query: Query, cases: Sequence[str]) -> None:
    """For the data-protection officers of those whose cases were shown; and an alarm. Raises NotLoggedError."""
    try:
        await persons.note_break_glass(connection, query, who(query.reader), cases)
    except psycopg.Error as error:
        raise NotLoggedError(type(error).__name__) from None
    metrics.BREAK_GLASS.labels(query.overview).inc()
    tell("break_glass", overview=query.overview, cases=len(cases))


def who(reader: Reader) -> dict[str, Any]:
    """The reader as the log names them."""
    return {
        "subject": reader.subject,
        "name": reader.name,
        "role": str(reader.role),
        "client": reader.client,
        "unit": reader.unit,
        "authorities": sorted({*reader.authorities, *(scope.authority for scope in reader.scopes)}),
    }
