"""A data directory that belongs to another is not touched."""

import os
from pathlib import Path

import pytest

from ops.embedded import lock
from ops.embedded.errors import EmbeddedError


@pytest.mark.parametrize("ours", [0, 4_000_000], ids=["root", "another user"])
def test_anothers_data_are_refused_before_anything_is_written(
    own_data: Path, monkeypatch: pytest.MonkeyPatch, ours: int
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: ours)
    monkeypatch.setattr(Path, "owner", lambda _: "alice")
    if own_data.stat().st_uid == ours:
        os.chown(own_data, 4_000_001, -1)

    with pytest.raises(EmbeddedError, match="alice"), lock.held(own_data):
        pass

    assert list(own_data.iterdir()) == []


def test_an_owner_without_a_name_is_named_by_number(own_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_000)

    def nameless(_: Path) -> str:
        raise KeyError

    monkeypatch.setattr(Path, "owner", nameless)

    with pytest.raises(EmbeddedError, match=f"user {own_data.stat().st_uid}"), lock.held(own_data):
        pass


def test_ones_own_data_are_held(own_data: Path) -> None:
    with lock.held(own_data):
        assert (own_data / "lock").read_text() == f"{os.getpid()}\n"
