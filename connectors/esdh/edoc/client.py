"""Asks eDoc what has changed. Knows its operations and its authentication, nothing of the canonical event.

Read in public code: NTLM; one address for all operations, each with one XML document as a text in and one out; errors
inside answers of status 200; `SearchNewCaseFilesAndCaseFilesWithNewDocuments`, which tells of new cases and new
documents, and of no other change; `SearchCaseFile` with criteria. Assumed: the criterion for "changed since", that a
search answers with everything, or with the oldest first, and with more than change in one moment. `GetDocumentList` is
asked for one case [R]; its answer is published nowhere, and is read as `SearchDocument`'s is known: only when told to.
"""

import logging
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import httpx
from lxml import etree

from broker.domain.outcome import Rejected
from broker.intake.xml import MOST, Element, local_name, parse
from connectors.ntlm import ONE_CONNECTION, Ntlm
from connectors.retry import Asker, Patience, Unanswered, read_xml, whole_xml
from connectors.runner import Cursor, Page
from connectors.times import COPENHAGEN, LAST, http_date, micros_or_last
from connectors.unread import Readings

_log = logging.getLogger(__name__)
_OK: Final = 200
_MICROSECOND: Final = timedelta(microseconds=1)
EDOC: Final = "http://www.fujitsu.dk/esdh/xml/schemas/2007/01/05/"
FESD: Final = "http://rep.oio.dk/fesd.dk/xml/schemas/2005/04/20/"
METHODS: Final = "http://tempuri.org/"
SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
CHANGED_SINCE: Final = ("SearchNewCaseFilesAndCaseFilesWithNewDocuments", "SearchCaseFile")
_SINCE: Final = "FromTimeStamp"
_CASE: Final = "{*}CaseFileSearchResult"
_DOCUMENTS: Final = "GetDocumentList"
# A search may show all there is of many cases, and none of them must hide the others.
_LARGEST: Final = 64 << 20
_MOST: Final = 4 * MOST
WHOLE: Final = partial(whole_xml, most=_MOST, largest=_LARGEST)


class EdocError(Unanswered):
    """eDoc answered with something else than what was asked for. Carries statuses, names and error codes only."""


class EdocSaysError(EdocError):
    """An error code inside an answer of status 200."""

    def __init__(self, operation: str, code: str) -> None:
        """The code as far as it is one: texts beside it can hold anything."""
        self.code = code if code.isascii() and code.isalnum() else "unknown"
        super().__init__(f"{operation} says error {self.code}")


@dataclass(frozen=True, slots=True)
class Access:
    """Where eDoc is, as whom it is asked, and how much at once."""

    path: str
    user_identifier: str
    page: int = 100
    # Times without a zone are local: in the hour that comes twice, a change reads as an hour earlier.
    overlap: timedelta = timedelta(minutes=75)
    # Error codes that mean: this case is not for us. None is published, so each is somebody's decision.
    passed_over: frozenset[str] = frozenset()
    documents: bool = False


class EdocPoller:
    """A `Poller`. Cursor: `at`, the last change's time, and `seen`, the changes read within the overlap before it."""

    def __init__(self, client: httpx.AsyncClient, asker: Asker, access: Access) -> None:
        """`client` knows the base address, the time limits and the authentication."""
        self._client = client
        self._asker = asker
        self._access = access
        self._now = 0
        self._readings = Readings()

    async def aclose(self) -> None:
        """End its connections."""
        await self._client.aclose()

    async def changes(self, since: Cursor) -> AsyncIterator[Page]:
        """Asked again until there is nothing new, the oldest first."""
        at, seen = int(since.get("at", 0)), dict(since.get("seen", {}))
        overlap, after = self._access.overlap // _MICROSECOND, since
        while True:
            found: dict[str, str] = {}
            for operation in CHANGED_SINCE:
                found |= await self._changed(operation, max(at - overlap, 0))
            fresh = sorted((micros_or_last(time), case) for case, time in found.items() if seen.get(case) != time)
            if not fresh:
                return
            for start in range(0, len(fresh), self._access.page):
                part = fresh[start : start + self._access.page]
                read = {number: await self._read(number, found[number]) for _, number in part}
                cases = {number: case for number, case in read.items() if case is not None}
                # A time that lies ahead must not hide what changes until then.
                at = max(at, min(part[-1][0], self._now))
                seen |= {case: found[case] for _, case in part}
                seen = {case: time for case, time in seen.items() if micros_or_last(time) >= at - overlap}
                before, after = after, {"at": at, "seen": seen}
                *others, last = _bodies(cases)
                for body in others:
                    yield replace(body, cursor=before)
                yield replace(last, cursor=after)

    async def _changed(self, operation: str, since: int) -> dict[str, str]:
        """Case -> time of its last change. Asked on from the last one shown: a search can show so many at most."""
        found: dict[str, str] = {}
        while True:
            local = datetime.fromtimestamp(since / 1_000_000, UTC).astimezone(COPENHAGEN)
            root = await self._call(operation, {_SINCE: local.replace(tzinfo=None).isoformat()})
            shown = dict(_identity(case) for case in root.iter(_CASE))
            found |= shown
            last = max((at for at in map(micros_or_last, shown.values()) if at != LAST), default=since)
            if last <= since:
                return found
            since = last

    async def _read(self, number: str, changed: str) -> Element | None:
        """The case as eDoc writes it; None when it is gone since the search, or not for us.

        What is not shown in three rounds: a case is told of; of documents nothing is said, for all else is right.
        """
        asked = {"CaseFileIdentifier": number}
        try:
            found = await self._readings.of(number, partial(self._shown, "SearchCaseFile", asked), changed)
            if isinstance(found, Mapping):
                return _unread(found)
            case = next(_said(found).iter(_CASE), None)
            if case is not None and self._access.documents:
                read = partial(self._shown, _DOCUMENTS, asked)
                listed = await self._readings.or_else(None, f"documents of {number}", read, changed)
                if listed is not None:
                    documents = list(_said(listed).iter("{*}Document"))
                    etree.SubElement(case, f"{{{EDOC}}}Documents").extend(documents)
        except EdocSaysError as error:
            if error.code in self._access.passed_over:
                _log.warning("passed over a case: error %s", error.code)
                return None
            raise
        return case

    async def _shown(self, operation: str, asked: Mapping[str, str]) -> Element | EdocSaysError:
        """What eDoc says is an answer, an error too: no number of rounds makes one that nobody has decided on pass."""
        try:
            return await self._call(operation, asked)
        except EdocSaysError as error:
            return error

    async def _call(self, operation: str, criteria: Mapping[str, str]) -> Element:
        body = _request(operation, self._access.user_identifier, criteria)
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{METHODS}{operation}"'}
        send = partial(self._client.post, self._access.path, content=body, headers=headers)
        response = await self._asker.ask(send)
        if response.status_code != _OK:
            raise EdocError(f"{operation} answered {response.status_code}")
        self._now = _date_of(response)
        root = _inside(operation, response.content, searching=operation in CHANGED_SINCE and _SINCE in criteria)
        if (code := next(root.iter("{*}ErrorCode"), None)) is not None:
            raise EdocSaysError(operation, (code.text or "").strip())
        return root


def _said(shown: Element | EdocSaysError) -> Element:
    if isinstance(shown, EdocSaysError):
        raise shown
    return shown


def _date_of(response: httpx.Response) -> int:
    try:
        return http_date(response.headers.get("date", ""))
    except ValueError:
        raise EdocError("no date in an answer") from None


def _identity(case: Element) -> tuple[str, str]:
    found = {local_name(child): (child.text or "").strip() for child in case}
    try:
        return found["CaseFileIdentifier"], found["TimeStamp"]
    except KeyError:
        raise EdocError("a case found has no CaseFileIdentifier or no TimeStamp") from None


def _request(operation: str, user: str, criteria: Mapping[str, str]) -> bytes:
    """A document as a text in a SOAP 1.1 envelope."""
    root = etree.Element("Root", nsmap={"edoc": EDOC, "fesd": FESD})
    search = root if operation == _DOCUMENTS else etree.SubElement(root, f"{{{EDOC}}}CaseFileSearch")
    etree.SubElement(search, f"{{{EDOC}}}UserIdentifier").text = user
    wanted = etree.SubElement(search, f"{{{EDOC}}}SearchCriterias")
    for name, value in criteria.items():
        etree.SubElement(wanted, f"{{{EDOC}}}{name}").text = value
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"soap": SOAP})
    method = etree.SubElement(etree.SubElement(envelope, f"{{{SOAP}}}Body"), f"{{{METHODS}}}{operation}")
    etree.SubElement(method, f"{{{METHODS}}}XmlDocument").text = etree.tostring(root, encoding="unicode")
    return bytes(etree.tostring(envelope, xml_declaration=True, encoding="utf-8"))


def _inside(operation: str, content: bytes, *, searching: bool) -> Element:
    """The document inside the text inside the envelope. Of one case no more than the broker reads."""
    envelope = read_xml(content, _MOST, _LARGEST)
    result = None if envelope is None else next(envelope.iter(f"{{*}}{operation}Result"), None)
    text = b"" if result is None else (result.text or "").encode()
    root = read_xml(text, _MOST, _LARGEST) if searching else read_xml(text)
    if root is None:
        raise EdocError(f"{operation} answered with another form")
    return root


def _unread(payload: Mapping[str, Any]) -> Element:
    """`unread` in eDoc's form: a case in a search's answer, with nothing else in it."""
    case = etree.Element(f"{{{EDOC}}}CaseFileSearchResult")
    for name, said in payload.items():
        element = etree.SubElement(case, name)
        for what, value in said.items():
            if value is not None:
                etree.SubElement(element, what).text = str(value)
    return case


def _bodies(cases: Mapping[str, Element]) -> Iterator[Page]:
    """Pages that the broker can read, without their cursors; a case that it cannot read alone is told of."""
    body = _answer(cases.values())
    page = Page(body, len(cases), {}, _halves, list(cases), _alone)
    if not isinstance(parse(body), Rejected):
        yield page
    elif len(cases) == 1:
        yield replace(page, body=page.passed_over())
    else:
        half = len(cases) // 2
        for some in (slice(half), slice(half, None)):
            yield from _bodies(dict(list(cases.items())[some]))


def _alone(payload: Mapping[str, Any]) -> bytes:
    return _answer([_unread(payload)])


def _halves(body: bytes) -> Sequence[bytes]:
    # Our own writing, which may be larger than what `parse` takes from others.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
    cases = list(etree.fromstring(body, parser).iter(_CASE))
    half = len(cases) // 2
    return [_answer(cases[:half]), _answer(cases[half:])] if half else []


def _answer(cases: Iterable[Element]) -> bytes:
    """The cases as one search would have answered them."""
    root = etree.Element("Root", nsmap={"edoc": EDOC, "fesd": FESD})
    etree.SubElement(root, f"{{{EDOC}}}CaseFilesSearchResult").extend(cases)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="utf-8"))


def poller(config: Mapping[str, Any]) -> EdocPoller:
    """From the configuration's table.

    `url`, `user`, `password`, `user_identifier`; `path` where not the usual one, `passed_over` (error codes),
    `per_second` where not 20, `page` (cases handed over at once) where not 100, `documents` true where those
    of each case are to be asked for.
    """
    client = httpx.AsyncClient(
        base_url=config["url"],
        auth=Ntlm(config["user"], config["password"]),
        limits=ONE_CONNECTION,
        timeout=60,
        event_hooks={"response": [WHOLE]},
    )
    access = Access(
        config.get("path", "/edocdotnetapi/edoc.asmx"),
        config["user_identifier"],
        int(config.get("page", 100)),
        passed_over=frozenset(map(str, config.get("passed_over", ()))),
        documents=config.get("documents") is True,
    )
    return EdocPoller(client, Asker(Patience(per_second=float(config.get("per_second", 20)))), access)
