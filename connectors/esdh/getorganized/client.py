"""Asks GetOrganized what has changed. Knows its paths and its authentication, nothing of the canonical event.

The vendor publishes no change feed. Read in public code: NTLM; `POST /_goapi/Cases/FindCases` with `CaseIdFilter`,
`StartItemIndex` and `ItemCount`, whose answer is JSON with XML inside and in that the status of the call;
`GET /_goapi/Cases/Metadata/{id}`. Assumed: that `CustomProperties` lets a hit carry the time of its last change.
Where it does not, each case's metadata are read on every walk.
"""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import httpx
import orjson

from broker.intake.xml import Element
from connectors.esdh.getorganized.translate import attributes, is_folder
from connectors.ntlm import ONE_CONNECTION, Ntlm
from connectors.retry import Asker, Patience, Unanswered, read_xml, whole
from connectors.runner import Cursor, Page
from connectors.times import http_date, micros_or_last
from connectors.unread import Readings

_log = logging.getLogger(__name__)
_OK: Final = 200
# Gone since it was found, or not for us to read.
_PASSED_OVER: Final = frozenset({403, 404, 410})
_CHANGED: Final = "ows_LastModifiedDate"
_EDGE: Final = 10
"""Cases by which a walk finds its place again: all of them would have to be deleted between two pages."""
_STEPS: Final = 10
"""Pages to the front, before it begins anew."""


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


class Place(NamedTuple):
    """How far a walk through one filter's cases has come: how many it has met, and the last of them."""

    met: int = 0
    edge: Sequence[str] = ()


class GetOrganizedPoller:
    """A `Poller` that walks through all cases, again and again, and reads those that have changed.

    Cursor: `at`, from when on changes are news; `started`, when this walk began; `filter`, `index` and `edge`, how far
    it has come; `seen`, the changes read since `at` of the next walk. `started` is by the server's clock, and so are
    changes.
    """

    def __init__(self, client: httpx.AsyncClient, asker: Asker, access: Access) -> None:
        """`client` knows the base address, the time limits and the authentication."""
        self._client = client
        self._asker = asker
        self._access = access
        self._readings = Readings()

    async def aclose(self) -> None:
        """End its connections."""
        await self._client.aclose()

    async def changes(self, since: Cursor) -> AsyncIterator[Page]:
        """One walk, or the rest of one, in the order of the cases' numbers."""
        at, seen = int(since.get("at", 0)), dict(since.get("seen", {}))
        number, started = int(since.get("filter", 0)), since.get("started")
        place = Place(int(since.get("index", 0)), since.get("edge", ()))
        while number < len(self._access.filters):
            hits, place, now = await self._beyond(self._access.filters[number], place)
            started = now if started is None else int(started)
            cases: dict[str, bytes] = {}
            for hit in dict.fromkeys(hits):
                if hit.changed is None or _is_news(hit.case, hit.changed, at, seen):
                    body, changed = await self._read(hit, int(started))
                    if body and _is_news(hit.case, changed, at, seen):
                        cases[hit.case] = body
                        seen[hit.case] = changed
            news_from = self._next_at(started)
            seen = {case: changed for case, changed in seen.items() if micros_or_last(changed) >= news_from}
            if not hits:
                number, place = number + 1, Place()
            walk = {"filter": number, "index": place.met, "edge": list(place.edge)}
            cursor = {"at": at, "seen": seen, "started": started, **walk}
            yield Page(b"[" + b",".join(cases.values()) + b"]", len(cases), cursor, names=list(cases))
        if started is not None:
            yield Page(b"[]", 0, {"at": self._next_at(int(started)), "seen": seen})

    async def _beyond(self, only: str, place: Place) -> tuple[list[Hit], Place, int]:
        """The hits that follow; none at the end. With the place behind them, and the server's time.

        A case that is deleted moves those behind it to the front, so the edge is asked for again: what stands behind it
        has been passed by nobody. Where it is not found, further in front; and where all of it is gone, from the start.
        """
        steps = 0
        while True:
            overlap = 0 if not place.edge else 1 + steps * self._access.page
            start = 0 if steps > _STEPS else max(place.met - overlap, 0)
            hits, now = await self._find(only, start, self._access.page + (1 if place.edge else 0))
            known = max((at for at, hit in enumerate(hits, 1) if hit.case in place.edge), default=0)
            if known or not place.edge or start == 0:
                behind = Place(start + len(hits), [hit.case for hit in hits[-_EDGE:]] or place.edge)
                return hits[known:], behind, now
            steps += 1

    def _next_at(self, started: int) -> int:
        """What changed during a walk may have been passed: the next looks back to the beginning of this one."""
        return started - self._access.overlap // timedelta(microseconds=1)

    async def _find(self, only: str, index: int, count: int) -> tuple[list[Hit], int]:
        """A page of hits, and the server's time in microseconds."""
        query = {
            "CaseIdFilter": only,
            "IncludeRegularCases": True,
            "IncludeOrphanedCases": False,
            "StartItemIndex": index,
            "ItemCount": count,
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

    async def _read(self, hit: Hit, walk: int) -> tuple[bytes, str]:
        """The metadata byte for byte, and when they changed; nothing of a case that is gone, or is a folder.

        One that is not shown in three rounds is told of as it is said to have changed; without that, once in a walk.
        """
        shown = await self._readings.of(hit.case, partial(self._metadata, hit), hit.changed or walk)
        return (orjson.dumps(shown), hit.changed or "") if isinstance(shown, Mapping) else shown

    async def _metadata(self, hit: Hit) -> tuple[bytes, str]:
        path = f"/_goapi/Cases/Metadata/{quote(hit.case, safe='')}"
        response = await self._asker.ask(lambda: self._client.get(path))
        if response.status_code in _PASSED_OVER:
            _log.warning("passed over a case: status %d", response.status_code)
            return b"", ""
        text = _json(response, "Metadata").get("Metadata")
        row = attributes(text)
        if row is None and isinstance(text, str) and _xml(text) is None:
            # What no XML can hold came with the case, and comes again: translating it refuses the case by name.
            return response.content, hit.changed or ""
        _inside(response, "Metadata", "Metadata")
        row = row or {}
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
    root = _xml(text) if isinstance(text, str) else None
    if root is None:
        raise GetOrganizedError(f"{what} answered without {name}")
    if any(status.get("Status") != "Success" for status in root.iter("{*}ServiceStatus")):
        raise GetOrganizedError(f"{what} says that it has failed")
    return root


def _xml(text: str) -> Element | None:
    """None for what is none. Raises TooLong."""
    return read_xml(text.encode(errors="replace"))


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
        base_url=config["url"],
        auth=Ntlm(config["user"], config["password"]),
        limits=ONE_CONNECTION,
        timeout=60,
        event_hooks={"response": [whole]},
    )
    asker = Asker(Patience(per_second=float(config.get("per_second", 20))))
    return GetOrganizedPoller(client, asker, Access(tuple(config.get("filters", ("*",))), int(config.get("page", 100))))
