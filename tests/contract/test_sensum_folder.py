"""From a folder to a simulated broker: every row once for each content it has."""

import asyncio
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from broker.domain.identity import has_cpr
from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Source
from connectors.eoj.sensum import CONNECTOR
from connectors.eoj.sensum.folder import Folder, FolderPoller, poller
from connectors.runner import Broker, CursorFile, poll_once
from tests.contract.polling import Clock, Inbox, KilledAt, broker

HEADER = "SagId;IndsatsId;BorgerCPR;IndsatsStartDato;IndsatsStatus;IndsatsParagraf"
LATER = 2_000_000_000.0


def row(number: int, status: str = "Godkendt") -> str:
    return f"{number};1;010145-5001;18-03-2024;{status};SEL § 85"


@dataclass
class Bench:
    """A folder, a broker's door, a cursor on disk; time passes from file to file."""

    path: Path
    inbox: Inbox = field(default_factory=Inbox)
    clock: Clock = field(default_factory=Clock)
    rows: int = 10
    _times: Iterator[int] = field(default_factory=lambda: count(1_714_600_000, 60))

    def drop(self, name: str, *rows: str, encoding: str = "utf-8", text: str | None = None) -> Path:
        file = self.path / "in" / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(("\r\n".join([HEADER, *rows, ""]) if text is None else text).encode(encoding))
        at = next(self._times)
        os.utime(file, (at, at))
        return file

    def folder(self, **more: Any) -> FolderPoller:
        return FolderPoller(Folder(self.path / "in", rows=self.rows, now=lambda: LATER, **more))

    def broker(self) -> Broker:
        return broker(self.inbox, self.clock, "sensum")

    @property
    def cursors(self) -> CursorFile:
        return CursorFile(self.path / "cursor.json")

    def poll(self) -> int:
        return asyncio.run(poll_once(self.folder(), self.broker(), self.cursors))

    @property
    def sent(self) -> list[tuple[str, str]]:
        rows = [row for body in self.inbox.bodies for row in json.loads(body)]
        return [(row["SagId"], row["IndsatsStatus"]) for row in rows]


def test_each_row_of_each_file_is_sent_once(tmp_path: Path) -> None:
    world = Bench(tmp_path)
    world.drop("a.csv", *(row(number) for number in range(25)))
    world.drop("b.csv", *(row(number) for number in range(25, 30)))

    assert world.poll() == 30
    assert len(set(world.sent)) == 30
    assert world.poll() == 0


def test_a_file_that_is_dropped_again_brings_nothing_and_one_with_a_change_brings_the_change(tmp_path: Path) -> None:
    world = Bench(tmp_path)
    world.drop("monday.csv", row(1), row(2))
    world.poll()
    world.drop("monday.csv", row(1), row(2))
    world.drop("monday copy.csv", row(1), row(2))

    assert world.poll() == 0
    world.drop("tuesday.csv", row(1), row(2, "Afsluttet"), row(3))
    assert world.poll() == 2
    assert world.sent[2:] == [("2", "Afsluttet"), ("3", "Godkendt")]


def test_a_row_that_goes_back_to_what_it_was_is_sent_again(tmp_path: Path) -> None:
    world = Bench(tmp_path)
    for name, status in (("a.csv", "Godkendt"), ("b.csv", "Ansøgt"), ("c.csv", "Godkendt")):
        world.drop(name, row(1, status))
        assert world.poll() == 1

    assert [status for _, status in world.sent] == ["Godkendt", "Ansøgt", "Godkendt"]


def test_a_row_that_stands_twice_is_one_and_of_two_that_differ_the_later_stands(tmp_path: Path) -> None:
    world = Bench(tmp_path)
    world.drop("a.csv", row(1), row(1), row(2), row(2, "Ansøgt"))

    assert world.poll() == 2
    assert world.sent == [("1", "Godkendt"), ("2", "Ansøgt")]


def test_a_file_that_is_still_written_is_left_until_it_stands_still(tmp_path: Path) -> None:
    world = Bench(tmp_path)
    file = world.drop("a.csv", row(1))
    for name in (".hidden.csv", "b.csv.part", "c.tmp"):
        world.drop(name, row(7))
    os.utime(file, (LATER - 59, LATER - 59))

    assert world.poll() == 0
    os.utime(file, (LATER - 61, LATER - 61))
    assert world.poll() == 1


def test_a_file_that_was_taken_too_early_brings_its_rest_when_it_is_whole(tmp_path: Path) -> None:
    world = Bench(tmp_path)
    whole = "\r\n".join([HEADER, row(1), row(2), row(3), ""])
    world.drop("a.csv", text=whole[: whole.index("3;1") + 8])
    assert world.poll() == 3  # two rows, and a line that is cut off
    world.drop("a.csv", text=whole)

    assert world.poll() == 1
    payload = json.loads(world.inbox.bodies[0])[2]
    refused = CONNECTOR.translate(payload, Source("sensum", "55133018"))
    assert isinstance(refused, Rejected)
    assert refused.code is Code.MALFORMED_PAYLOAD


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_a_file_in_any_encoding_that_such_files_come_in_is_read(tmp_path: Path, encoding: str) -> None:
    world = Bench(tmp_path)
    world.drop("a.csv", row(1, "Ansøgt"), encoding=encoding)
    world.poll()

    assert world.sent == [("1", "Ansøgt")]


def test_a_file_that_cannot_be_read_is_told_of_once_and_holds_nothing_up(tmp_path: Path) -> None:
    world = Bench(tmp_path)
    world.drop("a.csv", text="no table at all")
    world.drop("b.csv", row(1))

    assert world.poll() == 2
    (told,) = json.loads(world.inbox.bodies[0])
    refused = CONNECTOR.translate(told, Source("sensum", "55133018"))
    assert isinstance(refused, Rejected)
    assert refused.code is Code.MALFORMED_PAYLOAD
    assert world.poll() == 0


@pytest.mark.parametrize("killed_at", range(1, 7))
def test_a_process_killed_anywhere_sends_at_most_the_last_page_again_and_with_the_same_ids(
    tmp_path: Path, killed_at: int
) -> None:
    world = Bench(tmp_path)
    world.drop("a.csv", *(row(number) for number in range(25)))
    world.drop("b.csv", *(row(number) for number in range(25, 45)))

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(poll_once(world.folder(), world.broker(), KilledAt(tmp_path / "cursor.json", killed_at)))
    world.poll()

    ids = []
    for body in world.inbox.bodies:
        for payload in json.loads(body):
            events = CONNECTOR.translate(payload, Source("sensum", "55133018"))
            assert not isinstance(events, Rejected)
            ids += [event["event_id"] for event in events]
    assert len(set(ids)) == 45
    assert len(ids) <= 55


def test_columns_may_have_the_municipalitys_own_names(tmp_path: Path) -> None:
    world = Bench(tmp_path)
    world.drop("a.csv", text="Sagsnr;Indsats;Cpr\r\n1;1;x\r\n1;2;x\r\n1;2;x\r\n")
    columns = {"columns": {"SagId": "Sagsnr", "IndsatsId": "Indsats"}}
    made = poller({"folder": str(tmp_path / "in"), "settle": 0, **columns})

    assert asyncio.run(poll_once(made, world.broker(), world.cursors)) == 2
    refused = CONNECTOR.translate({"Sagsnr": "1"}, Source("sensum", "55133018", columns))
    assert isinstance(refused, Rejected)
    assert refused.pointer == "/UdtrukketTidspunkt"
    unnamed = CONNECTOR.translate({"UdtrukketTidspunkt": "2024-01-01"}, Source("sensum", "55133018", columns))
    assert isinstance(unnamed, Rejected)
    assert unnamed.pointer == "/Sagsnr"


def test_a_cell_of_fifty_megabytes_costs_its_line_and_no_other() -> None:
    body = f"{HEADER}\n{row(1)}\n2;{'x' * 50_000_000}\n{row(3)}\n".encode()
    found = CONNECTOR.split(body)

    assert not isinstance(found, Rejected)
    assert [payload.get("SagId", payload.get("unread")) for payload in found if isinstance(payload, dict)] == [
        "1",
        "line",
        "3",
    ]


def test_the_cursor_names_nobody_and_forgets_files_that_are_gone(tmp_path: Path) -> None:
    world = Bench(tmp_path)
    file = world.drop("010145-5001.csv", row(1))
    world.poll()
    written = (tmp_path / "cursor.json").read_text()
    assert not has_cpr(written)
    assert "5001" not in written

    file.unlink()
    world.drop("b.csv", row(2))
    world.poll()
    assert len(world.cursors.read()["files"]) == 1


def test_a_file_too_large_to_be_read_is_left_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    world = Bench(tmp_path)
    file = world.drop("a.csv", row(1))
    with file.open("r+b") as large:
        large.truncate(65 * 1024 * 1024)  # of holes: it takes no room
    os.utime(file, (1, 1))

    assert world.poll() == 0
    assert "too large" in caplog.text
