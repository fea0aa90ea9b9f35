"""From a simulated Nova to a simulated broker: nothing changed is missed, whatever goes wrong in between."""

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.esdh.nova.client import NovaError, NovaPoller
from connectors.esdh.nova.simulator import Simulator
from connectors.esdh.nova.translate import split
from connectors.oauth import Authorized, NoToken
from connectors.retry import Asker, whole
from tests.contract.polling import START, Broken, SurvivesEverything, World, in_rounds

TOKEN = "realms/NovaIntegration/protocol/openid-connect/token"  # noqa: S105 - an address
SECRET = {"client_id": "demo", "client_secret": "s3cret", "scope": "client"}


@dataclass
class NovaWorld(World):
    rows: int = 10
    simulator: Simulator = field(default_factory=lambda: Simulator([]))
    transport: httpx.AsyncBaseTransport | None = None

    def poller(self) -> NovaPoller:
        client = httpx.AsyncClient(
            transport=self.transport or httpx.ASGITransport(self.simulator.app),
            base_url="https://nova.example",
            event_hooks={"response": [whole]},
        )
        authorized = Authorized(client, Asker(self.clock.patience()), TOKEN, SECRET)
        return NovaPoller(authorized, self.rows, lambda: self.now)

    def put(self, number: int, minutes: float, title: str) -> None:
        uuid = f"00000000-0000-4000-8000-{number:012}"
        others = [case for case in self.simulator.cases if case["common"]["uuid"] != uuid]
        attributes = {
            "title": title,
            "userFriendlyCaseNumber": f"S2024-{number}",
            "caseDate": START.isoformat(),
            "updateDate": (START + timedelta(minutes=minutes)).isoformat(),
            "description": "never asked for",
        }
        self.simulator.cases = [*others, {"common": {"uuid": uuid}, "caseAttributes": attributes, "caseParties": []}]

    @property
    def delivered(self) -> list[tuple[int, str]]:
        shown = [case for case in self.inbox.payloads if "unread" not in case]
        return [(int(case["common"]["uuid"][-12:]), case["caseAttributes"]["title"]) for case in shown]

    @property
    def failures(self) -> list[int | str]:
        return self.simulator.failures


class TestNova(SurvivesEverything):
    most = 10

    def world(self, path: Path, *, repeats: int = 0, uses: int = 1_000_000, **_: Any) -> NovaWorld:
        return NovaWorld(path, simulator=Simulator([], repeats=repeats, uses_of_a_token=uses))


def test_a_list_whose_pages_only_repeat_themselves_ends_the_round(tmp_path: Path) -> None:
    world = NovaWorld(tmp_path, simulator=Simulator([], repeats=1_000))
    world.put_all(range(30), minutes=0)

    with pytest.raises(Exception, match=r"^10 readings of one period differ$"):
        world.poll()

    assert world.cursors.read() == {}


def test_the_texts_of_notes_are_never_asked_for(tmp_path: Path) -> None:
    world = NovaWorld(tmp_path)
    world.poll()

    (asked,) = world.simulator.asked
    assert asked["caseGetOutput"]["journalNotes"] == {
        "uuid": True,
        "journalNoteAttributes": {"title": True, "journalNoteDate": True},
    }


def test_a_cases_documents_come_with_it_each_with_its_level(tmp_path: Path) -> None:
    world = NovaWorld(tmp_path)
    world.put_all(range(3))
    letter = {"documentNumber": "D-1", "title": "Ansøgning", "sensitivity": "Følsomme", "documentDate": "2024-03-18"}
    for number in (1, 2):
        world.simulator.cases[number]["documents"] = [{"documentUuid": "d", **letter, "description": "for nobody"}]
    world.simulator.forbidden.add("00000000-0000-4000-8000-000000000002")

    world.poll()

    cases = {number: case for (number, _), case in zip(world.delivered, world.inbox.payloads, strict=True)}
    assert (cases[0]["documents"], cases[1]["documents"]) == ([], [{"documentUuid": "d", **letter}])
    # Nothing said is not the same as none.
    assert "documents" not in cases[2]
    assert "numberOfDocuments" not in cases[2]


@pytest.mark.parametrize("status", [500, 400])
def test_documents_that_are_not_shown_keep_no_case_back(tmp_path: Path, status: int) -> None:
    world = NovaWorld(tmp_path)
    world.put_all(range(35))
    for one in world.simulator.cases:
        one["documents"] = [{"documentUuid": "d"}]
    words = [f'"caseUuid":"00000000-0000-4000-8000-{number:012}"' for number in (12, 15)]
    world.transport = Broken(httpx.ASGITransport(world.simulator.app), *words, status=status)

    ended, _ = in_rounds(world.poller(), world.broker(), world.cursors)

    assert ended == 4
    without = {int(case["common"]["uuid"][-12:]) for case in world.inbox.payloads if "documents" not in case}
    assert (len(world.delivered), without) == (35, {12, 15})
    assert world.poll() == 0


def test_a_nova_that_lists_no_documents_is_asked_all_the_same(tmp_path: Path) -> None:
    world = NovaWorld(tmp_path)
    world.put(1, 1, "Sag 1")
    world.simulator.cases[0]["documents"] = [{"documentUuid": "d"}]
    world.simulator.app.router.routes.pop()

    assert world.poll() == 1
    assert "documents" not in world.inbox.payloads[0]


def test_what_is_pushed_is_what_the_connector_splits(tmp_path: Path) -> None:
    world = NovaWorld(tmp_path)
    world.put_all(range(3))
    world.poll()

    assert [len(list(split(body))) for body in world.inbox.bodies] == [3]  # type: ignore[arg-type]


def test_a_list_of_something_else_ends_the_round_and_quotes_nothing(tmp_path: Path) -> None:
    world = NovaWorld(tmp_path)

    async def none_of_it(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001 - an ASGI application
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send(
            {"type": "http.response.body", "body": b'{"access_token": "t", "cases": [{"title": "010145-5001"}]}'}
        )

    world.simulator.app = none_of_it  # type: ignore[assignment]

    with pytest.raises(NovaError) as caught:
        world.poll()

    assert "010145" not in repr(caught.value)


def test_a_wrong_secret_ends_the_round_and_is_not_told(tmp_path: Path) -> None:
    world = NovaWorld(tmp_path, simulator=Simulator([], uses_of_a_token=0))

    with pytest.raises(NovaError, match=r"^GetList answered 401$"):
        world.poll()
    world.simulator.app.router.routes.clear()
    with pytest.raises(NoToken, match=r"^status 404$"):
        world.poll()

    assert "s3cret" not in repr(world.poller())
