"""A small Nova to poll: its paths and quirks, on cases in memory. For tests and demo, never for the connector."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response

from connectors.simulated_oauth import Tokens
from connectors.times import micros


class Simulator:
    """`cases` is open, each with its `documents` where it has any: a test changes them as caseworkers would.

    Nobody may see the documents of what is in `forbidden`. `failures` are answered first, in their order: statuses, or
    `half` for an answer that is cut short. `repeats`: how often the first page is shown again when another is asked
    for.
    """

    def __init__(
        self,
        cases: Sequence[dict[str, Any]],
        *,
        failures: Sequence[int | str] = (),
        repeats: int = 0,
        uses_of_a_token: int = 1_000_000,
    ) -> None:
        """A token is good for a number of uses, so that expiry needs no clock."""
        self.cases = list(cases)
        self.failures = list(failures)
        self.repeats = repeats
        self.asked: list[Any] = []
        self.forbidden: set[str] = set()
        self._tokens = Tokens(uses_of_a_token)
        self.app = FastAPI(openapi_url=None)
        self.app.post("/realms/NovaIntegration/protocol/openid-connect/token")(self._token)
        self.app.put("/api/Case/GetList")(self._list)
        self.app.put("/api/Document/GetList")(self._documents)

    async def _token(self, request: Request) -> Response:
        return await self._tokens.give(request, "scope=client")

    async def _list(self, request: Request) -> Response:
        """A query sent as PUT. Rows in no promised order; no `cases` at all where there are none."""
        if (refusal := self._refusal(request, "2.0-Case")) is not None:
            return refusal
        query = await request.json()
        self.asked.append(query)
        first, most = query["paging"]["startRow"], query["paging"]["numberOfRows"]
        if not 1 <= most <= 500 or "transactionId" not in query["common"]:  # noqa: PLR2004 - the vendor's limit
            return Response(status_code=400)
        if first > 1 and self.repeats > 0:
            self.repeats, first = self.repeats - 1, 1
        rows = [case for case in reversed(self.cases) if _within(case, query["UpdateDatePeriod"])]
        shown = [_wanted(case, query["caseGetOutput"]) for case in rows[first - 1 : first - 1 + most]]
        return self._perhaps_half(
            {"pagingInformation": {"numberOfRows": len(shown)}, **({"cases": shown} if shown else {})}
        )

    async def _documents(self, request: Request) -> Response:
        """Of one case, by its uuid."""
        if (refusal := self._refusal(request, "1.0-Case")) is not None:
            return refusal
        query = await request.json()
        if query["caseUuid"] in self.forbidden:
            return Response(status_code=403)
        case = next(case for case in self.cases if case["common"]["uuid"] == query["caseUuid"])
        always = ("documentUuid", "documentNumber")
        return self._perhaps_half(
            {
                "documents": [
                    {name: said for name, said in one.items() if name in always or name in query["getOutput"]}
                    for one in case.get("documents", ())
                ]
            }
        )

    def _perhaps_half(self, answer: Any) -> Response:
        if self.failures and self.failures[0] == "half":
            self.failures.pop(0)
            return Response(json.dumps(answer)[:-9], media_type="application/json")
        return _json(answer)

    def _refusal(self, request: Request, version: str) -> Response | None:
        if (refused := self._tokens.refusal(request)) is not None:
            return refused
        if request.query_params.get("api-version") != version:
            return Response(status_code=400)
        if self.failures and isinstance(self.failures[0], int):
            status = self.failures.pop(0)
            assert isinstance(status, int)  # noqa: S101 - for the type checker
            return Response(status_code=status, headers={"Retry-After": "7"} if status == 429 else {})  # noqa: PLR2004
        self._tokens.use(request)
        return None


def _within(case: dict[str, Any], period: Mapping[str, str]) -> bool:
    changed = micros(case["caseAttributes"]["updateDate"])
    return micros(period["FromDate"]) <= changed and ("ToDate" not in period or changed <= micros(period["ToDate"]))


_SHOWN_AS = {"caseParty": "caseParties"}


def _wanted(case: dict[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Only what was asked for; who asks for `caseParty` gets `caseParties`. The uuid is always there."""
    counted = {**case, "numberOfDocuments": len(case.get("documents", ()))}
    shown = {name: counted[name] for name in (_SHOWN_AS.get(name, name) for name in wanted) if name in counted}
    return {"common": case["common"], **shown}


def _json(content: Any) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), media_type="application/json")
