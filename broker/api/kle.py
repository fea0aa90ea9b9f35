"""KLE over HTTP: editions, facets, authorities' own numbers, mapping rules. What the commands do."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from datetime import UTC, date, datetime
from itertools import chain
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from broker.api.auth import TokenFirst, require
from broker.api.core import Connection, Core, core_of
from broker.api.problems import Problem, response
from broker.domain.kle import Edition
from broker.domain.kle_rules import ANY, Rule
from broker.domain.policy import Role
from broker.intake.codes import FlawedListError, read_codes, review
from broker.intake.edition import FlawedEditionError, Kind, read
from broker.intake.remap import Counts, preview, with_rules
from broker.overviews.request import Text
from broker.security import Token
from broker.settings import Settings
from broker.store import facts, kle_rules, widening
from broker.store import kle as store
from broker.store.database import connect
from broker.store.kle_rules import Key, TiedRulesError
from broker.store.kle_shapes import KleRules, LocalNumbers, System
from broker.store.reference import NotYoursError, Putter
from broker.store.shapes import Cvr

router = APIRouter(prefix="/v1/kle", tags=["reference"], route_class=TokenFirst)

LOCK: Final = 7_346_010
MEDIA: Final = ("text/csv", "application/xml", "text/xml", "application/json")
Cored = Annotated[Core, Depends(core_of)]
Keeper = Annotated[Token, Depends(require(Role.ONBOARDING, Role.OPERATOR))]
Operator = Annotated[Token, Depends(require(Role.OPERATOR))]  # what all authorities share
Anyone = Annotated[Token, Depends(require(*Role))]
Bodies = list[dict[str, Any]]


@router.put("/editions/{published}")
async def put_edition(published: date, request: Request, core: Cored, token: Operator) -> dict[str, Any]:
    """An edition of the subjects, in XML, JSON or CSV; it is every authority's, so an operator puts it."""
    edition = await _edition(request, published, "subjects")
    async with _changing(core) as connection:
        return await store.put_edition(connection, edition, _putter(token))


@router.put("/facets/{published}")
async def put_facets(published: date, request: Request, core: Cored, token: Operator) -> dict[str, Any]:
    """A list of facets, in XML, JSON or CSV; an operator puts it."""
    facets = await _edition(request, published, "facets")
    async with _changing(core) as connection:
        return await store.put_facets(connection, facets, _putter(token))


@router.get("/diff/{before}/{after}")
async def get_diff(before: date, after: date, core: Cored, _token: Keeper) -> dict[str, Any]:
    """What changed from one edition to another, and how many live entries stand on each number."""
    try:
        async with core.pool.connection() as connection:
            return await store.compared(connection, before, after)
    except store.NoSuchEditionError as missing:
        raise Problem(404, "not_found", str(missing)) from None


@router.get("/local")
async def get_local(core: Cored, token: Keeper) -> Bodies:
    """The own numbers of the token's authorities."""
    async with core.pool.connection() as connection:
        return [own for own in await store.local_numbers(connection) if own["authority"] in token.authorities]


@router.put("/local")
async def put_local(numbers: LocalNumbers, core: Cored, token: Keeper) -> Bodies:
    """Replaces the whole list of every authority that is named."""
    try:
        async with _changing(core) as connection:
            return await store.put_local(connection, numbers, _putter(token))
    except store.NotInAGroupError as why:
        raise Problem(422, "invalid_request", str(why)) from None


@router.delete("/local/{authority}")
async def clear_local(authority: Cvr, core: Cored, token: Keeper) -> dict[str, Any]:
    """The authority has no numbers of its own any more; what it had is kept as a version."""
    async with _changing(core) as connection:
        return await store.clear_local(connection, authority, _putter(token))


@router.get("/rules")
async def get_rules(core: Cored, token: Keeper) -> Bodies:
    """The rules for every authority, and those of the token's. owed: the index has yet to be derived anew by them."""
    async with core.pool.connection() as connection:
        sets = await kle_rules.every(connection)
        owed = {(one.authority, one.system) for one in await kle_rules.owed(connection)}
    shown = {ANY, *token.authorities}
    return [one | {"owed": (one["authority"], one["system"]) in owed} for one in sets if one["authority"] in shown]


@router.put("/rules")
async def put_rules(rules: KleRules, core: Cored, token: Keeper, *, preview: bool = False) -> Any:
    """Replaces the rules of every authority and system that are named. preview: tell what would change, change nothing.

    A publisher derives the index anew by them, from a minute later on; until that is done the sets are `owed`.
    unknown_numbers: what rules lead to that no edition knows (yet), nor the authority itself: it is refused till then.
    asks_again: the sources that are asked again for what was outside, and is let in.
    """
    try:
        if preview:
            return await _previewed(core, kle_rules.sets_of(rules), token)
        async with _changing(core) as connection:
            return await kle_rules.put(connection, rules, _putter(token))
    except TiedRulesError as tie:
        return response(422, tie.code, str(tie), errors=[{"pointer": tie.pointer, "detail": str(tie)}])


@router.delete("/rules/{authority}/{system}")
async def clear_rules(authority: Text, system: System, core: Cored, token: Keeper) -> dict[str, Any]:
    """No rule of the authority and the system is in force any more; what was is kept as a version."""
    async with _changing(core) as connection:
        return await kle_rules.clear(connection, (authority, system), _putter(token))


@router.post("/checks")
async def check(request: Request, authority: Cvr, system: System, core: Cored, token: Keeper) -> Response:
    """Maps a municipality's codes, as text/csv `code[,title,count]`; the answer names those that map to nothing."""
    try:
        used = await asyncio.to_thread(read_codes, await request.body())
    except FlawedListError as flaw:
        raise Problem(422, "invalid_request", str(flaw)) from None
    async with _changing(core) as connection:
        _putter(token).must_be_of(authority)
        known = await core.facts.current(connection)
        said = await review(connection, known, used, authority, system, datetime.now(UTC).date())
    return Response(orjson.dumps(said), media_type="application/json")


@router.get("/{number}")
async def get_number(number: Text, core: Cored, _token: Anyone) -> dict[str, Any]:
    """What every edition says of the number."""
    async with core.pool.connection() as connection:
        known = await store.number(connection, number)
    if known is None:
        raise Problem(404, "not_found", "no edition knows the number")
    return known


async def _previewed(core: Core, sets: Mapping[Key, Sequence[Rule]], token: Token) -> dict[str, Any]:
    """Counts alone: which cases they are is nobody's to read here."""
    try:
        for authority, _ in sets:
            store.must_keep(_putter(token), authority)
    except NotYoursError as refused:
        raise Problem(403, "forbidden", str(refused)) from None
    return await asyncio.to_thread(_count, core.settings, sets)


def _count(settings: Settings, sets: Mapping[Key, Sequence[Rule]]) -> dict[str, Any]:
    counts = Counts()
    with closing(connect(settings.dsn, "preview")) as connection:
        # It reads much: one at a time.
        taken = connection.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone()
        if taken != (True,):
            raise Problem(409, "preview_under_way", "a preview is being made; ask again when it is there")
        known = facts.load(connection)
        wanted = with_rules(known, sets)
        scopes = [kle_rules.scope_of(key) for key in sorted(sets)]
        for _ in preview(connection, settings, wanted, scopes, time.time_ns() // 1000, counts):
            pass
        unknown = kle_rules.unknown(known.kle, chain.from_iterable(sets.values()))
    asks = widening.told(widening.would_bring_in(known, wanted.kle))
    return counts.as_dict() | {"unknown_numbers": unknown, "asks_again": asks}


async def _edition(request: Request, published: date, kind: Kind) -> Edition:
    if request.headers.get("content-type", "").partition(";")[0].strip() not in MEDIA:
        raise Problem(415, "unsupported_media_type", f"it comes as {', '.join(MEDIA)}")
    body = await request.body()
    try:
        reading = await asyncio.to_thread(read, body)
        edition = reading.edition(published)
    except FlawedEditionError as flaw:
        raise Problem(422, "invalid_request", str(flaw)) from None
    if reading.kind != kind or not reading.titles:
        raise Problem(422, "invalid_request", f"there are no {kind} in it")
    return edition


@asynccontextmanager
async def _changing(core: Core) -> AsyncIterator[Connection]:
    try:
        async with core.pool.connection() as connection:
            yield connection
    except NotYoursError as refused:
        raise Problem(403, "forbidden", str(refused)) from None


def _putter(token: Token) -> Putter:
    return Putter(token.name or token.subject, token.role, token.authorities)
