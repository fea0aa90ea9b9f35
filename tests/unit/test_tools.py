"""The tools that judge rules: the locked ones, or a reason."""

import re
import tomllib
from pathlib import Path

import pytest

from ops.tools import LOCK, NoToolError, started, tool


def test_the_lock_pins_versions_and_checksums_and_names_no_host() -> None:
    packages = tomllib.loads(LOCK.read_text())["package"]
    assert {name for one in packages for name in one["tools"]} >= {"promtool", "amtool", "prometheus-node-exporter"}
    for one in packages:
        assert re.fullmatch(r"[0-9a-f]{64}", one["sha256"])
        assert one["version"]
    assert "://" not in LOCK.read_text()


def test_one_on_the_path_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "promtool"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tool("promtool") == program
    assert started("promtool") == (str(program),)


def test_one_whose_package_has_files_to_share_is_started_where_it_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "usr" / "share" / "prometheus").mkdir(parents=True)
    (tmp_path / "usr" / "bin").mkdir()
    program = tmp_path / "usr" / "bin" / "alertmanager"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    assert started("alertmanager")[0] == "unshare"
    assert started("alertmanager")[-2:] == (str(tmp_path), str(program))


def test_where_it_is_not_to_be_had_the_reason_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(NoToolError, match="no apt-get and no dpkg-deb"):
        tool("promtool")


def test_a_package_that_is_not_the_locked_one_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, does in (("apt-get", "echo other > other.deb"), ("dpkg-deb", "exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(NoToolError, match="is not the locked one"):
        tool("promtool")
    assert list((tmp_path / "sagsbro").iterdir()) == []
