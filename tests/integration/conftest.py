"""What several files ask for."""

import pytest

from broker.store.database import migrate
from tests.integration.referring import Store


@pytest.fixture
def store(database: str) -> Store:
    """Reference data in a migrated database that is this test's alone."""
    migrate(database)
    return Store(database)
