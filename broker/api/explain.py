"""Why a case is, or is not, shown to a reader."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from broker.api.access_log import not_logged
from broker.api.auth import TokenFirst, require
from broker.api.core import Core, core_of
from broker.api.overviews import caller_of, reader_of
from broker.api.problems import Problem
from broker.domain.policy import POLICY, Role
from broker.overviews.explaining import ExplainRequest, NotFound, explained
from broker.overviews.reading import NotLoggedError
from broker.security import BadToken, Token, read_claims

router = APIRouter(prefix="/v1", tags=["explain"], route_class=TokenFirst)


@router.post("/explain")
async def explain(
    request: ExplainRequest,
    core: Annotated[Core, Depends(core_of)],
    token: Annotated[Token, Depends(require(Role.CITIZEN, Role.AUDITOR, Role.OPERATOR))],
) -> dict[str, Any]:
    """The policy's tests in order, each with its verdict, now or at a past moment.

    `reader` has the claims of a token: role, scopes, client, principal_ids; without it the caller is meant.
    """
    reader = described(request.reader, token)
    caller = caller_of(token)
    try:
        async with core.pool.connection() as connection:
            outcome = await explained(connection, core.facts, caller, request, reader_of(reader), datetime.now(UTC))
    except NotLoggedError:
        raise not_logged() from None
    if isinstance(outcome, NotFound):
        known = request.overview in POLICY
        raise Problem(404, "not_found", "there is no such case" if known else "there is no such overview")
    return outcome


def described(claims: dict[str, Any] | None, otherwise: Token) -> Token:
    """Whom the claims describe. Raises Problem."""
    if claims is None:
        return otherwise
    try:
        return read_claims({"sub": "described", **claims, "exp": 0})
    except BadToken:
        said = "the reader is not described as a token would"
        raise Problem(422, "invalid_request", said, pointer="/reader") from None
