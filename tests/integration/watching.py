"""A real Prometheus with a past that was written for it."""

import json
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from ops.embedded.ports import free_port
from ops.tools import NoToolError, tool

SILENT_S = 60
Past = Mapping[str, Sequence[Mapping[str, str | int]]]


def program(name: str) -> Path:
    """Skips with the reason where it is not to be had."""
    try:
        return tool(name)
    except NoToolError as why:
        pytest.skip(f"{name}: {why}")


@contextmanager
def watching(folder: Path, past: Past, alerts: list[dict[str, Any]]) -> Iterator[str]:
    """Its address. past: series that have risen each minute for half an hour; alerts: what fires from its start."""
    server, promtool = program("prometheus"), program("promtool")
    (folder / "past.txt").write_text(_told(past), encoding="utf-8")
    made = ("tsdb", "create-blocks-from", "openmetrics", folder / "past.txt", folder / "data")
    subprocess.run([promtool, *made], check=True, capture_output=True, timeout=60)
    rules = [{"expr": "vector(1)", **alert} for alert in alerts]
    group = {"name": "always", "interval": "1s", "rules": rules}
    (folder / "rules.yml").write_text(json.dumps({"groups": [group] if rules else []}))
    (folder / "prometheus.yml").write_text(json.dumps({"rule_files": ["rules.yml"]}))
    port = free_port()
    told = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "prometheus.log").open("wb") as log:
        running = subprocess.Popen([server, *told, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}/"
            _await(address, len(alerts))
            yield address
        finally:
            running.terminate()
            running.wait(SILENT_S)


def _told(past: Past) -> str:
    now = int(time.time()) - 15
    lines = []
    for name, series in past.items():
        lines.append(f"# TYPE {name} unknown")
        for labels in series:
            said = ",".join(f'{label}="{value}"' for label, value in labels.items())
            lines += [f"{name}{{{said}}} {30 - ago} {now - 60 * ago}" for ago in range(30, -1, -1)]
    return "\n".join([*lines, "# EOF", ""])


def _await(address: str, alerts: int) -> None:
    deadline = time.monotonic() + SILENT_S
    while True:
        try:
            told = httpx.get(f"{address}api/v1/alerts", trust_env=False).json()["data"]["alerts"]
            if len(told) == alerts and httpx.get(f"{address}-/ready", trust_env=False).is_success:
                return
        except (httpx.HTTPError, ValueError):
            pass
        if time.monotonic() > deadline:
            raise TimeoutError("Prometheus does not answer")
