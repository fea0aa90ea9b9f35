"""What several files ask for."""

import pytest

from broker.intake import producer
from broker.overviews import feed
from broker.store.database import migrate
from broker.stream import past, tail
from tests.integration.referring import Store

PATIENCE_S = 25.0
"""Less than a test's client waits for an answer."""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take a Kafka that is slow on a small machine for one that is there; who asks how soon it is given up says so."""
    for module in (producer, feed, tail, past):
        monkeypatch.setattr(module, "PATIENCE", PATIENCE_S)


@pytest.fixture
def store(database: str) -> Store:
    """Reference data in a migrated database that is this test's alone."""
    migrate(database)
    return Store(database)
