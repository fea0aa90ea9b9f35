"""A small KMD Nexus to poll: its paths, links and quirks, on citizens in memory. For tests and demo only."""

import json
from collections.abc import Sequence
from typing import Any, Final

from fastapi import FastAPI, Request, Response

from connectors.simulated_oauth import Tokens

INSTANCE: Final = "testborg"
ROOT: Final = f"/api/core/mobile/{INSTANCE}/v2"
TOKEN: Final = f"/authx/realms/{INSTANCE}/protocol/openid-connect/token"
LIST: Final = "Sagsbro"
_CENTRE: Final = len('{"half":')


class Simulator:
    """`citizens` is open: a test changes them as caseworkers would.

    A citizen: `{"id", "number", "tree", "grants": {patientGrantId: grant}, "conditions", "accessible"?}`.
    busy, broken, halved: so many requests are answered 429, 500, or with half of their answer first. instead: the
    status that is answered at a path (`patients/1/conditions`).
    """

    def __init__(
        self,
        citizens: Sequence[dict[str, Any]],
        *,
        busy: int = 0,
        broken: int = 0,
        halved: int = 0,
        uses_of_a_token: int = 1_000_000,
        doubled_items: bool = False,
        date: str = "",
    ) -> None:
        """A token is good for a number of uses, so that expiry needs no clock. `date`: what its clock says."""
        self.citizens = list(citizens)
        self.busy, self.broken, self.halved = busy, broken, halved
        self.doubled_items, self.date = doubled_items, date
        self.instead: dict[str, int] = {}
        self._tokens = Tokens(uses_of_a_token)
        self.app = FastAPI(openapi_url=None)
        self.app.post(TOKEN)(self._token)
        self.app.api_route(ROOT + "/{path:path}", methods=["GET", "POST"])(self._answer)

    async def _token(self, request: Request) -> Response:
        return await self._tokens.give(request)

    async def _answer(self, path: str, request: Request) -> Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        if path in self.instead:
            return Response(status_code=self.instead[path])
        found = self._search(await request.json()) if request.method == "POST" else self._found(path, request)
        if found is None:
            return Response(status_code=404)
        response = _json(found)
        if self.date:
            response.headers["date"] = self.date
        if self.halved > 0:
            self.halved -= 1
            return Response(bytes(response.body)[: max(_CENTRE, len(bytes(response.body)) // 2)])
        return response

    def _refusal(self, request: Request) -> Response | None:
        if (refused := self._tokens.refusal(request)) is not None:
            return refused
        if self.busy > 0:
            self.busy -= 1
            return Response(status_code=429, headers={"Retry-After": "7"})
        if self.broken > 0:
            self.broken -= 1
            return Response(status_code=500)
        self._tokens.use(request)
        return None

    def _search(self, wanted: dict[str, Any]) -> Any:
        one = next((one for one in self.citizens if one["number"] == wanted["businessKey"]), None)
        if one is None:
            return {"patient": None, "isPatientAccessible": False}
        links = {"self": f"patients/{one['id']}"}
        return {"patient": _linked({"id": one["id"]}, links), "isPatientAccessible": one.get("accessible", True)}

    def _found(self, path: str, request: Request) -> Any:
        match path.strip("/").split("/"):
            case [""]:
                return _linked({}, {"preferences": "preferences", "patientDetailsSearch": "patientDetailsSearch"})
            case ["preferences"]:
                return {"ACTIVITY_LIST": [_linked({"name": LIST}, {"self": "activityLists/1"})]}
            case ["activityLists", "1"]:
                return _linked({"name": LIST}, {"content": "activityLists/1/content"})
            case ["activityLists", "1", "content"]:
                size = int(request.query_params["pageSize"])
                starts = range(0, len(self._items()), size)
                return [_linked({}, {"content": f"activityLists/1/pages/{start}/{size}"}) for start in starts]
            case ["activityLists", "1", "pages", start, size]:
                return self._items()[int(start) : int(start) + int(size)]
            case ["patients", number, *rest]:
                one = next(one for one in self.citizens if str(one["id"]) == number)
                return _of_citizen(one, rest)
            case ["patientGrants", number]:
                return next((one["grants"][number] for one in self.citizens if number in one["grants"]), None)
        return None

    def _items(self) -> list[dict[str, Any]]:
        items = [item for one in self.citizens for item in _listed(one)]
        return [item for item in items for _ in range(1 + self.doubled_items)]


def _listed(one: dict[str, Any]) -> list[dict[str, Any]]:
    patient = {"id": one["id"], "patientIdentifier": {"type": "cpr", "identifier": one["number"]}}
    grants = [
        {"type": "basketGrantReference", "id": int(number), "version": grant["version"], "name": grant["name"]}
        for number, grant in one["grants"].items()
    ]
    pathways = [{name: value for name, value in node.items() if name != "children"} for node in one["tree"]]
    return [{**item, "patients": [patient]} for item in (*pathways, *grants)]


def _of_citizen(one: dict[str, Any], rest: list[str]) -> Any:
    here = f"patients/{one['id']}"
    match rest:
        case []:
            links = {"patientPreferences": f"{here}/preferences", "patientConditions": f"{here}/conditions"}
            identifier = {"type": "cpr", "identifier": one["number"], "managedExternally": True}
            return _linked({"id": one["id"], "fullName": "Test Borger", "patientIdentifier": identifier}, links)
        case ["preferences"]:
            return {"CITIZEN_PATHWAY": [_linked({"name": "- Alt"}, {"self": f"{here}/view"})]}
        case ["view"]:
            return _linked({"name": "- Alt"}, {"pathwayReferences": f"{here}/references"})
        case ["references"]:
            return one["tree"]
        case ["conditions"]:
            return one["conditions"]
    return None


def grant_node(number: int, name: str, state: str) -> dict[str, Any]:
    """A grant as the tree of references shows it."""
    node: dict[str, Any] = {"type": "basketGrantReference", "id": None, "name": name, "children": []}
    return _linked({**node, "workflowState": {"name": state}}, {"referencedObject": f"patientGrants/{number}"})


def _linked(thing: dict[str, Any], links: dict[str, str]) -> dict[str, Any]:
    """Links from the root of the server, as the prototype of a grant shows them."""
    return {**thing, "_links": {name: {"href": f"{ROOT}/{path}"} for name, path in links.items()}}


def _json(content: Any) -> Response:
    return Response(json.dumps(content, ensure_ascii=False), media_type="application/json")
