"""Reference data over HTTP: who may put and see what, and what is refused."""

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from broker.api.app import create_app
from broker.security import Issuer
from broker.settings import Settings
from tests.integration.referring import AARHUS, CITIZEN, CSV, READER, SENDER, UDK, Store


@dataclass(frozen=True)
class Client:
    """The app in this process, asked over HTTP."""

    http: httpx.AsyncClient
    runner: asyncio.Runner

    def get(self, path: str) -> httpx.Response:
        return self.runner.run(self.http.get(path))

    def put(self, path: str, **content: Any) -> httpx.Response:
        return self.runner.run(self.http.put(path, **content))

    def delete(self, path: str) -> httpx.Response:
        return self.runner.run(self.http.delete(path))

    def post(self, path: str, **content: Any) -> httpx.Response:
        return self.runner.run(self.http.post(path, **content))


@contextmanager
def api(store: Store, *, prometheus: str | None = None, **claims: Any) -> Iterator[Client]:
    settings = Settings(
        database=SecretStr(store.dsn), kafka="127.0.0.1:9", prometheus=prometheus and SecretStr(prometheus)
    )
    token = Issuer(settings).issue({"sub": "ea", **claims}, 60)
    app = create_app(settings)
    headers = {"Authorization": f"Bearer {token}"}
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sagsbro", headers=headers)
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(_awaited(lifespan.__aenter__()))
        try:
            yield Client(http, runner)
        finally:
            runner.run(http.aclose())
            runner.run(_awaited(lifespan.__aexit__(None, None, None)))


async def _awaited(something: Awaitable[Any]) -> None:
    await something


def test_over_http_everything_is_put_and_got(store: Store) -> None:
    with api(store, role="onboarding", authorities=[AARHUS]) as client:
        put = client.put("/v1/agreements", json=[SENDER, READER])
        assert [one["version"] for one in put.json()] == [1, 1]
        assert [one["kle"] for one in client.get("/v1/agreements").json()] == [["27.*"], ["N*"]]
        assert client.put("/v1/authorities", json={"cvr": AARHUS, "name": "Eksempel"}).status_code == 200
        assert [one["name"] for one in client.get("/v1/authorities").json()] == ["Eksempel"]
        choice = {"authority": AARHUS, "kle": ["27.*"], "from_date": "2021-01-01"}
        assert client.put("/v1/delimitations", json=choice).json()[0]["version"] == 1
        shown = choice | {"active_only": False, "effective_from": None, "effective_to": None}
        assert client.get("/v1/delimitations").json() == [shown]
        cleared = client.delete(f"/v1/delimitations/{AARHUS}").json()
        assert cleared == {"authority": AARHUS, "version": 2, "changed": True}
        assert client.get("/v1/delimitations").json() == []


def test_over_http_an_edition_is_an_operators_to_put_and_no_municipalitys(store: Store) -> None:
    put = {"content": CSV.encode(), "headers": {"Content-Type": "text/csv"}}
    with api(store, role="onboarding", authorities=[AARHUS]) as client:
        assert client.put("/v1/kle/editions/2024-01-01", **put).status_code == 403
        assert client.get("/v1/kle/27.36.04").status_code == 404
    with api(store, role="operator") as client:
        edition = client.put("/v1/kle/editions/2024-01-01", **put)
        said = {"edition": "2024-01-01", "numbers": 2, "changed": 2, "replaced": None, "asks_again": []}
        assert edition.json() == said
        assert client.put("/v1/kle/editions/2024-01-01", **put).json()["replaced"] is None
        less = put | {"content": b"emnenr,titel\n27.36.04,Hjemmehj\xc3\xa6lp mv.\n27.36.99,Andet\n"}
        told = client.put("/v1/kle/editions/2024-01-01", **less).json()["replaced"]
        assert told == {"numbers": 2, "added": 1, "removed": 1, "retitled": 1}
        assert client.get("/v1/kle/27.36.04").json()["title"] == "Hjemmehjælp mv."
        assert client.get("/v1/kle/%00").status_code == 422
        flawed = client.put("/v1/kle/editions/2024-01-01", content=b"x", headers={"Content-Type": "text/csv"})
        assert (flawed.status_code, flawed.json()["code"]) == (422, "invalid_request")
        assert "line 1" in flawed.json()["detail"]
        unread = client.put("/v1/kle/editions/2024-01-01", content=b"x", headers={"Content-Type": "text/plain"})
        assert (unread.status_code, unread.json()["code"]) == (415, "unsupported_media_type")


def test_over_http_what_is_refused_says_why_by_its_code(store: Store) -> None:
    with api(store, role="onboarding", authorities=[AARHUS]) as client:
        answers = [
            client.put("/v1/agreements", json={**SENDER, "override": False}),
            client.put("/v1/agreements", json={**SENDER, "authority": UDK}),
            client.put("/v1/agreements", json={**SENDER, "colour": "red"}),
            client.get("/v1/kle/99.99.99"),
            client.delete(f"/v1/delimitations/{UDK}"),
            client.delete("/v1/delimitations/aarhus"),
        ]
    codes = [(answer.status_code, answer.json()["code"]) for answer in answers]
    assert codes == [
        (409, "transition_refused"),
        (403, "forbidden"),
        (422, "invalid_request"),
        (404, "not_found"),
        (403, "forbidden"),
        (422, "invalid_request"),
    ]


def test_over_http_an_employee_searches_and_other_roles_are_refused_and_logged(store: Store) -> None:
    store.put(READER)
    scope = {"authority": AARHUS, "kle": ["N*"], "sensitivity": "VIP_SAGER"}
    body = {"citizen": CITIZEN}
    with api(store, role="employee", scopes=[scope]) as client:
        answer = client.post("/v1/overviews/sapa/search", json=body)
        assert answer.json() == {"entries": [], "next_cursor": None, "freshness": [], "notice": None}
        assert client.post("/v1/overviews/ukendt/search", json=body).status_code == 404
        for flawed in (
            {},
            {**body, "user_key": "x"},
            {**body, "x": 1},
            {"citizen": f"{CITIZEN}1"},
            {**body, "limit": 201},
        ):
            refused = client.post("/v1/overviews/sapa/search", json=flawed)
            assert refused.status_code == 422
            assert CITIZEN not in refused.text
        assert client.post("/v1/overviews/sapa/search", json={**body, "cursor": "x"}).json()["code"] == "cursor_invalid"
    with api(store, role="auditor") as client:
        assert client.post("/v1/overviews/sapa/search", json=body).status_code == 403
    logged = store.rows("SELECT decision, reason, reader->>'role' FROM access_log ORDER BY id")
    assert logged == [("deny", "nothing_permitted", "employee"), ("deny", "role", "auditor")]


@pytest.mark.parametrize("sign", ["\\u0000", "\\ud800"])
def test_over_http_a_text_that_cannot_be_stored_is_refused_before_it_reaches_the_database(
    store: Store, sign: str
) -> None:
    store.put(READER)
    scope = {"authority": AARHUS, "kle": ["N*"], "sensitivity": "VIP_SAGER"}
    asked = f'"citizen": "{CITIZEN}"'
    follows = f'"overview": "sapa", "citizens": ["{CITIZEN}"], "until": "2999-01-01T00:00:00Z"'
    searches = [
        f'{{"user_key": "S{sign}1"}}',
        f'{{"party": {{"id_type": "FREE", "id": "x{sign}"}}}}',
        f'{{"party": {{"id_type": "URN", "id": "urn:{sign}"}}}}',
        f'{{"party": {{"id_type": "ECPR", "id": "x{sign}"}}}}',
        f'{{{asked}, "purpose": "x{sign}"}}',
        f'{{{asked}, "cursor": "x{sign}"}}',
        f'{{{asked}, "kle": ["27.{sign}"]}}',
        f'{{{asked}, "x{sign}": 1}}',
    ]
    json_body = {"Content-Type": "application/json"}
    for role in ("employee", "auditor"):
        with api(store, role=role, scopes=[scope]) as client:
            answers = [client.post("/v1/overviews/sapa/search", content=body, headers=json_body) for body in searches]
            for more in (f'"purpose": "x{sign}"', f'"purpose": "x", "effort_id": "{sign}"'):
                answers += [client.put("/v1/subscriptions", content=f"{{{follows}, {more}}}", headers=json_body)]
            answers += [client.delete("/v1/subscriptions?overview=%00")]
        assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(422, "invalid_request")}
        assert not any(CITIZEN in answer.text for answer in answers)
    assert store.rows("SELECT count(*) FROM access_log") == [(0,)]
