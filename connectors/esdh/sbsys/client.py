"""Asks SBSYS what has changed. Knows its paths and its tokens, nothing of the canonical event.

The vendor publishes no change feed. Read in public code: client-credentials tokens, `POST api/sag/search`,
`GET api/sag/{id}`, and that a case found by search can differ from the one read by its id, so each is read by id.
Assumed, and to be settled with each municipality's supplier: the search's words for "changed since" and its order.
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple

import httpx
import orjson

from connectors.oauth import Authorized
from connectors.retry import Asker, Patience, Unanswered, whole
from connectors.runner import Cursor, Page
from connectors.times import LAST, micros_or_last
from connectors.unread import Readings, unread

_log = logging.getLogger(__name__)
_OK: Final = 200
_NOT_FOR_US: Final = 403
_GONE: Final = frozenset({404, 410})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SECOND: Final = 1_000_000
_END_OF_TIME: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
# Hits in one answer; more only where more share one second.
_MANY: Final = 10_000
# Bytes after which a page is full: the broker takes 16 MiB.
_FULL: Final = 8 << 20


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
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class Hit(NamedTuple):
    """What a search shows of a case; `said`: its last change as SBSYS writes it; `changed`: that in microseconds."""

    number: int
    identity: str
    said: str
    changed: int


class SbsysPoller:
    """A `Poller`. Cursor: `at`, the last change's time, and `seen`, the changes read within the overlap before it."""

    def __init__(self, client: httpx.AsyncClient, asker: Asker, access: Access) -> None:
        """`client` knows the base address, the time limits and `whole`."""
        form = {"client_id": access.client_id, "client_secret": access.client_secret}
        self._asked = Authorized(client, asker, access.token_path, form)
        self._access = access
        self._readings = Readings()

    async def aclose(self) -> None:
        """End its connections."""
        await self._asked.aclose()

    async def changes(self, since: Cursor) -> AsyncIterator[Page]:
        """Pages by time, not by number: a case that changes meanwhile moves to the end and nothing slips past."""
        at, seen = int(since.get("at", 0)), dict(since.get("seen", {}))
        while True:
            shown = await self._shown(max(at - self._overlap, 0), seen)
            fresh = sorted(_news(shown, seen), key=lambda hit: hit.changed)
            if not fresh:
                return
            async for part, cases in self._parts(fresh):
                # A time that lies ahead, or is none, must not hide what changes until then.
                reached = min(part[-1].changed, self._now())
                at = max([at, *(hit.changed for hit in shown.values() if hit.changed <= reached)])
                seen = {
                    identity: said
                    for identity, said in (seen | {hit.identity: hit.said for hit in part}).items()
                    # Or shown just now: a clock without a zone can be an hour behind the one that is asked.
                    if micros_or_last(said) >= at - self._overlap or identity in shown
                }
                body = b"[" + b",".join(cases.values()) + b"]"
                yield Page(body, len(cases), {"at": at, "seen": seen}, names=list(cases))

    @property
    def _overlap(self) -> int:
        return self._access.overlap // _MICROSECOND

    def _now(self) -> int:
        """SBSYS's clock where it has told the time, else ours."""
        return (self._asked.asker.theirs(self._access.now()) - _EPOCH) // _MICROSECOND

    async def _shown(self, since: int, seen: Mapping[str, str]) -> dict[str, Hit]:
        """The changes since then, to a page of news at least or to the end: the overlap can hold more than any page."""
        most = self._access.page
        size, shown = most, dict[str, Hit]()
        while True:
            hits = await self._search(since, size)
            shown |= {hit.identity: hit for hit in hits}
            if len(hits) < most or len(_news(shown, seen)) >= most:
                return shown
            # On from the last one; the limit may be meant with or without the moment itself, or in whole seconds.
            last = max((hit.changed for hit in hits if hit.changed != LAST), default=0)
            if last - _SECOND > since:
                since, size = last - _SECOND, min(2 * size, max(_MANY, most))
            elif len(hits) >= size:
                size *= 2
            else:
                later = await self._search(last + _SECOND, most)
                if any(last + _SECOND <= hit.changed < LAST for hit in later):
                    raise SbsysError("more changes in one second than a search shows")
                return shown

    async def _search(self, since: int, size: int) -> list[Hit]:
        moment = (_EPOCH + timedelta(microseconds=min(since, _END_OF_TIME))).isoformat()
        query = {"SenestAendretFra": moment, "SorterEfter": "SenestAendret", "Limit": size}
        response = await self._asked.ask("POST", "api/sag/search", json=query)
        if response.status_code != _OK:
            raise SbsysError(f"POST answered {response.status_code}")
        try:
            return [_hit(found) for found in orjson.loads(response.content)["Results"]]
        except (AttributeError, KeyError, TypeError, ValueError):
            raise SbsysError("no Results with an Id and a SagIdentity in the answer to a search") from None

    async def _parts(self, hits: Sequence[Hit]) -> AsyncIterator[tuple[list[Hit], dict[str, bytes]]]:
        """A page of them at a time, with the cases that are still there; what was read before one fails comes first."""
        part: list[Hit] = []
        cases: dict[str, bytes] = {}
        for hit in hits:
            try:
                case = await self._readings.of(hit.identity, partial(self._read, hit), hit.said)
            except Unanswered:
                if part:
                    yield part, cases
                raise
            part.append(hit)
            if case is not None:
                cases[hit.identity] = case if isinstance(case, bytes) else orjson.dumps(case)
            if len(part) >= self._access.page or sum(map(len, cases.values())) >= _FULL:
                yield part, cases
                part, cases = [], {}
        if part:
            yield part, cases

    async def _read(self, hit: Hit) -> bytes | None:
        """The case as SBSYS writes it, byte for byte; None when it is gone since the search."""
        response = await self._asked.ask("GET", f"api/sag/{hit.number}")
        if response.status_code in _GONE:
            return None
        if response.status_code == _NOT_FOR_US:
            _log.warning("passed over case=%s: status %d", hit.identity, _NOT_FOR_US)
            return orjson.dumps(unread(hit.identity, _NOT_FOR_US))
        if response.status_code != _OK:
            raise SbsysError(f"GET answered {response.status_code}")
        if not _is_case(response.content):
            raise SbsysError("GET answered with no case")
        return response.content


def _hit(found: Mapping[str, Any]) -> Hit:
    said = str(found.get("SenestAendret"))
    return Hit(int(found["Id"]), str(found["SagIdentity"]), said, micros_or_last(said))


def _news(shown: Mapping[str, Hit], seen: Mapping[str, str]) -> list[Hit]:
    return [hit for hit in shown.values() if seen.get(hit.identity) != hit.said]


def _is_case(content: bytes) -> bool:
    """One that is none, among others in a body, would cost them all."""
    try:
        return isinstance(orjson.loads(content), dict)
    except orjson.JSONDecodeError:
        return False


def poller(config: Mapping[str, Any]) -> SbsysPoller:
    """From the configuration's table: `url`, `token_path`, `client_id`, `client_secret`.

    Optional: `per_second` where not 20; `page`, cases handed over at once, where not 100.
    """
    client = httpx.AsyncClient(base_url=config["url"], timeout=60, event_hooks={"response": [whole]})
    asker = Asker(Patience(per_second=float(config.get("per_second", 20))))
    secret, page = config["client_secret"], int(config.get("page", 100))
    return SbsysPoller(client, asker, Access(config["token_path"], config["client_id"], secret, page))
