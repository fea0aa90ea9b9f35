"""From a simulated Acadre to a simulated broker: nothing changed is missed, whatever goes wrong in between."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker.domain.case import CaseEvent
from broker.domain.outcome import Rejected
from broker.intake.connector import Source
from connectors.esdh.acadre import CONNECTOR
from connectors.esdh.acadre.client import AcadreError, AcadrePoller, Access
from connectors.esdh.acadre.simulator import Simulator
from connectors.esdh.acadre.translate import translate
from connectors.ntlm import Ntlm
from connectors.retry import Asker, Unanswered, whole, whole_xml
from connectors.runner import poll_once
from connectors.unread import unread
from tests.contract.polling import START, SurvivesEverything, World, in_rounds

GUID = "0B9F6A58-3F0E-4D57-8F35-5FB8A0F3C001"
CONTACT = {
    "@type": "PersonType3",
    "GUID": GUID,
    "PersonCivilRegistrationIdentifier": "010145-5001",
    "PersonNameForAddressingName": "Alma Testborg",
}


def case_file(number: int, title: str) -> dict[str, Any]:
    return {
        "CaseFileIdentifier": str(number),
        "CreationDate": "2024-03-18",
        "CaseFileTitleText": title,
        "TitleUnofficialIndicator": "false",
        "CaseFileNumberIdentifier": f"24/{number}",
        "CaseFileLatestUpdateDate": "2024-03-18",
        "CaseFileStatusCode": "B",
        "CaseFileTypeCode": "BGSAG",
        "AccessCode": "BO",
        "Classification": {
            "Category": [
                {"Principle": "KL Koder", "Literal": "27.36.04"},
                {"Principle": "Facetter", "Literal": "G01"},
            ]
        },
        "Party": [{"ContactReference": GUID, "CreationDate": "2024-03-18", "IsPrimary": "true"}],
    }


class Refusing(httpx.ASGITransport):
    """Some operations on some keys are always answered with that status."""

    def __init__(self, app: Any, broken: list[tuple[str, str]], status: int, fault: bytes) -> None:
        super().__init__(app)
        self.broken = broken
        self.status = status
        self.fault = fault

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        operation, body = request.headers.get("soapaction", ""), (await request.aread()).decode()
        if any(name in operation and f">{key}<" in body for name, key in self.broken):
            return httpx.Response(self.status, content=self.fault)
        return await super().handle_async_request(request)


@dataclass
class AcadreWorld(World):
    page: int = 10
    shape: str = "pws"
    user: str = "TEST\\svc"
    simulator: Simulator = field(default_factory=lambda: Simulator([], [CONTACT]))
    broken: list[tuple[str, str]] = field(default_factory=list)
    status: int = 500
    fault: bytes = b""

    def poller(self) -> AcadrePoller:
        transport = Refusing(self.simulator.app, self.broken, self.status, self.fault)
        address = "https://acadre.example"
        rest = httpx.AsyncClient(transport=transport, base_url=address, event_hooks={"response": [whole]})
        soap = httpx.AsyncClient(
            transport=transport,
            base_url=address,
            auth=Ntlm(self.user, "s3cret"),
            event_hooks={"response": [whole_xml]},
        )
        access = Access(self.user, "s3cret", "abc01", page=self.page, now=lambda: self.now)
        if self.shape == "pwi":
            access = Access(self.user, "s3cret", pws_path=None, page=self.page, now=lambda: self.now)
        return AcadrePoller(rest, soap, Asker(self.clock.patience()), access)

    def put(self, number: int, minutes: float, title: str) -> None:
        others = [case for case in self.simulator.cases if case["Id"] != number]
        row = {
            "Id": number,
            "Title": title,
            "Year": 2024,
            "SequenceNumber": number,
            "Status": {"Literal": "B", "IsClosed": False},
            "AccessCode": "BO",
            "CaseDate": START.isoformat(),
            "LastChangedDate": (START + timedelta(minutes=minutes)).isoformat(),
            "Classification": {"Category": [{"Principle": "KL Koder", "Literal": "27.36.04"}]},
            "CaseFile": case_file(number, title),
        }
        self.simulator.cases = [*others, row]

    @property
    def delivered(self) -> list[tuple[int, str]]:
        return [
            (int(case["Id"]), case["Title"])
            if "Id" in case
            else (int(case["CaseFile"]["CaseFileIdentifier"]), case["CaseFile"]["CaseFileTitleText"])
            for case in self.inbox.payloads
            if "unread" not in case
        ]

    @property
    def failures(self) -> list[int | str]:
        return self.simulator.failures


class TestAcadreReadBySoap(SurvivesEverything):
    most = 10

    def world(self, path: Path, *, repeats: int = 0, uses: int = 1_000_000, **_: Any) -> AcadreWorld:
        return AcadreWorld(path, simulator=Simulator([], [CONTACT], repeats=repeats, uses_of_a_cookie=uses))


class TestAcadreReadByRest(SurvivesEverything):
    most = 10

    def world(self, path: Path, *, repeats: int = 0, uses: int = 1_000_000, **_: Any) -> AcadreWorld:
        return AcadreWorld(path, shape="pwi", simulator=Simulator([], repeats=repeats, uses_of_a_cookie=uses))


@pytest.mark.parametrize(("shape", "parties"), [("pws", 1), ("pwi", 0)])
def test_what_is_pushed_is_what_the_connector_translates(tmp_path: Path, shape: str, parties: int) -> None:
    world = AcadreWorld(tmp_path, shape=shape)
    world.put_all(range(1, 4))
    world.poll()

    events = [event_of(case) for case in world.inbox.payloads]

    assert [len((event.get("parties") or {"items": []})["items"]) for event in events] == [parties] * 3
    # Whichever service showed it: the same case, as of the same moment.
    as_soap_shows = [event_of(both_ways(number)) for number in (1, 2, 3)]
    assert {key(event) for event in events} == {key(event) for event in as_soap_shows}


def event_of(payload: object) -> CaseEvent:
    result = translate(payload, Source("acadre", "55133018"))
    assert not isinstance(result, Rejected)
    return result[0]


def key(event: CaseEvent) -> tuple[str, int]:
    return event["case_id"], event["registered_at"]


def both_ways(number: int) -> dict[str, Any]:
    return {
        "CaseFile": case_file(number, "") | {"Party": []},
        "LastChangedDate": (START + timedelta(minutes=number)).isoformat(),
    }


def test_documents_and_notes_come_with_their_case_and_their_levels(tmp_path: Path) -> None:
    world = AcadreWorld(tmp_path)
    world.put_all(range(1, 3))
    record = {"RegistrationDate": "2024-03-18", "AccessCode": "KK"}
    memo = {"MemoIdentifier": "7", "MemoTitleText": "Samtale", "MemoEventDate": "2024-03-18", "AccessCode": "BO"}
    world.simulator.cases[0] |= {
        "DocumentOutput": [
            {"Document": {"DocumentIdentifier": str(number), "DocumentTitleText": "Brev"}, "Record": record}
            for number in (7, 8)
        ],
        "Memo": [memo],
    }

    world.poll()

    events: list[Any] = [event_of(case) for case in world.inbox.payloads]
    journals = {event["properties"]["user_key"]: event["journal"] for event in events}
    assert journals["24/2"] == {"complete": True, "items": []}
    assert journals["24/1"]["complete"]
    assert [(item["kind"], item["title"], item["sensitivity"]) for item in journals["24/1"]["items"]] == [
        ("DOCUMENT", "Brev", "FORTROLIGE_PERSONOPLYSNINGER"),
        ("DOCUMENT", "Brev", "FORTROLIGE_PERSONOPLYSNINGER"),
        ("NOTE", "Samtale", "FOELSOMME_PERSONOPLYSNINGER"),
    ]


@pytest.mark.parametrize("status", [500, 400])
@pytest.mark.parametrize(
    ("operation", "missing"), [("GetCase", "all"), ("GetAllDocuments", "DocumentOutput"), ("GetAllMemo", "Memo")]
)
def test_what_is_not_shown_holds_nobody_up(tmp_path: Path, operation: str, missing: str, status: int) -> None:
    world = AcadreWorld(tmp_path)
    world.put_all(range(35))
    world.broken = [(operation, "12"), (operation, "15")]
    world.status = status

    ended, _ = in_rounds(world.poller(), world.broker(), world.cursors)

    assert len(world.inbox.payloads) == 35
    assert ended <= 6
    if missing == "all":
        told = [one for one in world.inbox.payloads if "unread" in one]
        assert sorted(told, key=str) == [unread("12"), unread("15")]
        assert isinstance(CONNECTOR.translate(told[0], Source("acadre", "55133018")), Rejected)
    else:
        without = {one["CaseFile"]["CaseFileIdentifier"] for one in world.inbox.payloads if missing not in one}
        assert without == {"12", "15"}
    assert world.poll() == 0


def test_while_soap_alone_is_away_nothing_is_passed_over(tmp_path: Path) -> None:
    world = AcadreWorld(tmp_path)
    world.put_all(range(9))
    world.broken = [("GetCase", str(number)) for number in range(9)]
    poller = world.poller()
    for _ in range(30):
        with pytest.raises(Unanswered):
            asyncio.run(poll_once(poller, world.broker(), world.cursors))
        world.clock.time += 600
    world.broken.clear()

    assert asyncio.run(poll_once(poller, world.broker(), world.cursors)) == 9
    assert not any("unread" in one for one in world.inbox.payloads)


@pytest.mark.parametrize("numbers", [[1], [1, 2]])
def test_a_fault_is_an_answer_and_is_counted_also_where_no_other_case_is_there(
    tmp_path: Path, numbers: list[int]
) -> None:
    world = AcadreWorld(tmp_path)
    world.put_all(numbers)
    world.broken = [("GetCase", str(number)) for number in numbers]
    world.fault = b"<e:Envelope xmlns:e='u'><e:Body><e:Fault>System_NullReference</e:Fault></e:Body></e:Envelope>"

    in_rounds(world.poller(), world.broker(), world.cursors, world.clock)

    assert sorted(one["unread"]["case"] for one in world.inbox.payloads) == list(map(str, numbers))


def test_a_contact_that_is_not_shown_is_told_of_by_the_broker(tmp_path: Path) -> None:
    world = AcadreWorld(tmp_path)
    world.put_all(range(3))
    world.broken = [("GetContact", GUID)]

    in_rounds(world.poller(), world.broker(), world.cursors)

    assert len(world.inbox.payloads) == 3
    for payload in world.inbox.payloads:
        rejected = CONNECTOR.translate(payload, Source("acadre", "55133018"))
        assert getattr(rejected, "pointer", "") == "/CaseFile/Party/0/ContactReference"


def test_a_contact_is_asked_for_once_a_page(tmp_path: Path) -> None:
    world = AcadreWorld(tmp_path)
    world.put_all(range(9))
    asked: list[str] = []
    contacts = world.simulator.contacts

    class Counting(dict[str, Any]):
        def get(self, key: str, default: Any = None) -> Any:
            asked.append(key)
            return super().get(key, default)

    world.simulator.contacts = Counting(contacts)
    world.poll()

    assert asked == [GUID]


def test_a_case_deleted_between_the_list_and_reading_is_passed_over(tmp_path: Path) -> None:
    world = AcadreWorld(tmp_path)
    world.put_all(range(3))
    world.simulator.cases[1]["CaseFile"] = None

    assert world.poll() == 2
    assert world.poll() == 0
    assert world.clock.waits.count(0.5) == 0


def test_a_contact_that_is_gone_is_told_of_by_the_broker(tmp_path: Path) -> None:
    world = AcadreWorld(tmp_path, simulator=Simulator([]))
    world.put(1, 1, "Sag 1")
    world.poll()

    (payload,) = world.inbox.payloads
    rejected = translate(payload, Source("acadre", "55133018"))

    assert getattr(rejected, "pointer", "") == "/CaseFile/Party/0/ContactReference"


def test_soap_is_asked_on_behalf_of_a_user(tmp_path: Path) -> None:
    world = AcadreWorld(tmp_path)
    world.put(1, 1, "Sag 1")
    world.poll()

    assert world.simulator.acted_for == {"abc01"}


def test_a_fault_of_another_kind_is_asked_again(tmp_path: Path) -> None:
    world = AcadreWorld(tmp_path)
    world.put(1, 1, "Sag 1")
    fault = b"<e:Envelope xmlns:e='u'><e:Body><e:Fault>System_TimeoutException</e:Fault></e:Body></e:Envelope>"

    asked = 0

    async def faulty(request: httpx.Request) -> httpx.Response:  # noqa: ARG001 - whatever is asked
        nonlocal asked
        asked += 1
        return httpx.Response(500, content=fault)

    before = world.poller()
    broken = AcadrePoller(
        before.rest,
        httpx.AsyncClient(transport=httpx.MockTransport(faulty), base_url="https://acadre.example"),
        before.asker,
        before.access,
    )

    async def poll() -> None:
        async for _ in broken.changes({}):
            pass

    with pytest.raises(AcadreError, match=r"^GetCase answered with a fault$"):
        asyncio.run(poll())
    assert asked == 8


@pytest.mark.parametrize(
    "address", ["https://elsewhere.example/login", "http://acadre.example/login", "//x", "http://[", "\0"]
)
def test_nobody_else_is_shown_the_password(tmp_path: Path, address: str) -> None:
    world = AcadreWorld(tmp_path)
    asked: list[str] = []

    async def misled(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(200, text=address)

    before = world.poller()
    misled_poller = AcadrePoller(
        httpx.AsyncClient(transport=httpx.MockTransport(misled), base_url="https://acadre.example"),
        before.soap,
        before.asker,
        before.access,
    )

    async def poll() -> None:
        async for _ in misled_poller.changes({}):
            pass

    with pytest.raises(AcadreError):
        asyncio.run(poll())
    assert asked == ["acadre.example"]


@pytest.mark.parametrize("shape", ["pws", "pwi"])
def test_a_wrong_user_ends_the_round_and_the_password_is_not_told(tmp_path: Path, shape: str) -> None:
    world = AcadreWorld(tmp_path, shape=shape, user="TEST\\nobody")

    with pytest.raises(AcadreError, match=r"^no login, status 401$") as caught:
        world.poll()

    assert "s3cret" not in repr(caught.value)
    assert "s3cret" not in repr(world.poller())


def test_a_list_of_something_else_ends_the_round_and_quotes_nothing(tmp_path: Path) -> None:
    world = AcadreWorld(tmp_path)
    world.put(1, 1, "010145-5001")

    async def other(request: httpx.Request) -> httpx.Response:
        if "GetLoginUrl" in str(request.url):
            return httpx.Response(200, text="https://acadre.example/in")
        cookie = {"Set-Cookie": ".acadre_st=1; Path=/"}
        return httpx.Response(200, content=json.dumps([{"Title": "010145-5001"}]), headers=cookie)

    before = world.poller()
    misled_poller = AcadrePoller(
        httpx.AsyncClient(transport=httpx.MockTransport(other), base_url="https://acadre.example"),
        before.soap,
        before.asker,
        before.access,
    )

    async def poll() -> None:
        async for _ in misled_poller.changes({}):
            pass

    with pytest.raises(AcadreError) as caught:
        asyncio.run(poll())
    assert "010145" not in repr(caught.value)
