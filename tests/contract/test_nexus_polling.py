"""From a simulated Nexus to a simulated broker: nothing changed is missed or doubled, whatever goes wrong between."""

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker.domain.identity import has_cpr
from broker.domain.outcome import Rejected
from broker.intake.connector import Source
from connectors.eoj.nexus import CONNECTOR
from connectors.eoj.nexus.client import Access, NexusError, NexusPoller, poller
from connectors.eoj.nexus.simulator import INSTANCE, ROOT, TOKEN, Simulator, grant_node
from connectors.retry import Asker
from connectors.runner import Broker, CursorFile, poll_once
from connectors.unread import unread
from tests.contract.polling import START, Clock, Inbox, KilledAt, broker

SERVER = "https://nexus.example"


def pathway(number: int, *children: dict[str, Any], **more: Any) -> dict[str, Any]:
    node = {"type": "patientPathwayReference", "id": None, "version": 0, "name": "Forløb", "pathwayStatus": "ACTIVE"}
    date = "2024-03-18T11:53:12.000+0000"
    inside = {"patientPathwayId": number, "pathwayTypeId": 7, "parentPathwayId": None, "date": date}
    return {**node, **inside, "children": list(children), **more}


def grant(number: int, version: int = 1) -> dict[str, Any]:
    dates = [{"type": "workflowApprovedDate", "date": "2024-03-04T09:30:00.000+0000"}]
    return {
        "name": f"Indsats {number}",
        "identifier": {"patientGrantId": number},
        "version": version,
        "workflowState": {"name": "Bestilt"},
        "currentElements": dates,
    }


def citizen(number: int, **more: Any) -> dict[str, Any]:
    """One with a pathway, a grant in a folder inside it, and a condition."""
    folder = {"type": "course", "name": "Indsatser", "children": [grant_node(number, "Indsats", "Bestilt")]}
    return {
        "id": number,
        "number": f"0101{number:02}-5001",
        "tree": [pathway(number, folder)],
        "grants": {str(number): grant(number)},
        "conditions": [{"id": number, "name": "Gå på toilet"}],
        **more,
    }


@dataclass
class Bench:
    """A poller on a simulator, a broker's door, a cursor on disk."""

    simulator: Simulator
    path: Path
    inbox: Inbox = field(default_factory=Inbox)
    clock: Clock = field(default_factory=Clock)
    page: int = 3
    rounds: int = 0

    def nexus(self) -> NexusPoller:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(self.simulator.app))
        access = Access(f"{SERVER}{ROOT}/", f"{SERVER}{TOKEN}", "demo", "secret", page=self.page, now=self.now, batch=1)
        return NexusPoller(client, Asker(self.clock.patience()), access)

    def now(self) -> datetime:
        self.rounds += 1
        return START + timedelta(minutes=self.rounds)

    def broker(self) -> Broker:
        return broker(self.inbox, self.clock, "nexus")

    @property
    def cursors(self) -> CursorFile:
        return CursorFile(self.path / "cursor.json")

    def poll(self, nexus: NexusPoller | None = None) -> int:
        """A round, of a poller that lives on or of a new one."""
        return asyncio.run(poll_once(nexus or self.nexus(), self.broker(), self.cursors))

    @property
    def payloads(self) -> list[dict[str, Any]]:
        return [payload for body in self.inbox.bodies for payload in json.loads(body)]

    @property
    def ids(self) -> list[str]:
        """The ids of all events that were pushed, as the broker would make them."""
        found = []
        for body in self.inbox.bodies:
            for payload in json.loads(body):
                events = CONNECTOR.translate(payload, Source("nexus", "55133018"))
                assert not isinstance(events, Rejected), events
                found += [event["event_id"] for event in events]
        return found


def bench(path: Path, number: int, **quirks: Any) -> Bench:
    return Bench(Simulator([citizen(one) for one in range(1, number + 1)], **quirks), path)


def test_what_is_read_later_is_registered_later_whatever_the_clocks_say(tmp_path: Path) -> None:
    world = bench(tmp_path, 1)
    world.poll()
    world.simulator.citizens[0]["grants"]["1"] = grant(1, version=2)
    world.simulator.date = format_datetime(START - timedelta(hours=1), usegmt=True)

    world.poll()

    first, second = (datetime.fromisoformat(json.loads(body)[0]["readAt"]) for body in world.inbox.bodies)
    assert first < second


def test_everything_is_read_once_and_then_only_what_changes(tmp_path: Path) -> None:
    world = bench(tmp_path, 8)

    assert world.poll() == 16
    assert world.poll() == 0
    world.simulator.citizens[2]["grants"]["3"] = grant(3, version=2)
    assert world.poll() == 2
    assert [record["patient"]["patientIdentifier"]["identifier"] for record in json.loads(world.inbox.bodies[-1])] == [
        "010103-5001"
    ] * 2


def test_a_grant_or_a_pathway_that_is_larger_than_the_broker_takes_is_told_of_and_costs_no_other(
    tmp_path: Path,
) -> None:
    world = bench(tmp_path, 3)
    world.simulator.citizens[0]["tree"][0]["note"] = "x" * (17 << 20)
    world.simulator.citizens[1]["grants"]["2"]["note"] = "x" * (17 << 20)

    assert world.poll() == 6
    told = [one for one in world.payloads if "unread" in one]
    # What is told of a grant has its pathway in it.
    assert told == [unread(name, larger_than=16) for name in ("pathway 1", "grant 1", "grant 2")]
    assert len(world.payloads) == 6
    world.simulator.citizens[1]["grants"]["2"] = grant(2, version=2)
    assert world.poll() == 2
    assert not any("unread" in one for one in world.payloads[-2:])


def test_a_grant_comes_with_the_innermost_pathway_and_conditions_with_the_outermost(tmp_path: Path) -> None:
    inner = pathway(12, grant_node(1, "Indsats", "Bestilt"), parentPathwayId=1, pathwayTypeId=22)
    world = Bench(Simulator([citizen(1, tree=[pathway(1, inner)])]), tmp_path)
    world.poll()
    outer, nested, granted = json.loads(world.inbox.bodies[0])

    assert (outer["pathway"]["patientPathwayId"], len(outer["conditions"])) == (1, 1)
    assert (nested["pathway"]["patientPathwayId"], "conditions" in nested) == (12, False)
    assert (granted["pathway"]["pathwayTypeId"], granted["grant"]["name"]) == (22, "Indsats 1")


@pytest.mark.parametrize(
    "quirks",
    [{"busy": 3}, {"broken": 4}, {"halved": 2}, {"uses_of_a_token": 5}, {"doubled_items": True}],
    ids=lambda quirks: next(iter(quirks)),
)
def test_no_quirk_loses_or_doubles_anything(tmp_path: Path, quirks: dict[str, Any]) -> None:
    world = bench(tmp_path, 5, **quirks)

    assert world.poll() == 10
    assert len(set(world.ids)) == 10
    assert world.poll() == 0


def test_a_process_killed_after_the_push_sends_the_same_events_again(tmp_path: Path) -> None:
    world = bench(tmp_path, 3)

    # At the fourth the second citizen is pushed, and only the first is behind the cursor.
    with pytest.raises(KeyboardInterrupt):
        asyncio.run(poll_once(world.nexus(), world.broker(), KilledAt(tmp_path / "cursor.json", 4)))
    pushed = world.ids
    world.poll()

    assert len(pushed) == 4
    assert world.ids[4:6] == pushed[2:4]
    assert len(set(world.ids)) == 6


def test_what_changed_while_the_process_was_dead_is_newer_than_what_was_on_its_way(tmp_path: Path) -> None:
    world = bench(tmp_path, 1)

    dying = KilledAt(tmp_path / "cursor.json", counts=lambda cursor: "sending" not in cursor)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(poll_once(world.nexus(), world.broker(), dying))
    world.simulator.citizens[0]["tree"][0]["pathwayStatus"] = "CLOSED"
    world.poll()
    before, after = (json.loads(body)[0] for body in world.inbox.bodies)

    assert after["pathway"]["pathwayStatus"] == "CLOSED"
    assert after["readAt"] > before["readAt"]


def test_a_vendors_clock_that_is_behind_is_the_one_that_counts_and_one_ahead_is_not(tmp_path: Path) -> None:
    for skew, hour in ((-7200.0, 7), (7200.0, 9)):
        nexus = Bench(Simulator([]), tmp_path).nexus()
        nexus._asker.skew = skew

        assert datetime.fromisoformat(nexus._after(None)).hour == hour


@pytest.mark.parametrize(
    ("date", "expected"),
    [("Mon, 18 Mar 2024 07:00:00 GMT", "2024-03-18T07:0"), ("Tue, 19 Mar 2024 07:00:00 GMT", "2024-03-18T09:0")],
)
def test_a_wrong_clock_costs_nothing_and_is_told_of(
    tmp_path: Path, date: str, expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = bench(tmp_path, 3, date=date)

    assert world.poll() == 6
    assert world.poll() == 0
    assert {record["readAt"][:15] for body in world.inbox.bodies for record in json.loads(body)} == {expected}
    assert "clock skew" in caplog.text


def test_many_citizens_go_together(tmp_path: Path) -> None:
    world = bench(tmp_path, 5)
    nexus = world.nexus()
    nexus._access = replace(nexus._access, batch=4)

    assert asyncio.run(poll_once(nexus, world.broker(), world.cursors)) == 10
    assert [len(json.loads(body)) for body in world.inbox.bodies] == [4, 4, 2]
    assert world.poll() == 0


def test_pathways_may_be_left_out(tmp_path: Path) -> None:
    world = bench(tmp_path, 2)
    nexus = world.nexus()
    nexus._access = replace(nexus._access, pathways=False)

    assert asyncio.run(poll_once(nexus, world.broker(), world.cursors)) == 2
    assert all("grant" in json.loads(body)[0] for body in world.inbox.bodies)


def test_a_citizen_who_may_not_be_seen_is_passed_over(tmp_path: Path) -> None:
    world = Bench(Simulator([citizen(1, accessible=False), citizen(2)]), tmp_path)

    assert world.poll() == 2
    assert world.poll() == 0


REFUSALS = (403, 404, 410)


@pytest.mark.parametrize("status", REFUSALS)
def test_of_conditions_that_may_not_be_seen_nothing_is_said(tmp_path: Path, status: int) -> None:
    world = bench(tmp_path, 1)
    world.simulator.instead = {"patients/1/conditions": status}

    assert world.poll() == 2
    assert not any("conditions" in payload for payload in world.payloads)


@pytest.mark.parametrize("status", REFUSALS)
@pytest.mark.parametrize("path", ["patients/2", "patients/2/preferences", "patients/2/view", "patients/2/references"])
def test_a_citizen_who_may_not_be_seen_for_a_while_holds_nobody_up_and_comes_after_it(
    tmp_path: Path, path: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    world = bench(tmp_path, 3)
    world.simulator.instead = {path: status}

    assert world.poll() == 4
    assert world.poll() == 0
    assert "listed and not shown: 1" in caplog.text
    assert not has_cpr(caplog.text)
    world.simulator.instead = {}
    assert world.poll() == 2


def test_a_search_that_is_refused_for_a_while_marks_nobody_as_read(tmp_path: Path) -> None:
    world = bench(tmp_path, 3)
    world.simulator.instead = {"patientDetailsSearch": 403}

    assert world.poll() == 0
    world.simulator.instead = {}
    assert world.poll() == 6


def test_a_list_that_is_refused_ends_the_round_and_forgets_nobody(tmp_path: Path) -> None:
    world = bench(tmp_path, 3)
    world.poll()
    for path in ("activityLists/1/content", "activityLists/1/pages/3/3"):
        world.simulator.instead = {path: 403}
        with pytest.raises(NexusError):
            world.poll()

    world.simulator.instead = {}
    assert world.poll() == 0


@pytest.mark.parametrize(("status", "told"), [(403, [unread("grant 1", 403)]), (404, []), (410, [])])
def test_a_grant_that_may_not_be_seen_is_told_of_and_the_rest_comes(
    tmp_path: Path, status: int, told: list[Any]
) -> None:
    world = bench(tmp_path, 2)
    world.simulator.instead = {"patientGrants/1": status}

    assert world.poll() == 3 + len(told)
    assert [payload for payload in world.payloads if "patient" not in payload] == told
    assert world.poll() == 0
    for payload in told:
        assert isinstance(CONNECTOR.translate(payload, Source("nexus", "55133018")), Rejected)


def test_a_grant_without_a_link_is_told_of_and_the_rest_comes(tmp_path: Path) -> None:
    world = bench(tmp_path, 2)
    del world.simulator.citizens[0]["tree"][0]["children"][0]["children"][0]["_links"]

    assert world.poll() == 4
    assert [payload for payload in world.payloads if "patient" not in payload] == [unread("grant")]


@pytest.mark.parametrize(
    ("path", "number", "told"),
    [("patients/2", 4, [unread("citizen 2")]), ("patientGrants/2", 5, [unread("grant 2")])],
)
def test_what_fails_in_three_rounds_is_passed_over_and_the_rest_comes(
    tmp_path: Path, path: str, number: int, told: list[Any]
) -> None:
    world = bench(tmp_path, 3)
    world.simulator.instead = {path: 400}
    nexus = world.nexus()
    nexus._access = replace(nexus._access, batch=200)

    with pytest.raises(NexusError):
        world.poll(nexus)
    assert len(world.payloads) == 2
    with pytest.raises(NexusError):
        world.poll(nexus)
    world.poll(nexus)

    records = [payload for payload in world.payloads if "patient" in payload]
    assert (len(records), len(world.payloads) - len(records)) == (number, 1)
    assert [payload for payload in world.payloads if payload not in records] == told
    assert world.poll(nexus) == 0


def test_no_number_of_a_citizen_stands_in_the_cursor(tmp_path: Path) -> None:
    world = bench(tmp_path, 3)
    world.poll()

    written = (tmp_path / "cursor.json").read_text()
    assert set(json.loads(written)["seen"]) == {"1", "2", "3"}
    assert not has_cpr(written)


def test_who_is_no_longer_listed_is_forgotten_and_read_again_when_back(tmp_path: Path) -> None:
    world = bench(tmp_path, 2)
    world.poll()
    gone = world.simulator.citizens.pop()

    assert world.poll() == 0
    assert list(world.cursors.read()["seen"]) == ["1"]
    world.simulator.citizens.append(gone)
    assert world.poll() == 2


def test_a_wrong_secret_ends_the_round_and_is_not_told(tmp_path: Path) -> None:
    world = bench(tmp_path, 1, uses_of_a_token=0)

    with pytest.raises(NexusError) as caught:
        world.poll()
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(Access("root", "token", "demo", "secret"))


def test_the_token_goes_to_no_other_server(tmp_path: Path) -> None:
    nexus = bench(tmp_path, 1).nexus()

    for href in ("https://elsewhere.example/x", "//elsewhere.example/x", "http://nexus.example/x"):
        with pytest.raises(NexusError, match="another server"):
            nexus._href({"_links": {"self": {"href": href}}}, "self")


def test_a_list_of_another_name_is_said_to_be_missing(tmp_path: Path) -> None:
    world = bench(tmp_path, 1)
    nexus = world.nexus()
    nexus._access = Access(f"{SERVER}{ROOT}/", f"{SERVER}{TOKEN}", "demo", "s", activity_list="En anden")

    with pytest.raises(NexusError, match="configured name"):
        asyncio.run(poll_once(nexus, world.broker(), world.cursors))


def test_a_configuration_needs_the_instance_and_the_client() -> None:
    made = poller({"instance": INSTANCE, "client_id": "a", "client_secret": "b", "view": "Alt"})

    assert made._access.root == f"https://{INSTANCE}.nexus.kmd.dk/api/core/mobile/{INSTANCE}/v2/"
    assert made._access.token_url.endswith(f"/authx/realms/{INSTANCE}/protocol/openid-connect/token")
    assert (made._access.view, made._access.activity_list) == ("Alt", "Sagsbro")
    assert made._access.now().tzinfo is UTC
