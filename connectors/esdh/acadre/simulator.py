"""A small Acadre to poll: its paths and quirks, on cases in memory. For tests and demo, never for the connector."""

import json
import secrets
from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from lxml import etree

from connectors.simulated_ntlm import refusal
from connectors.times import micros

_CASE: Final = "{http://www.traen.com/2006/08/01/case}"
_PARTY: Final = "{http://www.traen.com/2007/04/01}"
_V4: Final = "{http://www.traen.com/2007/09/06/schema}"
_BY_SOAP: Final = frozenset({"CaseFile", "DocumentOutput", "Memo"})
_V7: Final = "{http://www.traen.com/2010/06/01}"
_SOAP: Final = "{http://schemas.xmlsoap.org/soap/envelope/}"
_XSI: Final = "{http://www.w3.org/2001/XMLSchema-instance}"
_LATER: Final = frozenset({"AdministrativeUnit", "Classification", "Party", "ClosedDate"})
_TOO_MANY: Final = 429


class Simulator:
    """`cases` is open: a test changes them as caseworkers would.

    Each is a row of the list, with the case as SOAP shows it under `CaseFile`, and its journal under `DocumentOutput`
    and `Memo`. `failures` are answered first, in their order: statuses, or `half` for an answer that is cut short.
    `repeats`: how often the first page is shown again when another is asked for.
    """

    def __init__(
        self,
        cases: Sequence[dict[str, Any]],
        contacts: Sequence[dict[str, Any]] = (),
        *,
        failures: Sequence[int | str] = (),
        repeats: int = 0,
        uses_of_a_cookie: int = 1_000_000,
        user: str = "svc",
    ) -> None:
        """A cookie is good for a number of uses, so that expiry needs no clock."""
        self.cases = list(cases)
        self.contacts = {contact["GUID"]: contact for contact in contacts}
        self.failures = list(failures)
        self.repeats = repeats
        self.acted_for: set[str | None] = set()
        self._uses = uses_of_a_cookie
        self._cookies: dict[str, int] = {}
        self._user = user
        self.app = FastAPI(openapi_url=None)
        self.app.get("/Frontend/AuthService/GetLoginUrl")(self._login_address)
        self.app.get("/Frontend/AuthService/Login")(self._login)
        self.app.get("/Frontend/api/v8/case")(self._list)
        for version in (4, 7):
            self.app.post(f"/Acadre.CM.PublicServices/SoapAuth/AcadreServiceV{version}.asmx")(self._soap)

    async def _login_address(self, request: Request) -> Response:
        """An address as plain text."""
        return Response(f"{request.base_url}Frontend/AuthService/Login?key={secrets.token_urlsafe(8)}\n")

    async def _login(self, request: Request) -> Response:
        if (no := refusal(request, self._user)) is not None:
            return no
        cookie = secrets.token_urlsafe()
        self._cookies[cookie] = self._uses
        return Response(headers={"Set-Cookie": f".acadre_st={cookie}; Path=/Frontend; HttpOnly"})

    async def _list(self, request: Request) -> Response:
        """A page by its number; no total, and no promised order."""
        cookie = request.cookies.get(".acadre_st", "")
        if self._cookies.get(cookie, 0) <= 0:
            return Response(status_code=401)
        if (failed := self._failed()) is not None:
            return failed
        self._cookies[cookie] -= 1
        query = request.query_params
        size, page = int(query["page-size"]), int(query["page-index"])
        if page > 0 and self.repeats > 0:
            self.repeats, page = self.repeats - 1, 0
        rows = [
            {name: value for name, value in case.items() if name not in _BY_SOAP}
            for case in reversed(self.cases)
            if micros(query["ChangedFrom"]) <= micros(case["LastChangedDate"])
            and ("ChangedTo" not in query or micros(case["LastChangedDate"]) <= micros(query["ChangedTo"]))
        ]
        return self._perhaps_half(
            json.dumps(rows[page * size : (page + 1) * size], ensure_ascii=False), "application/json"
        )

    async def _soap(self, request: Request) -> Response:
        """Every error is a fault with status 500."""
        if (no := refusal(request, self._user)) is not None:
            return no
        if (failed := self._failed()) is not None:
            return failed
        envelope = etree.fromstring(await request.body())
        self.acted_for.add(envelope.findtext(".//User"))
        key = envelope.find(f"{_SOAP}Body")[0].text
        answer = self._found(request.headers["soapaction"].strip('"').rpartition("/")[2], key)
        if answer is None:
            fault = etree.Element(f"{_SOAP}Fault")
            etree.SubElement(fault, "faultcode").text = "soap:Server"
            etree.SubElement(fault, "faultstring").text = "Acadre_CM_Model_CaseNotFoundException"
            return Response(_enveloped(fault), status_code=500, media_type="text/xml")
        return self._perhaps_half(_enveloped(answer), "text/xml")

    def _found(self, operation: str, key: str) -> Any:
        if operation == "GetContact":
            contact = self.contacts.get(key)
            return None if contact is None else _element("{http://www.traen.com/2007/11/01}ContactObject", contact)
        case = next((one for one in self.cases if str(one["Id"]) == key), {})
        if case.get("CaseFile") is None:
            return None
        match operation:
            case "GetAllDocuments":
                return _element(f"{_V7}ArrayOfDocuments", {"DocumentResponse": case.get("DocumentOutput", [])})
            case "GetAllMemo":
                return _element(f"{_V4}MemoListResponse", {"Memo": case.get("Memo", [])})
        return _element(f"{_V7}CaseFile3", case["CaseFile"])

    def _failed(self) -> Response | None:
        if not self.failures or not isinstance(self.failures[0], int):
            return None
        status = int(self.failures.pop(0))
        return Response(status_code=status, headers={"Retry-After": "7"} if status == _TOO_MANY else {})

    def _perhaps_half(self, text: str, media_type: str) -> Response:
        if self.failures and self.failures[0] == "half":
            self.failures.pop(0)
            text = text[:-9]
        return Response(text, media_type=media_type)


def _enveloped(answer: Any) -> str:
    envelope = etree.Element(f"{_SOAP}Envelope", nsmap={"soap": _SOAP.strip("{}"), "xsi": _XSI.strip("{}")})
    etree.SubElement(envelope, f"{_SOAP}Body").append(answer)
    return str(etree.tostring(envelope, encoding="unicode"))


def _element(tag: str, said: Any) -> Any:
    """Elements of one type lie in the namespaces of all the types that it was built on."""
    element = etree.Element(tag)
    if not isinstance(said, dict):
        element.text = said
        return element
    for name, value in said.items():
        if name == "@type":
            element.set(f"{_XSI}type", f"q1:{value}")
            continue
        namespace = _PARTY if name in _LATER or tag.startswith(_PARTY) else _CASE
        for one in value if isinstance(value, list) else [value]:
            element.append(_element(f"{namespace}{name}", one))
    return element
