"""The rejections desk over HTTP: vendors at their own, operators and auditors within their authorities."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import Field

from broker.api.access_log import not_logged
from broker.api.auth import TokenFirst, require
from broker.api.core import Core, core_of
from broker.api.mending import Desk, Stays
from broker.api.overviews import caller_of
from broker.api.problems import Problem
from broker.domain import refusals
from broker.domain.batch import NOBODY
from broker.domain.outcome import Code
from broker.domain.policy import Role
from broker.overviews import rejected
from broker.overviews.access import plain
from broker.overviews.own_log import COPENHAGEN
from broker.overviews.reading import NotLoggedError, who
from broker.overviews.request import Day, Moment, Strict, Text
from broker.security import Token
from broker.store import rejections as store
from broker.store.rejections import Filter, Place

router = APIRouter(prefix="/v1/rejections", tags=["rejections"], route_class=TokenFirst)

UNATTRIBUTED: Final = ("", NOBODY)
"""The authority of what cannot be told to be anybody's."""
MOST: Final = 1000
"""Of a page, and of what one request replays."""
MOST_TOLD: Final = 10_000
CSV: Final = "text/csv"
Cored = Annotated[Core, Depends(core_of)]
Reader = Annotated[Token, Depends(require(Role.VENDOR, Role.OPERATOR, Role.ONBOARDING, Role.AUDITOR))]
Mender = Annotated[Token, Depends(require(Role.VENDOR, Role.OPERATOR))]
Word = Annotated[Text, Field(max_length=200)] | None


def filter_of(
    token: Reader,
    authority: Word = None,
    system: Word = None,
    code: Code | None = None,
    pointer: Word = None,
    state: Literal["open", "replayed", "discarded", "all"] = "open",
    since: Annotated[Moment | None, Query(alias="from")] = None,
    until: Annotated[Moment | None, Query(alias="to")] = None,
) -> Filter:
    """What is asked for, within what the token may look at. Raises Problem."""
    bounds = bounds_of(token)
    if bounds.system is not None and system not in (None, bounds.system):
        raise Problem(403, Code.SYSTEM_MISMATCH, "the token names another system")
    return replace(
        bounds,
        authority=authority,
        system=system or bounds.system,
        code=code,
        pointer=pointer,
        state=None if state == "all" else state,
        since=since,
        until=until,
    )


def bounds_of(token: Token) -> Filter:
    """All that the token may look at. Raises Problem."""
    if token.role is Role.VENDOR:
        if token.system is None:
            raise Problem(403, Code.SYSTEM_MISMATCH, "the token names no system")
        return Filter(system=token.system, authorities=tuple(sorted(token.authorities)), state=None)
    nobodys = UNATTRIBUTED if token.role is Role.OPERATOR else ()
    return Filter(authorities=(*sorted(token.authorities), *nobodys), state=None)


Wanted = Annotated[Filter, Depends(filter_of)]


class Closing(Strict):
    """What is to become of them. `reason`: why they are given up. `expected`: how many they are, as was shown."""

    state: Literal["replayed", "discarded"]
    reason: Annotated[Text, Field(min_length=1, max_length=1000)] | None = None
    expected: Annotated[int, Field(ge=0)] | None = None


class Purpose(Strict):
    """Why the event has to be seen as it is."""

    purpose: Annotated[Text, Field(min_length=1, max_length=1000)]


@router.get("")
async def get_rejections(
    core: Cored, wanted: Wanted, limit: Annotated[int, Query(ge=1, le=MOST)] = 100, after: Word = None
) -> dict[str, Any]:
    """The newest first, without their events; `after` is the `next` of the page before.

    `pointer` is one of `causes`: `*` stands for any place in a list. `from` and `to` bound when they were refused.
    """
    place = None if after is None else _place(after)
    async with core.pool.connection() as connection:
        rows = [plain(row) for row in await store.listed(connection, wanted, limit, place)]
    following = f"{rows[-1]['at']}_{rows[-1]['rejection_id']}" if len(rows) == limit else None
    return {"rejections": rows, "next": following}


@router.get("/causes")
async def get_causes(core: Cored, wanted: Wanted, limit: Annotated[int, Query(ge=1, le=MOST)] = 100) -> dict[str, Any]:
    """How many of each code, pointer, system and authority, the most frequent first, with what to do."""
    async with core.pool.connection() as connection:
        return {"causes": [plain(row) for row in await store.causes(connection, wanted, limit)]}


@router.get("/report", responses={200: {"content": {CSV: {}}}})
async def get_report(
    core: Cored,
    token: Reader,
    request: Request,
    day: Day | None = None,
    system: Word = None,
    authority: Word = None,
) -> Response:
    """What of one system's events was refused on a day of the Danish calendar (yesterday), and why.

    As JSON, or with `Accept: text/csv` a line for each event; `Sagsbro-Left-Out` says how many have none.
    """
    wanted = filter_of(token, authority=authority, system=system, state="all")
    if wanted.system is None:
        raise Problem(422, "system_needed", "say whose report: ?system=")
    async with core.pool.connection() as connection:
        told = await store.of_day(connection, wanted, wanted.system, day or yesterday(), COPENHAGEN, MOST_TOLD)
    headers = {"Sagsbro-Left-Out": str(told["left_out"])}
    if CSV in request.headers.get("accept", ""):
        return Response(refusals.as_csv(told["events"]), media_type=CSV, headers=headers)
    return Response(orjson.dumps(told), media_type="application/json", headers=headers)


@router.put("")
async def put_rejections(
    closing: Closing, core: Cored, token: Mender, wanted: Wanted, after: UUID | None = None
) -> dict[str, Any]:
    """Replay or discard all open ones that the filter means, 1000 at a time.

    Without `expected` nothing is done: the answer says how many they are. With another number than they are: 409.
    Where the answer has a `next`, `after` it are more; what stays open before it is not looked at again then.
    """
    _reasoned(closing)
    wanted = replace(wanted, state="open")
    async with core.pool.connection() as connection:
        found, with_event = await store.count(connection, wanted)
    if closing.expected is None:
        return {"found": found, "with_event": with_event, "done": False}
    if after is None and closing.expected != found:
        raise Problem(409, "count_changed", "they are another number by now: look again")
    if closing.state == "replayed":
        done = await _desk(core, token).replay(wanted, MOST, str(after or store.NIL))
        following = done.after if done.found == MOST else None
        return {**done.as_dict(), "found": found, "with_event": with_event, "done": True, "next": following}
    async with core.pool.connection() as connection:
        page = await store.listed(connection, wanted, MOST)
        named = [one["rejection_id"] for one in page]
        number = await store.close(connection, named, "discarded", _name(token), closing.reason)
    following = store.NIL if len(page) == MOST else None
    return {"found": found, "with_event": with_event, "done": True, "discarded": number, "next": following}


@router.get("/{rejection_id}")
async def get_rejection(rejection_id: UUID, core: Cored, token: Reader) -> dict[str, Any]:
    """One, with the form of its event: every word of a person is masked."""
    return _shown(await _found(core, token, rejection_id))


@router.post("/{rejection_id}/payload")
async def show_payload(
    rejection_id: UUID,
    said: Purpose,
    core: Cored,
    token: Annotated[Token, Depends(require(Role.VENDOR, Role.AUDITOR))],
) -> Response:
    """The event as it came, to its sender and to the authority's auditors; the read is logged before it is answered."""
    reader = who(caller_of(token).reader)
    try:
        async with core.pool.connection() as connection:
            kept = await store.one(connection, rejection_id)
            if kept is None or not _within(kept, token):
                await rejected.denied(connection, reader, "not_found")
                raise Problem(404, "not_found", "there is no such rejection")
            payload = await rejected.in_clear(connection, reader, kept, said.purpose)
    except NotLoggedError:
        raise not_logged() from None
    return Response(orjson.dumps({"payload": payload}), media_type="application/json")


@router.put("/{rejection_id}")
async def put_rejection(rejection_id: UUID, closing: Closing, core: Cored, token: Mender) -> dict[str, Any]:
    """Replay one, or discard it with a reason; the same again changes nothing."""
    _reasoned(closing)
    kept = await _found(core, token, rejection_id)
    if kept["state"] == "open":
        if closing.state == "replayed":
            sent = await _desk(core, token).replay_one(kept)
            if isinstance(sent, Stays):
                raise Problem(409, "stays_open", sent.detail)
        else:
            async with core.pool.connection() as connection:
                await store.close(connection, [str(rejection_id)], "discarded", _name(token), closing.reason)
        kept = await _found(core, token, rejection_id)
    if kept["state"] != closing.state:
        raise Problem(409, "not_open", f"it is {kept['state']}")
    return _shown(kept)


def yesterday() -> date:
    """By the Danish clock."""
    return datetime.now(COPENHAGEN).date() - timedelta(days=1)


def _shown(kept: dict[str, Any]) -> dict[str, Any]:
    return plain({**kept, "payload": rejected.in_form(kept)})


async def _found(core: Core, token: Token, rejection_id: UUID) -> dict[str, Any]:
    async with core.pool.connection() as connection:
        kept = await store.one(connection, rejection_id)
    if kept is None or not _within(kept, token):
        raise Problem(404, "not_found", "there is no such rejection")
    return kept


def _within(kept: dict[str, Any], token: Token) -> bool:
    bounds = bounds_of(token)
    return kept["authority"] in (bounds.authorities or ()) and bounds.system in (None, kept["system"])


def _desk(core: Core, token: Token) -> Desk:
    return Desk(core.pool.connection, core.settings, core.facts, core.producer, _name(token))


def _name(token: Token) -> str:
    return token.name or token.subject


def _reasoned(closing: Closing) -> None:
    if closing.state == "discarded" and closing.reason is None:
        raise Problem(422, "reason_needed", "say why it is given up")


def _place(said: str) -> Place:
    at, _, rejection_id = said.partition("_")
    try:
        place = Place(datetime.fromisoformat(at), UUID(rejection_id))
    except ValueError:
        place = None
    if place is None or place.at.tzinfo is None:
        raise Problem(422, "cursor_invalid", "after is the next of an earlier page")
    return place
