"""The schema registry over HTTP, as Confluent's clients use it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from broker.store import registry
from broker.store.database import connect, migrate
from broker.stream.framing import BUNDLED, schema_text
from broker.stream.topics import TOPICS
from ops.embedded.part import Part
from tests.integration.running import Running, running

MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"


@pytest.fixture
async def api(database: str, kafka: Part) -> AsyncIterator[Running]:
    async with running(database, kafka.address) as started:
        yield started


def record(name: str) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": "id", "type": "string"}]}


async def put(api: Running, subject: str, schema: str, **claims: Any) -> httpx.Response:
    headers = {**api.bearer(**{"role": "operator", **claims}), "Content-Type": MEDIA_TYPE}
    return await api.http.post(
        f"/registry/subjects/{subject}/versions", content=json.dumps({"schema": schema}), headers=headers
    )


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
    first = await put(api, "a-value", json.dumps(record("A")))
    again = await put(api, "a-value", json.dumps(record("A"), indent=4, sort_keys=True))
    elsewhere = await put(api, "b-value", json.dumps(record("A")))
    bundled = await put(api, "c-value", schema_text("case_event"))
    assert first.json()["id"] >= 100
    assert first.json() == again.json() == elsewhere.json()
    assert bundled.json() == {"id": BUNDLED["case_event"]}
    assert (await api.http.get("/registry/subjects/a-value/versions")).json() == [1]
    assert {"a-value", "b-value", "c-value"} <= set((await api.http.get("/registry/subjects")).json())


async def test_ids_and_versions_are_given_out_once_however_many_ask(api: Running) -> None:
    names = [f"R{number}" for number in range(20)]
    answers = await asyncio.gather(*(put(api, "many-value", json.dumps(record(name))) for name in names * 2))
    ids = [one.json()["id"] for one in answers]
    assert len(set(ids)) == 20
    assert ids[:20] == ids[20:]
    assert (await api.http.get("/registry/subjects/many-value/versions")).json() == list(range(1, 21))


async def test_a_schema_is_found_by_its_text(api: Running) -> None:
    await put(api, "a-value", json.dumps(record("A")))
    await put(api, "a-value", json.dumps(record("B")))
    offered = {"schema": json.dumps(record("B"), indent=2)}
    found = await api.http.post("/registry/subjects/a-value", json=offered)
    assert (found.json()["subject"], found.json()["version"]) == ("a-value", 2)


async def test_what_is_not_there_has_the_registrys_own_codes(api: Running) -> None:
    await put(api, "a-value", json.dumps(record("A")))
    other = {"schema": json.dumps(record("B"))}
    answers = [
        await api.http.get("/registry/subjects/none/versions"),
        await api.http.get("/registry/subjects/none/versions/latest"),
        await api.http.post("/registry/subjects/none", json=other),
        await api.http.get("/registry/subjects/a-value/versions/7"),
        await api.http.get("/registry/schemas/ids/4711"),
        await api.http.post("/registry/subjects/a-value", json=other),
        await api.http.get("/registry/subjects/a-value/versions/x"),
        await put(api, "a-value", "{"),
        await put(api, "a-value", "[" * 100_000),
        await put(api, "a-value", '{"type": "nothing"}'),
    ]
    codes = [one.json()["error_code"] for one in answers]
    assert codes == [40401, 40401, 40401, 40402, 40403, 40403, 42202, 42201, 42201, 42201]
    assert [one.status_code for one in answers] == [code // 100 for code in codes]
    assert {one.headers["content-type"] for one in answers} == {MEDIA_TYPE}


async def test_reading_is_open_and_registering_is_not(api: Running) -> None:
    body = {"schema": json.dumps(record("A"))}
    assert (await api.http.post("/registry/subjects/a-value/versions", json=body)).status_code == 401
    assert (await put(api, "a-value", body["schema"], role="vendor")).status_code == 403
    assert (await api.http.get("/registry/schemas/types")).json() == ["AVRO"]
    assert (await api.http.get("/registry/config")).json() == {"compatibilityLevel": "NONE"}
    assert "a-value" not in (await api.http.get("/registry/subjects")).json()


def test_another_schema_under_a_bundled_id_is_refused(database: str) -> None:
    migrate(database)
    with connect(database, "test") as connection:
        connection.execute("INSERT INTO registry_schema (id, body, digest) VALUES (1, '\"string\"', 'x')")
        with pytest.raises(registry.SeedError):
            registry.seed(connection)
        assert connection.execute("SELECT count(*) FROM registry_version").fetchone() == (0,)
