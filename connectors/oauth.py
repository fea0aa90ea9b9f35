"""Requests under an OAuth2 client-credentials token, renewed when it is old. For every connector that needs one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import httpx

from connectors.retry import Asker

_OK: Final = 200
_UNAUTHORIZED: Final = 401


class NoToken(Exception):  # noqa: N818 - what happened, said in one word
    """The token issuer gives none: a wrong client, or a wrong secret. Carries the status only."""


@dataclass(slots=True)
class Authorized:
    """A client that shows a token. `form` holds the secret and stays out of every repr."""

    client: httpx.AsyncClient
    asker: Asker
    token_url: str
    form: Mapping[str, str] = field(repr=False)
    _token: str = field(default="", repr=False)

    async def aclose(self) -> None:
        """End its connections."""
        await self.client.aclose()

    async def ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        """One renewal of the token, then no more: a second 401 is the answer. Raises NoToken, Unanswered."""
        response = await self._ask(method, path, request)
        if response.status_code == _UNAUTHORIZED:
            self._token = ""
            response = await self._ask(method, path, request)
        return response

    async def _ask(self, method: str, path: str, request: Mapping[str, Any]) -> httpx.Response:
        if not self._token:
            self._token = await self._new_token()
        headers = {"Authorization": f"Bearer {self._token}"}
        return await self.asker.ask(partial(self.client.request, method, path, headers=headers, **request))

    async def _new_token(self) -> str:
        form = {"grant_type": "client_credentials", **self.form}
        response = await self.asker.ask(lambda: self.client.post(self.token_url, data=form))
        token = response.json().get("access_token") if response.status_code == _OK else None
        if not isinstance(token, str) or not token:
            raise NoToken(f"status {response.status_code}")
        return token
