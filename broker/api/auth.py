"""Who calls: a bearer token, checked, as a dependency of every route that is not open, and before a body is read."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from fastapi.requests import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from broker.api.core import Core, core_of
from broker.api.problems import Problem
from broker.domain.policy import Role
from broker.security import BadToken, Token

router = APIRouter(tags=["keys"])
_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT")
_KEPT: Final = "sagsbro.token"
"""Where a request's scope keeps what its token said."""


async def bearer_of(request: Request) -> str | None:
    """The token that a request shows, if any."""
    said = await _bearer(request)
    return None if said is None else said.credentials


class Caller:
    """A dependency: the caller's token, which has one of the roles; else 401 or 403. Verified once for each request."""

    def __init__(self, roles: Collection[Role], shown: Callable[[Request], Awaitable[str | None]] = bearer_of) -> None:
        """`shown`: where the token stands."""
        self._roles = roles
        self._shown = shown

    async def __call__(
        self, request: Request, _scheme: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)] = None
    ) -> Token:
        """Raises Problem. The scheme is for those who read how the routes are described."""
        if _KEPT not in request.scope:
            request.scope[_KEPT] = await verified(await core_of(request), await self._shown(request), tuple(Role))
        return permitted(request.scope[_KEPT], self._roles)


def require(*roles: Role) -> Caller:
    """A dependency: the caller's token, which has one of the roles; else 401 or 403."""
    return Caller(roles)


class TokenFirst(APIRoute):
    """A route that asks who calls before it reads what is sent; FastAPI alone reads the body first."""

    @property
    def checks(self) -> list[Caller]:
        """What its callers have to be."""
        return [one.call for one in self.dependant.dependencies if isinstance(one.call, Caller)]

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The usual handler, behind its checks."""
        handle, checks = super().get_route_handler(), self.checks

        async def handling(request: Request) -> Response:
            for check in checks:
                await check(request)
            return await handle(request)

        return handling


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
    return permitted(token, roles)


def permitted(token: Token, roles: Collection[Role]) -> Token:
    """The same, where it has one of the roles. Raises Problem, 403."""
    if token.role not in roles:
        raise Problem(403, "forbidden", "the token's role may not do this")
    return token


@router.get("/.well-known/jwks.json")
async def keys(core: Annotated[Core, Depends(core_of)]) -> dict[str, Any]:
    """The development issuer's public keys."""
    if core.settings.jwks_url is not None:
        raise Problem(404, "not_found", "another issuer makes the tokens here")
    return await asyncio.to_thread(core.issuer.jwks)
