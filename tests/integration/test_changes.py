"""The stream of changes, on real Kafka and PostgreSQL and over real HTTP."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.types import Message

from broker.api.app import create_app
from broker.api.event_stream import EventStream
from broker.api.overviews import reader_of
from broker.api.server import LAST_ANSWERS, Server
from broker.domain.policy import POLICY
from broker.overviews.changes import Stream, follow
from broker.overviews.watch import LONGEST
from broker.security import read_claims
from broker.store import outbox
from consumers.client import Change, RefusedError, changes
from ops.embedded.part import Part
from tests.integration.following import PATIENCE, READER, World, a_case, world
from tests.integration.running import AUTHORITY, CPR
from tests.integration.searching import listed
from tests.unit.worlds import CITIZENS

OTHER_CPR = CITIZENS[1].removeprefix("CPR:")
PROFILE = frozenset({"principal-1"})


@pytest.fixture
async def followed(database: str, kafka: Part) -> AsyncIterator[World]:
    async with world(database, kafka.address) as made:
        assert (await made.subscribe()).status_code == 200
        yield made


async def test_an_entry_that_changes_arrives_as_a_search_would_show_it(followed: World) -> None:
    async with followed.stream() as stream:
        await followed.change(a_case(1))
        kind, data = await stream.told()
    searched = await followed.api.http.post(
        "/v1/overviews/sapa/search", json={"citizen": CPR}, headers=await followed.bearer()
    )
    assert (kind, [data]) == ("entry", searched.json()["entries"])
    assert stream.answer.headers["content-type"].startswith("text/event-stream")


async def test_only_the_citizens_followed_are_told_of(followed: World) -> None:
    async with followed.stream() as stream:
        await followed.change(a_case(1, CITIZENS[1]))
        await followed.change(a_case(2))
        assert await stream.case() == ("entry", 2)


async def test_an_entry_that_becomes_denied_arrives_as_gone_and_nothing_more(followed: World) -> None:
    async with followed.stream() as stream:
        await followed.change(a_case(1))
        assert await stream.case() == ("entry", 1)
        await followed.change(a_case(1, principals=PROFILE))
        kind, data = await stream.told()
        assert (kind, data) == (
            "gone",
            {"authority": AUTHORITY, "system": "sbsys", "case_id": "00000000-0000-0000-0000-000000000001"},
        )
        await followed.change(a_case(1, principals=PROFILE, groups={"progress": listed()}))
        await followed.change(a_case(1, principals=PROFILE))
        await followed.change(a_case(2))
        assert await stream.case() == ("entry", 2)
        await followed.change(a_case(1))
        assert await stream.case() == ("entry", 1)


async def test_a_tombstone_and_a_lost_party_are_told_to_who_was_shown_the_entry_alone(followed: World) -> None:
    async with followed.stream() as before:
        await followed.change(a_case(1), a_case(2))
        assert {await before.case(), await before.case()} == {("entry", 1), ("entry", 2)}
        async with followed.stream() as later:
            await followed.change(a_case(1, kle=None))
            await followed.change(a_case(2, CITIZENS[1]))
            await followed.change(a_case(3))
            assert [await before.case() for _ in range(3)] == [("gone", 1), ("gone", 2), ("entry", 3)]
            assert await later.case() == ("entry", 3)
    # Nor does the log tell what is hidden from what is not there.
    taken_back = [(row["reason"], len(row["cases"])) for row in followed.logged() if row["decision"] == "deny"]
    assert taken_back == [("gone", 1), ("gone", 1)]


async def test_a_reader_without_scope_hears_nothing(followed: World) -> None:
    claims: dict[str, Any] = {"sub": "employee-2", "scopes": []}
    assert (await followed.subscribe(claims=claims)).status_code == 200
    async with followed.stream(ttl=4, **claims) as blind, followed.stream() as stream:
        await followed.change(a_case(1))
        assert await stream.case() == ("entry", 1)
        await followed.change(a_case(1, kle=None))
        assert await stream.case() == ("gone", 1)
        assert await blind.end() == []


async def test_what_goes_out_as_a_reference_is_told_with_its_content_to_who_may_see_it(followed: World) -> None:
    claims: dict[str, Any] = {"sub": "employee-2", "principal_ids": sorted(PROFILE)}
    await followed.subscribe(claims=claims)
    async with followed.stream(**claims) as on_the_list, followed.stream() as stream:
        await followed.change(a_case(1, principals=PROFILE))
        await followed.change(a_case(2))
        assert [await on_the_list.case(), await on_the_list.case()] == [("entry", 1), ("entry", 2)]
        assert await stream.case() == ("entry", 2)


async def test_what_is_told_is_the_row_as_it_stands_and_not_the_record(followed: World) -> None:
    async with followed.stream() as stream:
        await followed.change(a_case(1))
        await stream.case()
        await asyncio.to_thread(followed.put, (a_case(1),))
        claimed = [await asyncio.to_thread(followed.claim, shard) for shard in range(outbox.SHARDS)]
        late = [message for _, sent in claimed for message in sent]
        assert all(value is not None for _, _, value in late)
        await asyncio.to_thread(followed.put, (a_case(1, kle=None),))
        await followed.send(late)
        assert await stream.case() == ("gone", 1)


async def test_who_goes_on_from_where_they_were_misses_nothing_and_hears_nothing_twice(followed: World) -> None:
    async with followed.stream() as stream:
        await followed.change(a_case(1), a_case(2), a_case(3))
        heard = [await stream.case(), await stream.case()]
    await followed.change(a_case(4))
    await followed.change(a_case(heard[0][1], kle=None))
    async with followed.stream(stream.after) as stream:
        again = [await stream.case() for _ in range(3)]
        await followed.change(a_case(5))
        assert await stream.case() == ("entry", 5)
    # Among the partitions of a topic there is no order, but in each there is.
    assert {number for _, number in heard + again if number < 4} == {1, 2, 3}
    assert sorted(heard + again) == [("entry", n) for n in (1, 2, 3, 4)] + [("gone", heard[0][1])]
    async with followed.stream(stream.after) as stream:
        await followed.change(a_case(6))
        assert await stream.case() == ("entry", 6)


async def test_a_stream_that_told_nothing_yet_is_resumed_from_where_it_began(followed: World) -> None:
    async with followed.stream() as stream:
        pass
    await followed.change(a_case(1))
    async with followed.stream(stream.after) as stream:
        assert await stream.case() == ("entry", 1)


async def test_who_follows_fewer_than_before_begins_anew_and_hears_no_more_of_the_others(followed: World) -> None:
    assert (await followed.subscribe(CPR, OTHER_CPR)).status_code == 200
    async with followed.stream() as stream:
        await followed.change(a_case(1))
        assert await stream.case() == ("entry", 1)
    await followed.subscribe(CPR, OTHER_CPR)
    async with followed.stream(stream.after) as stream:
        await followed.change(a_case(2))
        assert await stream.case() == ("entry", 2)
    await followed.subscribe(OTHER_CPR)
    async with followed.stream(stream.after) as refused:
        assert (refused.answer.status_code, refused.answer.json()["code"]) == (410, "resume_too_old")
    await asyncio.sleep(1)  # an id tells its second alone
    async with followed.stream() as stream:
        pass
    await followed.change(a_case(1, kle=None), a_case(2, kle=None))
    async with followed.stream(stream.after) as stream:
        await followed.change(a_case(3, CITIZENS[1]))
        assert await stream.case() == ("entry", 3)


async def test_an_id_too_old_or_of_nothing_is_said_to_be_so(followed: World) -> None:
    async with followed.stream() as stream:
        pass
    days_ago = int((datetime.now(UTC) - timedelta(days=6)).timestamp())
    beyond = ".".join((stream.after.split(".")[0], *["999999999"] * 6))
    for after, said in (
        (f"{days_ago}.0.0.0.0.0.0", (410, "resume_too_old")),
        (beyond, (410, "resume_too_old")),
        ("1.2", (422, "resume_invalid")),
        ("x", (422, "resume_invalid")),
    ):
        async with followed.stream(after) as refused:
            assert (refused.answer.status_code, refused.answer.json()["code"]) == said


async def test_a_stream_ends_with_its_token(followed: World) -> None:
    async with followed.stream(ttl=4) as stream:
        assert await stream.end() == []


async def test_a_stream_ends_with_its_subscription(followed: World) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
    assert (await followed.subscribe(until=soon)).status_code == 200
    async with followed.stream() as stream:
        assert await stream.end() == []
    await followed.subscribe()
    async with followed.stream() as stream:
        await followed.subscribe(OTHER_CPR)
        await followed.change(a_case(1))
        assert await stream.end() == []
    async with followed.stream() as stream:
        headers = await followed.bearer()
        assert (await followed.api.http.delete("/v1/subscriptions", headers=headers)).status_code == 204
        await followed.change(a_case(1, CITIZENS[1]))
        assert await stream.end() == []
    async with followed.stream() as refused:
        assert (refused.answer.status_code, refused.answer.json()["code"]) == (409, "not_subscribed")


async def test_deliveries_are_in_the_log_when_they_are_received_and_without_the_number(followed: World) -> None:
    async with followed.stream() as stream:
        await followed.change(a_case(1))
        await stream.told()
        (entry,) = followed.logged()
        await followed.change(a_case(1, kle=None))
        await stream.told()
        _, gone = followed.logged()
    key = f"{AUTHORITY}/sbsys/00000000-0000-0000-0000-000000000001"
    assert (entry["decision"], entry["basis"], entry["cases"]) == ("permit", "official_duty", [key])
    assert (entry["purpose"], entry["reader"]["subject"]) == ("Sagsbehandling", "employee-1")
    assert (gone["decision"], gone["cases"]) == ("deny", [key])
    await followed.api.http.post("/v1/overviews/sapa/search", json={"citizen": CPR}, headers=await followed.bearer())
    assert followed.logged()[-1]["subject"] == entry["subject"]
    assert CPR not in str(followed.logged())


async def test_nothing_is_sent_while_the_log_cannot_be_written(followed: World) -> None:
    async with followed.stream() as stream:
        await followed.sql("ALTER TABLE access_log RENAME TO away")
        await followed.change(a_case(1))
        assert await stream.end() == []
    await followed.sql("ALTER TABLE away RENAME TO access_log")
    async with followed.stream(stream.after) as stream:
        assert await stream.case() == ("entry", 1)


async def test_a_role_that_does_not_read_is_refused_and_logged(followed: World) -> None:
    put = await followed.subscribe(claims={"role": "auditor"})
    async with followed.stream(role="auditor") as refused:
        assert {put.status_code, refused.answer.status_code} == {403}
    assert [(row["decision"], row["reason"]) for row in followed.logged()] == [("deny", "role")] * 2


async def test_what_is_followed_is_told_and_has_its_limits(followed: World) -> None:
    put = (await followed.subscribe(OTHER_CPR, CPR, CPR)).json()
    headers = await followed.bearer()
    assert (await followed.api.http.get("/v1/subscriptions", headers=headers)).json() == [put]
    assert (put["citizens"], put["overview"], put["effort_id"]) == ([CPR, OTHER_CPR], "sapa", None)
    assert followed.api.rows("SELECT authorities FROM subscription") == [([AUTHORITY],)]
    now = datetime.now(UTC)
    flaws: tuple[dict[str, Any], ...] = (
        {"citizens": [CPR] * 501},
        {"citizens": []},
        {"citizens": ["1234567890x"]},
        {"purpose": " "},
        {"until": (now - timedelta(seconds=1)).isoformat()},
        {"until": (now + timedelta(days=91)).isoformat()},
    )
    for flaw in flaws:
        answer = await followed.subscribe(**flaw)
        assert answer.status_code == 422
        assert CPR not in answer.text
    assert (await followed.subscribe(overview="hok")).status_code == 404
    other = await followed.bearer(sub="employee-2")
    assert (await followed.api.http.get("/v1/subscriptions", headers=other)).json() == []


async def test_a_slow_reader_is_cut_off_and_goes_on_later(followed: World) -> None:
    await followed.change(a_case(1))
    stream = await opened(followed)
    taken: list[bytes] = []
    stuck = asyncio.Event()

    async def send(message: Message) -> None:
        taken.append(message.get("body", b""))
        if b"event: entry" in taken[-1]:
            stuck.set()
            await asyncio.Event().wait()

    async def receive() -> Message:
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    until = datetime.now(UTC) + timedelta(hours=1)
    serving = asyncio.create_task(EventStream(stream, until)({"type": "http"}, receive, send))
    async with asyncio.timeout(PATIENCE):
        await followed.change(a_case(1))
        await stuck.wait()
        await asyncio.to_thread(followed.put, (a_case(1),))
        await followed.publish(times=LONGEST + 100)
        await serving
    assert stream.watch.idle
    # The block that they did not take tells nothing: they go on from the one before, and all comes.
    before = taken[1].split(b"id: ")[1].split(b"\n")[0].decode()
    async with followed.stream(before) as again:
        assert await again.case() == ("entry", 1)  # once: it is the row that is told, not each record
        await followed.change(a_case(2))
        assert await again.case() == ("entry", 2)


async def opened(followed: World) -> Stream:
    core = followed.api.app.state.core
    token = read_claims({**READER, "exp": 4_000_000_000})
    stream = await follow(core, core.feed, reader_of(token), POLICY["sapa"], None, datetime.now(UTC))
    assert isinstance(stream, Stream)
    return stream


async def test_a_server_that_stops_ends_its_streams_at_once(followed: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        server = Server(create_app(followed.api.settings), followed.api.settings)
        serving = asyncio.create_task(server.serve([listening]))
        address = f"http://127.0.0.1:{port}/v1/overviews/sapa/changes"
        headers = await followed.bearer()
        async with httpx.AsyncClient(timeout=30) as http, http.stream("GET", address, headers=headers) as answer:
            pieces = answer.aiter_bytes()
            await anext(pieces)
            server.should_exit = True
            async with asyncio.timeout(LAST_ANSWERS - 1):
                assert [piece async for piece in pieces] == []
        await serving


async def test_the_client_goes_on_by_itself_with_a_new_token_and_stops_when_it_is_refused(followed: World) -> None:
    ttls, asked_again = [5, 600], asyncio.Event()
    async with followed.stream() as stream:
        pass

    def token() -> str:
        ttl = ttls.pop(0)
        if not ttls:
            asked_again.set()
        return followed.api.bearer(ttl, **followed.claims)["Authorization"].removeprefix("Bearer ")

    address = str(followed.api.http.base_url)
    async with asyncio.timeout(PATIENCE), aclosing(changes(address, token, "sapa", stream.after)) as told:
        await followed.change(a_case(1))
        assert case_of(await anext(told)) == ("entry", 1)
        following = asyncio.create_task(anext(told))
        await asked_again.wait()
        await followed.change(a_case(2))
        assert case_of(await following) == ("entry", 2)
    stale = (await followed.bearer(-1))["Authorization"].removeprefix("Bearer ")
    with pytest.raises(RefusedError) as refused:
        await anext(changes(address, lambda: stale, "sapa"))
    assert refused.value.status == 401


def case_of(change: Change) -> tuple[str, int]:
    return change.kind, int(change.data["case_id"][-2:])
