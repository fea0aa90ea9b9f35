"""One lane a partition: its batches one after the other; what waits in several lanes is written together.

A lane knows the position it last read or wrote, and takes a batch only if it begins there or before.
"""

import asyncio
import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from itertools import accumulate, chain, repeat
from typing import Any, NamedTuple, NoReturn, Protocol, TypeVar

from faust.types import TP

from broker.domain.batch import Place
from broker.logs import tell, where
from broker.processing.arrivals import Records
from broker.processing.batching import POLL_RECORDS, Batch
from broker.store.batch import Advance, PositionLost
from broker.store.positions import PositionRefused

Result = TypeVar("Result")
Claimed = Mapping[int, tuple[Place, int]]
SESSIONS = 2
MANY = 1000
"""Records of a lane beyond which nothing more of its partition is fetched.

What comes meanwhile is one larger batch at the next poll: so batches are small when idle and large when behind.
"""
GATHER_S = 0.02
"""From the start of one transaction to that of the next, while few wait: what it costs hardly depends on how many."""
NO_BOUNDS: Mapping[str, int] = {}
TRY_AGAIN_S = (0.05, 0.2, 0.5, 1.0, 2.0)


class TryAgain(Exception):  # noqa: N818 - an answer, not a fault
    """The database or the registry gave no answer; nothing is wrong with the batch."""


class Turn(NamedTuple):
    """What one partition is to move on by."""

    step: Advance
    records: Records
    fetched: Sequence[Any] = ()
    """As in `Batch`."""


class Work(Protocol):
    """What is done with the turns, in a thread."""

    def claim(self, topic: str, partitions: Iterable[int]) -> Claimed:
        """Where each partition continues. Raises PositionRefused."""

    def apply(self, turns: Sequence[Turn], again: bool) -> None:  # noqa: FBT001 - passed to a thread
        """Write these turns of one topic, all or none; `again`: a single one that may have been committed unheard.

        Raises PositionLost, TryAgain.
        """


class Lanes:
    """Runs batches in order per partition; ends the process rather than guess."""

    def __init__(
        self,
        work: Work,
        executor: Executor,
        end: Callable[[int], NoReturn] = os._exit,
        most: Mapping[str, int] = NO_BOUNDS,
    ) -> None:
        """`executor` has SESSIONS threads. most: records of a lane in one transaction, by topic."""
        self.epoch = 0
        self.waiting: set[TP] = set()
        """Partitions whose batch waits for the world to come back: no stall of ours."""
        self._work = work
        self._executor = executor
        self._end = end
        self._most = most
        self._places: dict[TP, Place] = {}
        self._positions: dict[TP, int] = {}
        self._pending: defaultdict[TP, list[Batch]] = defaultdict(list)
        self._under_way: dict[TP, asyncio.Task[None]] = {}
        self._records: Counter[TP] = Counter()
        self._busy = 0
        self._next_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def position(self, tp: TP) -> int | None:
        """What has been committed to the database."""
        return self._positions.get(tp)

    def owned(self) -> dict[TP, int]:
        """Every partition that is ours, and its position."""
        return dict(self._positions)

    def has_room(self, tp: TP) -> bool:
        """Whether more of this partition may be fetched."""
        return self._records[tp] < MANY

    async def put(self, batch: Batch) -> None:
        """Queue a batch behind the others of its partition."""
        if batch.epoch == self.epoch:
            self._pending[batch.tp] += batch.cut(self._most.get(batch.tp.topic, POLL_RECORDS))
            self._records[batch.tp] += len(batch.records)
            self._begin()

    async def stop(self) -> None:
        """Finish what is being written, give up what waits."""
        self.epoch += 1
        await self.drain()

    async def drain(self) -> None:
        """Wait until nothing is under way."""
        while self._pending or self._under_way:
            self._begin(now=True)
            if self._under_way:
                await asyncio.wait(set(self._under_way.values()))

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

    def _begin(self, *, now: bool = False) -> None:
        """Give what waits to free threads; little, and soon after the last, is let gather first unless `now`."""
        loop = asyncio.get_running_loop()
        while self._busy < SESSIONS and (ready := [tp for tp in self._pending if tp not in self._under_way]):
            early = self._next_at - loop.time()
            if early > 0 and not now and sum(self._records[tp] for tp in ready) < MANY:
                if self._timer is None:
                    self._timer = loop.call_later(early, self._gathered)
                return
            self._next_at = loop.time() + GATHER_S
            self._busy += 1
            taken = self._take(ready)
            task = asyncio.create_task(self._guarded(self._together(taken)))
            self._under_way.update(dict.fromkeys(taken, task))

    def _gathered(self) -> None:
        self._timer = None
        self._begin()

    def _take(self, ready: Sequence[TP]) -> dict[TP, list[Batch]]:
        """Lanes of one topic, until they are many records."""
        taken: dict[TP, list[Batch]] = {}
        for tp in ready:
            if tp.topic == ready[0].topic and sum(self._records[other] for other in taken) < MANY:
                taken[tp] = self._head(tp)
        return taken

    def _head(self, tp: TP) -> list[Batch]:
        """What waits in a lane; of what is bounded, as many batches as the bound allows."""
        waiting = self._pending.pop(tp)
        records = accumulate(len(batch.records) for batch in waiting)
        most = self._most.get(tp.topic, math.inf)
        number = max(1, sum(so_far <= most for so_far in records))
        if number < len(waiting):
            self._pending[tp] = waiting[number:]
        return waiting[:number]

    async def _together(self, taken: Mapping[TP, Sequence[Batch]]) -> None:
        """In one transaction; if that fails, each by itself from then on, so that none holds back another.

        Also where no cause is known: what ends the process then is that one lane, and no other stands behind it.
        """
        epoch, alone = self.epoch, dict[TP, Turn]()
        turns = {tp: turn for tp, batches in taken.items() if (turn := self._turn(tp, batches))}
        try:
            await self._apply(turns, again=False)
        except TryAgain:
            alone = turns
        except Exception as error:
            if len(turns) == 1 or isinstance(error, PositionLost):
                raise
            lanes = sorted(tp.partition for tp in turns)
            tell("batch_retried", partitions=lanes, error=type(error).__name__, where=where(error.__traceback__))
            alone = turns
        finally:
            self._busy -= 1
        for tp in taken:
            if tp in alone:
                self._under_way[tp] = asyncio.create_task(self._guarded(self._alone(tp, alone[tp], epoch)))
            else:
                self._leave(tp)
        self._begin()

    async def _alone(self, tp: TP, turn: Turn, epoch: int) -> None:
        """However often it takes, while the epoch lasts; no thread is held in between."""
        self.waiting.add(tp)
        for pause in chain(TRY_AGAIN_S, repeat(TRY_AGAIN_S[-1])):
            await asyncio.sleep(pause)
            try:
                if epoch == self.epoch:
                    await self._apply({tp: turn}, again=True)
                break
            except TryAgain:
                continue
        self._leave(tp)
        self._begin()

    async def _apply(self, turns: Mapping[TP, Turn], *, again: bool) -> None:
        if turns:
            await self._in_thread(self._work.apply, list(turns.values()), again)
        for tp, turn in turns.items():
            self._positions[tp] = turn.step.next_offset

    def _leave(self, tp: TP) -> None:
        del self._under_way[tp]
        self.waiting.discard(tp)
        self._records[tp] = sum(len(batch.records) for batch in self._pending.get(tp, ()))

    def _turn(self, tp: TP, batches: Sequence[Batch]) -> Turn | None:
        """The batches of this epoch as one, from the position on; None if there is nothing new in them."""
        start = self._positions.get(tp)
        batches = [batch for batch in batches if batch.epoch == self.epoch]
        if start is None or not batches:
            return None
        end, records, fetched = start, Records(), list[Any]()
        for batch in batches:
            if batch.start > end:
                raise PositionLost(f"{tp} continues at {batch.start}, but only {end} is written")
            records += [record for record in batch.records if record[0] >= end]
            fetched += batch.fetched
            end = max(end, batch.next_offset)
        return Turn(Advance(self._places[tp], start, end), records, fetched) if end > start else None

    async def _guarded(self, writing: Coroutine[None, None, None]) -> None:
        try:
            await writing
        except PositionLost as why:
            tell("position_lost", detail=str(why))
            self._end(1)
        except Exception as error:  # noqa: BLE001 - crash on purpose: nothing may rest on what is left
            self.crash(error)

    def crash(self, error: Exception) -> NoReturn:
        """End the process, and say where it was; not the error's text, which may quote a row."""
        tell(
            "crashed", error=type(error).__name__, at=where(error.__traceback__), code=getattr(error, "sqlstate", None)
        )
        self._end(1)

    async def _in_thread(self, work: Callable[..., Result], *arguments: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)
