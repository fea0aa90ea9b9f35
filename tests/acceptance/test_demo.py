"""The demo is the main job: on an empty machine it starts everything and accounts for every payload it sends."""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from broker.domain.identity import has_cpr
from broker.domain.outcome import STATUSES
from ops.demo import directory
from ops.demo.account import Account, Delivery, summary
from ops.demo.mix import senders
from ops.demo.sample import Sender
from ops.embedded import orphans
from ops.embedded.errors import EmbeddedError

STOPS_WITHIN = 10.0
EVENTS = 1_500
FEW = 300
SUMMARY = ["event", "sent", *STATUSES, "seconds"]


def command(data: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "broker.cli", "demo", "--data", str(data), "--api-port", "0", "--json", *options]


class Demo:
    """A demo that goes on, and what it has said so far."""

    def __init__(self, data: Path) -> None:
        self.data = data
        # Where the session looks for numbers that stand in no log.
        with (data.parent / "demo.err").open("wb") as err:
            self.process = psutil.Popen(command(data, "--events", str(FEW)), stdout=-1, stderr=err, text=True)
        self.said: dict[str, Any] = {}
        for line in self.process.stdout:
            told = json.loads(line)
            self.said[told["event"]] = told
            if told["event"] == "summary":
                return
        raise AssertionError("it ended before its summary")

    def end(self) -> None:
        with suppress(psutil.NoSuchProcess):
            self.process.terminate()
        self.process.wait(STOPS_WITHIN)
        self.process.stdout.close()
        orphans.end_orphans(self.data)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo") / "data")
    yield running
    running.end()


def test_once_ends_with_a_summary_in_which_every_payload_is_accounted_for(own_data: Path) -> None:
    once = psutil.Popen(command(own_data, "--once", "--events", str(EVENTS)), stdout=-1, stderr=-1, text=True)
    try:
        out, err = once.communicate(timeout=240)
    finally:
        with suppress(psutil.NoSuchProcess):
            once.terminate()
        orphans.end_orphans(own_data)

    *before, last = [json.loads(line) for line in out.splitlines()]
    assert once.returncode == 0, err
    assert list(last) == SUMMARY
    assert last["sent"] == EVENTS == sum(last[status] for status in STATUSES)
    assert all(last[status] > 0 for status in STATUSES)
    assert [told["event"] for told in before] == ["ready", "table", "look"]
    rows = before[1]["rows"]
    assert {(row["system"], row["authority"]) for row in rows if row["sent"]} <= set(senders())
    assert {row["system"] for row in rows if row["indexed"]} == {sender.system for sender in senders()}
    assert all(row["sent"] == sum(row[status] for status in STATUSES) for row in rows)
    assert sum(row["sent"] for row in rows) == EVENTS
    assert not has_cpr(err)
    assert not has_cpr(directory.log_of(own_data).read_text())


def test_a_search_with_the_printed_token_finds_the_citizens_cases(demo: Demo) -> None:
    search = demo.said["look"]["search"]

    headers = {"Authorization": f"Bearer {search['token']}"}
    answer = httpx.post(search["url"], json=search["body"], headers=headers, timeout=30)

    assert answer.status_code == httpx.codes.OK
    assert len(answer.json()["entries"]) > 0
    assert has_cpr(search["body"]["citizen"])
    assert not has_cpr(search["url"])


def test_a_second_demo_on_the_same_data_is_refused_and_harms_nothing(demo: Demo) -> None:
    second = psutil.Popen(command(demo.data), stdout=-1, stderr=-1, text=True)
    out, err = second.communicate(timeout=30)

    assert second.returncode == 1
    assert out == ""
    assert f"process {demo.process.pid}" in err
    assert httpx.get(f"{demo.said['ready']['api']}/readyz", timeout=30).status_code == httpx.codes.OK


def test_more_cases_keep_coming_until_a_signal_ends_it_within_ten_seconds(demo: Demo) -> None:
    children = psutil.Process(demo.process.pid).children(recursive=True)
    assert demo.process.is_running()

    demo.process.send_signal(signal.SIGTERM)

    assert demo.process.wait(STOPS_WITHIN) == 0
    assert psutil.wait_procs(children, timeout=STOPS_WITHIN)[1] == []
    assert demo.process.stdout.read() == ""


def test_a_directory_in_which_something_else_is_kept_is_not_emptied(own_data: Path) -> None:
    treasure = own_data / "treasure"
    treasure.write_text("gold")

    refused = psutil.Popen(command(own_data), stdout=-1, stderr=-1, text=True)
    _, err = refused.communicate(timeout=30)

    assert refused.returncode == 1
    assert "no demo made" in err
    assert treasure.read_text() == "gold"


def test_only_what_an_earlier_demo_left_is_removed(own_data: Path) -> None:
    directory.check(own_data)
    directory.renew(own_data)
    (own_data / "postgres").mkdir()
    (own_data / "postgres" / "rows").touch()

    directory.check(own_data)
    directory.renew(own_data)

    assert sorted(path.name for path in own_data.iterdir()) == ["log", directory.MARK]


def test_a_file_is_no_directory_for_a_demo(own_data: Path) -> None:
    (own_data / "file").touch()

    with pytest.raises(EmbeddedError, match="not a directory"):
        directory.check(own_data / "file")


def booked(events: list[dict[str, Any]], *expect: str, again: bool = False) -> Account:
    account, sender = Account(), Sender("sbsys", "55133018")
    account.sent[sender] += len(expect)
    account.settle(Delivery(sender, list(enumerate(expect)), "r", [], [], again=again), events)
    return account


def test_a_payload_without_a_verdict_is_missed() -> None:
    account = booked([{"index": 0, "status": "indexed"}], "indexed", "indexed")

    assert (account.decided, account.undecided) == (1, 1)
    assert not account.balances


def test_two_verdicts_on_one_payload_do_not_make_up_for_a_missing_one() -> None:
    account = booked([{"index": 0, "status": "indexed"}, {"index": 0, "status": "stale"}], "", "")

    assert account.decided == 0
    assert not account.balances


def test_an_unexpected_verdict_is_a_surprise_but_not_after_a_second_sending() -> None:
    told = [{"index": 0, "status": "duplicate"}]

    assert not booked(told, "indexed").balances
    assert booked(told, "indexed", again=True).balances
    assert booked(told, "").balances


def test_the_summary_is_the_sum() -> None:
    account = booked([{"index": 0, "status": "indexed"}, {"index": 1, "status": "rejected"}], "indexed", "rejected")

    assert account.balances
    assert summary(account, 1.23456) == {
        "event": "summary",
        "sent": 2,
        "indexed": 1,
        "stale": 0,
        "duplicate": 0,
        "delimited": 0,
        "rejected": 1,
        "seconds": 1.235,
    }
