"""One lane a partition: its batches one after the other, lanes side by side on a few database sessions.

A lane knows the position it last read or wrote, and takes a batch only if it begins there or before.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from typing import NoReturn, Protocol, TypeVar

from faust.types import TP

from broker.domain.batch import Place
from broker.logs import tell
from broker.processing.batching import Batch
from broker.store.batch import PositionLost
from broker.store.positions import PositionRefused

Result = TypeVar("Result")
Claimed = Mapping[int, tuple[Place, int]]


class Work(Protocol):
    """What is done with a batch, in a thread."""

    def claim(self, topic: str, partitions: Iterable[int]) -> Claimed:
        """Where each partition continues. Raises PositionRefused."""

    def apply(self, batch: Batch, place: Place, position: int, wanted: Callable[[], bool]) -> bool:
        """Write everything from `position` on, however long it takes while `wanted`; False when given up.

        Raises PositionLost.
        """


class Lanes:
    """Runs batches in order per partition; ends the process rather than guess."""

    def __init__(
        self, work: Work, executor: Executor, under_way: int, end: Callable[[int], NoReturn] = os._exit
    ) -> None:
        self.epoch = 0
        self._work = work
        self._executor = executor
        self._end = end
        self._room = asyncio.Semaphore(under_way)
        self._places: dict[TP, Place] = {}
        self._positions: dict[TP, int] = {}
        self._tails: dict[TP, asyncio.Task[None]] = {}

    def position(self, tp: TP) -> int | None:
        """What has been committed to the database."""
        return self._positions.get(tp)

    def owned(self) -> dict[TP, int]:
        """Every partition that is ours, and its position."""
        return dict(self._positions)

    async def put(self, batch: Batch) -> None:
        """Queue a batch behind the others of its partition; waits while too many are under way."""
        if batch.epoch != self.epoch:
            return
        await self._room.acquire()
        before = self._tails.get(batch.tp)
        task = asyncio.create_task(self._run(batch, before))
        self._tails[batch.tp] = task
        task.add_done_callback(lambda _: self._room.release())

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
            if await self._in_thread(
                self._work.apply, batch, self._places[batch.tp], position, lambda: batch.epoch == self.epoch
            ):
                self._positions[batch.tp] = batch.next_offset
        except PositionLost as why:
            tell("position_lost", detail=str(why))
            self._end(1)
        except Exception as error:  # noqa: BLE001 - crash on purpose: nothing may rest on what is left
            tell("crashed", error=type(error).__name__, detail=str(error).partition("\n")[0][:200])
            self._end(1)

    async def _in_thread(self, work: Callable[..., Result], *arguments: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)
