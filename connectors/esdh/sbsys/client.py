"""Asks SBSYS what has changed. Knows its paths and its tokens, nothing of the canonical event.

The vendor publishes no change feed. Read in public code: client-credentials tokens, `POST api/sag/search`,
`GET api/sag/{id}`, and that a case found by search can differ from the one read by its id, so each is read by id.
Assumed, and to be settled with each municipality's supplier: the search's words for "changed since" and its order.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import orjson

from connectors.oauth import Authorized
from connectors.retry import Asker, Patience, Unanswered
from connectors.runner import Cursor, Page
from connectors.times import micros

_OK: Final = 200
_NOT_FOUND: Final = 404
_GONE: Final = 410
_LARGEST_PAGE: Final = 20_000


class SbsysError(Unanswered):
    """SBSYS answered with something else than what was asked for. Carries statuses and names only."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where SBSYS is, and who asks. The secret stays out of every repr."""

    token_path: str
    client_id: str
    client_secret: str = field(repr=False)
    page: int = 100
    # A change can be committed after a later one was seen; the last minutes are asked for again each time.
    overlap: timedelta = timedelta(minutes=2)


class SbsysPoller:
    """A `Poller`. Cursor: `at`, the last change's time, and `seen`, the changes read within the overlap before it."""

    def __init__(self, client: httpx.AsyncClient, asker: Asker, access: Access) -> None:
        """`client` knows the base address and the time limits."""
        form = {"client_id": access.client_id, "client_secret": access.client_secret}
        self._asked = Authorized(client, asker, access.token_path, form)
        self._access = access

    async def aclose(self) -> None:
        """End its connections."""
        await self._asked.aclose()

    async def changes(self, since: Cursor) -> AsyncIterator[Page]:
        """Pages by time, not by number: a case that changes meanwhile moves to the end and nothing slips past."""
        at, seen = int(since.get("at", 0)), dict(since.get("seen", {}))
        size = self._access.page
        while True:
            found = await self._search(at, size)
            fresh = [hit for hit in found if seen.get(_identity(hit)) != hit["SenestAendret"]]
            if fresh:
                at = max(at, *(micros(hit["SenestAendret"]) for hit in found))
                seen |= {_identity(hit): hit["SenestAendret"] for hit in fresh}
                seen = {identity: time for identity, time in seen.items() if micros(time) >= at - self._overlap}
                cases = [case for hit in fresh if (case := await self._read(hit["Id"])) is not None]
                yield Page(b"[" + b",".join(cases) + b"]", len(cases), {"at": at, "seen": seen})
            if len(found) < size:
                return
            # A full page with little news: as many changes lie within the overlap as a page holds, or share one moment.
            if len(fresh) < self._access.page // 2:
                size *= 2
                if size > _LARGEST_PAGE:
                    raise SbsysError(f"more than {_LARGEST_PAGE} changes within the overlap")

    @property
    def _overlap(self) -> int:
        return self._access.overlap // timedelta(microseconds=1)

    async def _search(self, at: int, size: int) -> list[dict[str, Any]]:
        since = datetime.fromtimestamp(max(at - self._overlap, 0) / 1_000_000, UTC)
        query = {"SenestAendretFra": since.isoformat(), "SorterEfter": "SenestAendret", "Limit": size}
        answer = await self._call("POST", "api/sag/search", query)
        results = orjson.loads(answer).get("Results")
        if not isinstance(results, list):
            raise SbsysError("no Results in the answer to a search")
        return results

    async def _read(self, number: int) -> bytes | None:
        """The case as SBSYS writes it, byte for byte; None when it is gone since the search."""
        return await self._call("GET", f"api/sag/{int(number)}", None) or None

    async def _call(self, method: str, path: str, query: Mapping[str, Any] | None) -> bytes:
        response = await self._asked.ask(method, path, json=query)
        if response.status_code in (_NOT_FOUND, _GONE) and method == "GET":
            return b""
        if response.status_code != _OK:
            raise SbsysError(f"{method} answered {response.status_code}")
        return response.content


def _identity(hit: Mapping[str, Any]) -> str:
    return str(hit["SagIdentity"])


def poller(config: Mapping[str, Any]) -> SbsysPoller:
    """From the configuration's table: `url`, `token_path`, `client_id`, `client_secret`.

    Optional: `per_second` where not 20; `page`, cases handed over at once, where not 100.
    """
    client = httpx.AsyncClient(base_url=config["url"], timeout=60)
    asker = Asker(Patience(per_second=float(config.get("per_second", 20))))
    secret, page = config["client_secret"], int(config.get("page", 100))
    return SbsysPoller(client, asker, Access(config["token_path"], config["client_id"], secret, page))
