"""A whole Sagsbro of its own for each test that breaks it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from broker.cli.setup import prepare
from broker.settings import Settings
from ops.bench.faults import agree
from ops.embedded import instance
from ops.embedded.instance import Instance


def _settings(where: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in where.items():
        monkeypatch.setenv(name, value)
    return Settings()


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Instance, Settings]]:
    """Kafka and PostgreSQL, made ready; no service runs yet."""
    with instance.held(instance.Plan(tmp_path / "data", only_infrastructure=True), {}) as running:
        running.start(lambda _: None)
        settings = _settings(running.settings, monkeypatch)
        prepare(settings)
        agree(settings)
        yield running, settings


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Instance, Settings]]:
    """Everything, with one worker and one publisher."""

    def ready(where: Mapping[str, str]) -> None:
        settings = _settings(where, monkeypatch)
        prepare(settings)
        agree(settings)

    with instance.held(instance.Plan(tmp_path / "data"), {}) as running:
        running.start(ready)
        yield running, Settings()
