"""Asks GetOrganized what has changed. Knows its paths and its authentication, nothing of the canonical event.

The vendor publishes no change feed. Read in public code: NTLM; `POST /_goapi/Cases/FindCases` with `CaseIdFilter`,
`StartItemIndex` and `ItemCount`, whose answer is JSON with XML inside and in that the status of the call;
`GET /_goapi/Cases/Metadata/{id}`. Assumed: that `CustomProperties` lets a hit carry the time of its last change.
Where it does not, each case's metadata are read on every walk.
"""

import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import httpx
import orjson

from broker.domain.outcome import Rejected
from broker.intake.xml import Element, parse
from connectors.esdh.getorganized.translate import attributes, is_folder
from connectors.ntlm import ONE_CONNECTION, Ntlm
from connectors.retry import Asker, Patience, Unanswered
from connectors.runner import Cursor, Page
from connectors.times import http_date, micros_or_last

_log = logging.getLogger(__name__)
_OK: Final = 200
# Gone since it was found, or not for us to read.
_PASSED_OVER: Final = frozenset({403, 404, 410})
_CHANGED: Final = "ows_LastModifiedDate"


class GetOrganizedError(Unanswered):
    """GetOrganized answered with something else than what was asked for. Carries statuses and names only."""


@dataclass(frozen=True, slots=True)
class Access:
    """Which cases are asked for, and how many at once."""

    filters: tuple[str, ...] = ("*",)
    page: int = 100
    # Its times are local and without a zone: in the hour that comes twice, a change reads as an hour earlier.
    overlap: timedelta = timedelta(minutes=75)


class Hit(NamedTuple):
    """A case found, and when it changed where the hit says so."""

    case: str
    changed: str | None


class GetOrganizedPoller:
    """A `Poller` that walks through all cases, again and again, and reads those that have changed.

    Cursor: `at`, from when on changes are news; `started`, when this walk began; `filter` and `index`, how far it has
    come; `seen`, the changes read since `at` of the next walk. `started` is by the server's clock, and so are changes.
    """

    def __init__(self, client: httpx.AsyncClient, asker: Asker, access: Access) -> None:
        """`client` knows the base address, the time limits and the authentication."""
        self._client = client
        self._asker = asker
        self._access = access

    async def aclose(self) -> None:
        """End its connections."""
        await self._client.aclose()

    async def changes(self, since: Cursor) -> AsyncIterator[Page]:
        """One walk, or the rest of one, in the order of the cases' numbers."""
        at, seen = int(since.get("at", 0)), dict(since.get("seen", {}))
        number, index, started = int(since.get("filter", 0)), int(since.get("index", 0)), since.get("started")
        while number < len(self._access.filters):
            hits, now = await self._find(self._access.filters[number], index)
            started = now if started is None else int(started)
            cases = []
            for hit in dict.fromkeys(hits):
                if hit.changed is None or _is_news(hit.case, hit.changed, at, seen):
                    body, changed = await self._read(hit.case)
                    if body and _is_news(hit.case, changed, at, seen):
                        cases.append(body)
                        seen[hit.case] = changed
            news_from = self._next_at(started)
            seen = {case: changed for case, changed in seen.items() if micros_or_last(changed) >= news_from}
            done = len(hits) < self._access.page
            number, index = (number + 1, 0) if done else (number, index + len(hits))
            place = {"at": at, "seen": seen, "started": started, "filter": number, "index": index}
            yield Page(b"[" + b",".join(cases) + b"]", len(cases), place)
        if started is not None:
            yield Page(b"[]", 0, {"at": self._next_at(int(started)), "seen": seen})

    def _next_at(self, started: int) -> int:
        """What changed during a walk may have been passed: the next looks back to the beginning of this one."""
        return started - self._access.overlap // timedelta(microseconds=1)

    async def _find(self, only: str, index: int) -> tuple[list[Hit], int]:
        """A page of hits, and the server's time in microseconds."""
        query = {
            "CaseIdFilter": only,
            "IncludeRegularCases": True,
            "IncludeOrphanedCases": False,
            "StartItemIndex": index,
            "ItemCount": self._access.page,
            "CustomProperties": _CHANGED,
        }
        response = await self._asker.ask(lambda: self._client.post("/_goapi/Cases/FindCases", json=query))
        found = _inside(response, "ResultsXml", "FindCases")
        hits = [
            Hit(case, one.get(_CHANGED))
            for one in found.iterchildren("{*}Case")
            if (case := one.get("CaseID")) is not None
        ]
        return hits, _date_of(response)

    async def _read(self, case: str) -> tuple[bytes, str]:
        """The metadata byte for byte, and when they changed; nothing of a case that is gone, or is a folder."""
        path = f"/_goapi/Cases/Metadata/{quote(case, safe='')}"
        response = await self._asker.ask(lambda: self._client.get(path))
        if response.status_code in _PASSED_OVER:
            _log.warning("passed over a case: status %d", response.status_code)
            return b"", ""
        _inside(response, "Metadata", "Metadata")
        row = attributes(_json(response, "Metadata").get("Metadata")) or {}
        return (b"", "") if is_folder(row) else (response.content, row.get(_CHANGED, ""))


def _is_news(case: str, changed: str, at: int, seen: Mapping[str, str]) -> bool:
    return micros_or_last(changed) >= at and seen.get(case) != changed


def _json(response: httpx.Response, what: str) -> dict[str, Any]:
    if response.status_code != _OK:
        raise GetOrganizedError(f"{what} answered {response.status_code}")
    try:
        answer = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        raise GetOrganizedError(f"{what} answered with no JSON") from None
    if not isinstance(answer, dict):
        raise GetOrganizedError(f"{what} answered with another form")
    return answer


def _inside(response: httpx.Response, name: str, what: str) -> Element:
    """The XML inside the JSON; in that, an answer of status 200 can still say that the call has failed."""
    text = _json(response, what).get(name)
    root = parse(text.encode(errors="replace")) if isinstance(text, str) else None
    if root is None or isinstance(root, Rejected):
        raise GetOrganizedError(f"{what} answered without {name}")
    if any(status.get("Status") != "Success" for status in root.iter("{*}ServiceStatus")):
        raise GetOrganizedError(f"{what} says that it has failed")
    return root


def _date_of(response: httpx.Response) -> int:
    try:
        return http_date(response.headers.get("date", ""))
    except ValueError:
        raise GetOrganizedError("no date in an answer") from None


def poller(config: Mapping[str, Any]) -> GetOrganizedPoller:
    """From the configuration's table: `url`, `user`, `password`.

    Optional: `filters` where not all cases; `per_second` where not 20; `page`, hits in one answer, where not 100.
    """
    client = httpx.AsyncClient(
        base_url=config["url"], auth=Ntlm(config["user"], config["password"]), limits=ONE_CONNECTION, timeout=60
    )
    asker = Asker(Patience(per_second=float(config.get("per_second", 20))))
    return GetOrganizedPoller(client, asker, Access(tuple(config.get("filters", ("*",))), int(config.get("page", 100))))
