"""The way in, over HTTP, into a real Kafka and a real PostgreSQL."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker.domain.outcome import VERDICT_BYTE
from broker.intake import producer
from broker.security import BadToken, Issuer, KeysUnavailable
from broker.settings import Settings
from broker.store.database import connect
from broker.stream.framing import Decoder
from broker.stream.topics import CASE_EVENTS
from ops.embedded import postgres
from ops.embedded.part import Part
from tests.integration.running import (
    AGREEMENT,
    AUTHORITY,
    CASE,
    CPR,
    OTHER,
    OUTSIDE,
    Running,
    agree,
    event,
    log_of,
    running,
)

GOLDEN = Path(__file__).parents[2] / "connectors" / "esdh" / "sbsys" / "golden"
AT_ONCE_S = producer.PATIENCE


@pytest.fixture
async def api(database: str, kafka: Part) -> AsyncIterator[Running]:
    async with running(database, kafka.address) as started:
        yield started


def decoded(value: bytes) -> dict[str, Any]:
    return Decoder("case_event", lambda _: None).decode(value)


async def receipt(api: Running, receipt_id: str, **claims: Any) -> httpx.Response:
    return await api.http.get(f"/v1/receipts/{receipt_id}", headers=api.bearer(**claims))


async def test_one_bad_event_does_not_keep_the_good_ones_back(api: Running, kafka: Part) -> None:
    marker = uuid.uuid4().hex
    bad = event(2, progress=[{"state": "AFSLUTTET", "effective_from": "2024-05-01T09:00:00Z"}])
    answer = await api.send(event(1, event_id=marker), bad, event(3, registered_at=7))

    assert answer.status_code == 202
    body = answer.json()
    assert (body["accepted"], body["delimited"]) == (1, 0)
    assert [(one["index"], one["event_id"], one["code"], one["pointer"]) for one in body["rejected"]] == [
        (1, "event-2", "state_history_incomplete", "/progress"),
        (2, "event-3", "schema_violation", "/registered_at"),
    ]
    assert all(one["remedy"] and one["detail"] for one in body["rejected"])
    shown = (await receipt(api, body["receipt_id"])).json()
    assert [one["status"] for one in shown["events"]] == ["pending", "rejected", "rejected"]

    sent = [decoded(value) for _, value in (await log_of(kafka.address)).values()]
    (mine,) = [one for one in sent if one["event_id"] == marker]
    assert mine["classification"] == {"kle": "27.36.04", "facet": "G01", "local_code": None}
    kept = api.rows("SELECT code, payload FROM rejection ORDER BY pointer")
    assert [code for code, _ in kept] == ["state_history_incomplete", "schema_violation"]
    assert json.loads(kept[0][1]) == bad


async def test_everything_rejected_is_422_with_the_same_body(api: Running) -> None:
    answer = await api.send(event(1, case_id="no uuid"))
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"receipt_id", "accepted", "delimited", "rejected", "warnings"}


async def test_a_single_event_needs_no_array_and_nothing_is_accepted(api: Running) -> None:
    headers = api.bearer()
    one = await api.http.post("/v1/case-events", json=event(), headers=headers)
    none = await api.http.post("/v1/case-events", json=[], headers=headers)
    assert (one.status_code, one.json()["accepted"]) == (202, 1)
    assert (none.status_code, none.json()["accepted"]) == (202, 0)


async def test_a_title_with_a_cpr_number_is_accepted_with_a_warning_that_does_not_repeat_it(api: Running) -> None:
    properties = {"user_key": "S-1", "title": f"Sag om {CPR}", "created_at": "2024-05-01T09:00:00Z"}
    answer = await api.send(event(properties=properties))
    assert answer.json()["accepted"] == 1
    (warned,) = answer.json()["warnings"]
    assert (warned["code"], warned["pointer"]) == ("title_replaced", "/properties/title")
    assert CPR not in answer.text


def put_entry(api: Running, system: str, number: int, shape: int) -> None:
    """An entry of which nothing but its key and what stands in it counts."""
    with connect(api.settings.dsn, "test") as connection:
        connection.execute(
            "INSERT INTO entry"
            " (authority, system, case_id, newest, shape, complete, sensitivity, received_at, document)"
            " VALUES (%s, %s, %s, '', %s, false, 3, now(), '')",
            [AUTHORITY, system, CASE.format(number), shape],
        )


async def test_a_case_that_another_system_of_the_authority_holds_is_accepted_with_a_warning(api: Running) -> None:
    with connect(api.settings.dsn, "test") as connection, connection.transaction():
        agree(connection, {**AGREEMENT, "system": "nova"}, 1)
    for system, number, shape in (("nova", 1, 7), ("nova", 2, 1024), ("nova", 3, 15), ("sbsys", 4, 7), ("edoc", 5, 7)):
        put_entry(api, system, number, shape)
    answer = await api.send(*map(event, range(1, 6)))
    assert answer.json()["accepted"] == 5
    told = [(one["index"], one["code"], one["pointer"]) for one in answer.json()["warnings"]]
    assert told == [(0, "same_case_other_system", "/case_id")]


@pytest.mark.parametrize(
    "broken",
    [
        {"parties": [{"item_id": "1", "role": "PRIMARY", "id_type": "CPR", "id": CPR + "9"}]},
        {"parties": [{"item_id": "1", "role": "PRIMARY", "id_type": "CPR", "id": [CPR]}]},
        {"parties": CPR},
        {CPR: 1},
        {"event_id": f"sag {CPR}"},
        {"registered_at": CPR},
        {"authority": CPR},
        {"classification": {"kle": CPR}},
        {"case_id": CPR, "event_id": CPR},
    ],
)
async def test_no_cpr_number_comes_back_in_an_error(api: Running, broken: dict[str, Any]) -> None:
    answer = await api.send(event(**broken))
    assert answer.status_code == 422
    assert CPR not in answer.text
    assert CPR not in json.dumps(api.rows("SELECT events FROM receipt"))
    assert CPR not in str(api.rows("SELECT authority, event_id, pointer, detail, kle FROM rejection"))


async def test_what_no_agreement_covers_is_nowhere_kept(api: Running, kafka: Part) -> None:
    marker = f"marker{uuid.uuid4().hex}"
    told = {"user_key": marker, "title": marker, "created_at": "2024-05-01T09:00:00Z"}
    answer = await api.send(
        event(1, properties=told, authority=OTHER),
        event(2, properties=told, system="nova"),
        event(3, properties=told, classification={"kle": OUTSIDE}),
        event(4, properties=told, access={"sensitivity": "VIP_SAGER"}),
        event(5, properties={**told, "wrong": marker}, authority=OTHER),
        authorities=[AUTHORITY, OTHER],
    )
    assert [one["code"] for one in answer.json()["rejected"]] == [
        "no_agreement",
        "system_mismatch",
        "outside_agreement",
        "outside_agreement",
        "schema_violation",
    ]
    assert not any(marker.encode() in value for _, value in (await log_of(kafka.address)).values())
    tables = [name for (name,) in api.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    kept = {name: str(api.rows(f"SELECT t::text FROM {name} t")) for name in tables}
    assert [name for name, text in kept.items() if marker in text] == []
    assert api.rows("SELECT count(*) FROM rejection WHERE payload IS NULL") == [(5,)]
    assert api.rows("SELECT kle FROM rejection WHERE event_id = 'event-3'") == [(OUTSIDE,)]


async def test_a_case_that_left_the_agreement_leaves_the_index_without_a_word_of_it(api: Running, kafka: Part) -> None:
    marker = f"marker{uuid.uuid4().hex}"
    moved = event(
        1,
        event_id=marker,
        classification={"kle": OUTSIDE},
        properties={"user_key": "secret", "title": "secret", "created_at": "2024-05-01T09:00:00Z"},
    )
    answer = await api.send(event(1), moved, event(2, event_id=f"{marker}-2", classification={"kle": OUTSIDE}))
    assert (answer.json()["accepted"], len(answer.json()["rejected"])) == (1, 2)
    log = [value for _, value in (await log_of(kafka.address)).values()]
    assert not any(marker.encode() in value for value in log)
    sent = [one for one in map(decoded, log) if one["change"] == "REMOVED" and one["case_id"] == CASE.format(1)]
    said = [{name: value for name, value in one.items() if value is not None} for one in sent]
    assert said == [
        {
            "event_id": str(uuid.UUID(int=0)),
            "system": "sbsys",
            "authority": AUTHORITY,
            "case_id": CASE.format(1),
            "registered_at": 1714557600000001,
            "change": "REMOVED",
            "removal_reason": "LEFT_INDEX",
        }
    ]


async def test_a_delimited_case_is_counted_and_not_sent(api: Running, kafka: Part) -> None:
    with connect(api.settings.dsn, "test") as connection, connection.transaction():
        connection.execute(
            "INSERT INTO delimitation (authority, version, body, put_by) VALUES (%s, 1, %s, 'test')",
            [AUTHORITY, json.dumps([{"kle": ["27.36.*"], "from_date": "2025-01-01"}])],
        )
        connection.execute("UPDATE reference_revision SET revision = revision + 1")
    marker = uuid.uuid4().hex
    answer = await api.send(event(1, event_id=marker))
    assert (answer.status_code, answer.json()["delimited"]) == (202, 1)
    assert not any(marker.encode() in value for _, value in (await log_of(kafka.address)).values())
    shown = (await receipt(api, answer.json()["receipt_id"])).json()
    assert [one["status"] for one in shown["events"]] == ["delimited"]


async def test_a_changed_agreement_holds_for_the_next_request(api: Running) -> None:
    assert (await api.send(event())).status_code == 202
    with connect(api.settings.dsn, "test") as connection, connection.transaction():
        agree(connection, {**AGREEMENT, "state": "SUSPENDED"}, 2)
    assert [one["code"] for one in (await api.send(event())).json()["rejected"]] == ["suspended"]


async def test_the_receipt_shows_what_the_worker_found(api: Running) -> None:
    body = (await api.send(event(1), event(1), event(1))).json()
    ((events,),) = api.rows("SELECT events FROM receipt")
    (partition,) = {one["partition"] for one in events}
    first = events[0]["offset"]
    verdicts = bytes(VERDICT_BYTE[name] for name in ("indexed:incomplete", "rejected:kle_unknown"))
    with connect(api.settings.dsn, "test") as connection:
        connection.execute(
            "INSERT INTO outcome (topic, partition, first_offset, next_offset, verdicts) VALUES (%s, %s, %s, %s, %s)",
            [CASE_EVENTS.name, partition, first, first + 2, verdicts],
        )
        connection.execute(
            "INSERT INTO rejection (rejection_id, authority, system, code, pointer, detail, topic, partition,"
            " log_offset) VALUES (%s, %s, 'sbsys', 'kle_unknown', '/classification/kle', 'unknown', %s, %s, %s)",
            [uuid.uuid4(), AUTHORITY, CASE_EVENTS.name, partition, first + 1],
        )
    shown = (await receipt(api, body["receipt_id"])).json()["events"]
    assert [(one["status"], one.get("code"), one.get("pointer")) for one in shown] == [
        ("indexed", "incomplete", None),
        ("rejected", "kle_unknown", "/classification/kle"),
        ("pending", None, None),
    ]


async def test_a_receipt_is_for_its_sender_alone(api: Running) -> None:
    receipt_id = (await api.send(event())).json()["receipt_id"]
    assert (await receipt(api, receipt_id)).status_code == 200
    assert (await receipt(api, receipt_id, sub="vendor-2")).status_code == 404
    assert (await receipt(api, receipt_id, system="nova")).status_code == 404
    assert (await receipt(api, receipt_id, authorities=[OTHER])).status_code == 404
    assert (await receipt(api, receipt_id, authorities=[])).status_code == 404
    assert (await receipt(api, receipt_id, authorities=[AUTHORITY, OTHER])).status_code == 200
    assert (await receipt(api, str(uuid.uuid4()))).status_code == 404


async def test_a_vendors_own_payload_comes_in(api: Running) -> None:
    payload = (GOLDEN / "closed.json").read_bytes()
    headers = {**api.bearer(), "Content-Type": "application/json"}
    answer = await api.http.post("/v1/events/sbsys", content=payload, headers=headers)
    assert answer.status_code in (202, 422)
    body = answer.json()
    assert body["accepted"] + len(body["rejected"]) == 1
    assert "malformed_payload" not in answer.text
    broken = await api.http.post("/v1/events/sbsys", content=b"{", headers=headers)
    assert broken.json()["rejected"][0]["code"] == "malformed_payload"


@pytest.mark.parametrize(
    ("path", "claims", "status", "code"),
    [
        ("/v1/events/sbsys", {"ttl": -1}, 401, "unauthorized"),
        ("/v1/events/sbsys", {"scopes": [{"authority": 1}]}, 401, "unauthorized"),
        ("/v1/events/sbsys", {"role": "king"}, 401, "unauthorized"),
        ("/v1/events/sbsys", {"role": "employee"}, 403, "forbidden"),
        ("/v1/events/sbsys", {"system": "nova"}, 403, "system_mismatch"),
        ("/v1/events/sbsys", {"authorities": []}, 403, "authority_mismatch"),
        (f"/v1/events/sbsys?authority={OTHER}", {}, 403, "authority_mismatch"),
        ("/v1/events/sbsys", {"authorities": [AUTHORITY, OTHER]}, 422, "authority_needed"),
        ("/v1/events/atlantis", {}, 404, "unknown_system"),
        ("/v1/case-events", {"system": None}, 403, "system_mismatch"),
    ],
)
async def test_who_may_not_is_told_so(api: Running, path: str, claims: dict[str, Any], status: int, code: str) -> None:
    answer = await api.http.post(path, json=[], headers=api.bearer(**claims))
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert (status == 401) == ("www-authenticate" in answer.headers)


async def test_every_error_of_the_framework_is_a_problem(api: Running) -> None:
    headers = api.bearer()
    answers = [
        await api.http.post("/v1/case-events", json=[]),
        await api.http.get("/nowhere"),
        await api.http.get("/v1/case-events"),
        await api.http.post("/v1/case-events", content=b"[]", headers={**headers, "Content-Type": "text/plain"}),
        await api.http.get(f"/v1/receipts/{CPR}", headers=headers),
    ]
    assert [one.status_code for one in answers] == [401, 404, 405, 415, 422]
    for one in answers:
        assert set(one.json()) >= {"type", "title", "status", "detail", "code"}
        assert one.json()["status"] == one.status_code
        assert one.headers["content-type"] == "application/problem+json"
        assert CPR not in one.text


async def test_a_body_beyond_the_limit_is_not_read(api: Running) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b" " * 1024 * 1024

    headers = {**api.bearer(), "Content-Type": "application/json"}
    said = await api.http.post("/v1/case-events", content=b" " * (16 * 1024 * 1024 + 1), headers=headers)
    unsaid = await api.http.post("/v1/case-events", content=endless(), headers=headers)
    assert [(one.status_code, one.json()["code"]) for one in (said, unsaid)] == [(413, "too_large")] * 2


async def test_an_event_beyond_a_mebibyte_is_too_large_and_not_kept(api: Running) -> None:
    properties = {"user_key": "S", "title": "x" * 1024 * 1024, "created_at": "2024-05-01T09:00:00Z"}
    answer = await api.send(event(1), event(2, properties=properties))
    assert [one["code"] for one in answer.json()["rejected"]] == ["too_large"]
    assert api.rows("SELECT payload FROM rejection") == [(None,)]


@pytest.mark.parametrize("body", [b'[{"a":\xff}]', b"[" * 100_000, b"[NaN]", b'["\\ud800"]', b"[1e999]"])
async def test_hostile_json_is_a_rejection(api: Running, body: bytes) -> None:
    headers = {**api.bearer(), "Content-Type": "application/json"}
    answer = await api.http.post("/v1/case-events", content=body, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["rejected"][0]["code"] in ("malformed_payload", "schema_violation")


async def test_kafka_away_is_told_at_once_and_forgotten_when_it_is_back(
    database: str, kafka: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(producer, "PATIENCE", AT_ONCE_S)
    async with running(database, kafka.address) as api:
        assert (await api.send(event())).status_code == 202
        await asyncio.to_thread(kafka.kill)
        try:
            answer = await asyncio.wait_for(api.send(event()), 15)
            unready = await api.http.get("/readyz")
        finally:
            await asyncio.to_thread(kafka.restart)
        assert (answer.status_code, answer.json()["code"]) == (503, "kafka_unavailable")
        assert int(answer.headers["retry-after"]) > 0
        assert (unready.status_code, unready.json()["missing"]) == (503, ["kafka"])
        assert api.rows("SELECT count(*) FROM receipt") == [(1,)]
        assert (await recovered(api)).status_code == 202
        assert (await api.http.get("/readyz")).status_code == 200


async def recovered(api: Running) -> httpx.Response:
    """The first answer that is no 503; the producer rests a second between its tries."""
    async with asyncio.timeout(30):
        while (answer := await api.send(event())).status_code == 503:
            pass
        return answer


async def test_the_api_starts_without_kafka_and_database() -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    async with running(nowhere, "127.0.0.1:1", migrated=False) as api:
        assert (await api.http.get("/healthz")).status_code == 200
        unready = await api.http.get("/readyz")
        assert (unready.status_code, unready.json()["missing"]) == (503, ["database", "kafka"])
        answer = await api.http.post("/v1/case-events", json=[], headers={"Authorization": "Bearer x.y.z"})
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert answer.headers["retry-after"]


async def test_an_outside_issuer_is_trusted_by_its_jwks_alone(api: Running) -> None:
    jwks_url = f"{api.http.base_url}/.well-known/jwks.json"
    outside = api.settings.model_copy(update={"jwks_url": jwks_url, "audience": "sagsbro"})
    ours = await asyncio.to_thread(api.issuer.issue, {"sub": "s", "role": "vendor", "aud": "sagsbro"}, 60)
    token = await asyncio.to_thread(Issuer(outside).verify, ours)
    assert token.subject == "s"
    other_name = Issuer(outside.model_copy(update={"issuer": "somebody else"}))
    with pytest.raises(BadToken):
        await asyncio.to_thread(other_name.verify, ours)
    nowhere = Issuer(outside.model_copy(update={"jwks_url": "http://127.0.0.1:1/keys"}))
    with pytest.raises(KeysUnavailable):
        await asyncio.to_thread(nowhere.verify, ours)


async def test_a_token_that_an_outside_issuer_made_for_somebody_else_is_none_here(api: Running) -> None:
    jwks_url = f"{api.http.base_url}/.well-known/jwks.json"
    outside = api.settings.model_copy(update={"jwks_url": jwks_url, "audience": "sagsbro"})
    nobody = api.settings.model_copy(update={"jwks_url": jwks_url})
    made = {"sub": "s", "role": "vendor"}

    async def taken(settings: Settings, **claims: Any) -> bool:
        token = await asyncio.to_thread(api.issuer.issue, {**made, **claims}, 60)
        try:
            await asyncio.to_thread(Issuer(settings).verify, token)
        except BadToken:
            return False
        return True

    assert await taken(outside, aud="sagsbro")
    assert await taken(outside, aud=["others", "sagsbro"])
    elsewhere: list[dict[str, Any]] = [{}, {"aud": "others"}, {"aud": ["others"]}, {"aud": ""}, {"aud": []}, {"aud": 1}]
    for strange in elsewhere:
        assert not await taken(outside, **strange)
        assert not await taken(nobody, **strange)
        assert await taken(api.settings, **strange)  # the development issuer's tokens are made for nobody else


async def test_processes_that_start_at_once_have_one_key(api: Running) -> None:
    api.rows("DELETE FROM secret RETURNING name")
    sets = await asyncio.gather(*(asyncio.to_thread(Issuer(api.settings).jwks) for _ in range(8)))
    assert len({keys["keys"][0]["kid"] for keys in sets}) == 1


@pytest.mark.parametrize("token", ["x", "a.b.c", "..", "\u00e9", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."])
async def test_what_is_no_token_is_refused(api: Running, token: str) -> None:
    headers = {b"Authorization": f"Bearer {token}".encode("latin-1")}
    answer = await api.http.post("/v1/case-events", json=[], headers=httpx.Headers(list(headers.items())))
    assert answer.status_code == 401


async def test_keys_documentation_and_metrics_are_open(api: Running) -> None:
    await api.send(event(1, case_id="no uuid"))
    assert (await api.http.get("/.well-known/jwks.json")).json()["keys"][0]["kty"] == "EC"
    assert "/v1/case-events" in (await api.http.get("/openapi.json")).json()["paths"]
    assert (await api.http.get("/docs")).status_code == 200
    counted = (await api.http.get("/metrics")).text
    assert 'sagsbro_events_total{outcome="rejected",system="sbsys"}' in counted


async def test_a_database_that_was_away_is_found_again(tmp_path: Path, kafka: Part) -> None:
    own = await asyncio.to_thread(postgres.start, tmp_path / "postgres")
    try:
        async with running(own.address, kafka.address) as api:
            headers = api.bearer()
            assert (await api.http.post("/v1/case-events", json=[event()], headers=headers)).status_code == 202
            await asyncio.to_thread(own.kill)
            answer = await api.http.post("/v1/case-events", json=[event()], headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
            assert int(answer.headers["retry-after"]) > 0
            await asyncio.to_thread(own.restart)
            assert (await recovered(api)).status_code == 202
    finally:
        await asyncio.to_thread(own.stop)
