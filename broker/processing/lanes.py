"""One lane a partition: its batches one after the other, lanes side by side on a few database sessions.

A lane knows the position it last read or wrote, and takes a batch only if it begins there or before.
"""

import asyncio
import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import NoReturn, Protocol, TypeVar

from faust.types import TP

from broker.domain.batch import Place
from broker.logs import tell
from broker.processing.batching import Batch
from broker.store.batch import PositionLost
from broker.store.positions import PositionRefused

Result = TypeVar("Result")
Claimed = Mapping[int, tuple[Place, int]]
QUEUED = 1
"""Batches a lane takes at once; beyond it the partition is not fetched, and no other partition waits for it.

What comes meanwhile is one larger batch at the next poll: so batches are small when idle and large when behind.
"""
TRY_AGAIN_S = (0.05, 0.2, 0.5, 1.0, 2.0)


class TryAgain(Exception):  # noqa: N818 - an answer, not a fault
    """The database or the registry gave no answer; nothing is wrong with the batch."""


class Work(Protocol):
    """What is done with a batch, in a thread."""

    def claim(self, topic: str, partitions: Iterable[int]) -> Claimed:
        """Where each partition continues. Raises PositionRefused."""

    def apply(self, batch: Batch, place: Place, position: int, again: bool) -> None:  # noqa: FBT001 - passed to a thread
        """Write everything from `position` on; `again`: an earlier try may have been committed unheard.

        Raises PositionLost, TryAgain.
        """


class Lanes:
    """Runs batches in order per partition; ends the process rather than guess."""

    def __init__(self, work: Work, executor: Executor, end: Callable[[int], NoReturn] = os._exit) -> None:
        self.epoch = 0
        self.waiting: set[TP] = set()
        """Partitions whose batch waits for the world to come back: no stall of ours."""
        self._work = work
        self._executor = executor
        self._end = end
        self._places: dict[TP, Place] = {}
        self._positions: dict[TP, int] = {}
        self._tails: dict[TP, asyncio.Task[None]] = {}
        self._queued: Counter[TP] = Counter()

    def position(self, tp: TP) -> int | None:
        """What has been committed to the database."""
        return self._positions.get(tp)

    def owned(self) -> dict[TP, int]:
        """Every partition that is ours, and its position."""
        return dict(self._positions)

    def has_room(self, tp: TP) -> bool:
        """Whether more of this partition may be fetched."""
        return self._queued[tp] < QUEUED

    async def put(self, batch: Batch) -> None:
        """Queue a batch behind the others of its partition."""
        if batch.epoch != self.epoch:
            return
        self._queued[batch.tp] += 1
        task = asyncio.create_task(self._run(batch, self._tails.get(batch.tp)))
        self._tails[batch.tp] = task
        task.add_done_callback(lambda _: self._queued.subtract([batch.tp]))

    async def stop(self) -> None:
        """Finish what is being written, give up what waits."""
        self.epoch += 1
        await self.drain()

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        while tails := [task for task in self._tails.values() if not task.done()]:
            await asyncio.wait(tails)
        self._tails.clear()

    async def claim(self, partitions: set[TP]) -> Mapping[TP, int]:
        """Read the positions of what is ours now; whatever else was ours no longer is."""
        await self.drain()
        self._positions.clear()
        for topic in {tp.topic for tp in partitions}:
            wanted = [tp.partition for tp in partitions if tp.topic == topic]
            try:
                claimed = await self._in_thread(self._work.claim, topic, wanted)
            except PositionRefused as why:
                tell("position_refused", detail=str(why))
                self._end(3)
            for partition, (place, position) in claimed.items():
                self._places[TP(topic, partition)] = place
                self._positions[TP(topic, partition)] = position
        tell("assigned", partitions=sorted(tp.partition for tp in partitions), epoch=self.epoch)
        return dict(self._positions)

    async def _run(self, batch: Batch, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        position = self._positions.get(batch.tp)
        if position is None or batch.epoch != self.epoch or batch.next_offset <= position:
            return
        try:
            if batch.start > position:
                raise PositionLost(f"{batch.tp} continues at {batch.start}, but only {position} is written")  # noqa: TRY301
            await self._apply(batch, position)
        except PositionLost as why:
            tell("position_lost", detail=str(why))
            self._end(1)
        except Exception as error:  # noqa: BLE001 - crash on purpose: nothing may rest on what is left
            # Not its text: that may quote a row.
            tell("crashed", error=type(error).__name__, at=_where(error), code=getattr(error, "sqlstate", None))
            self._end(1)
        finally:
            self.waiting.discard(batch.tp)

    async def _apply(self, batch: Batch, position: int) -> None:
        """However often it takes, while the batch is still of this epoch; no thread is held in between."""
        attempt = 0
        while batch.epoch == self.epoch:
            try:
                await self._in_thread(self._work.apply, batch, self._places[batch.tp], position, attempt > 0)
            except TryAgain:
                self.waiting.add(batch.tp)
                await asyncio.sleep(TRY_AGAIN_S[min(attempt, len(TRY_AGAIN_S) - 1)])
                attempt += 1
            else:
                self._positions[batch.tp] = batch.next_offset
                return

    async def _in_thread(self, work: Callable[..., Result], *arguments: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)


def _where(error: BaseException) -> str:
    """File and line of the innermost frame."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
