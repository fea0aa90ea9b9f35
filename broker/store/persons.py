"""The register of persons: putting registrations in force, reading what stands, and what is due by the clock.

A change is one transaction: history, what stands, and a mark on every entry of the citizen. An entry that a batch has
not committed yet gets none; so each change is also due once more after its commit, and until that is done it stays due.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import orjson
import psycopg
from psycopg.types.json import Jsonb

from broker.domain.consent import (
    Consent,
    Effort,
    Kind,
    Objection,
    Person,
    Power,
    PowerKind,
    Registration,
    fold,
    moment,
    next_change,
)
from broker.domain.entry import party_ref
from broker.domain.form import PARTY_ROLES
from broker.domain.kle import Patterns
from broker.domain.outcome import Code, Rejected
from broker.domain.policy import Query
from broker.store.database import query

Connection = psycopg.Connection[Any]
Persons = Mapping[str, Person]
MOST_DUE: Final = 200


@dataclass(frozen=True, slots=True)
class Author:
    """Who registers: the citizen, or somebody for these authorities; authorities None: a trusted producer, for any.

    registrar: whether they may say what a national register says (`Registration.national`).
    """

    name: str
    authorities: frozenset[str] | None
    citizen: str | None = None
    registrar: bool = False

    def may_put(self, registration: Registration) -> bool:
        """Whether it is theirs to put at all: only the asking authority or the citizen may."""
        if self.citizen is not None:
            own = registration.citizen == self.citizen
            kind = registration.body.get("kind", "POWER_OF_ATTORNEY")
            given = registration.kind in (Kind.CONSENT, Kind.OBJECTION, Kind.POWER) and kind == "POWER_OF_ATTORNEY"
            return own and given
        if self.authorities is None:
            return True
        if registration.national and not self.registrar:
            return False
        return bool(self.authorities) if registration.authority is None else registration.authority in self.authorities


def put(connection: Connection, registrations: Sequence[Registration], author: Author) -> dict[int, Rejected]:
    """Put them in force, in the caller's transaction; returns those that were not, by their place in the sequence."""
    rejected: dict[int, Rejected] = {}
    touched: set[UUID] = set()
    # In one order, so that two who put for the same citizens wait for each other instead of both failing.
    for place, registration in sorted(enumerate(registrations), key=lambda each: each[1].citizen):
        flaw = _put(connection, registration, author, touched)
        if flaw is not None:
            rejected[place] = flaw
    if touched:
        _mark(connection, sorted(touched), None)
    return rejected


def _put(connection: Connection, said: Registration, author: Author, touched: set[UUID]) -> Rejected | None:
    if not author.may_put(said):
        return _not_theirs(said, author)
    citizen_id = _person(connection, said.citizen)
    key = {"kind": str(said.kind), "id": said.id}
    look_up = "SELECT citizen_id, authorities FROM register WHERE kind = %(kind)s AND id = %(id)s FOR UPDATE"
    before = connection.execute(look_up, key).fetchone()
    if before is not None and (flaw := _clash(before, citizen_id, said, author)) is not None:
        return flaw
    history = {**key, "registered_at": said.registered_at, "digest": said.digest, "body": Jsonb(said.body)}
    if connection.execute(query("put_history"), {**history, "put_by": author.name}).rowcount == 0:
        return None
    if said.also is not None:
        _join(connection, citizen_id, _person(connection, said.also))
    body = fold(_history(connection, said))
    representative = body.get("representative")
    theirs = [said.authority] if said.authority is not None else sorted(author.authorities or ())
    connection.execute(
        query("put_registration"),
        {
            **key,
            "citizen_id": citizen_id,
            "authorities": theirs,
            "effort_id": body.get("effort_id") if said.kind is Kind.CONSENT else None,
            "representative_id": None if representative is None else _person(connection, representative),
            "body": Jsonb(body),
        },
    )
    touched.add(citizen_id)
    _end_following(connection, citizen_id, body)
    return None


def _clash(before: tuple[UUID, list[str]], citizen_id: UUID, said: Registration, author: Author) -> Rejected | None:
    """An id is one citizen's for good, and only who registered it changes it, or the citizen."""
    of, authorities = before
    if of != citizen_id:
        name = "event_id" if said.kind is Kind.PERSON_EVENT else f"{said.kind}_id"
        return Rejected(Code.CONSENT_MALFORMED, f"/{name}", "the id is taken", covered=False)
    if said.authority is not None and said.authority not in authorities:
        return _not_theirs(said, author)
    trusted = author.citizen is not None or author.authorities is None
    if said.authority is None and not trusted and not (author.authorities or frozenset()) & frozenset(authorities):
        return _not_theirs(said, author)
    return None


def _not_theirs(said: Registration, author: Author) -> Rejected:
    if author.citizen is not None and author.citizen != said.citizen:
        pointer = "/citizen"
    elif said.authority is not None:
        pointer = "/asked_by_authority" if said.kind is Kind.CONSENT else "/authority"
    else:
        pointer = "/kind" if said.national else ""
    detail = "only the asking authority, or the citizen, may register it"
    return Rejected(Code.CONSENT_AUTHORITY, pointer, detail, covered=False)


def _history(connection: Connection, said: Registration) -> list[Registration]:
    look_up = "SELECT registered_at, body FROM register_history WHERE kind = %s AND id = %s"
    rows = connection.execute(look_up, [str(said.kind), said.id]).fetchall()
    return [Registration(said.kind, said.id, "", None, registered_at, body) for registered_at, body in rows]


def _person(connection: Connection, number: str) -> UUID:
    """Held until the transaction ends; made when there is none."""
    while True:
        found: tuple[UUID] | None = connection.execute(query("hold_person"), {"number": number}).fetchone()
        if found is not None:
            return found[0]
        try:
            with connection.transaction():
                connection.execute(query("make_person"), {"number": number})
        except psycopg.errors.UniqueViolation:
            continue  # somebody else has just made them


def _join(connection: Connection, one: UUID, other: UUID) -> None:
    if one != other:
        connection.execute(query("join_persons"), {"one": one, "other": other})
        connection.execute("DELETE FROM citizen WHERE citizen_id = %s", [other])


def _end_following(connection: Connection, citizen_id: UUID, body: Mapping[str, Any]) -> None:
    """What a death or a changed number does to subscriptions, once it has happened."""
    kind = body.get("kind")
    (now,) = connection.execute("SELECT clock_timestamp()").fetchone() or (None,)
    if kind not in ("DECEASED", "CPR_CHANGED") or now is None or moment(body["effective_from"]) > now:
        return
    asked = {"citizens": [citizen_id], "died": kind == "DECEASED"}
    for subject, client, overview in connection.execute(query("end_following"), asked).fetchall():
        follower = {"subject": subject, "client": client, "overview": overview}
        connection.execute(query("end_subscriptions"), follower)


def _mark(connection: Connection, citizens: Sequence[UUID], asked_at: datetime | None) -> None:
    (now,) = connection.execute("SELECT clock_timestamp()").fetchone() or (None,)
    roles = sorted(PARTY_ROLES)
    connection.execute(query("mark_persons"), {"citizens": citizens, "asked_at": asked_at or now, "roles": roles})


def sweep(connection: Connection) -> int:
    """Mark what is due once more, and say when it next is; returns how many registrations were due."""
    with connection.transaction():
        due = connection.execute(query("due_registrations"), {"limit": MOST_DUE}).fetchall()
        if due:
            _mark(connection, sorted({row[2] for row in due}), min(row[4] for row in due))
        for kind, of, citizen_id, body, _, now in due:
            _end_following(connection, citizen_id, body)
            again = next_change(Kind(kind), body, now)
            connection.execute("UPDATE register SET due_at = %s WHERE kind = %s AND id = %s", [again, kind, of])
    return len(due)


def load(connection: Connection, references: Iterable[str]) -> tuple[datetime, Persons]:
    """The database's time, and what is registered of those among the references that are citizens."""
    row = connection.execute(query("load_persons"), asked(references)).fetchone()
    if row is None:
        raise LookupError("an aggregate has a row")
    return row[0], persons(orjson.loads(row[1]))


async def of(
    connection: psycopg.AsyncConnection[Any], references: Iterable[str], effort_id: str | None = None
) -> Persons:
    """The same as it stands now; of consents those for an effort alone, if one is named."""
    which = asked(references, effort_id)
    if not which["numbers"]:
        return {}
    row = await (await connection.execute(query("load_persons"), which)).fetchone()
    return {} if row is None else persons(orjson.loads(row[1]))


async def at(connection: psycopg.AsyncConnection[Any], references: Iterable[str], at: datetime) -> tuple[Persons, bool]:
    """What was registered of them at that moment, folded anew; and whether numbers have been joined since."""
    which = {"numbers": asked(references)["numbers"], "at": at}
    row = await (await connection.execute(query("load_persons_at"), which)).fetchone()
    rows = [] if row is None else orjson.loads(row[0])
    then = persons({**each, "register": list(_folded(each))} for each in rows)
    return then, any(each["joined_since"] for each in rows)


def _folded(row: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any], Mapping[str, Any] | None]]:
    came: dict[tuple[str, str], list[Registration]] = defaultdict(list)
    for kind, of, registered_at, body in row["history"] or ():
        came[kind, of].append(Registration(Kind(kind), of, "", None, moment(registered_at), body))
    for (kind, of), registrations in came.items():
        body = fold(registrations)
        yield kind, of, body, (row["representatives"] or {}).get(body.get("representative"))


def asked(references: Iterable[str], effort_id: str | None = None) -> dict[str, Any]:
    """Of `load_persons.sql`."""
    numbers = sorted({ref.removeprefix(_CPR) for ref in references if ref.startswith(_CPR)})
    return {"numbers": numbers, "effort_id": effort_id}


def persons(rows: Iterable[Mapping[str, Any]]) -> Persons:
    """The values behind the JSON, by every number."""
    known = [_read(row) for row in rows]
    return {reference: person for person in known for reference in person.numbers}


def _read(row: Mapping[str, Any]) -> Person:
    consents, objections, powers, efforts, died, protections = [], [], [], [], [], []
    for kind, of, body, representative in row["register"] or ():
        if kind == _CONSENT:  # there may be hundreds
            consents.append(_consent(of, body))
            continue
        match Kind(kind):
            case Kind.OBJECTION:
                objections.append(Objection(of, body["overview"], moment(body["from"]), _optional(body, "lifted_at")))
            case Kind.POWER:
                powers.append(_power(of, body, representative))
            case Kind.EFFORT:
                principals = frozenset((body["coordinator"], *body["members"]))
                efforts.append(Effort(of, body["authority"], principals, *_period(body)))
            case Kind.PERSON_EVENT:
                at = moment(body["effective_from"])
                died += [at] if body["kind"] == "DECEASED" else []
                protections += [(at, body["kind"] == "PROTECTED")] if body["kind"].endswith("PROTECTED") else []
    return Person(
        _references(row["numbers"]),
        tuple(consents),
        tuple(objections),
        tuple(powers),
        tuple(efforts),
        min(died, default=None),
        tuple(protections),
    )


def _consent(of: str, body: Mapping[str, Any]) -> Consent:
    begins, ends = _period(body)
    return Consent(
        of,
        body["purpose"],
        body["effort_id"],
        _patterns(tuple(body["data_areas"])),
        frozenset(body["data_authorities"]),
        _patterns(tuple(body["recipient_areas"])),
        frozenset(body["recipient_authorities"]),
        # Prior: nothing is opened before it was signed.
        max(begins, moment(body["signed_at"])),
        ends,
        _optional(body, "withdrawn_at"),
    )


def _power(of: str, body: Mapping[str, Any], representative: Mapping[str, Any]) -> Power:
    died = representative["died"]
    return Power(
        of,
        PowerKind(body["kind"]),
        _references(representative["numbers"]),
        Patterns.of(body["kle"]),
        *_period(body),
        _optional(body, "withdrawn_at"),
        None if died is None else moment(died),
    )


@lru_cache(maxsize=10_000)
def _patterns(listed: tuple[str, ...]) -> Patterns:
    """Hundreds of consents name the same few areas."""
    return Patterns.of(listed)


def _references(numbers: Iterable[str]) -> frozenset[str]:
    return frozenset(party_ref("CPR", number) for number in numbers)


def _period(body: Mapping[str, Any]) -> tuple[datetime, datetime | None]:
    return moment(body["valid_from"]), _optional(body, "valid_to")


def _optional(body: Mapping[str, Any], name: str) -> datetime | None:
    said = body.get(name)
    return None if said is None else moment(said)


_CPR: Final = party_ref("CPR", "")
_CONSENT: Final = str(Kind.CONSENT)


async def note_break_glass(
    connection: psycopg.AsyncConnection[Any], query_of: Query, who: Mapping[str, Any], cases: Sequence[str]
) -> None:
    """One row for each authority whose cases were shown."""
    broken = query_of.break_glass
    if broken is None or query_of.citizen is None:
        raise LookupError("only a reader who breaks the glass for a citizen is noted")
    await connection.execute(
        query("note_break_glass"),
        {
            "overview": query_of.overview,
            "reader": Jsonb(who),
            **asked(query_of.citizen),
            "effort": query_of.effort_id,
            "basis": broken.basis,
            "reason": broken.reason,
            "cases": list(cases),
        },
    )
