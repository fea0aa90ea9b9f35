"""A small SBSYS to poll: its paths and quirks, on cases in memory. For tests and demo, never for the connector."""

import json
from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI, Request, Response

from connectors.simulated_oauth import Tokens
from connectors.times import micros, micros_or_last

_BUSY: Final = 429
_QUERY_FIELDS: Final = ("Id", "SagIdentity", "Nummer", "SagsTitel", "SenestAendret")


class Simulator:
    """`cases` is open: a test changes them as caseworkers would. `busy` requests are answered 429 first.

    `failures` are answered first, in their order: statuses, or `half` for an answer that is cut short. `instead`: what
    is answered for a case, by its Id. `largest`: the hits shown at once, whatever the limit asked for. `date`: what
    its clock says.
    """

    def __init__(
        self,
        cases: Sequence[dict[str, Any]],
        *,
        busy: int = 0,
        uses_of_a_token: int = 1_000_000,
        largest: int = 1_000_000,
    ) -> None:
        """A token is good for a number of uses, so that expiry needs no clock."""
        self.cases = list(cases)
        self.busy = busy
        self.largest = largest
        self.failures: list[int | str] = []
        self.instead: dict[int, Response] = {}
        self.date = ""
        self.searches = 0
        self._tokens = Tokens(uses_of_a_token)
        self.app = FastAPI(openapi_url=None)
        self.app.post("/connect/token")(self._token)
        self.app.post("/api/sag/search")(self._search)
        self.app.get("/api/sag/{number}")(self._read)

    async def _token(self, request: Request) -> Response:
        return await self._tokens.give(request)

    async def _search(self, request: Request) -> Response:
        """Hits carry less than a case read by its id does."""
        if (refusal := self._refusal(request)) is not None:
            return refusal
        self.searches += 1
        query = await request.json()
        most = min(query["Limit"], self.largest)
        since = micros(query["SenestAendretFra"])
        hits = sorted((case for case in self.cases if _changed(case) >= since), key=_changed)
        return self._perhaps_half(
            json.dumps({"Results": [{name: hit[name] for name in _QUERY_FIELDS} for hit in hits[:most]]})
        )

    async def _read(self, number: int, request: Request) -> Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        if number in self.instead:
            return self.instead[number]
        case = next((case for case in self.cases if case["Id"] == number), None)
        return Response(status_code=404) if case is None else self._perhaps_half(_doubled(case))

    def _perhaps_half(self, answer: str) -> Response:
        if self.failures and self.failures[0] == "half":
            self.failures.pop(0)
            answer = answer[:-9]
        headers = {"Date": self.date} if self.date else {}
        return Response(answer, media_type="application/json", headers=headers)

    def _refusal(self, request: Request) -> Response | None:
        if (refused := self._tokens.refusal(request)) is not None:
            return refused
        if self.busy > 0:
            self.busy -= 1
            return _failed(_BUSY)
        if self.failures and isinstance(self.failures[0], int):
            return _failed(int(self.failures.pop(0)))
        self._tokens.use(request)
        return None


def _failed(status: int) -> Response:
    return Response(status_code=status, headers={"Retry-After": "7"} if status == _BUSY else {})


def _changed(case: dict[str, Any]) -> int:
    return micros_or_last(case["SenestAendret"])


def _doubled(case: dict[str, Any]) -> str:
    """The quirk seen in a real sample: the list of firms stands twice, the first time not the truth."""
    text = json.dumps(case, ensure_ascii=False)
    return '{"Firmaer": [],' + text[1:] if "Firmaer" in case else text
