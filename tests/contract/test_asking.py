"""A server that is down is left alone for a while, a clock that is wrong is told of, a strange field is counted."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker.domain.trace import read
from broker.intake.connector import load
from connectors import runner
from connectors.esdh.sbsys.payloads import Sag, SlettetSag
from connectors.payload import unknown_fields
from connectors.retry import Asker, TooLong, Unanswered, whole_xml
from connectors.runner import Broker, Cursor, CursorFile, Page, Refused, TooLarge, poll_once, run
from connectors.unread import unread
from tests.contract.polling import START, Clock, Inbox, broker

Send = Callable[[], Awaitable[httpx.Response]]


class Server:
    """Answers as told, and counts."""

    def __init__(self, *statuses: int, **headers: str) -> None:
        self.statuses = list(statuses)
        self.headers = headers
        self.asked = 0

    async def __call__(self) -> httpx.Response:
        self.asked += 1
        status = self.statuses.pop(0) if self.statuses else 200
        return httpx.Response(status, headers=self.headers)


def ask(asker: Asker, send: Send) -> int:
    return asyncio.run(_ask(asker, send)).status_code


async def _ask(asker: Asker, send: Send) -> httpx.Response:
    return await asker.ask(send)


def refused(asker: Asker, send: Send) -> str:
    with pytest.raises(Unanswered) as caught:
        ask(asker, send)
    return str(caught.value)


def test_after_many_failures_in_a_row_nothing_is_sent_until_the_rest_is_over() -> None:
    clock, server = Clock(), Server(*[500] * 6)
    asker = Asker(clock.patience(attempts=3, breaks_after=6, rests=100.0))

    assert [refused(asker, server), refused(asker, server)] == ["status 500"] * 2
    assert refused(asker, server) == "left alone"
    assert server.asked == 6
    clock.time += 100.0
    assert ask(asker, server) == 200


def test_after_the_rest_one_request_finds_out_and_its_failure_opens_it_again() -> None:
    clock, server = Clock(), Server(*[500] * 5)
    asker = Asker(clock.patience(attempts=8, breaks_after=4, rests=100.0))

    assert refused(asker, server) == "status 500"
    assert server.asked == 4
    clock.time += 100.0
    assert refused(asker, server) == "status 500"
    assert server.asked == 5
    clock.time += 100.0
    assert [ask(asker, server), ask(asker, server)] == [200, 200]


def test_failures_that_are_not_in_a_row_open_nothing_and_busy_is_no_failure() -> None:
    clock = Clock()
    asker = Asker(clock.patience(attempts=4, breaks_after=3))

    for _ in range(5):
        assert ask(asker, Server(500, 500)) == 200
    assert refused(asker, Server(*[429] * 4)) == "status 429"
    assert ask(asker, Server()) == 200


@pytest.mark.parametrize(
    ("date", "skew"),
    [("Mon, 18 Mar 2024 09:05:00 GMT", 300.0), ("Mon, 18 Mar 2024 08:00:00 GMT", -3600.0), ("soon", 0.0)],
)
def test_a_servers_clock_is_held_against_ours(date: str, skew: float, caplog: pytest.LogCaptureFixture) -> None:
    asker = Asker(Clock().patience())
    with caplog.at_level(logging.WARNING):
        ask(asker, Server(date=date))
        ask(asker, Server(date=date))

    assert asker.skew == skew
    assert asker.theirs(START) == START + timedelta(seconds=skew)
    assert [record.getMessage() for record in caplog.records] == ([f"clock skew seconds={skew:.0f}"] if skew else [])


def test_a_server_that_does_not_answer_ends_the_round_and_not_the_loop(tmp_path: Path) -> None:
    stop = asyncio.Event()

    class Failing:
        rounds = 0

        async def changes(self, since: Cursor) -> AsyncIterator[Page]:  # noqa: ARG002 - fails only
            self.rounds += 1
            if self.rounds == 3:
                stop.set()
                yield Page(b"[]", 0, {"at": 3})
            raise Unanswered("status 503")

    poller, clock = Failing(), Clock()
    client = httpx.AsyncClient(transport=httpx.MockTransport(Inbox()), base_url="https://broker.example")
    broker = Broker(client, Asker(clock.patience()), "sbsys", "t")
    asyncio.run(run(poller, broker, CursorFile(tmp_path / "c"), stop, every=0.001))

    assert poller.rounds == 3
    assert json.loads((tmp_path / "c").read_text()) == {"at": 3}


CASE: dict[str, Any] = {
    "SagIdentity": "x",
    "NytFelt": {"inde": 1},
    "PrimaryPart": {"PartType": "Person", "Cprnummer": "0101455001", "Adresse": "Vej 1"},
    "Personer": [{"MorCPR": "0101455001"}, {"MorCPR": None, "Navn": "N"}],
    "0101455001": 1,
    "tekst i feltets sted": 1,
}


def test_fields_that_no_model_names_are_counted_by_name_and_never_by_value() -> None:
    found = unknown_fields([CASE, CASE], Sag, SlettetSag)

    assert found == {"NytFelt": 2, "PrimaryPart.Adresse": 2, "Personer.MorCPR": 4, "(other)": 4}


@pytest.mark.parametrize("name", ["sbsys", "nexus", "sensum", "klgateway", "cura"])
def test_every_connector_here_says_what_it_leaves_out(name: str) -> None:
    connector = load(name)
    assert connector is not None
    assert connector.unknown is not None

    values: list[object] = [None, [], {"x": [1]}, 7, "x"]
    for value in values:
        connector.unknown(value)


def test_a_round_ends_with_the_count_of_what_was_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    connector = load("sbsys")
    assert connector is not None

    class One:
        async def changes(self, since: Cursor) -> AsyncIterator[Page]:  # noqa: ARG002 - always the same
            yield Page(json.dumps([CASE]).encode(), 1, {"at": 1})
            yield Page(json.dumps([CASE]).encode(), 1, {"at": 2})

    client = httpx.AsyncClient(transport=httpx.MockTransport(Inbox()), base_url="https://broker.example")
    broker = Broker(client, Asker(Clock().patience()), "sbsys", "t")
    with caplog.at_level(logging.INFO):
        asyncio.run(poll_once(One(), broker, CursorFile(tmp_path / "c"), connector.unknown_in))

    assert caplog.records[-1].getMessage().startswith('fields left out {"Personer.MorCPR": 4, ')
    assert "0101455001" not in caplog.text


class Narrow(Inbox):
    """A broker's door, or a proxy before it, that takes so many bytes at once."""

    most = 60

    def __call__(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(413) if len(request.content) > self.most else super().__call__(request)


class Changed:
    """A page of cases."""

    def __init__(self, *cases: object, named: bool = False) -> None:
        self.cases = cases
        self.names = [f"sag {number}" for number in range(len(cases))] if named else []

    async def changes(self, since: Cursor) -> AsyncIterator[Page]:  # noqa: ARG002 - always the same
        yield Page(json.dumps(self.cases).encode(), len(self.cases), {"at": 1}, names=self.names)


@pytest.mark.parametrize("most", [60, 300])
def test_a_page_larger_than_the_broker_takes_goes_in_parts_before_the_cursor_is_written(
    tmp_path: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox, cursors = Narrow(), CursorFile(tmp_path / "c")
    # Once the broker says so, once it is not even tried.
    inbox.most = most
    monkeypatch.setattr(runner, "LARGEST", 360 - most)
    cases = [{"Id": number, "Titel": "å" * 5} for number in range(9)]
    door = broker(inbox, Clock(), "sbsys")
    assert asyncio.run(poll_once(Changed(*cases), door, cursors)) == 9

    assert inbox.payloads == cases
    assert max(map(len, inbox.bodies)) <= 60
    assert cursors.read() == {"at": 1}


def test_a_part_that_is_refused_leaves_the_cursor_where_it_was(tmp_path: Path) -> None:
    inbox, cursors = Narrow(), CursorFile(tmp_path / "c")
    inbox.answers = [httpx.Response(202, json={"accepted": 1}), httpx.Response(403)]
    with pytest.raises(Refused, match=r"^status 403$"):
        asyncio.run(poll_once(Changed(*[{"Titel": "a" * 30}] * 3), broker(inbox, Clock(), "sbsys"), cursors))

    assert cursors.read() == {}


@pytest.mark.parametrize(("most", "larger"), [(32 << 20, 16), (4 << 20, 5)])
def test_one_case_that_is_too_large_by_itself_is_told_of_and_costs_no_other(
    tmp_path: Path, most: int, larger: int, caplog: pytest.LogCaptureFixture
) -> None:
    inbox, cursors = Narrow(), CursorFile(tmp_path / "c")
    # Once it is not even tried, once a proxy says so.
    inbox.most = most
    cases = [{"Id": number, "Titel": "a" * ((larger << 20) if number == 3 else 5)} for number in range(5)]
    with caplog.at_level(logging.WARNING):
        asyncio.run(poll_once(Changed(*cases, named=True), broker(inbox, Clock(), "sbsys"), cursors))

    instead = unread("sag 3", larger_than=larger)
    assert inbox.payloads == [*cases[:3], instead, *cases[4:]]
    assert cursors.read() == {"at": 1}
    assert caplog.messages == [f"passed over case=sag 3: larger than {larger} MiB"]


@pytest.mark.parametrize(
    ("answer", "larger"),
    [(b"<a>" + b"x" * (11 << 20) + b"</a>", 11), (b"<a>" + b"<b/>" * (5 << 20) + b"</a>", 16), (b"<b/>" * 500_000, 1)],
)
async def test_xml_larger_than_can_be_read_is_not_taken_for_half_an_answer(answer: bytes, larger: int) -> None:
    with pytest.raises(TooLong) as caught:
        await whole_xml(httpx.Response(200, content=answer))
    assert caught.value.more_than == larger


def test_one_that_is_too_large_and_whose_number_nobody_knows_is_told_of_all_the_same(tmp_path: Path) -> None:
    inbox = Narrow()
    inbox.most = 32 << 20
    page = Changed({"Titel": "a" * (17 << 20)})
    asyncio.run(poll_once(page, broker(inbox, Clock(), "sbsys"), CursorFile(tmp_path / "c")))

    assert inbox.payloads == [unread("", larger_than=16)]


def test_a_door_that_lets_no_case_through_is_for_a_person(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match=r"^status 413$"):
        asyncio.run(
            poll_once(Changed({"Titel": "a" * 90}), broker(Narrow(), Clock(), "sbsys"), CursorFile(tmp_path / "c"))
        )


def test_each_batch_is_a_trace_of_its_own_and_the_same_when_it_is_sent_again() -> None:
    inbox = Inbox([httpx.Response(503)])
    door = broker(inbox, Clock(), "sbsys")
    asyncio.run(_pushed(door, 2))
    first, again, second = map(read, inbox.traces)
    assert first == again
    assert first is not None
    assert second is not None
    assert first.trace_id != second.trace_id


async def _pushed(door: Broker, batches: int) -> None:
    for _ in range(batches):
        await door.push(b"[]")
    await door.client.aclose()
