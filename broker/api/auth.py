"""Who calls: a bearer token, checked, as a dependency of every route that is not open."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from broker.api.core import Core, core_of
from broker.api.problems import Problem
from broker.domain.policy import Role
from broker.security import BadToken, Token

router = APIRouter(tags=["keys"])
_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT")


def require(*roles: Role) -> Callable[..., Awaitable[Token]]:
    """A dependency: the caller's token, which has one of the roles; else 401 or 403."""

    async def token_of(
        core: Annotated[Core, Depends(core_of)],
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Token:
        return await verified(core, None if credentials is None else credentials.credentials, roles)

    return token_of


async def verified(core: Core, bearer: str | None, roles: Collection[Role]) -> Token:
    """The token that this text is, with one of the roles. Raises Problem, 401 or 403."""
    if bearer is None:
        raise Problem(401, "unauthorized", "a bearer token is needed", {"WWW-Authenticate": "Bearer"})
    try:
        token = core.issuer.known(bearer, time.time())
        if token is None:
            threads = core.issuer.threads(bearer)
            token = await asyncio.get_running_loop().run_in_executor(threads, core.issuer.verify, bearer)
    except BadToken as flaw:
        challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        raise Problem(401, "unauthorized", str(flaw), challenge) from None
    if token.role not in roles:
        raise Problem(403, "forbidden", "the token's role may not do this")
    return token


@router.get("/.well-known/jwks.json")
async def keys(core: Annotated[Core, Depends(core_of)]) -> dict[str, Any]:
    """The development issuer's public keys."""
    if core.settings.jwks_url is not None:
        raise Problem(404, "not_found", "another issuer makes the tokens here")
    return await asyncio.to_thread(core.issuer.jwks)
