"""The log of reads, read and added to: citizens see their own, auditors search within their authorities.

Reading the log is a read too, and stands in it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from psycopg.rows import class_row, dict_row
from pydantic import AfterValidator, Field, StringConstraints

from broker.domain.agreement import Facts
from broker.domain.entry import party_ref
from broker.domain.identity import EntryKey, is_cvr, is_uuid
from broker.domain.policy import POLICY, Reader, Reason, Role
from broker.domain.unfit import UnfitError
from broker.overviews.asking import numbers_of
from broker.overviews.own_log import COPENHAGEN, Look, told
from broker.overviews.reading import PERSONS, Caller, Connection, Core, who, written
from broker.overviews.request import Moment, Strict, Text, cpr
from broker.overviews.shown import text
from broker.store import access_log
from broker.store import search as index
from broker.store.access_log import Access
from broker.store.database import query
from broker.store.text import storable

LOG: Final = "access-log"
PERIOD: Final = timedelta(days=365)
"""What is looked through where no period is named."""
LONGEST_REPEATED: Final = timedelta(days=31)
LONGEST_OF_MANY: Final = timedelta(days=7)
FEW_AUTHORITIES: Final = 10
"""Of more than so many together, repeated look-ups are counted in the shorter period: every read in it is looked at."""
MOST_ROWS: Final = 2000
"""Of a citizen's own log, at once."""
MOST_REPORTED: Final = 500
_CURSOR: Final = re.compile(r"[0-9]{1,16}\.[0-9]{1,18}")
OWN: Final = "own_data"
SUPERVISION: Final = "supervision"


def _cursor(said: str) -> str:
    if not _CURSOR.fullmatch(said):
        raise UnfitError("next_cursor of an earlier page")
    return said


def _case(said: str) -> str:
    authority, _, rest = said.partition("/")
    system, _, case_id = rest.partition("/")
    if not (is_cvr(authority) and system and is_uuid(case_id)):
        raise UnfitError("a case: authority/system/case_id")
    return storable(said)


Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), AfterValidator(storable)]


class LogSearch(Strict):
    """What of the log is wanted; all but the period is for auditors. `repeated`: so many look-ups of one person.

    citizen_ref: a person as an earlier answer names them.
    """

    since: Moment | None = Field(default=None, alias="from")
    until: Moment | None = Field(default=None, alias="to")
    authority: Annotated[str, Field(pattern=r"^\d{8}$")] | None = None
    reader: Words | None = None
    citizen: Annotated[str, AfterValidator(cpr)] | None = Field(default=None, repr=False)
    citizen_ref: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    outside_hours: bool = False
    repeated: Annotated[int, Field(ge=2, le=10_000)] | None = None
    purpose: Annotated[Text, Field(max_length=1000)] | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 100
    cursor: Annotated[str, AfterValidator(_cursor)] | None = None

    @property
    def for_auditors(self) -> bool:
        """Whether it asks for more than the own log in a period."""
        said = self.authority, self.reader, self.citizen, self.citizen_ref, self.repeated
        return self.outside_hours or any(one is not None for one in said)

    def period(self, now: datetime, longest: timedelta = PERIOD) -> tuple[datetime, datetime]:
        """Closed-open."""
        until = self.until or now + timedelta(seconds=1)
        return self.since or until - longest, until


class WatchList(Strict):
    """Whom it raises an alarm to look up within one authority; what stood before is replaced."""

    authority: Annotated[str, Field(pattern=r"^\d{8}$")]
    citizens: Annotated[list[Annotated[str, AfterValidator(cpr)]], Field(max_length=10_000, repr=False)]


class ReportedReader(Strict):
    """Who read, as the overview system knows them."""

    subject: Words
    name: Annotated[Text, Field(max_length=200)] = ""
    role: Role
    unit: Annotated[Text, Field(max_length=200)] = ""
    authorities: Annotated[list[Annotated[str, Field(pattern=r"^\d{8}$")]], Field(max_length=100)] = Field(default=[])


class Reported(Strict):
    """One read of a topic's content, permitted or denied."""

    overview: Annotated[str, Field(pattern="^[a-z]{1,40}$")]
    read_at: Moment
    reader: ReportedReader
    citizen: Annotated[str, AfterValidator(cpr)] | None = Field(default=None, repr=False)
    purpose: Annotated[Text, Field(max_length=1000)] | None = None
    cases: Annotated[list[Annotated[str, AfterValidator(_case)]], Field(max_length=200)] = Field(default=[])
    reason: Reason | Literal["nothing_permitted"] | None = None


@dataclass(frozen=True, slots=True)
class NotYours:
    """Asks for more than the token allows; written down as a refusal."""


@dataclass(frozen=True, slots=True)
class NoClient:
    """Reported by nobody: no client system stands in the token."""


Answer = dict[str, Any]


async def search(core: Core, caller: Caller, request: LogSearch, now: datetime) -> Answer | NotYours:
    """Look, write down that it was looked, and only then answer. Raises NotLoggedError."""
    citizen = caller.reader.role is Role.CITIZEN
    subject = None if request.citizen is None else party_ref("CPR", request.citizen)
    async with core.pool.connection() as connection:
        if not _within(caller, request):
            await _note(connection, caller, request, subject, denied="not_yours")
            return NotYours()
        if citizen:
            own = party_ref("CPR", caller.citizen or "")
            answer = await _own(connection, caller.reader, await numbers_of(connection, frozenset({own})), request, now)
            await _note(connection, caller, request, own)
            return answer
        answer = await _found(connection, caller, subject, request, now)
        await _note(connection, caller, request, subject)
        return answer


async def report(core: Core, caller: Caller, reads: Sequence[Reported], at: datetime) -> int | NotYours | NoClient:
    """Write down an overview system's reads, all or none; only of what its reader agreements let it show.

    Raises NotLoggedError.
    """
    client = caller.reader.client
    if not client:
        return NoClient()
    async with core.pool.connection() as connection, connection.transaction():
        facts = await core.facts.current(connection)
        if not all(_theirs(read, caller) and _showable(read, client, facts, at) for read in reads):
            return NotYours()
        for read in reads:
            keys = [EntryKey(*case.split("/", 2)) for case in read.cases]
            of = await index.parties(connection, keys) if keys else []
            row = POLICY[read.overview]
            said = read.reader.model_dump(mode="json")
            access = Access(
                {**said, "client": client, "reported_by": caller.reader.subject, "read_at": text(read.read_at)},
                read.overview,
                "permit" if read.reason is None else "deny",
                read.purpose,
                None if read.citizen is None else party_ref("CPR", read.citizen),
                row.basis if read.reason is None else None,
                None if read.reason is None else str(read.reason),
                read.cases,
                frozenset(party for _, party in of if party.startswith(PERSONS)),
                row.hidden_for,
            )
            await written(connection, access)
    return len(reads)


async def watch(core: Core, caller: Caller, wanted: WatchList) -> int | NotYours:
    """Replace the authority's list; only keyed hashes are kept. Returns how many are on it."""
    if wanted.authority not in caller.authorities:
        return NotYours()
    async with core.pool.connection() as connection, connection.transaction():
        key = await access_log.pepper(connection)
        subjects = sorted({access_log.keyed(party_ref("CPR", citizen), key) for citizen in wanted.citizens})
        await connection.execute("DELETE FROM access_watch WHERE authority = %s", [wanted.authority])
        await connection.execute(
            "INSERT INTO access_watch (authority, subject, put_by) SELECT %s, unnest(%s::bytea[]), %s",
            [wanted.authority, subjects, caller.reader.subject],
        )
    return len(subjects)


def _theirs(read: Reported, caller: Caller) -> bool:
    """By a reader of the caller's own authorities; a citizen has none, and has looked at some authority's cases."""
    authorities = frozenset(read.reader.authorities)
    named = bool(read.cases) if read.reader.role is Role.CITIZEN else bool(authorities)
    return named and authorities <= caller.authorities


def _showable(read: Reported, client: str, facts: Facts, at: datetime) -> bool:
    """Known, of the role that the overview is for, and from authorities that let the client show them."""
    row = POLICY.get(read.overview)
    authorities = {case.partition("/")[0] for case in read.cases} | set(read.reader.authorities)
    return (
        row is not None
        and read.reader.role is row.role
        and all(
            any(
                agreement.client in ("*", client) and agreement.in_force(at.date())
                for agreement in facts.readers.get((authority, read.overview), ())
            )
            for authority in authorities
        )
    )


def _within(caller: Caller, request: LogSearch) -> bool:
    if caller.reader.role is Role.CITIZEN:
        return caller.citizen is not None and not request.for_auditors
    return bool(caller.authorities) and (request.authority is None or request.authority in caller.authorities)


async def _own(
    connection: Connection, reader: Reader, own: frozenset[str], request: LogSearch, now: datetime
) -> Answer:
    since, until = request.period(now)
    key = await access_log.pepper(connection)
    async with connection.cursor(row_factory=class_row(Look)) as cursor:
        await cursor.execute(
            query("access_own"),
            {
                "persons": [access_log.keyed(one, key) for one in sorted(own)],
                "since": since,
                "until": until,
                "now": now,
                "limit": MOST_ROWS,
            },
            prepare=False,
        )
        looks = await cursor.fetchall()
    return _page_of_days(looks, reader.subject)


def _page_of_days(looks: Sequence[Look], own: str) -> Answer:
    """Whole days; where there are too many rows, the period that follows is named. Of a fuller day the newest."""
    if len(looks) < MOST_ROWS:
        return {"entries": told(looks, own), "next_to": None}
    whole = [look for look in looks if look.day != looks[-1].day] or looks
    until = whole[-1].at.astimezone(COPENHAGEN).replace(hour=0, minute=0, second=0, microsecond=0)
    return {"entries": told(whole, own), "next_to": text(until)}


async def _found(
    connection: Connection, caller: Caller, subject: str | None, request: LogSearch, now: datetime
) -> Answer:
    person = None if request.citizen_ref is None else bytes.fromhex(request.citizen_ref)
    if subject is not None:
        person = access_log.keyed(subject, await access_log.pepper(connection))
    authorities = sorted(caller.authorities) if request.authority is None else [request.authority]
    longest = PERIOD
    if request.repeated is not None:
        longest = LONGEST_REPEATED if len(authorities) <= FEW_AUTHORITIES else LONGEST_OF_MANY
    since, until = request.period(now, longest)
    asked: dict[str, Any] = {
        "since": since if request.repeated is None else max(since, until - longest),
        "until": until,
        "authorities": authorities,
        "reader": request.reader,
        "person": person,
        "outside": request.outside_hours,
        "limit": request.limit,
    }
    if request.repeated is not None:
        rows = await _rows(connection, "access_repeated", asked | {"times": request.repeated})
        return {"repeated": [plain(row) for row in rows], "from": text(asked["since"]), "next_cursor": None}
    before, before_id = _place(request.cursor, until)
    rows = await _rows(connection, "access_found", asked | {"before": before, "before_id": before_id})
    last = rows[-1] if len(rows) == request.limit else None
    return {"entries": [plain(row) for row in rows], "next_cursor": None if last is None else _cursor_of(last)}


async def _rows(connection: Connection, name: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        # Planned for what is asked each time: for all that could be asked there is no good plan.
        await cursor.execute(query(name), asked, prepare=False)
        return await cursor.fetchall()


def _place(cursor: str | None, until: datetime) -> tuple[datetime, int]:
    if cursor is None:
        return until, 0
    micros, _, number = cursor.partition(".")
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(micros)), int(number)


def _cursor_of(row: dict[str, Any]) -> str:
    since: timedelta = row["at"] - datetime(1970, 1, 1, tzinfo=UTC)
    return f"{since // timedelta(microseconds=1)}.{row['id']}"


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """With its times as text."""
    return {name: text(value) if isinstance(value, datetime) else value for name, value in row.items()}


async def _note(
    connection: Connection, caller: Caller, request: LogSearch, subject: str | None, denied: str | None = None
) -> None:
    if denied is not None:
        await written(connection, Access(who(caller.reader), LOG, "deny", request.purpose, subject, None, denied))
        return
    basis = OWN if caller.reader.role is Role.CITIZEN else SUPERVISION
    await written(connection, Access(who(caller.reader), LOG, "permit", request.purpose, subject, basis))
