"""The issuer's half of OAuth2 client credentials, for simulators. A token is good for a number of uses: no clock."""

import secrets

from fastapi import Request, Response
from fastapi.responses import JSONResponse


class Tokens:
    """Those that were given, each with the uses that are left of it."""

    def __init__(self, uses: int) -> None:
        """`uses`: of each."""
        self._uses = uses
        self._left: dict[str, int] = {}

    async def give(self, request: Request, *wanted: str) -> Response:
        """A new one, to whoever asks with the right grant and all that is wanted in the form."""
        form = (await request.body()).decode()
        if any(said not in form for said in ("grant_type=client_credentials", *wanted)):
            return Response(status_code=400)
        token = secrets.token_urlsafe()
        self._left[token] = self._uses
        return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": 300})

    def refusal(self, request: Request) -> Response | None:
        """None while there is a use left."""
        return None if self._left.get(_shown(request), 0) > 0 else Response(status_code=401)

    def use(self, request: Request) -> None:
        """One less."""
        self._left[_shown(request)] -= 1


def _shown(request: Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ")
