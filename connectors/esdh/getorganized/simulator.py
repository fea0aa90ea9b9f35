"""A small GetOrganized to poll: its paths and quirks, on cases in memory. Never for the connector."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from fnmatch import fnmatchcase
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from lxml import etree

from connectors.simulated_ntlm import refusal

USER: Final = "demo"
_CHANGED: Final = "ows_LastModifiedDate"
_ROWSET: Final = "#RowsetSchema"


class Simulator:
    """`cases` is open: attributes of a `z:row` each; a test changes them as caseworkers would.

    `busy` requests are answered 429 first; `failing` calls say so inside an answer of status 200. With `plain`, hits
    carry no more than number and name, as seen in public code. Nobody may read what is `forbidden`; what is `spoiled`
    has a letter in its title that XML cannot hold. `now` is the server's clock.
    """

    def __init__(
        self,
        cases: Sequence[Mapping[str, str]],
        *,
        busy: int = 0,
        failing: int = 0,
        plain: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Whoever answers the challenge as `USER` comes in."""
        self.cases = list(cases)
        self.busy = busy
        self.failing = failing
        self.reads = 0
        self.forbidden: set[str] = set()
        self.spoiled: set[str] = set()
        self._plain = plain
        self._now = now
        self.app = FastAPI(openapi_url=None)
        self.app.post("/_goapi/Cases/FindCases")(self._find)
        self.app.get("/_goapi/Cases/Metadata/{number}")(self._metadata)

    async def _find(self, request: Request) -> Response:
        if (refused := self._refusal(request)) is not None:
            return refused
        query = await request.json()
        found = [case for case in self.cases if fnmatchcase(case["ows_CaseID"], query["CaseIdFilter"])]
        start = int(query["StartItemIndex"])
        answer = etree.Element("Cases")
        failed, self.failing = self.failing > 0, max(self.failing - 1, 0)
        etree.SubElement(answer, "ServiceStatus", Status="Failure" if failed else "Success")
        for case in [] if failed else found[start : start + int(query["ItemCount"])]:
            hit = etree.SubElement(answer, "Case", CaseID=case["ows_CaseID"], Name=case["ows_Title"])
            if not self._plain and query["CustomProperties"] == _CHANGED:
                hit.set(_CHANGED, case[_CHANGED])
        return self._json({"ResultsXml": etree.tostring(answer, encoding="unicode")})

    async def _metadata(self, number: str, request: Request) -> Response:
        if (refused := self._refusal(request)) is not None:
            return refused
        self.reads += 1
        if number in self.forbidden:
            return Response(status_code=403)
        case = next((case for case in self.cases if case["ows_CaseID"] == number), None)
        if case is None:
            return Response(status_code=404)
        row = row_of(case)
        if number in self.spoiled:
            row = row.replace('ows_Title="', 'ows_Title="&#x0B;')
        return self._json({"Metadata": row, "Attributes": None})

    def _refusal(self, request: Request) -> Response | None:
        if (refused := refusal(request, USER)) is not None:
            return refused
        if self.busy > 0:
            self.busy -= 1
            return Response(status_code=429, headers={"Retry-After": "7"})
        return None

    def _json(self, content: Any) -> Response:
        text = json.dumps(content, ensure_ascii=False)
        date = format_datetime(self._now(), usegmt=True)
        return Response(text, media_type="application/json", headers={"Date": date})


def row_of(attributes: Mapping[str, str]) -> str:
    """The `z:row` of a case or a document."""
    row = etree.Element(f"{{{_ROWSET}}}row", nsmap={"z": _ROWSET})
    for name, value in attributes.items():
        row.set(name, value)
    return str(etree.tostring(row, encoding="unicode"))
