"""The schema registry over HTTP, as Confluent's clients use it."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker.store import registry
from broker.store.database import connect, migrate
from broker.stream.framing import BUNDLED, schema_text
from broker.stream.topics import TOPICS
from ops.embedded.part import Part
from ops.embedded.ports import free_port
from tests.integration.running import Running, running

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"


@pytest.fixture
async def api(database: str, kafka: Part) -> AsyncIterator[Running]:
    async with running(database, kafka.address) as started:
        yield started


def record(*optional: str, name: str = "A") -> str:
    """A schema that is compatible with every other that this makes of the same name."""
    fields: list[dict[str, Any]] = [{"name": "id", "type": "string"}]
    fields += [{"name": field, "type": ["null", "string"], "default": None} for field in optional]
    return json.dumps({"type": "record", "name": name, "fields": fields})


DEMANDING = json.dumps({"type": "record", "name": "A", "fields": [{"name": "other", "type": "string"}]})


async def call(api: Running, method: str, path: str, body: object = None, **claims: Any) -> httpx.Response:
    """Ask the registry as an operator, unless claims say otherwise."""
    headers = {**api.bearer(**{"role": "operator", **claims}), "Content-Type": MEDIA_TYPE}
    content = None if body is None else json.dumps(body)
    return await api.http.request(method, f"/registry/{path}", content=content, headers=headers)


async def put(api: Running, subject: str, schema: str, **claims: Any) -> httpx.Response:
    return await call(api, "POST", f"subjects/{subject}/versions", {"schema": schema}, **claims)


async def test_the_bundled_schemas_have_their_fixed_ids(api: Running) -> None:
    with connect(api.settings.dsn, "test") as connection:
        registry.seed(connection)
    for name, schema_id in BUNDLED.items():
        found = await api.http.get(f"/registry/schemas/ids/{schema_id}")
        assert json.loads(found.json()["schema"]) == json.loads(schema_text(name))
        assert found.headers["content-type"] == MEDIA_TYPE
    for topic in TOPICS:
        if topic.subject is not None:
            latest = (await api.http.get(f"/registry/subjects/{topic.name}-value/versions/latest")).json()
            assert (latest["version"], latest["id"]) == (1, BUNDLED[topic.subject])


async def test_the_same_schema_written_otherwise_has_the_same_id(api: Running) -> None:
    first = await put(api, "a-value", record())
    again = await put(api, "a-value", json.dumps(json.loads(record()), indent=4, sort_keys=True))
    elsewhere = await put(api, "b-value", record())
    bundled = await put(api, "c-value", schema_text("case_event"))
    assert first.json()["id"] >= 100
    assert first.json() == again.json() == elsewhere.json()
    assert bundled.json() == {"id": BUNDLED["case_event"]}
    assert (await api.http.get("/registry/subjects/a-value/versions")).json() == [1]
    assert {"a-value", "b-value", "c-value"} <= set((await api.http.get("/registry/subjects")).json())
    assert (await api.http.get("/registry/subjects?subjectPrefix=b-")).json() == ["b-value"]
    for where in ("subjects", "schemas"):
        assert (await api.http.get(f"/registry/{where}?subjectPrefix=%00")).status_code == 422


async def test_ids_are_given_out_once_however_many_ask_of_two_running_processes(api: Running, tmp_path: Path) -> None:
    texts = [record(f"field{number}") for number in range(12)]
    headers = {**api.bearer(role="operator"), "Content-Type": MEDIA_TYPE}
    async with httpx.AsyncClient(timeout=30, headers=headers) as http, second_process(api, tmp_path) as other:

        async def ask(number: int, text: str) -> int:
            base = (str(api.http.base_url), other)[number % 2]
            url = f"{base}/registry/subjects/many-{number % 3}-value/versions"
            answer = await http.post(url, content=json.dumps({"schema": text}))
            return int(answer.json()["id"])

        ids = await asyncio.gather(*(ask(number, text) for number, text in enumerate(texts * 6)))
        assert len(set(ids)) == len(texts)
        assert all(len(set(ids[place :: len(texts)])) == 1 for place in range(len(texts)))
        assert min(ids) >= 100
        for base in (str(api.http.base_url), other):
            for number in range(3):
                versions = (await http.get(f"{base}/registry/subjects/many-{number}-value/versions")).json()
                assert versions == list(range(1, len(versions) + 1))


@asynccontextmanager
async def second_process(api: Running, folder: Path) -> AsyncIterator[str]:
    """`sagsbro api` on the same database; afterwards it ends, and cleanly."""
    port = free_port()
    environment = {
        **os.environ,
        "SAGSBRO_KAFKA": api.settings.kafka,
        "SAGSBRO_DATABASE": api.settings.dsn,
        "SAGSBRO_API_PORT": str(port),
    }
    with (folder / "api.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "broker.cli", "api", env=environment, stderr=log
        )
        try:
            base = f"http://127.0.0.1:{port}"
            async with asyncio.timeout(60), httpx.AsyncClient(base_url=base) as http:
                while not await answers(http):
                    assert process.returncode is None
                    await asyncio.sleep(0.1)
            yield base
        finally:
            process.send_signal(signal.SIGTERM)
            status = await process.wait()
    assert status == 0


async def answers(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/healthz")).status_code == 200
    except httpx.TransportError:
        return False


async def test_a_schema_is_found_by_its_text_by_its_id_and_among_all(api: Running) -> None:
    await put(api, "a-value", record())
    two = (await put(api, "a-value", record("b"))).json()["id"]
    offered = {"schema": json.dumps(json.loads(record("b")), indent=2)}
    found = await api.http.post("/registry/subjects/a-value", json=offered)
    assert (found.json()["subject"], found.json()["version"], found.json()["id"]) == ("a-value", 2, two)
    ids = f"/registry/schemas/ids/{two}"
    assert (await api.http.get(f"{ids}/subjects")).json() == ["a-value"]
    assert (await api.http.get(f"{ids}/versions")).json() == [{"subject": "a-value", "version": 2}]
    raw = [f"{ids}/schema", "/registry/subjects/a-value/versions/latest/schema"]
    assert [(await api.http.get(path)).json() for path in raw] == [json.loads(record("b"))] * 2
    every = (await api.http.get("/registry/schemas?subjectPrefix=a-")).json()
    latest = (await api.http.get("/registry/schemas?subjectPrefix=a-&latestOnly=true")).json()
    assert ([one["version"] for one in every], [one["version"] for one in latest]) == ([1, 2], [2])
    assert (await api.http.get("/registry/subjects/a-value/versions/1/referencedby")).json() == []


async def test_what_is_not_there_has_the_registrys_own_codes(api: Running) -> None:
    await put(api, "a-value", record())
    other = {"schema": record("b")}
    answers = [
        await api.http.get("/registry/subjects/none/versions"),
        await api.http.get("/registry/subjects/none/versions/latest"),
        await api.http.post("/registry/subjects/none", json=other),
        await api.http.get("/registry/subjects/a-value/versions/7"),
        await api.http.get("/registry/schemas/ids/4711"),
        await api.http.get("/registry/schemas/ids/4711/versions"),
        await api.http.post("/registry/subjects/a-value", json=other),
        await api.http.get("/registry/config/a-value"),
        await api.http.get("/registry/mode/a-value"),
        await call(api, "DELETE", "subjects/none"),
        await call(api, "DELETE", "config/a-value"),
        await api.http.get("/registry/subjects/a-value/versions/x"),
        await api.http.get("/registry/subjects/a-value/versions/0"),
        await put(api, "a-value", "{"),
        await put(api, "a-value", "[" * 50_000),
        await put(api, "a-value", '{"type": "nothing"}'),
        await call(api, "PUT", "config", {"compatibility": "SOME"}),
        await call(api, "PUT", "mode", {"mode": "IMPORT"}),
        await call(api, "POST", "subjects/a-value/versions", {"schema": record("c"), "id": 7}),
        await call(api, "POST", "subjects/a-value/versions", {"schema": "syntax", "schemaType": "PROTOBUF"}),
        await call(api, "POST", "subjects/a-value/versions", {"schema": "{}", "schemaType": "JSON"}),
        await call(api, "POST", "subjects/a-value/versions", {**other, "references": [{"name": "x"}]}),
        await call(api, "POST", "subjects/a-value/versions", {**other, "ruleSet": {"domainRules": []}}),
    ]
    codes = [one.json()["error_code"] for one in answers]
    assert codes[:11] == [40401, 40401, 40401, 40402, 40403, 40403, 40403, 40408, 40409, 40401, 40401]
    assert codes[11:] == [42202, 42202, 42201, 42201, 42201, 42203, 42204, 42205, 42201, 42201, 42201, 42201]
    assert [one.status_code for one in answers] == [code // 100 for code in codes]
    assert {one.headers["content-type"] for one in answers} == {MEDIA_TYPE}


async def test_reading_is_open_and_so_is_registering_what_is_there_already(api: Running) -> None:
    body = {"schema": record()}
    path = "/registry/subjects/a-value/versions"
    refused = await api.http.post(path, json=body)
    assert (refused.status_code, refused.json()["error_code"]) == (401, 40101)
    for role in ("vendor", "onboarding"):
        assert (await put(api, "a-value", record(), role=role)).json()["error_code"] == 40301
    assert "a-value" not in (await api.http.get("/registry/subjects")).json()
    registered = await put(api, "a-value", record())
    assert (await api.http.post(path, json=body)).json() == registered.json()
    assert (await api.http.get("/registry/schemas/types")).json() == ["AVRO"]
    onboarding = await asyncio.to_thread(api.bearer, role="onboarding")
    for method, where in (
        ("DELETE", "subjects/a-value"),
        ("DELETE", "subjects/a-value/versions/1"),
        ("PUT", "config"),
        ("DELETE", "config/a-value"),
        ("PUT", "mode/a-value"),
        ("DELETE", "mode/a-value"),
    ):
        assert (await api.http.request(method, f"/registry/{where}", json={})).status_code == 401
        forbidden = await api.http.request(method, f"/registry/{where}", json={}, headers=onboarding)
        assert (forbidden.status_code, forbidden.json()["error_code"]) == (403, 40301)


async def test_an_incompatible_schema_is_refused_with_what_is_wrong_until_the_level_allows_it(api: Running) -> None:
    await put(api, "a-value", record())
    await put(api, "b-value", record())
    refused = await put(api, "a-value", DEMANDING)
    assert (refused.status_code, refused.json()["error_code"]) == (409, 409)
    assert "other" in refused.json()["message"]
    assert (await api.http.get("/registry/config")).json() == {"compatibilityLevel": "FULL_TRANSITIVE"}
    assert (await call(api, "PUT", "config/a-value", {"compatibility": "none"})).json() == {"compatibility": "NONE"}
    assert (await put(api, "a-value", DEMANDING)).status_code == 200
    assert (await put(api, "b-value", DEMANDING)).status_code == 409
    assert (await api.http.get("/registry/config/b-value?defaultToGlobal=true")).json() == {
        "compatibilityLevel": "FULL_TRANSITIVE"
    }
    assert (await call(api, "DELETE", "config/a-value")).json() == {"compatibilityLevel": "NONE"}
    assert (await put(api, "a-value", record("b"))).status_code == 409
    await call(api, "PUT", "config", {"compatibility": "NONE"})
    assert (await put(api, "b-value", DEMANDING)).status_code == 200
    assert (await call(api, "DELETE", "config")).json() == {"compatibilityLevel": "NONE"}
    assert (await api.http.get("/registry/config")).json() == {"compatibilityLevel": "FULL_TRANSITIVE"}


async def test_compatibility_can_be_tried_without_registering(api: Running) -> None:
    await put(api, "a-value", record())
    for where in ("versions", "versions/1", "versions/latest"):
        path = f"/registry/compatibility/subjects/a-value/{where}"
        good = await api.http.post(path, json={"schema": record("b")})
        bad = await api.http.post(f"{path}?verbose=true", json={"schema": DEMANDING})
        assert good.json() == {"is_compatible": True}
        assert bad.json()["is_compatible"] is False
        assert any("other" in message for message in bad.json()["messages"])
    missing = await api.http.post("/registry/compatibility/subjects/a-value/versions/9", json={"schema": record()})
    assert missing.json()["error_code"] == 40402
    assert (await api.http.get("/registry/subjects/a-value/versions")).json() == [1]


async def test_what_is_deleted_goes_out_of_sight_first_and_keeps_its_id_for_ever(api: Running) -> None:
    one = (await put(api, "a-value", record())).json()["id"]
    two = (await put(api, "a-value", record("b"))).json()["id"]
    versions = "subjects/a-value/versions"
    assert (await call(api, "DELETE", f"{versions}/2?permanent=true")).json()["error_code"] == 40407
    assert (await call(api, "DELETE", f"{versions}/latest")).json() == 2
    assert (await call(api, "DELETE", f"{versions}/2")).json()["error_code"] == 40406
    assert (await call(api, "GET", versions)).json() == [1]
    assert (await call(api, "GET", f"{versions}?deleted=true")).json() == [1, 2]
    assert (await call(api, "GET", f"{versions}/2?deleted=true")).json()["id"] == two
    assert (await put(api, "a-value", record("b"))).json()["id"] == two
    assert (await call(api, "GET", versions)).json() == [1, 3]

    assert (await call(api, "DELETE", "subjects/a-value?permanent=true")).json()["error_code"] == 40405
    assert (await call(api, "DELETE", "subjects/a-value")).json() == [1, 3]
    assert (await call(api, "DELETE", "subjects/a-value")).json()["error_code"] == 40404
    assert "a-value" not in (await call(api, "GET", "subjects")).json()
    assert (await call(api, "GET", "subjects?deletedOnly=true")).json() == ["a-value"]
    assert (await call(api, "DELETE", "subjects/a-value?permanent=true")).json() == [1, 2, 3]
    assert (await call(api, "GET", "subjects?deleted=true&subjectPrefix=a-")).json() == []
    assert json.loads((await call(api, "GET", f"schemas/ids/{two}")).json()["schema"]) == json.loads(record("b"))
    assert (await put(api, "b-value", record("c"))).json()["id"] not in (one, two)


async def test_a_subject_that_is_read_only_takes_nothing_new(api: Running) -> None:
    await put(api, "a-value", record())
    assert (await call(api, "GET", "mode")).json() == {"mode": "READWRITE"}
    assert (await call(api, "PUT", "mode/a-value", {"mode": "READONLY"})).json() == {"mode": "READONLY"}
    assert (await put(api, "a-value", record())).status_code == 200
    assert (await put(api, "a-value", record("b"))).json()["error_code"] == 42205
    assert (await put(api, "b-value", record("b"))).status_code == 200
    assert (await call(api, "DELETE", "mode/a-value")).json() == {"mode": "READONLY"}
    assert (await put(api, "a-value", record("b"))).status_code == 200


async def test_a_database_that_is_away_is_told_in_the_registrys_form() -> None:
    async with running("postgresql://nobody@127.0.0.1:1/none", "127.0.0.1:1", migrated=False) as api:
        answer = await api.http.get("/registry/subjects")
    assert (answer.status_code, answer.json()["error_code"]) == (500, 50001)


def test_another_schema_under_a_bundled_id_is_refused(database: str) -> None:
    migrate(database)
    with connect(database, "test") as connection:
        connection.execute("INSERT INTO registry_schema (id, body, digest) VALUES (1, '\"string\"', 'x')")
        with pytest.raises(registry.SeedError):
            registry.seed(connection)
        assert connection.execute("SELECT count(*) FROM registry_version").fetchone() == (0,)
