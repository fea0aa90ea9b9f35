"""Lanes write batches in order, drop what an old epoch fetched, and end the process rather than skip anything."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import NoReturn

import pytest
from faust.types import TP

from broker.domain.batch import Place
from broker.processing.arrivals import Records
from broker.processing.batching import Batch
from broker.processing.lanes import MANY, SESSIONS, Claimed, Lanes, TryAgain, Turn
from broker.processing.watchdog import Stalls
from broker.store.batch import PositionLost
from broker.store.positions import PositionRefused

TOPIC = "t"
FIRST = TP(TOPIC, 0)
SECOND = TP(TOPIC, 1)


class Ended(Exception):  # noqa: N818 - stands for the end of the process
    pass


class Written:
    """A table of positions in memory that keeps what it was asked to write."""

    def __init__(self) -> None:
        self.positions = dict.fromkeys(range(2 + SESSIONS), 0)
        self.begun = 0
        self.open = Event()
        self.open.set()
        self.written: list[Sequence[Turn]] = []
        self.refuse = False
        self.away = 0
        self.poisoned = False

    def claim(self, topic: str, partitions: Iterable[int]) -> Claimed:
        if self.refuse:
            raise PositionRefused("another cluster")
        return {p: (Place(topic, "id", p), self.positions[p]) for p in partitions}

    def apply(self, turns: Sequence[Turn], again: bool) -> None:  # noqa: FBT001 - the protocol's
        del again
        self.begun += 1
        self.open.wait()
        if self.away and 0 in {turn.step.place.partition for turn in turns}:
            self.away -= 1
            raise TryAgain
        if self.poisoned and 0 in {turn.step.place.partition for turn in turns}:
            raise ValueError("poison")
        for turn in turns:
            if self.positions[turn.step.place.partition] != turn.step.expected:
                raise PositionLost("moved")
            self.positions[turn.step.place.partition] = turn.step.next_offset
        self.written.append(turns)

    def of(self, tp: TP) -> list[Turn]:
        """What was written of one partition, in order."""
        return [turn for turns in self.written for turn in turns if turn.step.place.partition == tp.partition]


class Site:
    def __init__(self) -> None:
        self.written = Written()
        self.codes: list[int] = []
        self.lanes = Lanes(self.written, ThreadPoolExecutor(SESSIONS), self._end)

    def _end(self, code: int) -> NoReturn:
        self.codes.append(code)
        raise Ended

    def batch(self, start: int, end: int, epoch: int | None = None, tp: TP = FIRST) -> Batch:
        records: Records = [(offset, 0, b"") for offset in range(start, end)]
        return Batch(tp, self.lanes.epoch if epoch is None else epoch, start, end, records)

    async def ended(self) -> None:
        """Whatever is under way ends the process."""
        with pytest.raises(Ended):
            await asyncio.gather(*self.lanes._under_way.values())


@pytest.fixture
async def site() -> Site:
    site = Site()
    await site.lanes.claim({TP(TOPIC, partition) for partition in site.written.positions})
    return site


async def until(true: Callable[[], bool]) -> None:
    """Let the lanes work until it is true."""
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - there is nothing to be told by
            await asyncio.sleep(0.001)


async def test_batches_of_one_partition_are_written_in_the_order_they_came(site: Site) -> None:
    for start in range(0, 50, 10):
        await site.lanes.put(site.batch(start, start + 10))
        await site.lanes.put(site.batch(start, start + 10, tp=SECOND))
    await site.lanes.drain()
    for tp in (FIRST, SECOND):
        assert [record[0] for turn in site.written.of(tp) for record in turn.records] == list(range(50))
    assert [site.lanes.position(tp) for tp in (FIRST, SECOND)] == [50, 50]


async def test_what_waits_in_several_lanes_is_written_together(site: Site) -> None:
    site.written.open.clear()
    for begun in range(SESSIONS):
        await site.lanes.put(site.batch(0, 10, tp=TP(TOPIC, 2 + begun)))
        await until(lambda: site.written.begun > begun)  # noqa: B023 - awaited at once
    for start in range(0, 30, 10):
        await site.lanes.put(site.batch(start, start + 10))
        await site.lanes.put(site.batch(start, start + 10, tp=SECOND))
    site.written.open.set()
    await site.lanes.drain()
    assert [turn.step.next_offset for turn in site.written.written[-1]] == [30, 30]
    assert len(site.written.written) == SESSIONS + 1


async def test_a_lane_with_many_records_is_written_without_others(site: Site) -> None:
    await site.lanes.put(site.batch(0, MANY))
    assert not site.lanes.has_room(FIRST)
    await site.lanes.put(site.batch(0, 10, tp=SECOND))
    await site.lanes.drain()
    assert [len(turns) for turns in site.written.written] == [1, 1]
    assert site.lanes.has_room(FIRST)


async def test_what_is_bounded_is_written_in_parts_one_behind_the_other(site: Site) -> None:
    lanes = Lanes(site.written, ThreadPoolExecutor(SESSIONS), site._end, most={TOPIC: 100})
    site.lanes = lanes
    await lanes.claim({FIRST})
    gaps: Records = [(offset, 0, b"") for offset in range(0, 1000, 2)]
    await lanes.put(Batch(FIRST, lanes.epoch, 0, 1003, gaps))
    for start in range(1003, 1063, 10):
        await lanes.put(site.batch(start, start + 10))
    await lanes.drain()

    turns = site.written.of(FIRST)
    assert [record for turn in turns for record in turn.records][:500] == gaps
    assert [record[0] for turn in turns for record in turn.records][500:] == list(range(1003, 1063))
    assert [len(turn.records) for turn in turns] == [100] * 5 + [60]
    assert lanes.position(FIRST) == 1063


async def test_of_a_lane_that_is_bounded_no_more_waits_than_of_another(site: Site) -> None:
    lanes = site.lanes = Lanes(site.written, ThreadPoolExecutor(SESSIONS), site._end, most={TOPIC: 100})
    await lanes.claim({FIRST})
    await lanes.put(site.batch(0, MANY))
    assert not lanes.has_room(FIRST)
    await lanes.drain()
    assert lanes.has_room(FIRST)


async def test_a_batch_of_an_epoch_that_is_over_is_dropped(site: Site) -> None:
    fetched = site.batch(0, 10)
    site.lanes.epoch += 1
    await site.lanes.put(fetched)
    await site.lanes.drain()
    assert site.written.written == []


async def test_a_batch_already_written_is_not_written_again(site: Site) -> None:
    await site.lanes.put(site.batch(0, 10))
    await site.lanes.put(site.batch(0, 10))
    await site.lanes.drain()
    assert len(site.written.written) == 1


async def test_a_hole_before_a_batch_ends_the_process(site: Site) -> None:
    await site.lanes.put(site.batch(10, 20))
    await site.ended()
    assert site.codes == [1]
    assert site.written.written == []


async def test_a_position_that_somebody_else_moved_ends_the_process(site: Site) -> None:
    site.written.positions[0] = 7
    await site.lanes.put(site.batch(0, 10))
    await site.ended()
    assert site.codes == [1]


async def test_a_log_that_does_not_fit_ends_the_process_for_an_operator(site: Site) -> None:
    site.written.refuse = True
    with pytest.raises(Ended):
        await site.lanes.claim({FIRST})
    assert site.codes == [3]


async def test_a_claim_waits_for_what_is_being_written_and_then_reads_the_position(site: Site) -> None:
    await site.lanes.put(site.batch(0, 10))
    assert await site.lanes.claim({FIRST}) == {FIRST: 10}


async def test_a_lane_that_waits_for_the_world_holds_back_nobody_else(site: Site) -> None:
    site.written.away = 10**9
    await site.lanes.put(site.batch(0, MANY))
    for start in range(0, 50, 10):
        await site.lanes.put(site.batch(start, start + 10, tp=SECOND))
    await until(lambda: site.lanes.position(SECOND) == 50 and bool(site.lanes.waiting))
    assert site.lanes.waiting == {FIRST}
    assert not site.lanes.has_room(FIRST)
    site.written.away = 0
    await site.lanes.drain()
    assert [site.lanes.position(tp) for tp in (FIRST, SECOND)] == [MANY, 50]
    assert site.lanes.waiting == set()


async def test_of_those_written_together_one_that_cannot_be_holds_back_no_other(site: Site) -> None:
    await site.lanes.put(site.batch(0, 10))  # so that the next ones wait for each other
    await site.lanes.put(site.batch(10, 20))
    await site.lanes.put(site.batch(0, 10, tp=SECOND))
    site.written.away = 10**9
    await until(lambda: site.lanes.position(SECOND) == 10 and site.lanes.waiting == {FIRST})
    site.written.away = 0
    await site.lanes.drain()
    assert [site.lanes.position(tp) for tp in (FIRST, SECOND)] == [20, 10]


async def test_what_ends_the_process_is_one_lane_and_not_those_written_with_it(site: Site) -> None:
    await site.lanes.put(site.batch(0, 10))  # so that the next ones wait for each other
    await site.lanes.put(site.batch(10, 20))
    await site.lanes.put(site.batch(0, 10, tp=SECOND))
    site.written.poisoned = True
    await until(lambda: site.lanes.position(SECOND) == 10 and bool(site.codes))
    assert site.codes == [1]
    assert site.lanes.position(FIRST) in (0, 10)


async def test_a_batch_that_waits_is_given_up_when_its_epoch_ends(site: Site) -> None:
    site.written.away = 10**9
    await site.lanes.put(site.batch(0, 10))
    async with asyncio.timeout(60):
        await site.lanes.stop()
    assert site.written.written == []


def test_only_standing_still_with_lag_counts_as_a_stall() -> None:
    stalls = Stalls()
    assert stalls.probe({0: 5, 1: 5, 2: 5}, {0: 9, 1: 9, 2: 5}) == {0: 1, 1: 1, 2: 0}
    assert stalls.probe({0: 5, 1: 6, 2: 5}, {0: 9, 1: 9, 2: 5}) == {0: 2, 1: 0, 2: 0}
    assert stalls.probe({0: 5}, {0: 9}) == {0: 3}
    assert stalls.probe({1: 6}, {1: 9}) == {1: 1}
