"""How much the intake holds in memory at once, over all requests. Pure but for its own count."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

DEFAULT: Final = 64 * 1024 * 1024


class Exhausted(Exception):  # noqa: N818 - a state of ours, not a fault
    """More is under way than may be held: the sender shall come again."""


class Share:
    """What one request holds of the budget."""

    def __init__(self, budget: "Budget") -> None:
        """Holds nothing yet."""
        self._budget = budget
        self.held = 0

    def grow(self, size: int) -> None:
        """Take more. Raises Exhausted, and then takes nothing."""
        if self._budget.used + size > self._budget.limit:
            raise Exhausted
        self._budget.used += size
        self.held += size


class Budget:
    """Bytes of request bodies that are read and not yet answered; used in one event loop only."""

    def __init__(self, limit: int = DEFAULT) -> None:
        """`limit` in bytes."""
        self.limit = limit
        self.used = 0

    @contextmanager
    def share(self) -> Iterator[Share]:
        """For the length of a request; what it took is given back at the end, however it ends."""
        share = Share(self)
        try:
            yield share
        finally:
            self.used -= share.held
