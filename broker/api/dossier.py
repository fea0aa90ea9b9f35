"""The right of access: everything that is held on one citizen in one authority."""

import asyncio
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends
from fastapi.responses import Response

from broker.api.access_log import not_logged
from broker.api.auth import TokenFirst, require
from broker.api.core import Core, core_of
from broker.api.overviews import caller_of
from broker.api.problems import Problem
from broker.domain.policy import Role
from broker.overviews.access import NotYours
from broker.overviews.dossier import DossierRequest, dossier
from broker.overviews.reading import NotLoggedError
from broker.security import Token

router = APIRouter(prefix="/v1", tags=["right of access"], route_class=TokenFirst)


@router.post("/dossier", response_model=dict[str, Any])
async def get_dossier(
    request: DossierRequest,
    core: Annotated[Core, Depends(core_of)],
    token: Annotated[Token, Depends(require(Role.AUDITOR))],
) -> Response:
    """For the authority's own auditors, who answer the citizen."""
    try:
        async with core.pool.connection() as connection:
            outcome = await dossier(connection, caller_of(token), request)
    except NotLoggedError:
        raise not_logged() from None
    if isinstance(outcome, NotYours):
        raise Problem(403, "forbidden", "the token does not name that authority")
    return Response(await asyncio.to_thread(orjson.dumps, outcome), media_type="application/json")
