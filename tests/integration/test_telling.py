"""A vendor's webhook is told at most once a day, whatever is started again, and only where it may be."""

import hmac
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from broker.domain.refusals import day_of
from broker.overviews.own_log import COPENHAGEN
from broker.processing.telling import MOST_ATTEMPTS, is_public, keep, pause, tell_all
from broker.settings import Settings, Webhook
from broker.store.database import connect, migrate

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
YESTERDAY = (NOW - timedelta(days=1)).astimezone(COPENHAGEN).date()
KEY = "of the vendor's own making"
VARIABLE = "SAGSBRO_TEST_WEBHOOK"
RUNNING = threading.Event()


@dataclass
class Vendor:
    """A server that notes what it is told, and answers as it is set to; 0: it hangs up."""

    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    address: str = ""


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    made = Vendor()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.got.append((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            status = made.answers.pop(0) if made.answers else 204
            if status:
                self.send_response(status)
                self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing is written."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.address = f"http://localhost:{server.server_port}/refused"
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield made
        server.shutdown()
        serving.join()


@dataclass(frozen=True)
class Desk:
    settings: Settings

    def refused(self, system: str = "sbsys", authority: str = "55133018") -> None:
        begins, _ = day_of(YESTERDAY, COPENHAGEN)
        self.run(
            "INSERT INTO rejection (rejection_id, authority, system, event_id, code, pointer, detail, at)"
            " VALUES (gen_random_uuid(), %s, %s, 'e-1', 'kle_unknown', '/parties/items/3/id', 'Kirsten', %s)",
            authority,
            system,
            begins,
        )

    def run(self, statement: str, *values: object) -> None:
        with connect(self.settings.dsn, "test") as connection:
            connection.execute(statement.encode(), values)

    def told(self) -> list[tuple[Any, ...]]:
        with connect(self.settings.dsn, "test") as connection:
            return connection.execute("SELECT system, day, state, attempts FROM rejection_telling").fetchall()

    def wait(self) -> None:
        """The pause between two attempts is over."""
        self.run("UPDATE rejection_telling SET next_at = now() WHERE state = 'again'")


@pytest.fixture
def desk(database: str, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> Desk:
    migrate(database)
    monkeypatch.setenv(VARIABLE, KEY)
    webhook = Webhook(url=vendor.address, secret=VARIABLE, private=True)
    return Desk(Settings(database=SecretStr(database), rejection_webhooks={"sbsys": webhook}))


def test_however_many_tell_and_however_often_it_is_told_once_a_day(desk: Desk, vendor: Vendor) -> None:
    desk.refused()
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: tell_all(desk.settings, NOW, RUNNING), range(12)))
    tell_all(desk.settings, NOW + timedelta(hours=13), RUNNING)
    assert (len(vendor.got), desk.told()) == (1, [("sbsys", YESTERDAY, "told", 1)])
    tell_all(desk.settings, NOW + timedelta(days=1), RUNNING)
    assert len(vendor.got) == 1, "nothing was refused that day"


def test_what_is_told_is_signed_and_says_why_but_nothing_of_anybody_nor_of_another_vendor(
    desk: Desk, vendor: Vendor
) -> None:
    desk.refused()
    desk.refused()
    desk.refused(system="nexus")
    tell_all(desk.settings, NOW, RUNNING)
    ((headers, body),) = vendor.got
    said = json.loads(body)
    (cause,) = said.pop("causes")
    assert said == {"system": "sbsys", "day": str(YESTERDAY), "rejections": 2}
    assert (cause["code"], cause["pointer"], cause["rejections"]) == ("kle_unknown", "/parties/items/*/id", 2)
    assert b"Kirsten" not in body
    at, signed = (part.partition("=")[2] for part in headers["Sagsbro-Signature"].split(","))
    assert hmac.new(KEY.encode(), f"{at}.".encode() + body, sha256).hexdigest() == signed
    assert headers["Host"].startswith("localhost:")


def test_it_is_tried_again_only_where_nobody_was_told(desk: Desk, vendor: Vendor) -> None:
    desk.refused()
    vendor.answers = [503, 429]
    tell_all(desk.settings, NOW, RUNNING)
    tell_all(desk.settings, NOW, RUNNING)
    assert (len(vendor.got), desk.told()) == (1, [("sbsys", YESTERDAY, "again", 1)])
    for _ in range(3):
        desk.wait()
        tell_all(desk.settings, NOW, RUNNING)
    assert desk.told() == [("sbsys", YESTERDAY, "told", 3)]
    assert len({headers["Sagsbro-Delivery"] for headers, _ in vendor.got}) == 1
    assert len(vendor.got) == 3


@pytest.mark.parametrize(("answer", "state"), [(0, "told"), (400, "given_up"), (302, "given_up")])
def test_what_may_have_arrived_or_is_refused_is_not_sent_again(
    desk: Desk, vendor: Vendor, answer: int, state: str
) -> None:
    desk.refused()
    vendor.answers = [answer]
    for _ in range(3):
        tell_all(desk.settings, NOW, RUNNING)
        desk.wait()
    assert (len(vendor.got), desk.told()) == (1, [("sbsys", YESTERDAY, state, 1)])


def test_a_crash_between_taking_the_day_and_telling_is_not_made_good_by_telling_twice(
    desk: Desk, vendor: Vendor
) -> None:
    desk.refused()
    desk.run("INSERT INTO rejection_telling (system, day, state) VALUES ('sbsys', %s, 'underway')", YESTERDAY)
    tell_all(desk.settings, NOW, RUNNING)
    assert vendor.got == []


def test_a_vendor_that_is_never_there_is_given_up(desk: Desk, vendor: Vendor) -> None:
    desk.refused()
    vendor.answers = [503] * 20
    for _ in range(MOST_ATTEMPTS + 2):
        tell_all(desk.settings, NOW, RUNNING)
        desk.wait()
    assert (len(vendor.got), desk.told()) == (MOST_ATTEMPTS, [("sbsys", YESTERDAY, "given_up", MOST_ATTEMPTS)])
    assert [pause(attempt).seconds for attempt in (1, 2, 7, 8)] == [60, 120, 3840, 3840]


def test_a_private_address_is_told_nothing_unless_it_is_said_to_be_one(desk: Desk, vendor: Vendor) -> None:
    desk.refused()
    for url in (vendor.address, vendor.address.replace("http:", "https:")):
        webhook = Webhook(url=url, secret=VARIABLE)
        tell_all(desk.settings.model_copy(update={"rejection_webhooks": {"sbsys": webhook}}), NOW, RUNNING)
        desk.wait()
    assert (vendor.got, desk.told()) == ([], [("sbsys", YESTERDAY, "again", 2)])
    inside = ("127.0.0.1", "10.1.2.3", "192.168.1.1", "169.254.169.254", "::1", "fd00::1", "fe80::1%eth0",
              "::ffff:10.0.0.1", "0.0.0.1", "224.0.0.1", "100.64.0.1")  # fmt: skip
    assert [one for one in inside if is_public(one)] == []
    assert is_public("8.8.8.8")
    assert is_public("2a00:1450:400f:80c::200e")


def test_without_a_webhook_or_its_key_nothing_is_sent(
    desk: Desk, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.refused()
    keep(Settings(database=SecretStr("postgresql://nobody@127.0.0.1:9/none")), threading.Event())
    monkeypatch.delenv(VARIABLE)
    tell_all(desk.settings, NOW, RUNNING)
    assert (vendor.got, desk.told()) == ([], [])
