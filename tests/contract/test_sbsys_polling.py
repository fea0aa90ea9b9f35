"""From a simulated SBSYS to a simulated broker: nothing changed is missed, whatever goes wrong in between."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import Response

from broker.domain.outcome import Rejected
from broker.intake.connector import Source
from connectors.esdh.sbsys import CONNECTOR
from connectors.esdh.sbsys.client import Access, Hit, SbsysError, SbsysPoller, poller
from connectors.esdh.sbsys.simulator import Simulator
from connectors.oauth import NoToken
from connectors.retry import Asker, Patience, Unanswered, whole
from connectors.runner import Broker, Cursor, CursorFile, Page, Refused, poll_once, run, serve
from connectors.unread import unread
from tests.contract.polling import START, Clock, Inbox, KilledAt, SurvivesEverything, World, broker


def case(number: int, minutes: float = 0.0) -> dict[str, Any]:
    return {
        "Id": number,
        "SagIdentity": f"00000000-0000-4000-8000-{number:012}",
        "Nummer": "27.36.04-G01-1-24",
        "SagsTitel": f"Sag {number}",
        "SenestAendret": (START + timedelta(minutes=minutes)).isoformat(),
        "Firmaer": [],
    }


@dataclass
class SbsysWorld(World):
    page: int = 10
    simulator: Simulator = field(default_factory=lambda: Simulator([]))

    def poller(self) -> SbsysPoller:
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.simulator.app),
            base_url="https://sbsys.example",
            event_hooks={"response": [whole]},
        )
        access = Access("connect/token", "demo", "secret", self.page, now=lambda: self.now)
        return SbsysPoller(client, Asker(replace(self.clock.patience(), now=lambda: self.now)), access)

    def put(self, number: int, minutes: float, title: str) -> None:
        others = [case for case in self.simulator.cases if case["Id"] != number]
        self.simulator.cases = [*others, case(number, minutes) | {"SagsTitel": title}]

    def polled(self, sbsys: SbsysPoller) -> int:
        """A round of a poller that lives on."""
        return asyncio.run(poll_once(sbsys, self.broker(), self.cursors))

    @property
    def delivered(self) -> list[tuple[int, str]]:
        return [(case["Id"], case["SagsTitel"]) for case in self.inbox.payloads if "Id" in case]

    @property
    def failures(self) -> list[int | str]:
        return self.simulator.failures


class TestSbsys(SurvivesEverything):
    most = 10

    def world(self, path: Path, *, uses: int = 1_000_000, **_: Any) -> SbsysWorld:
        return SbsysWorld(path, simulator=Simulator([], uses_of_a_token=uses))


class TestSbsysThatShowsSoManyAtMost(TestSbsys):
    """Whatever the limit asked for."""

    def world(self, path: Path, *, uses: int = 1_000_000, **_: Any) -> SbsysWorld:
        return SbsysWorld(path, simulator=Simulator([], uses_of_a_token=uses, largest=45))


@pytest.mark.parametrize("said", [None, "i går", "", 5])
def test_a_time_that_is_none_is_handed_on_once_and_holds_nobody_up(tmp_path: Path, said: object) -> None:
    world = SbsysWorld(tmp_path)
    world.put_all(range(25))
    world.simulator.cases[3]["SenestAendret"] = said

    assert world.poll() == 25
    assert world.poll() == 0
    world.put(30, 30, "Sag 30")
    assert world.poll() == 1


def test_with_a_clock_ahead_of_the_vendors_what_lies_between_hides_nothing(tmp_path: Path) -> None:
    world = SbsysWorld(tmp_path)
    world.put(1, 9, "Fra fremtiden")
    world.now = START + timedelta(minutes=10)
    world.simulator.date = format_datetime(START, usegmt=True)
    world.poll()

    world.put(2, 1, "Sag 2")

    assert world.poll() == 1


@pytest.mark.parametrize("largest", [1_000_000, 700])
def test_a_mass_update_within_the_overlap_is_read_in_parts_and_what_follows_as_well(
    tmp_path: Path, largest: int
) -> None:
    world = SbsysWorld(tmp_path, page=200, simulator=Simulator([], largest=largest))
    world.simulator.cases = [case(number, number / 5_000) for number in range(5_000)]

    async def poll() -> set[int]:
        found: set[int] = set()
        async for page in world.poller().changes(world.cursors.read()):
            assert page.count <= 200
            world.cursors.write(page.cursor)
            found |= {one["Id"] for one in json.loads(page.body)}
        return found

    sbsys = SbsysPoller._read
    SbsysPoller._read = _from_the_hit  # type: ignore[method-assign]
    try:
        assert asyncio.run(poll()) == set(range(5_000))
        world.simulator.searches = 0
        world.simulator.cases.append(case(5_000, 1.5))
        assert asyncio.run(poll()) == {5_000}
    finally:
        SbsysPoller._read = sbsys  # type: ignore[method-assign]
    assert world.simulator.searches < 30


async def _from_the_hit(self: SbsysPoller, hit: Hit) -> bytes:  # noqa: ARG001 - in place of a method
    """Spares the test 5 000 requests."""
    return b'{"Id": %d}' % hit.number


def test_more_in_one_second_than_is_shown_at_most_is_said_and_not_hidden(tmp_path: Path) -> None:
    world = SbsysWorld(tmp_path, simulator=Simulator([], largest=45))
    world.put_all(range(60), minutes=0)
    world.put(60, 1, "Sag 60")

    with pytest.raises(SbsysError, match=r"^more changes in one second"):
        world.poll()


def test_cases_at_the_end_of_time_hide_nothing(tmp_path: Path) -> None:
    world = SbsysWorld(tmp_path)
    world.put_all(range(25))
    for one in world.simulator.cases:
        one["SenestAendret"] = "9999-12-31T23:59:59.9999999+00:00"

    assert world.poll() == 25
    world.put(30, 1, "Sag 30")
    assert world.poll() == 1


def test_a_page_is_full_by_its_bytes_as_well(tmp_path: Path) -> None:
    world = SbsysWorld(tmp_path)
    world.simulator.cases = [case(number, number) | {"Tekst": "x" * (3 << 20)} for number in range(7)]

    assert world.poll() == 7
    assert [len(json.loads(body)) for body in world.inbox.bodies] == [3, 3, 1]


NO_CASES = (
    Response("<html>Log ind</html>", media_type="text/html"),
    Response('{"Id": 2, "Sags', media_type="text/plain"),
    Response("[]", media_type="application/json"),
    Response(""),
    Response(status_code=400),
    Response(status_code=500),
)


@pytest.mark.parametrize("answer", NO_CASES)
def test_a_case_that_cannot_be_read_is_passed_over_in_the_end_and_the_others_come(
    tmp_path: Path, answer: Response
) -> None:
    rounds = 10 if answer.status_code == 500 else 3
    world = SbsysWorld(tmp_path)
    world.put_all(range(8))
    world.simulator.instead = {2: answer, 5: answer}
    sbsys = world.poller()

    for _ in range(rounds - 1):
        with pytest.raises(Unanswered):
            world.polled(sbsys)
    assert [number for number, _ in world.delivered] == [0, 1]
    # What was passed over is behind the cursor: the next one has its own rounds.
    for _ in range(rounds - 1):
        with pytest.raises(Unanswered):
            world.polled(sbsys)
    world.polled(sbsys)

    assert [number for number, _ in world.delivered] == [0, 1, 3, 4, 6, 7]
    assert [case for case in world.inbox.payloads if "Id" not in case] == [
        unread(case(number)["SagIdentity"]) for number in (2, 5)
    ]
    world.simulator.instead = {}
    world.put(2, 50, "Ændret")
    assert world.polled(sbsys) == 1


def test_a_case_that_is_not_for_us_is_told_of_at_once_and_holds_nobody_up(tmp_path: Path) -> None:
    world = SbsysWorld(tmp_path)
    world.put_all(range(8))
    world.simulator.instead = {2: Response(status_code=403), 3: Response(status_code=410)}

    assert world.poll() == 7
    assert world.poll() == 0
    told = world.inbox.payloads[2]
    assert told == unread(case(2)["SagIdentity"], 403)
    refused = CONNECTOR.translate(told, Source("sbsys", "55133018"))
    assert isinstance(refused, Rejected)
    assert refused.detail.endswith("status 403")
    assert CONNECTOR.unknown_in(world.inbox.bodies[0]).keys() <= {"unread"}


def test_a_search_that_shows_something_else_ends_the_round_and_quotes_nothing(tmp_path: Path) -> None:
    world = SbsysWorld(tmp_path)
    answers = [b"<html>010145-5001</html>", b"[]", b'{"Results": null}', b'{"Results": [{"CPR": "010145-5001"}]}']
    for answer in answers:

        async def shows_it(scope: Any, receive: Any, send: Any, answer: bytes = answer) -> None:
            if scope["path"].endswith("search"):
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": answer})
            else:
                await Simulator([]).app(scope, receive, send)

        world.simulator.app = shows_it  # type: ignore[assignment]
        with pytest.raises(SbsysError) as caught:
            world.poll()
        assert "010145" not in repr(caught.value)


@dataclass
class Bench:
    """A poller on a simulator, a broker's door, a cursor on disk."""

    simulator: Simulator
    path: Path
    inbox: Inbox = field(default_factory=Inbox)
    clock: Clock = field(default_factory=Clock)
    page: int = 10

    def sbsys(self) -> SbsysPoller:
        transport = httpx.ASGITransport(self.simulator.app)
        client = httpx.AsyncClient(transport=transport, base_url="https://sbsys.example")
        access = Access("connect/token", "demo", "secret", self.page)
        return SbsysPoller(client, Asker(self.clock.patience()), access)

    def broker(self) -> Broker:
        return broker(self.inbox, self.clock, "sbsys")

    @property
    def cursors(self) -> CursorFile:
        return CursorFile(self.path / "cursor.json")

    def poll(self) -> int:
        return asyncio.run(poll_once(self.sbsys(), self.broker(), self.cursors))


def titles(world: Bench) -> list[str]:
    return [case["SagsTitel"] for case in world.inbox.payloads]


def bench(path: Path, cases: list[dict[str, Any]], page: int = 10, **quirks: int) -> Bench:
    return Bench(Simulator(cases, **quirks), path, page=page)


def test_everything_is_read_once_and_then_only_what_changes(tmp_path: Path) -> None:
    world = bench(tmp_path, [case(number, number) for number in range(35)])

    assert world.poll() == 35
    assert world.poll() == 0
    world.simulator.cases[3] = case(3, minutes=100) | {"SagsTitel": "Ændret"}
    assert world.poll() == 1
    assert titles(world)[-1] == "Ændret"


def test_more_changes_in_one_moment_than_a_page_holds_are_all_read(tmp_path: Path) -> None:
    world = bench(tmp_path, [case(number) for number in range(83)], page=5)

    assert world.poll() == 83
    assert len(set(titles(world))) == 83


def test_a_change_committed_late_with_an_earlier_time_is_not_missed(tmp_path: Path) -> None:
    world = bench(tmp_path, [case(1, minutes=10)])
    world.poll()

    world.simulator.cases.append(case(2, minutes=9))

    assert world.poll() == 1


def test_a_case_that_changes_while_pages_are_read_moves_and_hides_no_other(tmp_path: Path) -> None:
    world = bench(tmp_path, [case(number, number * 10) for number in range(30)])

    async def poll() -> set[int]:
        seen: set[int] = set()
        async for page in world.sbsys().changes({}):
            if not seen:
                world.simulator.cases[0] = case(0, minutes=10_000)
            seen |= {found["Id"] for found in json.loads(page.body)}
        return seen

    assert asyncio.run(poll()) == set(range(30))


def test_a_case_deleted_between_search_and_reading_is_passed_over(tmp_path: Path) -> None:
    world = bench(tmp_path, [case(1), case(2)])
    read = world.simulator.cases

    async def poll() -> list[Page]:
        sbsys = world.sbsys()
        search = sbsys._search

        async def search_then_lose(since: int, size: int) -> list[Hit]:
            found = await search(since, size)
            read[:] = read[:1]
            return found

        sbsys._search = search_then_lose  # type: ignore[method-assign]
        return [page async for page in sbsys.changes({})]

    assert [page.count for page in asyncio.run(poll())] == [1]


def test_an_old_token_is_renewed_and_a_busy_server_is_given_the_time_it_asks_for(tmp_path: Path) -> None:
    world = bench(tmp_path, [case(number, number) for number in range(9)], busy=2, uses_of_a_token=4)

    assert world.poll() == 9
    assert world.clock.waits.count(7.0) == 2


def test_a_wrong_secret_ends_the_round_and_is_not_told(tmp_path: Path) -> None:
    world = bench(tmp_path, [case(1)], uses_of_a_token=0)

    with pytest.raises(SbsysError) as caught:
        world.poll()

    assert "secret" not in str(caught.value)
    assert "secret" not in repr(Access("connect/token", "demo", "secret"))


@pytest.mark.parametrize("status", [202, 422])
def test_a_batch_that_the_broker_has_judged_is_not_sent_again(tmp_path: Path, status: int) -> None:
    world = bench(tmp_path, [case(1)])
    world.inbox.answers = [httpx.Response(status, json={"receipt_id": "r", "accepted": 0, "rejected": [{}]})]

    assert world.poll() == 1
    assert world.poll() == 0


@pytest.mark.parametrize(
    "answer", [httpx.Response(401), httpx.Response(413), httpx.Response(422, json={"error": "a proxy's"})]
)
def test_a_batch_that_the_broker_has_not_judged_is_sent_again(tmp_path: Path, answer: httpx.Response) -> None:
    world = bench(tmp_path, [case(1)])
    world.inbox.answers = [answer]

    with pytest.raises(Refused):
        world.poll()

    assert world.poll() == 1


def test_a_process_killed_after_the_push_and_before_the_cursor_sends_the_same_bytes_again(tmp_path: Path) -> None:
    world = bench(tmp_path, [case(1), case(2, 1)])

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(poll_once(world.sbsys(), world.broker(), KilledAt(tmp_path / "cursor.json")))
    world.poll()

    first, again = world.inbox.bodies
    assert first == again


def test_a_broker_out_of_reach_is_asked_again_and_then_the_round_ends(tmp_path: Path) -> None:
    world = bench(tmp_path, [case(1)])
    world.inbox.answers = [httpx.Response(503), httpx.Response(503, headers={"Retry-After": "5"})]
    assert world.poll() == 1
    assert 5.0 in world.clock.waits

    world.simulator.cases.append(case(2, 1))
    world.inbox.answers = [httpx.Response(503)] * 3
    with pytest.raises(Unanswered, match=r"^status 503$"):
        world.poll()
    assert world.poll() == 1


def test_the_broker_is_shown_the_bearer_token(tmp_path: Path) -> None:
    world = bench(tmp_path, [case(1)])
    world.poll()

    assert world.inbox.tokens == {"Bearer t0ken"}


def asked(patience: Patience, send: Callable[[], Awaitable[httpx.Response]], times: int = 1) -> None:
    async def ask() -> None:
        asker = Asker(patience)
        for _ in range(times):
            await asker.ask(send)

    asyncio.run(ask())


async def unreachable() -> httpx.Response:
    raise httpx.ConnectError("no")


async def fine() -> httpx.Response:
    return httpx.Response(200)


def test_waits_double_up_to_the_longest() -> None:
    clock = Clock()

    with pytest.raises(Unanswered, match=r"^ConnectError$"):
        asked(clock.patience(attempts=5, first_delay=1.0, longest_delay=4.0), unreachable)

    assert clock.waits == [1.0, 2.0, 4.0, 4.0]


def test_requests_are_never_closer_than_agreed() -> None:
    clock = Clock()

    asked(clock.patience(per_second=4.0), fine, times=3)

    assert clock.waits == [0.25, 0.25]


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("3", 3.0),
        ("Mon, 18 Mar 2024 09:00:30 GMT", 30.0),
        ("Mon, 18 Mar 2024 08:00:00 GMT", 0.0),
        ("soon", 0.5),
        ("9999999", 600.0),
    ],
)
def test_the_wait_that_a_server_asks_for_is_kept_within_reason(header: str, wait: float) -> None:
    clock = Clock()
    answers = [httpx.Response(429, headers={"Retry-After": header}), httpx.Response(200)]

    async def send() -> httpx.Response:
        return answers.pop(0)

    asked(clock.patience(), send)

    assert clock.waits[0] == wait


def test_the_cursor_on_disk_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    cursors = CursorFile(tmp_path / "cursor.json")

    assert cursors.read() == {}
    cursors.write({"at": 1})
    (tmp_path / "cursor.json.new").write_bytes(b'{"at": 2')
    assert cursors.read() == {"at": 1}
    cursors.write({"at": 3})
    assert cursors.read() == {"at": 3}


@pytest.mark.parametrize("content", [b"", b"[]", b"{"])
def test_a_file_that_holds_no_cursor_is_not_taken_for_the_very_start(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cursor.json").write_bytes(content)

    with pytest.raises(ValueError):  # noqa: PT011 - both kinds: no JSON, and no cursor
        CursorFile(tmp_path / "cursor.json").read()


def test_a_configuration_file_is_all_that_a_poll_loop_needs(tmp_path: Path) -> None:
    vendor = {"url": "https://sbsys.example", "token_path": "connect/token", "client_id": "demo", "client_secret": "s"}
    config = {
        "broker": {"url": "https://broker.example", "token": "t"},
        "cursor": str(tmp_path / "c"),
        "vendor": vendor,
    }

    async def stopped_at_once() -> None:
        stop = asyncio.Event()
        stop.set()
        await serve("sbsys", poller, config, stop)

    asyncio.run(stopped_at_once())
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("fails", [False, True])
def test_a_pollers_connections_are_closed_when_the_loop_ends(tmp_path: Path, *, fails: bool) -> None:
    class Closing:
        closed = 0

        async def changes(self, since: Cursor) -> AsyncIterator[Page]:  # noqa: ARG002 - once, and never again
            if fails:
                raise NoToken("a status")
            stop.set()
            yield Page(b"[]", 0, {})

        async def aclose(self) -> None:
            self.closed += 1

    stop, polled = asyncio.Event(), Closing()
    config = {"broker": {"url": "https://broker.example", "token": "t"}, "cursor": tmp_path / "c", "vendor": {}}

    with pytest.raises(NoToken) if fails else nullcontext():
        asyncio.run(serve("sbsys", lambda _: polled, config, stop))

    assert polled.closed == 1


def test_the_loop_ends_when_it_is_told_to(tmp_path: Path) -> None:
    world = bench(tmp_path, [])

    async def until_stopped() -> int:
        stop = asyncio.Event()
        rounds = 0

        class Counting:
            async def changes(self, since: Cursor) -> AsyncIterator[Page]:  # noqa: ARG002 - counts only
                nonlocal rounds
                rounds += 1
                if rounds == 3:
                    stop.set()
                yield Page(b"[]", 0, {"at": rounds})

        await run(Counting(), world.broker(), world.cursors, stop, every=0.001)
        return rounds

    assert asyncio.run(until_stopped()) == 3
    assert world.cursors.read() == {"at": 3}
    assert world.inbox.bodies == []
