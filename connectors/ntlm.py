"""NTLM over HTTP, as systems on Windows ask for it. A connection is authenticated, not a request."""

import base64
from collections.abc import Generator
from typing import Final

import httpx
import spnego

_UNAUTHORIZED: Final = 401


class Ntlm(httpx.Auth):
    """Answers a challenge when there is one. Use it on a client with one connection (`ONE_CONNECTION`)."""

    def __init__(self, user: str, password: str) -> None:
        r"""`user` may be `DOMAIN\user`. The password stays out of every repr."""
        self._user = user
        self._password = password

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Ask; when challenged, negotiate and answer on the same connection."""
        response = yield request
        if response.status_code != _UNAUTHORIZED or _challenge(response) is None:
            return
        context = spnego.client(self._user, self._password, protocol="ntlm")
        request.headers["Authorization"] = _header(context.step())
        response = yield request
        if response.status_code == _UNAUTHORIZED and (challenge := _challenge(response)):
            request.headers["Authorization"] = _header(context.step(challenge))
            yield request


ONE_CONNECTION: Final = httpx.Limits(max_connections=1)


def _challenge(response: httpx.Response) -> bytes | None:
    """What the server says after the word NTLM: nothing at first; None when it does not say the word."""
    for offered in response.headers.get_list("www-authenticate"):
        scheme, _, said = offered.partition(" ")
        if scheme.lower() == "ntlm":
            return base64.b64decode(said)
    return None


def _header(token: bytes | None) -> str:
    return f"NTLM {base64.b64encode(token or b'').decode()}"
