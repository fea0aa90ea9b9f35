"""Changing and reading reference data: agreements, delimitations, authorities. KLE is in `kle.py` beside it.

Every change is one transaction: take the revision for update, write, bump it, mark the first entries it touches and
leave the others to a sweep, commit. Whoever reads obeys at once, whatever has been marked. Versions are kept; what says
the same as before makes none.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from broker.domain import moments, register, transition
from broker.domain.agreement import ACCEPTING, AgreementState
from broker.domain.kle import Patterns
from broker.domain.policy import Role
from broker.domain.transition import Past, Refused, Step, Who, Why
from broker.store.change import changing
from broker.store.database import query
from broker.store.shapes import Authority, CitizenView, Delimitation, Reader, Sender

Connection = psycopg.AsyncConnection[Any]
PURGE, USUAL = 0, 1
AT_ONCE: Final = 1000
"""Entries that a change marks in its own transaction."""
KEPT_AFTER_END: Final = timedelta(days=30)
"""How long the entries of an agreement that has ended are kept, hidden, before they are deleted."""
NIL: Final = "00000000-0000-0000-0000-000000000000"
ITSELF: Final = "sagsbro"
"""Who puts what happens by itself."""


class TransitionRefusedError(Exception):
    """What the step asks for is not there, and it came without `override`."""


class RegisterConflictError(Exception):
    """Two authorities would have the same code, or succeed each other in a circle."""


class NotYoursError(Exception):
    """Who puts it may not: not their authority, or more than a role may do."""


@dataclass(frozen=True, slots=True)
class Putter:
    """Who changes reference data. authorities: None when every one is theirs (the owner of the database)."""

    name: str
    role: Role
    authorities: frozenset[str] | None = None

    def must_be_of(self, authority: str) -> None:
        """Raises NotYoursError."""
        if self.authorities is not None and authority not in self.authorities:
            raise NotYoursError(f"the token does not name {authority}")

    def must_onboard(self, authority: str) -> None:
        """Raises NotYoursError: what is an authority's own is for its onboarding."""
        self.must_be_of(authority)
        if self.role is not Role.ONBOARDING:
            raise NotYoursError("only onboarding may change this")

    @property
    def who(self) -> Who:
        """On whose behalf."""
        return Who.MUNICIPALITY if self.role is Role.ONBOARDING else Who.OPERATOR

    def must_serve_all(self) -> None:
        """Raises NotYoursError: what every authority shares is for an operator, or for the database's owner."""
        if self.authorities is not None and self.role is not Role.OPERATOR:
            raise NotYoursError("only an operator may change what every authority shares")


@dataclass(frozen=True, slots=True)
class Kept:
    """Where the versions of a kind of thing are, what tells them apart, and what is noted of who put them."""

    table: str
    key: tuple[str, ...]
    by: tuple[str, ...] = ("put_by",)

    def newest(self) -> sql.Composed:
        """Look up the newest version of one, or of each when no key is given."""
        return sql.SQL("SELECT version, body FROM {} WHERE {} ORDER BY version DESC LIMIT 1").format(
            sql.Identifier(self.table),
            sql.SQL(" AND ").join(sql.SQL("{} = %s").format(sql.Identifier(k)) for k in self.key),
        )

    def every(self) -> sql.Composed:
        """The newest version of each."""
        key, told = (sql.SQL(", ").join(map(sql.Identifier, names)) for names in (self.key, self._told))
        return sql.SQL("SELECT DISTINCT ON ({0}) {1} FROM {2} ORDER BY {0}, version DESC").format(
            key, told, sql.Identifier(self.table)
        )

    def versions(self) -> sql.Composed:
        """Every version of those whose first two key columns are these, the newest first."""
        first, second = map(sql.Identifier, self.key[:2])
        told = sql.SQL(", ").join(map(sql.Identifier, self._told))
        return sql.SQL("SELECT {} FROM {} WHERE {} = %s AND {} = %s ORDER BY put_at DESC, version DESC").format(
            told, sql.Identifier(self.table), first, second
        )

    def insert(self) -> sql.Composed:
        """Add a version."""
        columns = (*self.key, "version", "body", *self.by)
        return sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(self.table),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join([sql.Placeholder()] * len(columns)),
        )

    @property
    def _told(self) -> tuple[str, ...]:
        return "version", "body", "put_at", *self.by


BY_AS: Final = ("put_by", "put_as")
SENDERS: Final = Kept("sender_agreement", ("authority", "system"), BY_AS)
READERS: Final = Kept("reader_agreement", ("authority", "overview", "client"), BY_AS)
DELIMITATIONS: Final = Kept("delimitation", ("authority",))
CITIZEN_VIEWS: Final = Kept("citizen_view", ("authority",))


async def put_agreements(
    connection: Connection, agreements: Sequence[Sender | Reader], putter: Putter
) -> list[dict[str, Any]]:
    """All or none. Raises TransitionRefusedError, NotYoursError."""
    async with _change(connection) as change:
        return [await _put_agreement(change, agreement, putter) for agreement in agreements]


async def put_delimitations(
    connection: Connection, choices: Iterable[Delimitation], putter: Putter
) -> list[dict[str, Any]]:
    """Replace the whole list of every authority that is named. Raises NotYoursError."""
    async with _change(connection) as change:
        return [await _put_choices(change, *each, putter) for each in _by_authority(choices)]


async def clear_delimitations(connection: Connection, authority: str, putter: Putter) -> dict[str, Any]:
    """The authority takes all that its agreements cover. Raises NotYoursError."""
    async with _change(connection) as change:
        return await _put_choices(change, authority, [], putter)


async def put_citizen_views(
    connection: Connection, views: Iterable[CitizenView], putter: Putter
) -> list[dict[str, Any]]:
    """Replace all switches of every authority that is named. Raises NotYoursError."""
    async with _change(connection) as change:
        return [await _put_views(change, *each, putter) for each in _by_authority(views)]


async def clear_citizen_views(connection: Connection, authority: str, putter: Putter) -> dict[str, Any]:
    """The authority shows its citizens nothing. Raises NotYoursError."""
    async with _change(connection) as change:
        return await _put_views(change, authority, [], putter)


async def connected(connection: Connection, authority: str, system: str) -> bool:
    """An event has come through: the agreement is CONNECTED, if that is its next step."""
    async with _change(connection) as change:
        before = await change.newest(SENDERS, (authority, system))
        if before is None or before[1]["state"] != AgreementState.MAPPED:
            return False
        body = {**before[1], "state": str(AgreementState.CONNECTED), "reason": "the first event came through"}
        past = await change.past(authority, system)
        if isinstance(transition.step(before[1], body, past, Who.SYSTEM, _today()), Refused):
            return False
        return await change.keep(SENDERS, (authority, system), body, before, (ITSELF, Who.SYSTEM)) is not None


async def put_authorities(
    connection: Connection, authorities: Iterable[Authority], putter: Putter
) -> list[dict[str, Any]]:
    """Add or replace. Raises NotYoursError, RegisterConflictError."""
    async with _change(connection) as change:
        put = []
        for authority in authorities:
            putter.must_onboard(authority.cvr)
            put.append({"cvr": authority.cvr, "changed": await change.keep_authority(authority)})
        if (conflict := register.conflict(await _register(connection))) is not None:
            raise RegisterConflictError(conflict)
        return put


async def agreements(connection: Connection) -> list[dict[str, Any]]:
    """The newest version of every agreement, senders first."""
    rows = [await (await connection.execute(kept.every())).fetchall() for kept in (SENDERS, READERS)]
    return [_told(row) for of_kind in rows for row in of_kind]


async def history(connection: Connection, authority: str, of: str) -> list[dict[str, Any]]:
    """Every version of the authority's agreements with a system, or for an overview; the newest first."""
    rows = [
        await (await connection.execute(kept.versions(), (authority, of))).fetchall() for kept in (SENDERS, READERS)
    ]
    return [_told(row) for of_kind in rows for row in of_kind]


async def delimitations(connection: Connection) -> list[dict[str, Any]]:
    """Every authority's choices, one by one."""
    rows = await (await connection.execute(DELIMITATIONS.every())).fetchall()
    return [choice for _, body, *_ in rows for choice in body]


async def citizen_views(connection: Connection) -> list[dict[str, Any]]:
    """Every authority's switches, one by one."""
    rows = await (await connection.execute(CITIZEN_VIEWS.every())).fetchall()
    return [view for _, body, *_ in rows for view in body]


async def authorities(connection: Connection) -> list[dict[str, Any]]:
    """Every authority there is."""
    return await _register(connection)


async def authority(connection: Connection, identifier: str) -> dict[str, Any] | None:
    """The one that now has this CVR number, municipality code of three or four digits, or SOR code."""
    return register.find(await _register(connection), identifier, _today())


async def asked_again(connection: Connection, authorities: Iterable[str] | None) -> list[dict[str, Any]]:
    """Sources of these authorities (None: of all) that have still to be asked again, since something was widened."""
    rows = await (await connection.execute(query("asked_again"), {"authorities": _listed(authorities)})).fetchall()
    names = ("authority", "system", "kle", "reason", "asked_at")
    return [dict(zip(names, row, strict=True)) for row in rows]


async def answered_again(
    connection: Connection,
    authority: str,
    system: str,
    kle: Iterable[str] | None,
    began_at: datetime,
    by: str,
    arriving: Iterable[str] = (),
) -> int:
    """A load or a reconciliation that began then is complete, under these KLE patterns (None: all); what it closes.

    kle: in the source's own numbers. arriving: the numbers that its cases under others may come to; where one of
    these was asked for, the question stays.
    """
    prefixes = None if kle is None else list(Patterns.of(kle).prefixes)
    asked = {
        "authority": authority,
        "system": system,
        "prefixes": prefixes,
        "arriving": list(arriving),
        "began_at": began_at,
        "by": by,
    }
    return (await connection.execute(query("close_ask_again"), asked)).rowcount


@dataclass(slots=True)
class _Change:
    """One change under way. `said`: what it did; empty when everything stood so already."""

    connection: Connection
    said: list[str]

    async def newest(self, kept: Kept, key: tuple[str, ...]) -> tuple[int, Any] | None:
        row: tuple[int, Any] | None = await (await self.connection.execute(kept.newest(), key)).fetchone()
        return row

    async def keep(
        self, kept: Kept, key: tuple[str, ...], body: Any, before: tuple[int, Any] | None, by: tuple[str, ...]
    ) -> int | None:
        if before is not None and _same(before[1], body):
            return None
        version = 1 if before is None else before[0] + 1
        await self.connection.execute(kept.insert(), (*key, version, Jsonb(body), *by))
        self.said.append(f"{kept.table} {'/'.join(key)} version {version}")
        return version

    async def keep_authority(self, authority: Authority) -> bool:
        statement = (
            "INSERT INTO authority AS a VALUES (%s, %s)"
            " ON CONFLICT (cvr) DO UPDATE SET body = excluded.body WHERE a.body <> excluded.body"
        )
        body = Jsonb(authority.model_dump(mode="json"))
        changed = (await self.connection.execute(statement, (authority.cvr, body))).rowcount == 1
        if changed:
            self.said.append(f"authority {authority.cvr}")
        return changed

    async def touch(
        self,
        authority: str,
        system: str | None,
        lane: int,
        prefixes: list[str] | None = None,
        *,
        leaves: bool = False,
    ) -> None:
        """Mark the first entries, and leave the others to a sweep. leaves: then those not covered any more go."""
        which = {"authority": authority, "system": system, "prefixes": prefixes, "lane": lane}
        slice_ = {**which, "after_system": "", "after_case": NIL, "limit": AT_ONCE}
        came = await (await self.connection.execute(query("touch_entries"), slice_)).fetchone()
        if came is not None and came[2] == AT_ONCE:
            rest = {**which, "kind": "mark", "after_system": came[0], "after_case": came[1]}
            await self.connection.execute(query("put_sweep"), rest)
        if leaves:
            whole = {**which, "kind": "leave", "after_system": "", "after_case": NIL}
            await self.connection.execute(query("put_sweep"), whole)

    async def past(self, authority: str, system: str) -> Past:
        asked = {"authority": authority, "system": system, "way": list(transition.WAY)}
        found = await (await self.connection.execute(query("agreement_past"), asked)).fetchone()
        reached, unmapped, passed = found or (None, None, False)
        return Past(None if reached is None else AgreementState(reached), unmapped, passed)

    async def who(self, putter: Putter, authority: str) -> Who:
        """On whose behalf the authority's agreements are changed. Raises NotYoursError.

        One that has ceased can widen nothing any more; its successor may act for it.
        """
        look_up = "SELECT body FROM authority WHERE cvr = %s"
        found = await (await self.connection.execute(look_up, [authority])).fetchone()
        if found is None or not register.ceased(found[0], _today()):
            putter.must_be_of(authority)
            return putter.who
        if found[0]["successor"] is None or authority in (putter.authorities or ()):
            putter.must_be_of(authority)
        else:
            putter.must_be_of(found[0]["successor"])
        return Who.OPERATOR

    async def open_senders(self, authority: str) -> list[dict[str, Any]]:
        rows = await (await self.connection.execute(SENDERS.every())).fetchall()
        return [body for _, body, *_ in rows if body["authority"] == authority and body["state"] in ACCEPTING]

    async def ask_again(self, authority: str, system: str, kle: list[str], reason: str) -> None:
        asked = {"authority": authority, "system": system, "kle": sorted(kle), "reason": reason}
        await self.connection.execute(query("ask_again"), asked)


@asynccontextmanager
async def _change(connection: Connection) -> AsyncIterator[_Change]:
    async with changing(connection) as said:
        yield _Change(connection, said)


async def _put_agreement(change: _Change, agreement: Sender | Reader, putter: Putter) -> dict[str, Any]:
    who = await change.who(putter, agreement.authority)
    kept, system = (SENDERS, agreement.system) if isinstance(agreement, Sender) else (READERS, None)
    key = tuple(getattr(agreement, column) for column in kept.key)
    before = await change.newest(kept, key)
    stood = None if before is None else before[1]
    said = agreement.model_dump(mode="json")
    body = {name: value for name, value in said.items() if name != "override"}
    if isinstance(agreement, Sender):
        past = await change.past(agreement.authority, agreement.system)
        step = _permitted(transition.step(stood, said, past, who, _today()))
    else:
        step = _permitted(transition.reader_step(stood, said, who))
    overridden = {} if step.overrides is None else {"override": True, "overrides": str(step.overrides)}
    version = await change.keep(kept, key, body | overridden, before, (putter.name, who))
    if version is not None:
        # While it was not open, what it no longer covers was hidden and not looked for.
        narrower = step.narrows or (stood is not None and not transition.accepts(stood))
        leaves = narrower and system is not None and agreement.state in ACCEPTING
        await change.touch(agreement.authority, system, PURGE if step.narrows else USUAL, leaves=leaves)
        if step.overrides is not None:
            change.said.append(f"{'/'.join(key)} {agreement.state} by override: {step.overrides}")
        if isinstance(agreement, Sender):
            await _ask(change, agreement, stood, widens=step.widens)
    told = dict(zip(kept.key, key, strict=True))
    return told | {"version": version or (before and before[0]), "state": agreement.state, "changed": bool(version)}


async def _ask(change: _Change, agreement: Sender, stood: Mapping[str, Any] | None, *, widens: bool) -> None:
    """What was outside was not kept: the source is asked again for what is let in now, and for nothing that is not."""
    if agreement.state not in ACCEPTING:
        await answered_again(
            change.connection, agreement.authority, agreement.system, None, datetime.now(UTC), "lowered"
        )
    elif widens:
        why = "the first load" if stood is None else f"{stood['state']} to {agreement.state}"
        await change.ask_again(agreement.authority, agreement.system, agreement.kle, why)


async def _put_choices(change: _Change, authority: str, listed: list[dict[str, Any]], putter: Putter) -> dict[str, Any]:
    before, version = await _put_list(change, DELIMITATIONS, authority, listed, putter)
    if version is not None:
        await change.touch(authority, None, PURGE if listed else USUAL, leaves=bool(listed))
        if before:  # who had said nothing took all
            for sender in await change.open_senders(authority):
                await change.ask_again(authority, sender["system"], sender["kle"], "another delimitation")
    return await _version(change, DELIMITATIONS, authority, version)


async def _put_views(change: _Change, authority: str, listed: list[dict[str, Any]], putter: Putter) -> dict[str, Any]:
    before, version = await _put_list(change, CITIZEN_VIEWS, authority, listed, putter)
    if version is not None:
        changed = {view["kle"] for view in [*before, *listed] if (view in before) != (view in listed)}
        await change.touch(authority, None, PURGE, list(Patterns.of(changed).prefixes))
    return await _version(change, CITIZEN_VIEWS, authority, version)


async def _put_list(
    change: _Change, kept: Kept, authority: str, listed: list[dict[str, Any]], putter: Putter
) -> tuple[list[dict[str, Any]], int | None]:
    """Returns what stood before, and the new version, if there is one."""
    putter.must_onboard(authority)
    before = await change.newest(kept, (authority,))
    if not listed and before is None:
        return [], None
    version = await change.keep(kept, (authority,), listed, before, (putter.name,))
    return ([] if before is None else before[1]), version


async def _version(change: _Change, kept: Kept, authority: str, version: int | None) -> dict[str, Any]:
    newest = await change.newest(kept, (authority,))
    return {"authority": authority, "version": newest and newest[0], "changed": version is not None}


def _permitted(step: Step | Refused) -> Step:
    match step:
        case Step():
            return step
        case Refused(Why.NOT_YOURS, detail):
            raise NotYoursError(detail)
        case Refused(_, detail):
            raise TransitionRefusedError(detail)


def _by_authority(listed: Iterable[Delimitation | CitizenView]) -> list[tuple[str, list[dict[str, Any]]]]:
    lists: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in listed:
        lists[one.authority].append(one.model_dump(mode="json"))
    return sorted(lists.items())


def _same(one: Any, other: Any) -> bool:
    def bare(body: Any) -> Any:
        if not isinstance(body, dict):
            return body
        return {k: v for k, v in body.items() if k not in ("override", "overrides")}

    return bool(bare(one) == bare(other))


def _told(row: tuple[Any, ...]) -> dict[str, Any]:
    version, body, put_at, put_by, put_as = row
    put = {"version": version, "put_by": put_by, "put_as": put_as, "put_at": moments.text(put_at)}
    told: dict[str, Any] = body | put
    if (signed_at := body.get("signed_at")) is not None:
        told["signed_at"] = moments.text(datetime.fromisoformat(signed_at))
    if (restricted := body.get("restricted")) is not None:
        # Who the test citizens are is personal data, and nobody's who looks at agreements.
        told["restricted"] = {**restricted, "citizens": len(restricted["citizens"])}
    if "system" in body and body["state"] == AgreementState.ENDED:
        told["deleted_on"] = (put_at.astimezone(UTC).date() + KEPT_AFTER_END).isoformat()
    return told


async def _register(connection: Connection) -> list[dict[str, Any]]:
    rows = await (await connection.execute("SELECT body FROM authority ORDER BY cvr")).fetchall()
    return [body for (body,) in rows]


def _listed(authorities: Iterable[str] | None) -> list[str] | None:
    return None if authorities is None else sorted(authorities)


def _today() -> date:
    return datetime.now(UTC).date()
