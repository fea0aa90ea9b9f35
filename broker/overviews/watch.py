"""Which changes concern which stream: by the citizens that are followed and the entries that were shown."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from broker.overviews.place import Place
from broker.store.subscriptions import Follower

TOGETHER: Final = 250
"""Changes that one transaction tells."""
LONGEST: Final = 1000
"""Changes that wait for one reader; one who is slower than that begins again where they were."""


class Change(NamedTuple):
    """A record of an overview's topic. `names`: its key, and its parties as in `entry.party_ref`."""

    key: str
    partition: int
    offset: int
    names: frozenset[str]


class OverrunError(Exception):
    """The reader is too slow, or the topic cannot be followed from where they are."""


class Watch:
    """What waits for one stream. Used in one event loop only."""

    def __init__(self, topic: str, start: Place, names: Iterable[str], whose: Follower) -> None:
        self.topic, self.start, self.whose = topic, start, whose
        self.names = set(names)
        self.overrun = asyncio.Event()
        self._waiting: deque[Change] = deque()
        self._came = asyncio.Event()
        self._most = LONGEST

    def precede(self, changes: Sequence[Change]) -> None:
        """Let these go before what has come meanwhile; they do not count as too many."""
        self._waiting.extendleft(reversed(changes))
        self._most += len(changes)

    def offer(self, change: Change) -> None:
        """Let it wait; ends the stream when too much does."""
        if len(self._waiting) >= self._most:
            self.cut()
        elif not self.overrun.is_set():
            self._waiting.append(change)
            self._came.set()

    def cut(self) -> None:
        """End the stream."""
        self.overrun.set()
        self._waiting.clear()
        self._came.set()

    async def next(self) -> list[Change]:
        """The oldest changes that wait, a bounded number of them. Raises OverrunError."""
        while not self._waiting:
            if self.overrun.is_set():
                raise OverrunError
            self._came.clear()
            await self._came.wait()
        return [self._waiting.popleft() for _ in range(min(TOGETHER, len(self._waiting)))]

    @property
    def idle(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting


class Watches:
    """All streams, found by what they follow."""

    def __init__(self) -> None:
        self._by_name: dict[tuple[str, str], set[Watch]] = {}
        self._all: set[Watch] = set()

    def __len__(self) -> int:
        return len(self._all)

    def of(self, whose: Follower) -> int:
        """How many are one reader's."""
        return sum(watch.whose == whose for watch in self._all)

    def add(self, watch: Watch) -> None:
        """Follow what it names."""
        self._all.add(watch)
        for name in watch.names:
            self._by_name.setdefault((watch.topic, name), set()).add(watch)

    def also(self, watch: Watch, name: str) -> None:
        """Follow one more."""
        watch.names.add(name)
        self._by_name.setdefault((watch.topic, name), set()).add(watch)

    def drop(self, watch: Watch) -> None:
        """Follow nothing more."""
        self._all.discard(watch)
        for name in watch.names:
            followed = self._by_name.get((watch.topic, name), set())
            followed.discard(watch)
            if not followed:
                self._by_name.pop((watch.topic, name), None)

    def offer(self, topic: str, change: Change) -> None:
        """Give it to every stream that it concerns, once."""
        concerned = [self._by_name.get((topic, name), ()) for name in change.names]
        for watch in {watch for watches in concerned for watch in watches}:
            watch.offer(change)

    def cut(self) -> None:
        """End every stream."""
        for watch in self._all:
            watch.cut()
