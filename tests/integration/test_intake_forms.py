"""The forms of the intake over HTTP: lines, CloudEvents, gzip, and a key that lets a request be sent again."""

import asyncio
import gzip
import json
import uuid
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest

from broker.api import guard
from broker.api.core import Core
from broker.intake.producer import Message, Place, Producer
from broker.store.database import connect
from broker.store.outbox import expire
from broker.stream.clients import aiokafka_options
from ops.embedded import postgres
from ops.embedded.part import Part
from tests.integration.running import CPR, Running, event, log_of, running

GOLDEN = Path(__file__).parents[2] / "connectors" / "esdh" / "sbsys" / "golden"
MIB = 1024 * 1024


@pytest.fixture
async def api(database: str, kafka: Part) -> AsyncIterator[Running]:
    async with running(database, kafka.address) as started:
        yield started


async def post(
    api: Running, content: bytes, media_type: str = "application/json", path: str = "/v1/case-events", **headers: str
) -> httpx.Response:
    bearer = await asyncio.to_thread(api.bearer)
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.http.post(path, content=content, headers={**bearer, "Content-Type": media_type, **said})


def cloud_event(number: int, **more: object) -> dict[str, object]:
    envelope = {"specversion": "1.0", "source": "/sbsys", "type": "dk.sagsbro.case-event.v1", "id": f"event-{number}"}
    return {**envelope, "data": event(number), **more}


@pytest.mark.parametrize("media_type", ["application/x-ndjson", "application/ndjson; charset=utf-8"])
async def test_a_bad_line_is_one_rejected_index(api: Running, media_type: str) -> None:
    lines = [
        json.dumps(event(1)),
        "{not json",
        "",
        json.dumps(event(3, progress=[{"state": "x"}])),
        json.dumps(event(4)),
    ]
    answer = await post(api, "\n".join(lines).encode(), media_type)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 2)
    assert [(one["index"], one["code"]) for one in answer.json()["rejected"]] == [
        (1, "malformed_payload"),
        (2, "mandatory_missing"),
    ]
    assert api.rows("SELECT count(*) FROM rejection") == [(2,)]


async def test_cloud_events_are_taken_alone_and_in_batches_with_pointers_into_the_envelope(api: Running) -> None:
    alone = await post(api, json.dumps(cloud_event(1)).encode(), "application/cloudevents+json")
    broken = event(3, classification={"kle": "99.99.99"})
    batch = [cloud_event(2), cloud_event(3, data=broken), cloud_event(4, type="other"), cloud_event(5, id="event-6")]
    many = await post(api, json.dumps(batch).encode(), "application/cloudevents-batch+json")
    assert (alone.status_code, alone.json()["accepted"]) == (202, 1)
    assert many.json()["accepted"] == 1
    assert [(one["index"], one["event_id"], one["pointer"]) for one in many.json()["rejected"]] == [
        (1, "event-3", "/data/classification/kle"),
        (2, None, "/type"),
        (3, None, "/id"),
    ]


async def test_a_vendors_own_payloads_may_come_one_a_line(api: Running) -> None:
    payload = json.loads((GOLDEN / "closed.json").read_text(encoding="utf-8"))
    body = json.dumps(payload).encode() + b"\n{\n" + json.dumps(payload).encode()
    answer = await post(api, body, "application/x-ndjson", "/v1/events/sbsys")
    judged = answer.json()
    assert [one["index"] for one in judged["rejected"] if one["code"] == "malformed_payload"] == [1]
    xml = await post(api, b"<a/>", "application/xml", "/v1/events/sbsys")
    assert (xml.status_code, xml.json()["code"]) == (415, "unsupported_media_type")


async def test_a_body_may_be_gzip_in_one_member_or_more(api: Running) -> None:
    lines = [json.dumps(event(number)).encode() + b"\n" for number in range(1, 4)]
    packed = gzip.compress(lines[0]) + gzip.compress(lines[1] + lines[2])
    answer = await post(api, packed, "application/x-ndjson", Content_Encoding="gzip")
    assert (answer.status_code, answer.json()["accepted"]) == (202, 3)


@pytest.mark.parametrize(
    ("content", "encoding", "status", "code"),
    [
        (b"[]", "gzip", 400, "malformed_payload"),
        (b"", "gzip", 400, "malformed_payload"),
        (gzip.compress(b"[]" * 99)[:-9], "gzip", 400, "malformed_payload"),
        (gzip.compress(b"[]") + b"more", "gzip", 400, "malformed_payload"),
        (b"[]", "br", 415, "unsupported_media_type"),
        (b"[]", "gzip, gzip", 415, "unsupported_media_type"),
        (b"[]", "identity", 202, None),
    ],
)
async def test_what_does_not_unpack_is_refused(
    api: Running, content: bytes, encoding: str, status: int, code: str | None
) -> None:
    answer = await post(api, content, Content_Encoding=encoding)
    assert (answer.status_code, answer.json().get("code")) == (status, code)


async def test_bodies_that_never_end_are_given_up_and_hold_nothing_from_others(
    api: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "GRACE_S", 0.5)
    bearer = (await asyncio.to_thread(api.bearer))["Authorization"]
    head = (
        "POST /v1/case-events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: {bearer}\r\nContent-Length: {16 * MIB}\r\n\r\n"
    )

    async def stall() -> bytes:
        there, here = await asyncio.open_connection(api.http.base_url.host, api.http.base_url.port)
        here.write(head.encode() + b" " * MIB)
        answer = await there.read()  # until it is closed
        here.close()
        return answer

    for answer in await asyncio.gather(*(stall() for _ in range(4))):
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"request_timeout"' in answer
    core: Core = api.app.state.core
    assert core.budget.used == 0
    assert (await post(api, b"[]")).status_code == 202


@pytest.mark.parametrize("content", [b"[" + b"{}," * 1_000_000 + b"{}]", b"0\n" * 2_000_001])
async def test_what_would_be_hundreds_of_times_as_large_when_it_is_read_is_not_read(
    api: Running, content: bytes
) -> None:
    before = psutil.Process().memory_info().rss
    answer = await post(api, content, Content_Type="application/x-ndjson")
    grown = psutil.Process().memory_info().rss - before
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert grown < 64 * MIB


async def test_a_bomb_is_too_large_and_is_not_unpacked(api: Running) -> None:
    packing = zlib.compressobj(wbits=31)
    bomb = b"".join(packing.compress(b" " * MIB) for _ in range(512)) + packing.flush()
    before = psutil.Process().memory_info().rss
    answers = await asyncio.gather(*(post(api, bomb, Content_Encoding="gzip") for _ in range(3)))
    grown = psutil.Process().memory_info().rss - before
    assert {(one.status_code, one.json()["code"]) for one in answers} <= {(413, "too_large"), (503, "busy")}
    assert grown < 256 * MIB
    core: Core = api.app.state.core
    assert core.budget.used == 0


async def test_the_same_request_with_the_same_key_gets_the_first_answer_and_is_taken_in_once(
    api: Running, kafka: Part
) -> None:
    marker = uuid.uuid4().hex
    body = json.dumps([event(1, event_id=marker), event(2, case_id="no uuid")]).encode()
    first = await post(api, body, Idempotency_Key="key-1")
    again = await post(api, body, Idempotency_Key="key-1")
    packed = await post(api, gzip.compress(body), Idempotency_Key="key-1", Content_Encoding="gzip")
    assert first.status_code == 202
    assert {(one.status_code, one.content) for one in (again, packed)} == {(202, first.content)}
    assert again.headers["content-type"] == first.headers["content-type"]
    assert len(await log_with(kafka, marker)) == 1
    assert api.rows("SELECT count(*) FROM receipt") == [(1,)]

    other = await post(api, body + b" ", Idempotency_Key="key-1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")
    assert other.headers["content-type"] == "application/problem+json"
    elsewhere = await api.http.post(
        "/v1/case-events",
        content=body,
        headers={**api.bearer(sub="vendor-2"), "Content-Type": "application/json", "Idempotency-Key": "key-1"},
    )
    assert elsewhere.json()["receipt_id"] != first.json()["receipt_id"]


async def test_a_rejected_request_is_answered_the_same_again(api: Running) -> None:
    body = json.dumps(event(1, case_id="no uuid")).encode()
    first, again = [await post(api, body, Idempotency_Key="key-2") for _ in range(2)]
    assert (first.status_code, again.status_code, again.content) == (422, 422, first.content)
    assert api.rows("SELECT count(*) FROM rejection") == [(1,)]


async def test_of_requests_with_one_key_at_the_same_time_one_is_taken_in(api: Running, kafka: Part) -> None:
    marker = uuid.uuid4().hex
    body = json.dumps([event(1, event_id=marker)]).encode()
    answers = await asyncio.gather(*(post(api, body, Idempotency_Key="key-3") for _ in range(8)))
    taken = [one for one in answers if one.status_code == 202]
    waiting = [one for one in answers if one.status_code == 409]
    assert len(taken) + len(waiting) == 8
    assert len({one.content for one in taken}) == 1
    assert {one.json()["code"] for one in waiting} <= {"idempotency_under_way"}
    assert len(await log_with(kafka, marker)) == 1
    assert (await post(api, body, Idempotency_Key="key-3")).content == taken[0].content


async def test_a_key_whose_request_came_to_nothing_can_be_used_again(api: Running) -> None:
    core: Core = api.app.state.core

    def refuse() -> None:
        raise ConnectionError

    api.app.state.core = replace(core, producer=After(api, refuse))
    failed = await post(api, json.dumps(event(1)).encode(), Idempotency_Key="key-4")
    assert failed.status_code == 500
    api.app.state.core = core
    assert (await post(api, json.dumps(event(1)).encode(), Idempotency_Key="key-4")).status_code == 202


async def test_a_key_whose_process_died_is_free_after_two_minutes(api: Running) -> None:
    body = json.dumps(event(1)).encode()
    assert (await post(api, body, Idempotency_Key="key-5")).status_code == 202
    assert (await age(api, "1 minute")).status_code == 409
    assert (await age(api, "3 minutes")).status_code == 202


async def age(api: Running, by: str) -> httpx.Response:
    """The next answer, when the first request was lost so long ago."""
    with connect(api.settings.dsn, "test") as connection:
        connection.execute(
            "UPDATE idempotency SET status = NULL, answer = NULL, at = clock_timestamp() - %s::interval", [by]
        )
    return await post(api, json.dumps(event(1)).encode(), Idempotency_Key="key-5")


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_a_key_that_is_none_is_refused(api: Running, key: str) -> None:
    answer = await post(api, b"[]", Idempotency_Key=key)
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_malformed")


async def test_a_key_is_kept_as_a_hash_alone(api: Running) -> None:
    await post(api, json.dumps(event(1)).encode(), Idempotency_Key=f"sag {CPR}")
    assert CPR not in str(api.rows("SELECT system, subject, encode(key, 'escape'), answer::text FROM idempotency"))


async def test_first_answers_are_forgotten_after_thirty_days(api: Running) -> None:
    await post(api, b"[]", Idempotency_Key="key-7")
    with connect(api.settings.dsn, "test") as connection:
        for days, left in ((29, 1), (31, 0)):
            connection.execute("UPDATE idempotency SET at = clock_timestamp() - %s::interval", [f"{days} days"])
            expire(connection)
            assert connection.execute("SELECT count(*) FROM idempotency").fetchone() == (left,)


async def test_a_database_lost_between_the_log_and_the_receipt_is_told_and_the_same_may_be_sent_again(
    tmp_path: Path, kafka: Part
) -> None:
    own = await asyncio.to_thread(postgres.start, tmp_path / "postgres")
    marker = uuid.uuid4().hex
    body = json.dumps(event(1, event_id=marker)).encode()
    try:
        async with running(own.address, kafka.address) as api:
            bearer = api.bearer()
            core: Core = api.app.state.core
            api.app.state.core = replace(core, producer=After(api, own.kill))
            headers = {**bearer, "Content-Type": "application/json", "Idempotency-Key": "key-6"}
            lost = await api.http.post("/v1/case-events", content=body, headers=headers)
            assert (lost.status_code, lost.json()["code"]) == (503, "database_unavailable")
            assert len(await log_with(kafka, marker)) == 1
            await asyncio.to_thread(own.restart)
            api.app.state.core = core
            del headers["Idempotency-Key"]  # the process could not let go of the key: it is free after two minutes
            async with asyncio.timeout(30):
                while (answer := await api.http.post("/v1/case-events", content=body, headers=headers)).is_server_error:
                    pass
            assert answer.json()["accepted"] == 1
            assert len(await log_with(kafka, marker)) == 2
    finally:
        await asyncio.to_thread(own.stop)


class After(Producer):
    """Sends, and then something happens."""

    def __init__(self, api: Running, then: Callable[[], object]) -> None:
        super().__init__(aiokafka_options(api.settings))
        self._then = then

    async def send(self, messages: Sequence[Message]) -> list[Place]:
        places = await super().send(messages)
        await self.close()
        await asyncio.to_thread(self._then)
        return places


async def log_with(kafka: Part, marker: str) -> list[bytes]:
    return [value for _, value in (await log_of(kafka.address)).values() if marker.encode() in value]
