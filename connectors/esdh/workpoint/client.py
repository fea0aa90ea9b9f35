"""Fetches from WorkPoint what webhooks told of. Knows its paths and its tokens, nothing of the canonical event.

Read in public code: client-credentials tokens of Azure AD, and that an item is read by its module and its number.
Assumed: the path of that (`item_path`).
"""

import logging
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import orjson

from connectors.esdh.workpoint.mapping import DELETED
from connectors.esdh.workpoint.waiting import Queue, Told
from connectors.oauth import Authorized
from connectors.retry import Asker, Patience, Unanswered, whole
from connectors.runner import Cursor, Page
from connectors.unread import Readings, of_the_case

_log = logging.getLogger(__name__)
_OK: Final = 200
_FORBIDDEN: Final = 403
_GONE: Final = frozenset({404, 410})
ITEM_PATH: Final = "/api/listitem/{module}/{item}"


class WorkPointError(Unanswered):
    """WorkPoint answered with something else than what was asked for. Carries statuses only."""


class WorkPointPoller:
    """A `Poller` whose position is its queue: a file leaves it when the broker has what it told of."""

    def __init__(self, asked: Authorized, queue: Queue, item_path: str = ITEM_PATH, page: int = 100) -> None:
        """`asked` knows the base address and the time limits."""
        self._asked = asked
        self._queue = queue
        self._item_path = item_path
        self._page = page
        self._readings = Readings()
        # Files of what failed: others come first, so that these hold up none.
        self._late: set[str] = set()

    async def aclose(self) -> None:
        """End its connections."""
        await self._asked.aclose()

    async def changes(self, since: Cursor) -> AsyncIterator[Page]:
        """Until the queue is empty. An item told of several times is fetched once, as it is now.

        One that is not shown ends the round, comes last in the next, and is told of after three.
        """
        there = False
        while waiting := self._queue.first(self._page, self._late):
            # Of one item the deletion counts, for then it is looked whether the item is gone.
            by_item = {
                (told.module, told.item): told
                for told in sorted(waiting.values(), key=lambda told: (told.trigger == DELETED, told.at))
            }
            files: dict[tuple[str, int], list[str]] = {}
            for name, told in waiting.items():
                files.setdefault((told.module, told.item), []).append(name)
            items: dict[str, bytes] = {}
            done, failure = [], None
            for item in sorted(by_item, key=lambda item: self._late.issuperset(files[item])):
                try:
                    shown = await self._read(by_item[item], there=there)
                except Unanswered as error:
                    self._late.update(files[item])
                    failure = error
                    break
                there = True
                done += files[item]
                if shown is not None:
                    items[_name(by_item[item])] = shown
            yield Page(b"[" + b",".join(items.values()) + b"]", len(items), since, names=list(items))
            # Whoever polls has handed the page over when it asks for more.
            self._queue.done(done)
            self._late.difference_update(done)
            if failure is not None:
                raise failure

    async def _read(self, told: Told, *, there: bool) -> bytes | None:
        """What `_fetch` gives, or `unread`. there: whether anything was answered in this round.

        The queue is ours and fills while WorkPoint is away: silence before any answer says nothing of the item.
        """
        fetched = partial(of_the_case, partial(self._fetch, told), there=there)
        shown = await self._readings.of(_name(told), fetched)
        return orjson.dumps(shown) if isinstance(shown, Mapping) else shown

    async def _fetch(self, told: Told) -> bytes | None:
        """The item within its module. A deletion is believed when it is gone: it can be put back."""
        path = self._item_path.format(module=told.module, item=told.item)
        response = await self._asked.ask("GET", path)
        if response.status_code in _GONE:
            gone = {"BusinessModuleId": told.module, "ID": told.item, "Trigger": DELETED, "At": told.at}
            return orjson.dumps(gone) if told.trigger == DELETED else None
        if response.status_code == _FORBIDDEN:
            _log.warning("passed over an item: status %d", response.status_code)
            return None
        if response.status_code != _OK:
            raise WorkPointError(f"an item answered {response.status_code}")
        try:
            item = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            raise WorkPointError("an item answered with no JSON") from None
        return orjson.dumps({"BusinessModuleId": told.module, "Item": item})


def _name(told: Told) -> str:
    return f"{told.module}/{told.item}"


def poller(config: Mapping[str, Any]) -> WorkPointPoller:
    """From the configuration's table.

    `url`, `tenant`, `client_id`, `client_secret`, `scope`, `queue` (the receiver's directory); where not the usual
    ones `token_url`, `item_path`, `per_second`, `page` (notifications taken at once; 100).
    """
    token_url = config.get("token_url", f"https://login.microsoftonline.com/{config['tenant']}/oauth2/v2.0/token")
    form = {name: config[name] for name in ("client_id", "client_secret", "scope")}
    client = httpx.AsyncClient(base_url=config["url"], timeout=60, event_hooks={"response": [whole]})
    asker = Asker(Patience(per_second=float(config.get("per_second", 20))))
    asked = Authorized(client, asker, token_url, form)
    queue, page = Queue(Path(config["queue"])), int(config.get("page", 100))
    return WorkPointPoller(asked, queue, config.get("item_path", ITEM_PATH), page)
