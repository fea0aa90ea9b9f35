"""How much the intake holds in memory at once, over all requests. Pure but for its own count."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

DEFAULT: Final = 64 * 1024 * 1024


class Exhausted(Exception):  # noqa: N818 - a state of ours, not a fault
    """More is under way than may be held: the sender shall come again."""


class Share:
    """What one request holds of the budget."""

    def __init__(self, budget: "Budget", sender: str) -> None:
        """Holds nothing yet."""
        self._budget = budget
        self._sender = sender
        self.held = 0

    def grow(self, size: int) -> None:
        """Take more. Raises Exhausted, and then takes nothing."""
        budget = self._budget
        if budget.used + size > budget.limit or budget.senders[self._sender] + size > budget.limit // 2:
            raise Exhausted
        budget.used += size
        budget.senders[self._sender] += size
        self.held += size

    def end(self) -> None:
        """Give all of it back."""
        self._budget.used -= self.held
        self._budget.senders[self._sender] -= self.held
        self._budget.senders += Counter()  # keeps those who hold something


class Budget:
    """Bytes of request bodies that are read and not yet answered; used in one event loop only.

    No sender holds more than half of it: the others are answered still.
    """

    def __init__(self, limit: int = DEFAULT) -> None:
        """`limit` in bytes."""
        self.limit = limit
        self.used = 0
        self.senders: Counter[str] = Counter()

    @contextmanager
    def share(self, sender: str) -> Iterator[Share]:
        """For the length of a request; what it took is given back at the end, however it ends."""
        share = Share(self, sender)
        try:
            yield share
        finally:
            share.end()
