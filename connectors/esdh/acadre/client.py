"""Asks Acadre what has changed. Knows its paths and how it lets one in, nothing of the canonical event.

Read in public code: a login address that is asked for, NTLM there, and then a cookie; a paged list of cases (PWI); SOAP
with NTLM and the name of a user acted for (PWS): GetCase, GetContact, GetAllDocuments, and GetAllMemo of an older
version of the service; a search by SOAP shows 100 cases at most and knows no pages, so the list is read by REST. A SOAP
fault is a status 500, also for a case that is not there.
Assumed: the list's words for "changed between" (`ChangedFrom`, `ChangedTo`, `LastChangedDate`); GetContact's element;
that a new document or note changes `LastChangedDate`.
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple

import httpx
import orjson
from lxml import etree

from broker.domain.outcome import Rejected
from broker.intake.xml import parse
from connectors.esdh.acadre.soap import answer_in, content, fault_in
from connectors.ntlm import ONE_CONNECTION, Ntlm
from connectors.periods import Hit, Periods
from connectors.retry import Asker, Patience, Unanswered, whole, whole_xml
from connectors.runner import Cursor, Page
from connectors.times import micros_or_last
from connectors.unread import Readings, of_the_case

_log = logging.getLogger(__name__)
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_FAULT: Final = 500
_COOKIE: Final = ".acadre_st"
_PWS: Final = "Acadre.CM.PublicServices/SoapAuth/AcadreServiceV7.asmx"
_ENVELOPE: Final = "http://schemas.xmlsoap.org/soap/envelope/"
_HEADER: Final = "http://traen.com/Services/AcadreService"
# Operation -> its action, and the one element that it is asked with.
_OPERATIONS: Final = {
    "GetCase": (
        "http://www.traen.com/2010/06/01/schema/GetCase",
        "{http://www.traen.com/2008/08/20}CaseFileIdentifier",
    ),
    "GetContact": ("http://www.traen.com/2010/06/01/GetContact", "{http://www.traen.com/2007/04/01}GUID"),
    "GetAllDocuments": (
        "http://www.traen.com/2010/06/01/schema/GetAllDocuments",
        "{http://www.traen.com/2007/09/06/schema}CaseFileIdentifier",
    ),
    "GetAllMemo": (
        "http://www.traen.com/2007/09/06/GetAllMemo",
        "{http://www.traen.com/2007/09/06/schema}CaseIdentifier",
    ),
}
# Where the payload has what a list shows -> which operation shows it.
_JOURNAL: Final = {"DocumentOutput": "GetAllDocuments", "Memo": "GetAllMemo"}
_OLDER: Final = frozenset({"GetAllMemo"})
# Errors of the vendor's own list that asking again does not change: it is gone, or not for us.
_FINAL: Final = (
    "CaseNotFoundException",
    "KeyNotFoundException",
    "NoReadPermissionException",
    "NotAuthorizedToAccessCodeException",
)


class AcadreError(Unanswered):
    """Acadre answered with something else than what was asked for. Carries statuses and names only."""


@dataclass(frozen=True, slots=True)
class Access:
    """Where Acadre is, and who asks. The password stays out of every repr."""

    user: str
    password: str = field(repr=False)
    acting_for: str = ""
    list_path: str = "Frontend/api/v8/case"
    # None: the list's cases are taken as they are.
    pws_path: str | None = _PWS
    page: int = 100
    documents: bool = True
    now: Callable[[], datetime] = lambda: datetime.now(UTC)


class Case(NamedTuple):
    """What GetCase shows."""

    file: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AcadrePoller:
    """A `Poller`; cursor as in `periods`. `rest` keeps cookies, `soap` has one connection, as NTLM wants it."""

    rest: httpx.AsyncClient
    soap: httpx.AsyncClient
    asker: Asker
    access: Access
    readings: Readings = field(default_factory=Readings)

    def _now(self) -> datetime:
        return self.asker.theirs(self.access.now())

    async def aclose(self) -> None:
        """End its connections."""
        await self.rest.aclose()
        await self.soap.aclose()

    async def changes(self, since: Cursor) -> AsyncIterator[Page]:
        """Cases that the list says have changed, each read by its id: the list has neither parties nor KLE."""
        async for hits, cursor in Periods(self._list, self.access.page, self._now).changes(since):
            listed = {hit.identity: hit.row for hit in hits}
            cases = listed if self.access.pws_path is None else await self._read_all(hits)
            yield Page(orjson.dumps(list(cases.values())), len(cases), cursor, names=list(cases))

    async def _list(self, begin: int, end: int | None, page: int) -> list[Hit]:
        query = {"page-index": str(page), "page-size": str(self.access.page), "ChangedFrom": _iso(begin)}
        if end is not None:
            query["ChangedTo"] = _iso(end)
        response = await self._rest(self.access.list_path, query)
        try:
            return [
                Hit(str(int(row["Id"])), micros_or_last(row.get("LastChangedDate")), row)
                for row in orjson.loads(response.content)
            ]
        except (AttributeError, KeyError, TypeError, ValueError):
            raise AcadreError("the list shows no cases with an Id") from None

    async def _rest(self, path: str, query: Mapping[str, str]) -> httpx.Response:
        """One login, then no more: a second 401 is a user without access, not an old cookie."""
        for logged_in in (False, True):
            if _COOKIE not in self.rest.cookies:
                await self._login()
            response = await self.asker.ask(partial(self.rest.get, path, params=query))
            if response.status_code == _OK:
                return response
            if response.status_code != _UNAUTHORIZED or logged_in:
                break
            self.rest.cookies.clear()
        raise AcadreError(f"the list answered {response.status_code}")

    async def _login(self) -> None:
        ntlm = Ntlm(self.access.user, self.access.password)
        told = await self.asker.ask(partial(self.rest.get, "Frontend/AuthService/GetLoginUrl", auth=ntlm))
        address = self._own_address(told.text.strip().strip('"')) if told.status_code == _OK else None
        if address is None:
            raise AcadreError(f"no login address of its own, status {told.status_code}")
        response = await self.asker.ask(partial(self.rest.get, address, auth=ntlm))
        if response.status_code != _OK or _COOKIE not in self.rest.cookies:
            raise AcadreError(f"no login, status {response.status_code}")

    def _own_address(self, text: str) -> httpx.URL | None:
        """None for an address elsewhere: our name, and an answer made of our password, would go there."""
        base = self.rest.base_url
        try:
            address = base.join(text)
        except httpx.InvalidURL:
            return None
        return address if (address.scheme, address.host) == (base.scheme, base.host) else None

    async def _read_all(self, hits: Sequence[Hit]) -> dict[str, Mapping[str, Any]]:
        """Those that failed before come last: SOAP can be away while REST is there, and that says nothing of a case."""
        contacts: dict[str, Any] = {}
        there, read = len(hits) == 1, dict[str, Mapping[str, Any]]()
        for hit in sorted(hits, key=lambda hit: self.readings.is_late(hit.identity)):
            if (case := await self._read(hit, contacts, there=there)) is not None:
                read[hit.identity] = case
            there = True
        return read

    async def _read(self, hit: Hit, contacts: dict[str, Any], *, there: bool) -> Mapping[str, Any] | None:
        """The case, its contacts and its journal, each as SOAP shows it; None when it is gone since, or not for us.

        What is not shown in three rounds: without a case it is told of; without a contact translating it refuses the
        case by that contact; without documents or notes all else is right, and nothing is said of them.
        """
        case = await self.readings.of(hit.identity, partial(self._case, hit.identity, there=there), hit.changed)
        if not isinstance(case, Case):
            return case
        listed = case.file.get("Party") or ()
        wanted = {guid for party in listed if isinstance(party, dict) and (guid := party.get("ContactReference"))}
        for guid in sorted(wanted - contacts.keys()):
            contacts[guid] = await self._or_none("GetContact", guid, hit)
        known = [contacts[guid] for guid in sorted(wanted) if contacts[guid] is not None]
        journal = {
            name: _items(listed)
            for name, operation in (_JOURNAL.items() if self.access.documents else ())
            if (listed := await self._or_none(operation, hit.identity, hit)) is not None
        }
        changed = hit.row.get("LastChangedDate")
        return {"CaseFile": case.file, "ContactObject": known, "LastChangedDate": changed, **journal}

    async def _case(self, key: str, *, there: bool) -> Case | None:
        """there: whether SOAP has answered for this page, or no other case is on it to tell."""
        shown = await of_the_case(partial(self._soap, "GetCase", key), there=there)
        return Case(shown) if isinstance(shown, dict) else None

    async def _or_none(self, operation: str, key: str, hit: Hit) -> Any:
        return await self.readings.or_else(None, f"{operation} {key}", partial(self._soap, operation, key), hit.changed)

    async def _soap(self, operation: str, key: str) -> Any:
        action, element = _OPERATIONS[operation]
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{action}"'}
        body = _envelope(element, key, self.access.acting_for)

        path = str(self.access.pws_path)
        if operation in _OLDER:
            path = path.replace("V7.asmx", "V4.asmx")

        faulty = False

        async def send() -> httpx.Response:
            nonlocal faulty
            faulty = False
            response = await self.soap.post(path, content=body, headers=headers)
            faulty = response.status_code == _FAULT and fault_in(response.content) is not None
            if faulty and _final(response.content) is not None:
                return httpx.Response(_OK, content=response.content)
            return response

        try:
            response = await self.asker.ask(send)
        except Unanswered as failure:
            # A fault is an answer all the same.
            raise AcadreError(f"{operation} answered with a fault") if faulty else failure from None
        if response.status_code != _OK:
            raise AcadreError(f"{operation} answered {response.status_code}")
        if (fault := _final(response.content)) is not None:
            _log.warning("passed over operation=%s fault=%s", operation, fault)
            return None
        root = parse(response.content)
        answer = None if isinstance(root, Rejected) else answer_in(root)
        if answer is None:
            raise AcadreError(f"{operation} answered with no element")
        return content(answer)


def _final(body: bytes) -> str | None:
    """Which of the errors that asking again does not change; None for any other answer."""
    said = fault_in(body)
    return None if said is None else next((name for name in _FINAL if name in said), None)


def _items(listed: Any) -> list[Any]:
    """Of an answer that is a list, whatever its elements are called."""
    many = [said for name, said in listed.items() if name != "@type"] if isinstance(listed, dict) else []
    return [one for said in many for one in (said if isinstance(said, list) else [said])]


def _envelope(element: str, key: str, user: str) -> bytes:
    envelope = etree.Element(f"{{{_ENVELOPE}}}Envelope", nsmap={"soap": _ENVELOPE})
    if user:
        header = etree.SubElement(etree.SubElement(envelope, f"{{{_ENVELOPE}}}Header"), f"{{{_HEADER}}}SoapHeader")
        etree.SubElement(header, "User").text = user
    etree.SubElement(etree.SubElement(envelope, f"{{{_ENVELOPE}}}Body"), element).text = key
    return bytes(etree.tostring(envelope, xml_declaration=True, encoding="utf-8"))


def _iso(moment: int) -> str:
    """Whole seconds; a period that begins a little early does no harm."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment)).strftime("%Y-%m-%dT%H:%M:%SZ")


def poller(config: Mapping[str, Any]) -> AcadrePoller:
    """From the configuration's table: `url`, `user`, `password`, `acting_for`.

    Optional: `pws_url` where SOAP is under another address; `shape` "pwi" to take the list's cases as they are;
    `list_path`; `per_second` where not 20; `page` where not 100; `documents` false where documents and notes are not to
    be asked for.
    """
    rest = httpx.AsyncClient(
        base_url=config["url"], timeout=60, limits=ONE_CONNECTION, event_hooks={"response": [whole]}
    )
    soap = httpx.AsyncClient(
        base_url=config.get("pws_url", config["url"]),
        timeout=60,
        limits=ONE_CONNECTION,
        auth=Ntlm(config["user"], config["password"]),
        event_hooks={"response": [whole_xml]},
    )
    access = Access(
        config["user"],
        config["password"],
        config.get("acting_for", ""),
        config.get("list_path", "Frontend/api/v8/case"),
        None if config.get("shape") == "pwi" else _PWS,
        int(config.get("page", 100)),
        config.get("documents", True) is not False,
    )
    return AcadrePoller(rest, soap, Asker(Patience(per_second=float(config.get("per_second", 20)))), access)
