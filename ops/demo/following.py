"""Follows citizens in an overview, where the API has a stream of changes."""

from datetime import UTC, datetime, timedelta
from typing import Final

import httpx

from ops.demo.onboarding import bearer
from ops.demo.payloads import citizens
from ops.embedded.errors import EmbeddedError

_CHANGES: Final = "/v1/overviews/{name}/changes"
_OVERVIEW: Final = "sapa"
_MOST: Final = 200
_FOR: Final = timedelta(days=1)


async def follow(http: httpx.AsyncClient, token: str, citizen: str, seed: int) -> str | None:
    """Follow the citizen and some whom the stream of that seed will be about; the stream's path, if there is one."""
    described = (await http.get("/openapi.json")).json()
    if _CHANGES not in described["paths"]:
        return None
    coming = [number.replace("-", "") for number in citizens(seed, 2 * _MOST)[:_MOST]]
    wish = {
        "overview": _OVERVIEW,
        "citizens": [citizen, *coming],
        "purpose": "demo",
        "until": (datetime.now(UTC) + _FOR).isoformat(),
    }
    answer = await http.put("/v1/subscriptions", json=wish, headers=bearer(token))
    if answer.is_error:
        raise EmbeddedError(f"a subscription was answered {answer.status_code}")
    return _CHANGES.format(name=_OVERVIEW)
