"""The log of reads over HTTP: citizens read their own, auditors search, overview systems report what they showed."""

from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body, Depends
from fastapi.responses import Response
from pydantic import Field

from broker.api.auth import TokenFirst, require
from broker.api.core import Core, core_of
from broker.api.overviews import caller_of
from broker.api.problems import Problem, unavailable
from broker.domain.policy import Role
from broker.overviews import access
from broker.overviews.access import LogSearch, NoClient, NotYours, Reported, WatchList
from broker.overviews.reading import NotLoggedError
from broker.security import Token

router = APIRouter(prefix="/v1", tags=["access log"], route_class=TokenFirst)


@router.post("/access-log/search")
async def search_log(
    request: LogSearch,
    core: Annotated[Core, Depends(core_of)],
    token: Annotated[Token, Depends(require(Role.CITIZEN, Role.AUDITOR))],
) -> Response:
    """Who has looked: to a citizen at their own cases, in plain Danish; to an auditor within their authorities."""
    try:
        outcome = await access.search(core, caller_of(token), request, datetime.now(UTC))
    except NotLoggedError:
        raise not_logged() from None
    if isinstance(outcome, NotYours):
        raise Problem(403, "forbidden", "the token does not let this be looked at")
    return Response(orjson.dumps(outcome), media_type="application/json")


@router.post("/access-log", status_code=201)
async def report_reads(
    reads: Annotated[list[Reported], Body(), Field(min_length=1, max_length=access.MOST_REPORTED)],
    core: Annotated[Core, Depends(core_of)],
    token: Annotated[Token, Depends(require(Role.EMPLOYEE, Role.CONTROL))],
) -> dict[str, Any]:
    """An overview system's own reads of a topic; all are written down, or none."""
    try:
        outcome = await access.report(core, caller_of(token), reads, datetime.now(UTC))
    except NotLoggedError:
        raise not_logged() from None
    if isinstance(outcome, NoClient):
        raise Problem(403, "forbidden", "the token names no client")
    if isinstance(outcome, NotYours):
        raise Problem(403, "forbidden", "the token's client has no agreement to show what it reports")
    return {"logged": outcome}


@router.put("/access-log/watch-list")
async def put_watch_list(
    wanted: WatchList,
    core: Annotated[Core, Depends(core_of)],
    token: Annotated[Token, Depends(require(Role.AUDITOR))],
) -> dict[str, Any]:
    """Whom it raises an alarm to look up within an authority; the list is never shown again."""
    outcome = await access.watch(core, caller_of(token), wanted)
    if isinstance(outcome, NotYours):
        raise Problem(403, "forbidden", "the token does not name that authority")
    return {"authority": wanted.authority, "watched": outcome}


def not_logged() -> Problem:
    """The answer where a read cannot be written down."""
    return unavailable("access_log_unavailable", "the read cannot be logged just now, so nothing is read")
