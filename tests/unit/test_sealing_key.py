"""The sealing key's file: whole or not there, whatever ended its making."""

from pathlib import Path

import pytest

from broker import sealing_key
from tests.unit.disks import no_room


def test_only_its_owner_reads_a_new_key_and_it_lies_alone(tmp_path: Path) -> None:
    path = tmp_path / "seal-key.pem"

    sealing_key.make(path)

    assert sealing_key.load(path).sign(b"statement")
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_that_is_there_stays(tmp_path: Path) -> None:
    path = tmp_path / "seal-key.pem"
    sealing_key.make(path)
    first = sealing_key.load(path).id

    with no_room():
        sealing_key.make(path)

    assert sealing_key.load(path).id == first
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_that_another_made_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "seal-key.pem"
    path.write_text("another's")
    monkeypatch.setattr(Path, "exists", lambda _: False)

    sealing_key.make(path)

    assert path.read_text() == "another's"
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_that_finds_no_room_is_made_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "seal-key.pem"
    with no_room(), pytest.raises(OSError, match="too large"):
        sealing_key.make(path)
    assert list(tmp_path.iterdir()) == []

    sealing_key.make(path)

    assert sealing_key.load(path)
