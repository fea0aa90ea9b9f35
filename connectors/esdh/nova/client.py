"""Asks Nova what has changed. Knows its paths and its tokens, nothing of the canonical event.

Read in public code: client-credentials tokens of a Keycloak realm with `scope=client`; `GetList` is a query sent with
PUT whose `caseGetOutput` names the fields wanted; 1 to 500 rows from `startRow`; no `cases` where there are none; the
search page takes an `UpdateDatePeriod`; the documents of one case by `Document/GetList`, and their number in the case.
Assumed: that `GetList` takes the period too, and shows `updateDate`; that a new document changes it.
"""

import logging
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import httpx
import orjson

from connectors.oauth import Authorized
from connectors.periods import Hit, Periods
from connectors.retry import Asker, Patience, Unanswered, whole
from connectors.runner import Cursor, Page
from connectors.times import micros_or_last
from connectors.unread import Readings

_log = logging.getLogger(__name__)
_OK: Final = 200
_NOT_FOR_US: Final = frozenset({403, 404})
_LIST: Final = "api/Case/GetList?api-version=2.0-Case"
_DOCUMENTS: Final = "api/Document/GetList?api-version=1.0-Case"
_WHO: Final = {
    "kspIdentity": {"novaUserId": True, "racfId": True, "fullName": True},
    "losIdentity": {"novaUnitId": True, "administrativeUnitId": True, "fullName": True, "userKey": True},
    "fkOrgIdentity": {"fkUuid": True, "type": True, "fullName": True},
}
# Titles of notes, and never their texts.
_WANTED: Final = {
    "caseAttributes": {"title": True, "userFriendlyCaseNumber": True, "caseDate": True, "updateDate": True},
    "state": {"progressState": True, "title": True, "activeCode": True, "fromDate": True},
    "sensitivity": {"sensitivity": True},
    "caseClassification": {"kleNumber": {"code": True}, "proceedingFacet": {"code": True}},
    "caseParty": {
        "index": True,
        "identificationType": True,
        "identification": True,
        "participantRole": True,
        "partyRoleName": True,
        "name": True,
    },
    "caseworker": _WHO,
    "responsibleDepartment": _WHO,
    "securityUnit": _WHO,
    "journalNotes": {"uuid": True, "journalNoteAttributes": {"title": True, "journalNoteDate": True}},
    "numberOfDocuments": True,
}
_WANTED_OF_DOCUMENTS: Final = {"title": True, "sensitivity": True, "documentDate": True}


class NovaError(Unanswered):
    """Nova answered with something else than what was asked for. Carries statuses and names only."""


@dataclass(frozen=True, slots=True)
class NovaPoller:
    """A `Poller`; cursor as in `periods`. `now` is where the search for the end of time begins.

    documents: whether those of each case are asked for.
    """

    client: Authorized
    rows: int = 500
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    documents: bool = True
    readings: Readings = field(default_factory=Readings)

    def _now(self) -> datetime:
        return self.client.asker.theirs(self.now())

    async def aclose(self) -> None:
        """End its connections."""
        await self.client.aclose()

    async def changes(self, since: Cursor) -> AsyncIterator[Page]:
        """The list shows whole cases; their documents, where there are any, are read case by case."""
        async for hits, cursor in Periods(self._list, self.rows, self._now).changes(since):
            cases = [await self._with_documents(hit) for hit in hits]
            yield Page(orjson.dumps(cases), len(cases), cursor, names=[hit.identity for hit in hits])

    async def _with_documents(self, hit: Hit) -> Mapping[str, Any]:
        """The case with its documents; without a word of them where we may not see them.

        So too where they are not shown in three rounds: all else in the case is right.
        """
        case = {name: said for name, said in hit.row.items() if name != "numberOfDocuments"}
        if not self.documents:
            return case
        if hit.row.get("numberOfDocuments") == 0:
            return {**case, "documents": []}
        read = partial(self._documents, hit.identity)
        documents = await self.readings.or_else(None, f"documents of {hit.identity}", read, hit.changed)
        return case if documents is None else {**case, "documents": documents}

    async def _documents(self, case: str) -> list[Any] | None:
        """None where we may not see them."""
        query = {
            "common": {"transactionId": str(uuid.uuid4())},
            "caseUuid": case,
            "getOutput": _WANTED_OF_DOCUMENTS,
        }
        response = await self.client.ask("PUT", _DOCUMENTS, json=query)
        if response.status_code in _NOT_FOR_US:
            _log.warning("passed over documents: status %d", response.status_code)
            return None
        if response.status_code != _OK:
            raise NovaError(f"Document/GetList answered {response.status_code}")
        try:
            return list(orjson.loads(response.content).get("documents") or ())
        except (AttributeError, TypeError, ValueError):
            raise NovaError("Document/GetList shows no documents") from None

    async def _list(self, begin: int, end: int | None, page: int) -> list[Hit]:
        period = {"StandardDatePeriod": "FromToDate", "FromDate": _iso(begin)}
        query = {
            "common": {"transactionId": str(uuid.uuid4())},
            "paging": {"startRow": 1 + page * self.rows, "numberOfRows": self.rows},
            "UpdateDatePeriod": period if end is None else {**period, "ToDate": _iso(end)},
            "caseGetOutput": _WANTED,
        }
        response = await self.client.ask("PUT", _LIST, json=query)
        if response.status_code != _OK:
            raise NovaError(f"GetList answered {response.status_code}")
        try:
            return [_hit(case) for case in orjson.loads(response.content).get("cases") or ()]
        except (AttributeError, KeyError, TypeError, ValueError):
            raise NovaError("GetList shows no cases with a uuid") from None


def _hit(case: Mapping[str, Any]) -> Hit:
    return Hit(str(case["common"]["uuid"]), micros_or_last(case.get("caseAttributes", {}).get("updateDate")), case)


def _iso(moment: int) -> str:
    """Whole seconds, as Nova's own page writes them; a period that begins a little early does no harm."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def poller(config: Mapping[str, Any]) -> NovaPoller:
    """From the configuration's table: `url`, `token_url`, `client_id`, `client_secret`.

    Optional: `per_second` where not 20; `rows` where not 500, which is the most that Nova shows; `documents` false
    where those are not to be asked for.
    """
    client = httpx.AsyncClient(base_url=config["url"], timeout=60, event_hooks={"response": [whole]})
    asker = Asker(Patience(per_second=float(config.get("per_second", 20))))
    form = {"client_id": config["client_id"], "client_secret": config["client_secret"], "scope": "client"}
    authorized = Authorized(client, asker, config["token_url"], form)
    documents = config.get("documents", True) is not False
    return NovaPoller(authorized, int(config.get("rows", 500)), documents=documents)
