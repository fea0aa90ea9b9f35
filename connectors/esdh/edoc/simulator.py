"""A small eDoc to poll: its operations and quirks, on cases in memory. Never for the connector."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from lxml import etree

from connectors.simulated_ntlm import refusal
from connectors.times import micros, micros_or_last

USER: Final = "demo"
_NS: Final = {
    "edoc": "http://www.fujitsu.dk/esdh/xml/schemas/2007/01/05/",
    "fesd": "http://rep.oio.dk/fesd.dk/xml/schemas/2005/04/20/",
}
_METHODS: Final = "http://tempuri.org/"
_SOAP: Final = "http://schemas.xmlsoap.org/soap/envelope/"
# Of the national FESD names; all others are eDoc's own.
_FESD: Final = frozenset({"CaseFileIdentifier", "TitleText", "CaseFileManagerReference", "CaseFileStatusCode"})


class Simulator:
    """`cases` is open: elements by their names, nested as they are in eDoc; a test changes them as caseworkers would.

    Documents, under `Documents`, are shown by an operation of their own. `busy` requests are answered 429 first. A case
    in `errors` is answered with that code, inside status 200.
    """

    def __init__(
        self,
        cases: Sequence[Mapping[str, Any]],
        *,
        busy: int = 0,
        largest: int = 1_000_000,
        whole: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """A search answers with at most `largest` cases, the oldest change first; `whole`: with all there is of each.

        `now` is the server's clock.
        """
        self._now = now
        self.cases = list(cases)
        self.busy = busy
        self.errors: dict[str, str] = {}
        self._largest = largest
        self._whole = whole
        self.app = FastAPI(openapi_url=None)
        self.app.post("/edocdotnetapi/edoc.asmx")(self._call)

    async def _call(self, request: Request) -> Response:
        if (refused := refusal(request, USER)) is not None:
            return refused
        if self.busy > 0:
            self.busy -= 1
            return Response(status_code=429, headers={"Retry-After": "7"})
        operation = request.headers["soapaction"].strip('"').removeprefix(_METHODS)
        envelope = etree.fromstring(await request.body())
        asked = etree.fromstring(envelope.findtext(f".//{{{_METHODS}}}XmlDocument"))
        criteria = {etree.QName(one).localname: one.text for one in asked.find(".//{*}SearchCriterias")}
        return _envelope(operation, self._answer(operation, criteria), self._now())

    def _answer(self, operation: str, criteria: Mapping[str, str]) -> str:
        if (number := criteria.get("CaseFileIdentifier")) is not None:
            if number in self.errors:
                return _error(self.errors[number])
            found = [case for case in self.cases if case["CaseFileIdentifier"] == number]
            if operation == "GetDocumentList":
                return _documents_of(found)
            return answer_of([{name: said for name, said in case.items() if name != "Documents"} for case in found])
        since = micros(criteria["FromTimeStamp"])
        found = sorted((case for case in self.cases if _changed(case) >= since), key=_changed)
        if operation != "SearchCaseFile":
            found = [case for case in found if case["CreationDate"] == case["TimeStamp"]]
        hits = found[: self._largest]
        shown = [{name: hit[name] for name in ("CaseFileIdentifier", "TimeStamp")} for hit in hits]
        return answer_of(hits if self._whole else shown)


def _changed(case: Mapping[str, Any]) -> int:
    return micros_or_last(case["TimeStamp"])


def answer_of(cases: Sequence[Mapping[str, Any]]) -> str:
    """What a search answers."""
    root = etree.Element("Root", nsmap=_NS)
    found = etree.SubElement(root, f"{{{_NS['edoc']}}}CaseFilesSearchResult")
    for case in cases:
        _fill(etree.SubElement(found, f"{{{_NS['edoc']}}}CaseFileSearchResult"), case)
    return str(etree.tostring(root, encoding="unicode", pretty_print=True))


def _documents_of(cases: Sequence[Mapping[str, Any]]) -> str:
    """As a search for documents answers."""
    root = etree.Element("Root", nsmap=_NS)
    found = etree.SubElement(root, f"{{{_NS['edoc']}}}Documents")
    for case in cases:
        _fill(found, case.get("Documents", {}))
    return str(etree.tostring(root, encoding="unicode"))


def _fill(element: Any, content: Mapping[str, Any]) -> None:
    for name, value in content.items():
        namespace = _NS["fesd" if name in _FESD else "edoc"]
        for one in value if isinstance(value, list) else [value]:
            child = etree.SubElement(element, f"{{{namespace}}}{name}")
            if isinstance(one, Mapping):
                _fill(child, one)
            else:
                child.text = one


def _error(code: str) -> str:
    root = etree.Element("Root", nsmap=_NS)
    etree.SubElement(root, f"{{{_NS['edoc']}}}ErrorCode").text = code
    etree.SubElement(root, f"{{{_NS['edoc']}}}ErrorDescriptionText").text = "Sagen om 010145-5001 kan ikke vises"
    return str(etree.tostring(root, encoding="unicode"))


def _envelope(operation: str, result: str, now: datetime) -> Response:
    envelope = etree.Element(f"{{{_SOAP}}}Envelope", nsmap={"soap": _SOAP})
    method = etree.SubElement(etree.SubElement(envelope, f"{{{_SOAP}}}Body"), f"{{{_METHODS}}}{operation}Response")
    etree.SubElement(method, f"{{{_METHODS}}}{operation}Result").text = result
    body = etree.tostring(envelope, xml_declaration=True, encoding="utf-8")
    return Response(body, media_type="text/xml", headers={"Date": format_datetime(now, usegmt=True)})
