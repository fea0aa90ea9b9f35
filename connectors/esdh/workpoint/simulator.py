"""A small WorkPoint: tokens, items, signed webhooks, on items in memory. Never for the connector."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request, Response

from connectors.simulated_oauth import Tokens

MODULE: Final = "6f1c2f0a-6a0e-4d5e-9a55-2b3f3f2a9d11"
SECRET: Final = "a webhook's secret has 32 to 64 characters"


class Simulator:
    """`items` is open: number -> columns; a test changes them. `busy` requests are answered 429."""

    def __init__(
        self, items: Mapping[int, Mapping[str, Any]], *, busy: int = 0, uses_of_a_token: int = 1_000_000
    ) -> None:
        """A token is good for a number of uses, so that expiry needs no clock."""
        self.items = dict(items)
        self.busy = busy
        self.reads = 0
        self._tokens = Tokens(uses_of_a_token)
        self.app = FastAPI(openapi_url=None)
        self.app.post("/{tenant}/oauth2/v2.0/token")(self._token)
        self.app.get("/api/listitem/{module}/{number}")(self._item)

    async def _token(self, tenant: str, request: Request) -> Response:  # noqa: ARG002 - the path has it
        return await self._tokens.give(request, "client_secret=secret")

    async def _item(self, module: str, number: int, request: Request) -> Response:
        if (refused := self._tokens.refusal(request)) is not None:
            return refused
        if self.busy > 0:
            self.busy -= 1
            return Response(status_code=429, headers={"Retry-After": "7"})
        self._tokens.use(request)
        self.reads += 1
        if module != MODULE or number not in self.items:
            return Response(status_code=404)
        return _json(item_of(number, self.items[number]))


def item_of(number: int, columns: Mapping[str, Any]) -> dict[str, Any]:
    """A list item. A column given as a pair is value and text; else both are the same."""
    pairs = {name: value if isinstance(value, tuple) else (value, value) for name, value in columns.items()}
    return {
        "ID": number,
        "UniqueId": f"00000000-0000-4000-8000-{number:012}",
        "IsEntity": True,
        "FieldValues": [
            {"InternalFieldName": name, "DisplayFieldName": name, "Value": value, "TextValue": text}
            for name, (value, text) in pairs.items()
        ],
    }


def webhook(*changes: tuple[str, int], module: str = MODULE, secret: str = SECRET) -> tuple[bytes, dict[str, str]]:
    """A notification of (trigger, item) pairs: the body, and the headers it comes with."""
    notifications = [{"Action": trigger, "BusinessModuleId": module, "ItemId": item} for trigger, item in changes]
    body = json.dumps({"Id": secrets.token_hex(16), "Attempt": 1, "Properties": {}, "Notifications": notifications})
    signature = hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()
    return body.encode(), {"ms-signature": f"sha256={signature}", "Content-Type": "application/json"}


def _json(content: Any) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), media_type="application/json")
