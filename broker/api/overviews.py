"""Searching an overview over HTTP."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Final, assert_never

import orjson
from fastapi import APIRouter, Depends, Header
from fastapi.responses import Response

from broker.api.auth import TokenFirst, require
from broker.api.core import Core, core_of
from broker.api.problems import Problem, unavailable
from broker.domain.entry import party_ref
from broker.domain.kle import Patterns
from broker.domain.policy import POLICY, Reader, Reason, Role
from broker.overviews.cursor import BrokenCursorError
from broker.overviews.reading import Caller, NotLoggedError
from broker.overviews.request import SearchRequest
from broker.overviews.search import Answer, Refused, search
from broker.overviews.table import table
from broker.security import Token

router = APIRouter(prefix="/v1/overviews", tags=["overviews"], route_class=TokenFirst)
CSV: Final = "text/csv"
NEXT_CURSOR: Final = "Next-Cursor"
_FOR_CONTROL: Final = "this overview is read for a written purpose and a control case"
_MISSING: Final[Mapping[Reason, tuple[str, str]]] = {
    Reason.PURPOSE_MISSING: (_FOR_CONTROL, "/purpose"),
    Reason.CONTROL_CASE_MISSING: (_FOR_CONTROL, "/control_case"),
    Reason.EFFORT_MISSING: ("this overview is read for an effort: name the one that you take part in", "/effort_id"),
}


# Every role may knock: the policy refuses, so that the refusal stands in the access log.
@router.post("/{name}/search", response_model=Answer, responses={200: {"content": {CSV: {}}}})
async def search_overview(
    name: str,
    request: SearchRequest,
    core: Annotated[Core, Depends(core_of)],
    token: Annotated[Token, Depends(require(*Role))],
    accept: Annotated[str, Header()] = "",
) -> Response:
    """Entries of a citizen, a party or a user key that the reader may see; the newest case first.

    With `Accept: text/csv` a table for spreadsheets of the same page; its cursor is the header `Next-Cursor`.
    """
    overview = POLICY.get(name)
    if overview is None:
        raise Problem(404, "not_found", "there is no such overview")
    try:
        outcome = await search(core, reader_of(token), overview, request, datetime.now(UTC))
    except BrokenCursorError:
        said = "the cursor was not given out for this search"
        raise Problem(422, "cursor_invalid", said, pointer="/cursor") from None
    except NotLoggedError:
        raise unavailable("access_log_unavailable", "the read cannot be logged just now, so nothing is read") from None
    match outcome:
        case Answer() if CSV in accept:
            following = {} if outcome.next_cursor is None else {NEXT_CURSOR: outcome.next_cursor}
            return Response(table(outcome.entries), media_type=CSV, headers=following)
        case Answer():
            return Response(orjson.dumps(outcome), media_type="application/json")
        case Refused(reason):
            raise refusal(reason)
        case _:
            assert_never(outcome)


def caller_of(token: Token) -> Caller:
    """Who calls, for what is no overview."""
    return Caller(reader_of(token), token.authorities, token.citizen)


def refusal(reason: Reason) -> Problem:
    """What a reader is told who may ask nothing in this way, whatever there is."""
    if reason is Reason.ROLE:
        return Problem(403, "forbidden", "the token's role does not read this overview")
    detail, pointer = _MISSING[reason]
    return Problem(422, str(reason), detail, pointer=pointer)


def reader_of(token: Token) -> Reader:
    """Who the token says is reading, as the policy asks."""
    return Reader(
        token.subject,
        token.name,
        token.role,
        token.client or "",
        token.scopes,
        token.client_scopes,
        token.principal_ids,
        token.authorities,
        Patterns.of(token.areas),
        frozenset() if token.citizen is None else frozenset({party_ref("CPR", token.citizen)}),
        token.unit,
    )
