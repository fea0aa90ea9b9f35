"""From simulated webhooks over a queue on disk to a simulated broker: what was told of is fetched."""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker.domain.outcome import Rejected
from broker.intake.connector import Source
from connectors.esdh.workpoint import CONNECTOR
from connectors.esdh.workpoint.client import WorkPointError, WorkPointPoller
from connectors.esdh.workpoint.receiver import LARGEST, Receiver, Words, is_signed, receiver, told_in
from connectors.esdh.workpoint.simulator import MODULE, SECRET, Simulator, webhook
from connectors.esdh.workpoint.waiting import Queue, Told
from connectors.oauth import Authorized, NoToken
from connectors.retry import Asker, Unanswered, whole
from connectors.runner import CursorFile, poll_once
from connectors.unread import unread
from tests.contract.polling import Broken, Clock, Faulty, Inbox, KilledAt, broker, in_rounds

START = datetime(2024, 3, 18, 9, tzinfo=UTC)


def columns(number: int) -> dict[str, Any]:
    return {"Title": f"Sag {number}"}


@dataclass
class World:
    """A receiver and a poller with a queue between them, a simulator, a broker's door."""

    path: Path
    items: dict[int, dict[str, Any]]
    quirks: dict[str, int] = field(default_factory=dict)
    password: str = "secret"  # noqa: S105 - of a simulator
    inbox: Inbox = field(default_factory=Inbox)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.simulator = Simulator(self.items, **self.quirks)
        self.broken = Broken(httpx.ASGITransport(self.simulator.app))
        self.connection = Faulty(self.broken)
        (self.path / "queue").mkdir(exist_ok=True)
        self.queue = Queue(self.path / "queue")

    def tell(self, body: bytes, headers: dict[str, str]) -> int:
        told = Receiver(self.queue, (b"an older one", SECRET.encode()), now=lambda: START)

        async def post() -> int:
            transport = httpx.ASGITransport(told.app)
            async with httpx.AsyncClient(transport=transport, base_url="https://hook.example") as client:
                return (await client.post("/", content=body, headers=headers)).status_code

        return asyncio.run(post())

    def changed(self, *changes: tuple[str, int]) -> None:
        assert self.tell(*webhook(*changes)) == 200

    def poller(self) -> WorkPointPoller:
        client = httpx.AsyncClient(
            transport=self.connection, base_url="https://workpoint.example", event_hooks={"response": [whole]}
        )
        form = {"client_id": "demo", "client_secret": self.password, "scope": "s"}
        asked = Authorized(client, Asker(self.clock.patience()), "/tenant/oauth2/v2.0/token", form)
        return WorkPointPoller(asked, self.queue, page=10)

    def poll(self, cursors: CursorFile | None = None) -> int:
        door = broker(self.inbox, self.clock, "workpoint")
        return asyncio.run(poll_once(self.poller(), door, cursors or CursorFile(self.path / "cursor.json")))

    @property
    def delivered(self) -> list[Any]:
        return [one for body in self.inbox.bodies for one in json.loads(body)]


def test_what_was_told_of_is_fetched_once_as_it_is_now(tmp_path: Path) -> None:
    world = World(tmp_path, {number: columns(number) for number in range(1, 36)})
    for number in range(1, 36):
        world.changed(("EntityAdded", number), ("EntityUpdated", number))
    world.changed(("StageChanged", 3))

    assert world.poll() >= 35
    assert {one["Item"]["ID"] for one in world.delivered} == set(range(1, 36))
    assert {one["BusinessModuleId"] for one in world.delivered} == {MODULE}
    assert world.poll() == 0


def test_an_item_that_is_larger_than_the_broker_takes_is_told_of_and_costs_no_other(tmp_path: Path) -> None:
    world = World(tmp_path, {number: columns(number) for number in range(1, 10)})
    world.simulator.items[5] = {**columns(5), "Body": "x" * (17 << 20)}
    world.changed(*[("EntityUpdated", number) for number in range(1, 10)])

    assert world.poll() == 9
    (told,) = (one for one in world.delivered if "unread" in one)
    assert told == unread(f"{MODULE}/5", larger_than=16)
    assert {one["Item"]["ID"] for one in world.delivered if "Item" in one} == set(range(1, 10)) - {5}
    assert world.poll() == 0
    world.simulator.items[5] = columns(5)
    world.changed(("EntityUpdated", 5))
    assert world.poll() == 1
    assert world.delivered[-1]["Item"]["ID"] == 5


def test_an_item_told_of_many_times_is_read_one_time(tmp_path: Path) -> None:
    world = World(tmp_path, {7: columns(7)})
    world.changed(*[("EntityUpdated", 7)] * 5)

    assert world.poll() == 1
    assert world.simulator.reads == 1


def test_a_deletion_is_believed_when_the_item_is_gone_and_not_when_it_was_put_back(tmp_path: Path) -> None:
    world = World(tmp_path, {8: columns(8)})
    world.changed(("EntityDeleted", 7), ("EntityUpdated", 7), ("EntityDeleted", 8))
    world.poll()

    gone, back = world.delivered
    assert gone == {"BusinessModuleId": MODULE, "ID": 7, "Trigger": "EntityDeleted", "At": START.isoformat()}
    assert back["Item"]["ID"] == 8


def test_an_item_that_is_not_found_and_was_not_told_of_as_deleted_is_passed_over(tmp_path: Path) -> None:
    world = World(tmp_path, {})
    world.changed(("EntityUpdated", 7))

    assert world.poll() == 0
    assert world.queue.first(10) == {}


@pytest.mark.parametrize(
    "signature",
    ["", "sha256=", "sha256=" + "0" * 64, "sha1=" + "0" * 40],
)
def test_a_webhook_without_a_good_signature_is_refused_and_nothing_is_kept(tmp_path: Path, signature: str) -> None:
    world = World(tmp_path, {7: columns(7)})
    body, headers = webhook(("EntityUpdated", 7))

    assert world.tell(body, headers | {"ms-signature": signature}) == 401
    assert world.queue.first(10) == {}


def test_a_signature_is_of_these_bytes_and_no_others(tmp_path: Path) -> None:
    world = World(tmp_path, {})
    body, headers = webhook(("EntityUpdated", 7))

    assert world.tell(body + b" ", headers) == 401
    assert world.tell(*webhook(("EntityUpdated", 7), secret="another")) == 401  # noqa: S106 - of a simulator
    assert world.tell(body, {**headers, "ms-signature": headers["ms-signature"].upper()}) == 200


def test_letters_that_are_no_hexadecimal_are_no_signature() -> None:
    assert not is_signed(b"{}", "sha256=æøå√", [SECRET.encode()])


def test_an_empty_secret_signs_nothing() -> None:
    body, headers = webhook(("EntityUpdated", 7), secret="")

    assert not is_signed(body, headers["ms-signature"], [b""])


@pytest.mark.parametrize(
    "change",
    [("EntityUpdated", 0), ("EntityUpdated", -1), ("EntityUpdated", 1 << 31), ("EntityUpdated", "../../x")],
)
def test_a_webhook_that_names_no_item_is_refused(tmp_path: Path, change: tuple[str, Any]) -> None:
    world = World(tmp_path, {})

    assert world.tell(*webhook(change)) == 400
    assert world.tell(*webhook(("EntityUpdated", 7), module="../secret")) == 400
    assert world.queue.first(10) == {}


def test_a_body_too_large_is_refused_before_it_is_read_to_its_end(tmp_path: Path) -> None:
    world = World(tmp_path, {})
    _, headers = webhook()

    assert world.tell(b" " * (LARGEST + 1), headers) == 413


def test_a_notification_of_other_words_is_read_when_the_configuration_has_them(tmp_path: Path) -> None:
    at = datetime(2024, 3, 18, tzinfo=UTC)
    body = webhook(("EntityUpdated", 7))[0].replace(b"ItemId", b"EntityId")
    told = receiver({"queue": tmp_path, "secrets": [SECRET], "words": {"item": "EntityId"}})

    assert list(told_in(body, Words(), at)) == []
    assert list(told_in(body, told.words, at)) == [Told(MODULE, 7, "EntityUpdated", at.isoformat())]
    assert SECRET not in repr(told)


def test_a_new_address_answers_with_its_echo(tmp_path: Path) -> None:
    told = Receiver(Queue(tmp_path), (b"s",))

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(told.app)
        async with httpx.AsyncClient(transport=transport, base_url="https://hook.example") as client:
            return await client.get("/", params={"echo": "<b>1</b>"})

    answer = asyncio.run(ask())

    assert answer.text == "<b>1</b>"
    assert answer.headers["content-type"].startswith("text/plain")


def test_an_old_token_is_renewed_and_a_busy_server_is_given_the_time_it_asks_for(tmp_path: Path) -> None:
    world = World(tmp_path, {number: columns(number) for number in range(1, 10)}, {"busy": 2, "uses_of_a_token": 4})
    world.changed(*[("EntityUpdated", number) for number in range(1, 10)])
    world.connection.faults = [None, httpx.Response(500)]

    assert world.poll() == 9
    assert world.clock.waits.count(7.0) == 2


def test_a_wrong_secret_ends_the_round_and_is_not_told(tmp_path: Path) -> None:
    world = World(tmp_path, {7: columns(7)}, password="wr0ng")  # noqa: S106 - of a simulator
    world.changed(("EntityUpdated", 7))

    with pytest.raises(NoToken, match=r"^status 400$"):
        world.poll()

    world.password = "secret"  # noqa: S105 - of a simulator
    assert world.poll() == 1


def test_half_an_answer_is_asked_for_again_and_one_of_another_form_ends_the_round(tmp_path: Path) -> None:
    world = World(tmp_path, {7: columns(7)})
    world.changed(("EntityUpdated", 7))
    token = httpx.Response(200, json={"access_token": "t"})
    for answer, said in ((httpx.Response(200, content=b"<html>"), "no JSON"), (httpx.Response(400), "400")):
        world.connection.faults = [token, answer]
        with pytest.raises(WorkPointError, match=said):
            world.poll()

    cut = httpx.Response(200, content=b'{"ID": 7, "Fi', headers={"Content-Type": "application/json"})
    world.connection.faults = [token, cut]

    assert world.poll() == 1
    assert not world.connection.faults


@pytest.mark.parametrize("status", [400, 500])
def test_items_that_are_not_shown_hold_nobody_up_and_are_told_of(tmp_path: Path, status: int) -> None:
    world = World(tmp_path, {number: columns(number) for number in range(1, 36)})
    world.changed(*[("EntityUpdated", number) for number in range(1, 36)])
    world.broken.words, world.broken.status = [f"{MODULE}/{number}" for number in (20, 35)], status
    door, cursors = broker(world.inbox, world.clock, "workpoint"), CursorFile(tmp_path / "cursor.json")

    poller, rounds = world.poller(), 0
    while world.queue.first(1) and rounds < 9:
        rounds += 1
        world.clock.time += 600
        # What fails without a word is counted only in rounds in which another item is shown.
        world.changed(("EntityUpdated", 1))
        with suppress(Unanswered):
            asyncio.run(poll_once(poller, door, cursors))

    told = [one for one in world.delivered if "unread" in one]
    assert told == [unread(f"{MODULE}/{number}") for number in (20, 35)]
    assert {one["Item"]["ID"] for one in world.delivered if "Item" in one} == {*range(1, 35)} - {20}
    assert world.queue.first(1) == {}
    assert isinstance(CONNECTOR.translate(told[0], Source("workpoint", "55133018")), Rejected)


def test_an_item_alone_in_the_queue_that_is_answered_otherwise_is_told_of_too(tmp_path: Path) -> None:
    world = World(tmp_path, {})
    world.changed(("EntityUpdated", 20))
    world.broken.words, world.broken.status = [f"{MODULE}/20"], 400

    ended, count = in_rounds(
        world.poller(), broker(world.inbox, world.clock, "workpoint"), CursorFile(tmp_path / "cursor.json")
    )

    assert (ended, count, world.queue.first(1)) == (2, 1, {})


def test_items_behind_one_that_is_not_shown_come_in_the_next_round(tmp_path: Path) -> None:
    world = World(tmp_path, {number: columns(number) for number in range(1, 36)})
    world.changed(*[("EntityUpdated", number) for number in range(1, 36)])
    world.broken.words, world.broken.status = [f"{MODULE}/20"], 400
    poller, door, cursors = world.poller(), broker(world.inbox, world.clock, "workpoint"), CursorFile(tmp_path / "c")

    async def twice() -> None:
        for _ in range(2):
            with pytest.raises(WorkPointError):
                await poll_once(poller, door, cursors)

    asyncio.run(twice())

    assert len(world.delivered) == 34


def test_while_workpoint_is_away_nothing_is_passed_over(tmp_path: Path) -> None:
    world = World(tmp_path, {number: columns(number) for number in range(1, 4)})
    world.changed(*[("EntityUpdated", number) for number in range(1, 4)])
    world.broken.words = ["workpoint.example"]
    poller, door, cursors = world.poller(), broker(world.inbox, world.clock, "workpoint"), CursorFile(tmp_path / "c")

    async def away_and_back() -> None:
        for _ in range(30):
            with pytest.raises(Unanswered):
                await poll_once(poller, door, cursors)
            world.clock.time += 60
        world.broken.words = []
        world.clock.time += 600
        await poll_once(poller, door, cursors)

    asyncio.run(away_and_back())

    assert [one["Item"]["ID"] for one in world.delivered] == [1, 2, 3]


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_process_killed_before_the_cursor_was_written_fetches_the_same_again(tmp_path: Path, page: int) -> None:
    world = World(tmp_path, {number: columns(number) for number in range(1, 31)})
    world.changed(*[("EntityUpdated", number) for number in range(1, 31)])
    cursors = KilledAt(tmp_path / "cursor.json", page)

    with pytest.raises(KeyboardInterrupt):
        world.poll(cursors)
    world.poll()

    assert {one["Item"]["ID"] for one in world.delivered} == set(range(1, 31))
    assert world.inbox.bodies[page - 1] == world.inbox.bodies[page]
    assert len(world.delivered) == 40


def test_a_broker_out_of_reach_loses_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, {7: columns(7)})
    world.changed(("EntityUpdated", 7))
    world.inbox.answers = [httpx.Response(503)] * 3

    with pytest.raises(Unanswered):
        world.poll()

    assert world.poll() == 1


def test_half_a_file_of_a_process_that_was_killed_is_not_read(tmp_path: Path) -> None:
    world = World(tmp_path, {})
    (tmp_path / "queue" / "0-a.new").write_bytes(b'{"mod')

    assert world.poll() == 0
