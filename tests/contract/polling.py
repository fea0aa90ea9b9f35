"""What every poller must survive, and what tests of pollers are made of. No vendor is named here."""

import asyncio
import json
import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from connectors.retry import Asker, Patience, Unanswered
from connectors.runner import Broker, Cursor, CursorFile, Poller, Refused, poll_once

START = datetime(2024, 3, 18, 9, tzinfo=UTC)


class Clock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.time = 0.0
        self.waits: list[float] = []

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds

    def patience(self, **changes: Any) -> Patience:
        return Patience(sleep=self.sleep, clock=self.now, jitter=lambda: 1.0, now=lambda: START, **changes)


@dataclass
class Inbox:
    """A broker's door that answers as told, then with a receipt."""

    answers: list[httpx.Response] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    traces: list[str] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.tokens.add(request.headers["authorization"])
        self.traces.append(request.headers["traceparent"])
        if self.answers:
            return self.answers.pop(0)
        self.bodies.append(request.content)
        return httpx.Response(
            202, json={"receipt_id": "r", "accepted": 1, "delimited": 0, "rejected": [], "warnings": []}
        )

    @property
    def payloads(self) -> list[dict[str, Any]]:
        return [case for body in self.bodies for case in json.loads(body)]


def broker(inbox: Inbox, clock: Clock, system: str) -> Broker:
    client = httpx.AsyncClient(transport=httpx.MockTransport(inbox), base_url="https://broker.example")
    return Broker(client, Asker(clock.patience(attempts=3)), system, "t0ken")


@asynccontextmanager
async def served(app: Any, **options: Any) -> AsyncIterator[str]:
    """Its address, on a free port that listens already."""
    # With the protocol named, or the loop leaves Nagle's algorithm on and every answer takes 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=30, **options
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


class Faulty(httpx.AsyncBaseTransport):
    """A connection that first gives the answers it is told to give, and breaks where None stands."""

    def __init__(self, behind: httpx.AsyncBaseTransport) -> None:
        self.behind = behind
        self.faults: list[httpx.Response | None] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not self.faults:
            return await self.behind.handle_async_request(request)
        fault = self.faults.pop(0)
        if fault is None:
            raise httpx.RemoteProtocolError("the peer closed the connection in the middle of an answer")
        return fault


@dataclass
class World(ABC):
    """A vendor's simulator, a poller on it that is made anew for each round, a broker's door, a cursor on disk."""

    path: Path
    inbox: Inbox = field(default_factory=Inbox)
    clock: Clock = field(default_factory=Clock)
    now: datetime = START + timedelta(days=30)

    @abstractmethod
    def poller(self) -> Poller: ...

    @abstractmethod
    def put(self, number: int, minutes: float, title: str) -> None:
        """A caseworker saves a case at that time after START."""

    @property
    @abstractmethod
    def delivered(self) -> list[tuple[int, str]]:
        """(number, title) of every case in the order in which the broker took them."""

    @property
    @abstractmethod
    def failures(self) -> list[int | str]:
        """What the vendor answers first: statuses, or `half`."""

    def broker(self) -> Broker:
        return broker(self.inbox, self.clock, "system")

    @property
    def cursors(self) -> CursorFile:
        return CursorFile(self.path / "cursor.json")

    def poll(self, cursors: CursorFile | None = None) -> int:
        return asyncio.run(poll_once(self.poller(), self.broker(), cursors or self.cursors))

    def put_all(self, numbers: Sequence[int], minutes: float = 1.0) -> None:
        """One after the other, that many minutes apart."""
        for number in numbers:
            self.put(number, number * minutes, f"Sag {number}")


class Broken(httpx.AsyncBaseTransport):
    """A connection on which what is asked with one of `words` in it, in address or body, is always answered so."""

    def __init__(self, behind: httpx.AsyncBaseTransport, *words: str, status: int = 500) -> None:
        self.behind = behind
        self.words = list(words)
        self.status = status
        self.asked = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        said = str(request.url) + (await request.aread()).decode()
        if any(word in said for word in self.words):
            self.asked += 1
            return httpx.Response(self.status)
        return await self.behind.handle_async_request(request)


def in_rounds(poller: Poller, door: Broker, cursors: CursorFile, clock: Clock | None = None) -> tuple[int, int]:
    """As the loop does, until one round comes to its end: how many did not, and the cases handed over by the last.

    clock: goes on by ten minutes after a round that did not: whoever rests has rested.
    """

    async def rounds() -> tuple[int, int]:
        for ended in range(20):
            try:
                return ended, await poll_once(poller, door, cursors)
            except Unanswered:
                if clock is not None:
                    clock.time += 600
        raise AssertionError("no round comes to its end")

    return asyncio.run(rounds())


class GoesOn(ABC):
    """What a poller that reads case by case must do when it is disturbed: a subclass says what its world is."""

    error: type[Exception]
    """What an answer of another form is called."""
    halves: Sequence[httpx.Response]
    """Answers of another form."""
    cut: Sequence[httpx.Response] = ()
    """Answers that are cut short: asked for again in place."""

    @abstractmethod
    def world(self, path: Path, count: int) -> Any:
        """A world with cases 0 to `count`, ten on a page."""

    def test_a_busy_server_is_given_its_time_and_failures_of_the_line_are_tried_again(self, tmp_path: Path) -> None:
        world = self.world(tmp_path, 9)
        world.simulator.busy = 2
        world.connection.faults = [None, httpx.Response(500), None]

        assert world.poll() == 9
        assert world.clock.waits.count(7.0) == 2

    def test_half_an_answer_is_asked_for_again(self, tmp_path: Path) -> None:
        world = self.world(tmp_path, 9)
        world.connection.faults = list(self.cut)

        assert world.poll() == 9
        assert not world.connection.faults

    def test_an_answer_of_another_form_ends_the_round_and_the_next_one_has_it_all(self, tmp_path: Path) -> None:
        world = self.world(tmp_path, 1)
        for answer in self.halves:
            world.connection.faults = [answer]
            with pytest.raises(self.error):
                world.poll()

        assert world.poll() == 1

    @pytest.mark.parametrize("page", [1, 2, 3])
    def test_a_process_killed_before_any_cursor_was_written_goes_on_where_it_was(
        self, tmp_path: Path, page: int
    ) -> None:
        world = self.world(tmp_path, 30)

        with pytest.raises(KeyboardInterrupt):
            world.poll(KilledAt(tmp_path / "cursor.json", page))
        world.poll()

        # The page in hand, and no other, came twice.
        assert (len(set(world.delivered)), len(world.delivered)) == (30, 40)
        assert world.inbox.bodies[page - 1] == world.inbox.bodies[page]
        assert world.poll() == 0

    def test_a_broker_out_of_reach_loses_nothing(self, tmp_path: Path) -> None:
        world = self.world(tmp_path, 1)
        world.inbox.answers = [httpx.Response(503)] * 3

        with pytest.raises(Unanswered):
            world.poll()

        assert world.poll() == 1


class KilledAt(CursorFile):
    """The process ends in place of the write of that number, of those that count."""

    def __init__(self, path: Path, at: int = 1, counts: Callable[[Cursor], bool] = lambda _: True) -> None:
        super().__init__(path)
        self._left = at
        self._counts = counts

    def write(self, cursor: Cursor) -> None:
        self._left -= self._counts(cursor)
        if self._left == 0:
            raise KeyboardInterrupt
        super().write(cursor)


class SurvivesEverything(ABC):
    """The suite: a subclass whose name begins with Test says what its world is."""

    most: int
    """How many cases the vendor's list shows at most, in the worlds of this class."""

    @abstractmethod
    def world(self, path: Path, **quirks: Any) -> World:
        """Quirks: `repeats`, how often the first page comes again; `uses`, after how many a login is old."""

    def test_everything_is_read_once_and_then_only_what_changes(self, tmp_path: Path) -> None:
        world = self.world(tmp_path)
        world.put_all(range(35), minutes=7)

        assert world.poll() == 35
        assert world.poll() == 0
        world.put(3, 1000, "Ændret")
        assert world.poll() == 1
        assert world.delivered[-1] == (3, "Ændret")

    def test_nothing_is_pushed_where_there_is_nothing(self, tmp_path: Path) -> None:
        world = self.world(tmp_path)

        assert world.poll() == 0
        assert world.inbox.bodies == []

    def test_more_changes_in_one_moment_than_the_list_shows_are_all_read(self, tmp_path: Path) -> None:
        world = self.world(tmp_path)
        world.put_all(range(3 * self.most + 3), minutes=0)

        world.poll()

        assert sorted(world.delivered) == [(number, f"Sag {number}") for number in range(3 * self.most + 3)]
        assert world.poll() == 0

    def test_a_change_committed_late_with_an_earlier_time_is_not_missed(self, tmp_path: Path) -> None:
        world = self.world(tmp_path)
        world.put(1, 10, "Sag 1")
        world.poll()

        world.put(2, 9, "Sag 2")

        assert world.poll() == 1

    @pytest.mark.parametrize("days", [-3650, -1, 1, 3650])
    def test_a_clock_that_is_wrong_hides_nothing(self, tmp_path: Path, days: int) -> None:
        world = self.world(tmp_path)
        world.now = START + timedelta(days=days)
        world.put_all(range(5 * self.most), minutes=3)
        world.poll()

        world.put(2, 1000, "Ændret")

        assert world.poll() == 1
        assert len(set(world.delivered)) == 5 * self.most + 1

    def test_a_case_from_the_future_hides_nothing(self, tmp_path: Path) -> None:
        world = self.world(tmp_path)
        world.put(1, 50 * 365 * 1440, "Fra fremtiden")
        world.poll()

        world.put(2, 30 * 1440 + 5, "Sag 2")

        assert world.poll() == 1
        assert world.poll() == 0

    def test_a_case_that_changes_while_it_is_read_hides_no_other(self, tmp_path: Path) -> None:
        world = self.world(tmp_path)
        world.put_all(range(6 * self.most), minutes=3)

        async def poll() -> None:
            moved = 0
            async for page in world.poller().changes({}):
                world.inbox.bodies.append(page.body)
                for number in range(moved, min(moved + 3, 6 * self.most)):
                    world.put(number, 5000 + number, "Ændret")
                moved += 3

        asyncio.run(poll())

        assert {number for number, _ in world.delivered} == set(range(6 * self.most))

    def test_a_case_that_is_larger_than_the_broker_takes_is_told_of_and_costs_no_other(self, tmp_path: Path) -> None:
        world = self.world(tmp_path)
        world.put_all(range(4))
        world.put(2, 2, "x" * (17 << 20))

        in_rounds(world.poller(), world.broker(), world.cursors)

        (told,) = (one for one in world.inbox.payloads if "unread" in one)
        assert told["unread"]["larger_than"] == 16
        assert told["unread"]["case"].endswith("2")
        assert {number for number, _ in world.delivered} == {0, 1, 3}
        world.put(2, 1000, "Ændret")
        assert world.poll() == 1
        assert world.delivered[-1] == (2, "Ændret")

    def test_a_busy_server_is_given_the_time_it_asks_for(self, tmp_path: Path) -> None:
        world = self.world(tmp_path)
        world.put_all(range(3))
        world.failures.extend([429, 429])

        assert world.poll() == 3
        assert world.clock.waits.count(7.0) == 2

    @pytest.mark.parametrize("failures", [[500], [502, 503, 504], ["half"], ["half", 500, "half"]])
    def test_a_server_that_stumbles_is_asked_again(self, tmp_path: Path, failures: list[int | str]) -> None:
        world = self.world(tmp_path)
        world.put_all(range(5 * self.most))
        world.failures.extend(failures)

        assert world.poll() == 5 * self.most
        assert not world.failures

    @pytest.mark.parametrize("failure", [500, "half"])
    def test_a_server_that_is_down_ends_the_round_and_loses_nothing(self, tmp_path: Path, failure: int | str) -> None:
        world = self.world(tmp_path)
        world.put_all(range(5 * self.most))
        world.failures.extend([failure] * 8)

        with pytest.raises(Unanswered):
            world.poll()

        assert world.poll() == 5 * self.most

    def test_pages_that_come_again_hide_no_others(self, tmp_path: Path) -> None:
        world = self.world(tmp_path, repeats=2)
        world.put_all(range(4 * self.most), minutes=0)

        world.poll()

        assert len(set(world.delivered)) == 4 * self.most

    def test_an_old_login_is_renewed(self, tmp_path: Path) -> None:
        world = self.world(tmp_path, uses=3)
        world.put_all(range(4 * self.most), minutes=3)

        assert world.poll() == 4 * self.most

    def test_killed_anywhere_it_loses_nothing_and_what_it_sends_again_is_the_same(self, tmp_path: Path) -> None:
        world = self.world(tmp_path)
        world.put_all(range(6 * self.most), minutes=3)
        for at in (1, 2, 1, 3, 1):
            before = len(world.inbox.bodies)
            with pytest.raises(KeyboardInterrupt):
                world.poll(KilledAt(tmp_path / "cursor.json", at))
            # Pushed, and not remembered.
            assert len(world.inbox.bodies) == before + at

        world.poll()

        assert len(world.delivered) > 6 * self.most
        # Nothing in a case tells when, or how often, it was asked for: the broker calls the second a duplicate.
        once = {json.dumps(payload) for payload in world.inbox.payloads}
        assert len(once) == len(set(world.delivered)) == 6 * self.most
        assert world.poll() == 0

    def test_what_the_broker_has_not_judged_is_sent_again(self, tmp_path: Path) -> None:
        world = self.world(tmp_path)
        world.put_all(range(2))
        world.inbox.answers = [httpx.Response(403)]

        with pytest.raises(Refused):
            world.poll()

        assert world.poll() == 2
