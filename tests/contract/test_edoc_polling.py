"""From a simulated eDoc to a simulated broker: nothing changed is missed, whatever goes wrong in between."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker.domain.outcome import Rejected
from broker.intake.connector import Source
from connectors.esdh.edoc import CONNECTOR, client
from connectors.esdh.edoc.client import Access, EdocError, EdocPoller, EdocSaysError
from connectors.esdh.edoc.simulator import USER, Simulator
from connectors.ntlm import Ntlm
from connectors.retry import Asker, TooLong
from connectors.runner import CursorFile, poll_once
from connectors.times import micros
from tests.contract.polling import Broken, Clock, Faulty, GoesOn, Inbox, broker, in_rounds

START = datetime(2024, 3, 18, 9)  # noqa: DTZ001 - its times are local, and say so by saying nothing

DATE = {"Date": "Mon, 18 Mar 2024 09:00:00 GMT"}
NOW = datetime(2024, 12, 1, 12, tzinfo=UTC)


def case(number: int, minutes: float = 0.0) -> dict[str, Any]:
    changed = (START + timedelta(minutes=minutes)).isoformat()
    return {
        "CaseFileIdentifier": str(200_000 + number),
        "TitleText": f"Sag {number}",
        "TimeStamp": changed,
        "CreationDate": changed,
    }


@dataclass
class World:
    """A poller on a simulator, a broker's door, a cursor on disk."""

    path: Path
    cases: list[dict[str, Any]]
    page: int = 10
    largest: int = 1_000_000
    user: str = USER
    passed_over: frozenset[str] = frozenset()
    documents: bool = False
    whole: bool = False
    inbox: Inbox = field(default_factory=Inbox)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.simulator = Simulator(self.cases, largest=self.largest, whole=self.whole, now=lambda: NOW)
        self.broken = Broken(httpx.ASGITransport(self.simulator.app))
        self.connection = Faulty(self.broken)

    def poller(self) -> EdocPoller:
        http = httpx.AsyncClient(
            transport=self.connection,
            base_url="https://edoc.example",
            auth=Ntlm(self.user, "secret"),
            event_hooks={"response": [client.WHOLE]},
        )
        access = Access(
            "/edocdotnetapi/edoc.asmx",
            "www.example/abc",
            self.page,
            passed_over=self.passed_over,
            documents=self.documents,
        )
        return EdocPoller(http, Asker(self.clock.patience()), access)

    def poll(self, cursors: CursorFile | None = None) -> int:
        door = broker(self.inbox, self.clock, "edoc")
        return asyncio.run(poll_once(self.poller(), door, cursors or CursorFile(self.path / "cursor.json")))

    @property
    def payloads(self) -> list[Any]:
        found: list[Any] = []
        for body in self.inbox.bodies:
            cases = CONNECTOR.split(body)
            assert not isinstance(cases, Rejected)
            found += cases
        return found

    @property
    def delivered(self) -> list[str]:
        return [one["TitleText"] for one in self.payloads if "unread" not in one]


class TestEdocGoesOn(GoesOn):
    error = EdocError
    cut = (
        httpx.Response(200, headers=DATE, content=b"<soap:Envelope"),
        httpx.Response(200, headers=DATE, content=b""),
    )
    halves = (
        httpx.Response(200, headers=DATE, content=b"<Envelope><SearchCaseFileResult/></Envelope>"),
        httpx.Response(200, headers=DATE, content=b"<Envelope/>"),
        httpx.Response(200, content=b"<Envelope/>"),
        httpx.Response(404),
    )

    def world(self, path: Path, count: int) -> World:
        return World(path, [case(number, number) for number in range(count)])


@pytest.mark.parametrize("largest", [1_000_000, 12])
def test_everything_is_read_once_and_then_only_what_changes(tmp_path: Path, largest: int) -> None:
    world = World(tmp_path, [case(number, number * 20) for number in range(35)], largest=largest)

    assert world.poll() == 35
    assert world.poll() == 0
    # Neither a new case nor a new document: the operation named after those does not tell of it.
    world.simulator.cases[3] = {**case(3, 10_000), "CreationDate": case(3)["CreationDate"], "TitleText": "Ændret"}
    assert world.poll() == 1
    assert world.delivered[-1] == "Ændret"


def test_more_changes_within_the_overlap_than_a_search_shows_are_all_read(tmp_path: Path) -> None:
    world = World(tmp_path, [case(number, number) for number in range(35)], largest=12)

    assert world.poll() == 35
    world.simulator.cases.append(case(35, 34.5))
    assert world.poll() == 1


def test_documents_come_with_their_case_when_they_are_asked_for(tmp_path: Path) -> None:
    document = {"DocumentIdentifier": "d1", "TitleText": "Ansøgning"}
    more = {"PrimaryCode": "500002", "CaseFileStatusCode": "B"}
    cases = [{**case(1), **more, "Documents": {"Document": [document]}}, {**case(2), **more}]
    journals: list[Any] = []
    for documents in (False, True):
        (tmp_path / str(documents)).mkdir()
        world = World(tmp_path / str(documents), cases, documents=documents)
        world.poll()
        found = CONNECTOR.split(world.inbox.bodies[0])
        assert not isinstance(found, Rejected)
        for payload in found:
            events = CONNECTOR.translate(payload, Source("edoc", "55133018"))
            assert not isinstance(events, Rejected)
            journals.append(events[0].get("journal"))

    changed = micros(case(1)["TimeStamp"])
    assert journals[:2] == [None, None]
    assert [item["title"] for item in journals[2]["items"]] == ["Ansøgning"]
    assert journals[2]["items"][0]["registered_at"] == changed
    assert journals[3] == {"complete": True, "items": []}


def test_cases_come_in_the_order_of_their_changes(tmp_path: Path) -> None:
    world = World(tmp_path, [case(number, -number) for number in range(25)])
    world.poll()

    assert world.delivered == [f"Sag {number}" for number in reversed(range(25))]


def test_a_change_in_the_second_of_the_two_equal_hours_is_not_taken_for_an_old_one(tmp_path: Path) -> None:
    world = World(tmp_path, [{**case(1), "TimeStamp": "2024-10-27T02:59:00"}])
    world.poll()

    world.simulator.cases.append({**case(2), "TimeStamp": "2024-10-27T02:05:00"})

    assert world.poll() == 1


def test_a_time_that_lies_ahead_hides_nothing_that_changes_until_then(tmp_path: Path) -> None:
    world = World(tmp_path, [{**case(1), "TimeStamp": "2099-01-01T00:00:00"}])
    assert world.poll() == 1

    world.simulator.cases.append({**case(2), "TimeStamp": "2024-12-01T12:30:00"})

    assert world.poll() == 1
    assert world.poll() == 0


def test_a_time_that_is_none_is_handed_on_once_and_holds_nobody_up(tmp_path: Path) -> None:
    world = World(tmp_path, [{**case(1), "TimeStamp": "i går"}, case(2)])

    assert world.poll() == 2
    assert world.poll() == 0


def test_an_error_inside_an_answer_of_status_200_ends_the_round_and_its_text_is_not_told(tmp_path: Path) -> None:
    world = World(tmp_path, [case(1), case(2)])
    world.simulator.errors["200002"] = "1001"

    with pytest.raises(EdocSaysError, match=r"^SearchCaseFile says error 1001$"):
        world.poll()

    world.simulator.errors.clear()
    assert world.poll() == 2


def test_a_case_that_is_not_for_us_holds_nobody_up_once_somebody_has_said_so(tmp_path: Path) -> None:
    world = World(tmp_path, [case(1), case(2)], passed_over=frozenset({"1001"}))
    world.simulator.errors["200001"] = "1001"

    assert world.poll() == 1
    assert world.poll() == 0


@pytest.mark.parametrize("status", [500, 400])
def test_cases_that_are_not_shown_hold_nobody_up(tmp_path: Path, status: int) -> None:
    world = World(tmp_path, [case(number, number) for number in range(35)])
    world.broken.words, world.broken.status = (
        [f"{number}&lt;/edoc:CaseFileIdentifier" for number in (200012, 200015)],
        status,
    )

    ended, _ = in_rounds(world.poller(), broker(world.inbox, world.clock, "edoc"), CursorFile(tmp_path / "cursor.json"))

    assert ended == 4
    told = [one for one in world.payloads if "unread" in one]
    assert (len(world.payloads), [one["unread"]["case"] for one in told]) == (35, ["200012", "200015"])
    assert isinstance(CONNECTOR.translate(told[0], Source("edoc", "55133018")), Rejected)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("size", [11, 17])
def test_a_case_that_is_larger_than_can_be_read_is_told_of_and_costs_no_other(
    tmp_path: Path, *, whole: bool, size: int
) -> None:
    world = World(tmp_path, [case(number, number) for number in range(4)], whole=whole)
    world.simulator.cases[2] = {**case(2, 2), "Notes": "x" * (size << 20)}

    poller, door = world.poller(), broker(world.inbox, world.clock, "edoc")
    ended, _ = in_rounds(poller, door, CursorFile(tmp_path / "cursor.json"))

    assert ended == 2
    assert [one.get("TitleText") for one in world.payloads] == ["Sag 0", "Sag 1", None, "Sag 3"]
    told = world.payloads[2]
    assert told["unread"]["case"] == "200002"
    refused = CONNECTOR.translate(told, Source("edoc", "55133018"))
    assert isinstance(refused, Rejected)
    assert refused.detail.startswith(f"the source shows the case in more than {min(size, 16)} MiB")
    world.simulator.cases[2] = case(2, 1000) | {"TitleText": "Ændret"}
    assert world.poll() == 1
    assert world.delivered[-1] == "Ændret"


def test_many_large_cases_go_in_pages_that_the_broker_can_read(tmp_path: Path) -> None:
    cases = [{**case(number, number), "Notes": "x" * (4 << 20)} for number in range(9)]
    cases[3] |= {"Notes": "x" * (8 << 20), "Documents": {"Document": [{"TitleText": "x" * (9 << 20)}]}}
    world = World(tmp_path, cases, documents=True)

    assert world.poll() == 9
    assert len(world.inbox.bodies) > 2
    assert [one["unread"]["case"] for one in world.payloads if "unread" in one] == ["200003"]
    assert [one.get("TitleText", "unread") for one in world.payloads] == [
        *(f"Sag {number}" for number in range(3)),
        "unread",
        *(f"Sag {number}" for number in range(4, 9)),
    ]


def test_a_search_that_shows_more_than_can_be_read_says_so_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, [case(number, number) for number in range(3)])
    with monkeypatch.context() as within:
        within.setattr(client, "_MOST", 10)
        with pytest.raises(TooLong):
            world.poll()

    assert world.poll() == 3


def test_documents_that_are_not_shown_keep_no_case_back(tmp_path: Path) -> None:
    world = World(tmp_path, [{**case(number), "Documents": {"Document": []}} for number in range(3)], documents=True)
    world.broken.words = ["200001&lt;/edoc:CaseFileIdentifier&gt;&lt;/edoc:SearchCriterias&gt;&lt;/Root"]

    in_rounds(world.poller(), broker(world.inbox, world.clock, "edoc"), CursorFile(tmp_path / "cursor.json"))

    assert [(one["TitleText"], "Documents" in one) for one in world.payloads] == [
        ("Sag 0", True),
        ("Sag 1", False),
        ("Sag 2", True),
    ]


def test_an_error_that_nobody_has_decided_on_is_not_passed_over_however_often_it_comes(tmp_path: Path) -> None:
    world = World(tmp_path, [case(1), case(2)])
    world.simulator.errors["200002"] = "1001"

    with pytest.raises(AssertionError, match="no round comes to its end"):
        in_rounds(world.poller(), broker(world.inbox, world.clock, "edoc"), CursorFile(tmp_path / "cursor.json"))


def test_a_page_larger_than_the_broker_takes_goes_in_parts(tmp_path: Path) -> None:
    world = World(tmp_path, [case(number, number) for number in range(10)])
    world.inbox.answers = [httpx.Response(413), httpx.Response(413)]

    assert world.poll() == 10
    assert [len(CONNECTOR.split(body)) for body in world.inbox.bodies] == [2, 3, 5]  # type: ignore[arg-type]
    assert world.delivered == [f"Sag {number}" for number in range(10)]


def test_a_code_that_is_none_is_not_repeated() -> None:
    assert str(EdocSaysError("SearchCaseFile", "010145-5001")) == "SearchCaseFile says error unknown"


def test_a_case_found_without_a_time_is_no_reason_to_go_on(tmp_path: Path) -> None:
    world = World(tmp_path, [case(1)])
    found = "&lt;Root&gt;&lt;CaseFileSearchResult/&gt;&lt;/Root&gt;"
    operation = "SearchNewCaseFilesAndCaseFilesWithNewDocuments"
    answer = f"<Envelope><{operation}Result>{found}</{operation}Result></Envelope>"
    world.connection.faults = [httpx.Response(200, headers=DATE, content=answer.encode())]

    with pytest.raises(EdocError, match=r"no TimeStamp"):
        world.poll()


def test_a_stranger_is_not_let_in(tmp_path: Path) -> None:
    with pytest.raises(EdocError, match=r"answered 401$"):
        World(tmp_path, [case(1)], user="somebody").poll()
