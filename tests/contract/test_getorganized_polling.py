"""From a simulated GetOrganized to a simulated broker: nothing changed is missed, whatever goes wrong in between."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from broker.domain.outcome import Rejected
from broker.intake.connector import Source
from connectors.esdh.getorganized import CONNECTOR
from connectors.esdh.getorganized.client import Access, GetOrganizedError, GetOrganizedPoller
from connectors.esdh.getorganized.simulator import USER, Simulator
from connectors.esdh.getorganized.translate import attributes
from connectors.ntlm import Ntlm
from connectors.retry import Asker, whole
from connectors.runner import Cursor, CursorFile, poll_once
from connectors.times import COPENHAGEN
from connectors.unread import unread
from tests.contract.polling import Broken, Clock, Faulty, GoesOn, Inbox, broker, in_rounds

START = datetime(2024, 3, 18, 9, tzinfo=UTC)
JSON = {"Content-Type": "application/json"}


def local(moment: datetime) -> str:
    return f"{moment.astimezone(COPENHAGEN):%Y-%m-%d %H:%M:%S}"


def case(number: int, minutes: float = 0.0, kind: str = "EMN") -> dict[str, str]:
    return {
        "ows_CaseID": f"{kind}-2024-{number:06}",
        "ows_Title": f"Sag {number}",
        "ows_LastModifiedDate": local(START + timedelta(minutes=minutes)),
    }


@dataclass
class World:
    """A poller on a simulator, a broker's door, a cursor on disk."""

    path: Path
    cases: list[dict[str, str]]
    page: int = 10
    plain: bool = False
    filters: tuple[str, ...] = ("*",)
    user: str = USER
    inbox: Inbox = field(default_factory=Inbox)
    clock: Clock = field(default_factory=Clock)
    now: datetime = START + timedelta(days=1)

    def __post_init__(self) -> None:
        self.simulator = Simulator(self.cases, plain=self.plain, now=lambda: self.now)
        self.broken = Broken(httpx.ASGITransport(self.simulator.app))
        self.connection = Faulty(self.broken)

    def poller(self) -> GetOrganizedPoller:
        client = httpx.AsyncClient(
            transport=self.connection,
            base_url="https://go.example",
            auth=Ntlm(self.user, "secret"),
            event_hooks={"response": [whole]},
        )
        return GetOrganizedPoller(client, Asker(self.clock.patience()), Access(self.filters, self.page))

    def poll(self, cursors: CursorFile | None = None) -> int:
        door = broker(self.inbox, self.clock, "getorganized")
        return asyncio.run(poll_once(self.poller(), door, cursors or CursorFile(self.path / "cursor.json")))

    @property
    def delivered(self) -> list[str]:
        rows = (attributes(one.get("Metadata")) for one in self.inbox.payloads)
        return [row["ows_Title"] for row in rows if row is not None]


class TestGetOrganizedGoesOn(GoesOn):
    error = GetOrganizedError
    cut = (
        httpx.Response(200, content=b'{"ResultsXml":"<Cases><ServiceStatus Status=\\"Succ', headers=JSON),
        httpx.Response(200, content=b'{"Metadata":"<z:r', headers=JSON),
    )
    halves = (
        httpx.Response(200, json={"ResultsXml": "<Cases><ServiceStatus"}),
        httpx.Response(200, json={"Message": "no"}),
        httpx.Response(200, json=[]),
        httpx.Response(404),
    )

    def world(self, path: Path, count: int) -> World:
        return World(path, [case(number) for number in range(count)])


@pytest.mark.parametrize("plain", [False, True])
def test_everything_is_read_once_and_then_only_what_changes(tmp_path: Path, plain: bool) -> None:  # noqa: FBT001
    world = World(tmp_path, [case(number, number) for number in range(35)], plain=plain)

    assert world.poll() == 35
    assert world.poll() == 0
    world.now += timedelta(hours=3)
    world.simulator.cases[3] = {**case(3), "ows_LastModifiedDate": local(world.now), "ows_Title": "Ændret"}
    assert world.poll() == 1
    assert world.poll() == 0
    assert sorted(set(world.delivered)) == sorted({*(f"Sag {number}" for number in range(35)), "Ændret"})


@pytest.mark.parametrize(("letters", "larger"), [(17 << 20, 16), (11 << 20, 11)])
def test_a_case_that_is_larger_than_can_be_read_is_told_of_by_its_number_and_costs_no_other(
    tmp_path: Path, letters: int, larger: int
) -> None:
    world = World(tmp_path, [case(number) for number in range(12)])
    world.simulator.cases[5] = {**case(5), "ows_Body": "x" * letters}

    door, cursors = broker(world.inbox, world.clock, "getorganized"), CursorFile(tmp_path / "cursor.json")
    assert in_rounds(world.poller(), door, cursors)[0] == 2
    assert len(world.delivered) == 11
    (told,) = (one for one in world.inbox.payloads if "unread" in one)
    assert told == unread(case(5)["ows_CaseID"], larger_than=larger)
    world.now += timedelta(hours=3)
    world.simulator.cases[5] = {**case(5), "ows_LastModifiedDate": local(world.now), "ows_Title": "Ændret"}
    assert world.poll() == 1
    assert world.delivered[-1] == "Ændret"


def test_a_case_that_changes_behind_the_walk_is_in_the_next_one(tmp_path: Path) -> None:
    world = World(tmp_path, [case(number) for number in range(30)])

    async def walk() -> Cursor:
        pages = 0
        async for page in world.poller().changes({}):
            pages += 1
            if pages == 2:
                world.simulator.cases[0] = {**case(0), "ows_LastModifiedDate": local(world.now), "ows_Title": "Ændret"}
                world.now += timedelta(hours=9)
            last = page.cursor
        return last

    cursors = CursorFile(tmp_path / "cursor.json")
    cursors.write(asyncio.run(walk()))

    assert world.poll() == 1
    assert world.delivered == ["Ændret"]


@pytest.mark.parametrize(
    "gone", [[3], [0, 9], [9], range(5), range(10), range(9, 12), range(1, 10)], ids=lambda gone: str(list(gone))
)
@pytest.mark.parametrize("after", [1, 2])
def test_cases_deleted_while_the_walk_is_at_its_work_hide_no_others(
    tmp_path: Path, gone: Sequence[int], after: int
) -> None:
    world = World(tmp_path, [case(number) for number in range(35)])
    numbers = {case(number)["ows_CaseID"] for number in gone}

    async def walk() -> None:
        pages = 0
        async for page in world.poller().changes({}):
            pages += 1
            world.inbox.bodies.append(page.body)
            if pages == after:
                world.simulator.cases = [one for one in world.simulator.cases if one["ows_CaseID"] not in numbers]

    asyncio.run(walk())

    assert set(world.delivered) >= {f"Sag {number}" for number in range(35) if number not in gone}
    assert len(world.delivered) <= 45


def test_a_walk_that_was_begun_before_places_were_kept_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path, [case(number) for number in range(35)])
    CursorFile(tmp_path / "cursor.json").write({"at": 0, "seen": {}, "started": 1, "filter": 0, "index": 10})

    assert world.poll() == 25


@pytest.mark.parametrize("plain", [False, True])
def test_letters_that_no_xml_can_hold_are_handed_on_and_refused_by_the_case(tmp_path: Path, plain: bool) -> None:  # noqa: FBT001
    world = World(tmp_path, [case(number) for number in range(35)], plain=plain)
    world.simulator.spoiled.add("EMN-2024-000012")

    assert world.poll() == 35
    assert world.poll() == 0
    (payload,) = [one for one in CONNECTOR.split(world.inbox.bodies[1]) if not isinstance(one["Metadata"], dict)]  # type: ignore[index, union-attr]
    refused = CONNECTOR.translate(payload, Source("getorganized", "55133018"))
    assert isinstance(refused, Rejected)
    assert refused.pointer == "/Metadata"


@pytest.mark.parametrize("plain", [False, True])
def test_cases_that_are_not_shown_hold_nobody_up(tmp_path: Path, plain: bool) -> None:  # noqa: FBT001
    world = World(tmp_path, [case(number) for number in range(35)], plain=plain)
    bad = ["EMN-2024-000012", "EMN-2024-000015"]
    world.broken.words = bad

    ended, count = in_rounds(
        world.poller(), broker(world.inbox, world.clock, "getorganized"), CursorFile(tmp_path / "cursor.json")
    )

    assert (ended, count) == (4, 25)
    assert len(world.delivered) == 33
    told = [one for one in world.inbox.payloads if "unread" in one]
    assert told == [unread(number) for number in bad]
    assert isinstance(CONNECTOR.translate(told[0], Source("getorganized", "55133018")), Rejected)


def test_a_change_in_the_second_of_the_two_equal_hours_is_not_taken_for_an_old_one(tmp_path: Path) -> None:
    world = World(tmp_path, [case(1)], now=datetime(2024, 10, 27, 1, 5, tzinfo=UTC))  # 02:05, the second time
    world.poll()

    world.simulator.cases[0] = {**case(1), "ows_LastModifiedDate": "2024-10-27 02:10:00"}

    assert world.poll() == 1


@pytest.mark.parametrize("plain", [False, True])
def test_a_time_that_is_none_is_handed_on_once_and_holds_nobody_up(tmp_path: Path, plain: bool) -> None:  # noqa: FBT001
    cases = [{**case(1), "ows_LastModifiedDate": "i går"}, {**case(2), "ows_LastModifiedDate": ""}, case(3)]
    world = World(tmp_path, cases, plain=plain)

    assert world.poll() == 3
    assert world.poll() == 0


def test_a_case_that_is_not_for_us_holds_nobody_up(tmp_path: Path) -> None:
    world = World(tmp_path, [case(1), case(2)])
    world.simulator.forbidden.add("EMN-2024-000001")

    assert world.poll() == 1
    assert world.delivered == ["Sag 2"]


def test_a_walk_goes_through_each_kind_of_case_and_passes_the_citizens_folders(tmp_path: Path) -> None:
    folder = {**case(1, kind="BOR"), "ows_CaseCategory": "Borgermappe", "ows_Title": "0101455001 - Alma Testborg"}
    cases = [case(1), case(2, kind="GEO"), case(3, kind="PER"), folder]
    world = World(tmp_path, cases, filters=("EMN-*", "GEO-*", "BOR-*"))

    assert world.poll() == 2
    assert world.delivered == ["Sag 1", "Sag 2"]


def test_a_failure_told_inside_an_answer_of_status_200_is_no_empty_list(tmp_path: Path) -> None:
    world = World(tmp_path, [case(1)])
    world.simulator.failing = 1

    with pytest.raises(GetOrganizedError, match=r"^FindCases says that it has failed$"):
        world.poll()

    assert world.poll() == 1


def test_a_page_that_comes_twice_doubles_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, [case(number, 60 * 24) for number in range(5)] * 2, page=10)

    assert world.poll() == 5


def test_a_stranger_is_not_let_in_and_the_password_is_not_told(tmp_path: Path) -> None:
    world = World(tmp_path, [case(1)], user="somebody")

    with pytest.raises(GetOrganizedError, match=r"^FindCases answered 401$"):
        world.poll()

    assert "secret" not in repr(Ntlm("somebody", "secret"))


def test_a_category_says_nothing_of_sensitivity_until_somebody_says_what_it_means() -> None:
    row = {
        **case(1),
        "ows_CaseStatus": "Åben",
        "ows_KLENummer": "1;#27.36.04",
        "ows_Modtaget": "2024-03-18 00:00:00",
        "ows_CaseCategory": "Åben for alle",
    }
    translated = CONNECTOR.translate({"Metadata": row}, Source("getorganized", "55133018"))

    assert not isinstance(translated, Rejected)
    (event,) = translated
    assert "case_id" in event
    assert event["access"] == {"sensitivity": None, "hidden_from_citizen": False}
