"""Lanes write batches in order, drop what an old epoch fetched, and end the process rather than skip anything."""

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn

import pytest
from faust.types import TP

from broker.domain.batch import Place
from broker.processing.batching import Batch
from broker.processing.lanes import QUEUED, Claimed, Lanes, TryAgain
from broker.processing.watchdog import Stalls
from broker.store.batch import PositionLost
from broker.store.positions import PositionRefused

TOPIC = "t"
FIRST = TP(TOPIC, 0)


class Ended(Exception):  # noqa: N818 - stands for the end of the process
    pass


class Written:
    """A table of positions in memory that keeps what it was asked to write."""

    def __init__(self) -> None:
        self.positions = {0: 0, 1: 0}
        self.batches: list[Batch] = []
        self.refuse = False
        self.away = 0

    def claim(self, topic: str, partitions: Iterable[int]) -> Claimed:
        if self.refuse:
            raise PositionRefused("another cluster")
        return {p: (Place(topic, "id", p), self.positions[p]) for p in partitions}

    def apply(self, batch: Batch, place: Place, position: int, again: bool) -> None:  # noqa: FBT001 - the protocol's
        del again
        if self.away and place.partition == 0:
            self.away -= 1
            raise TryAgain
        if self.positions[place.partition] != position:
            raise PositionLost("moved")
        self.positions[place.partition] = batch.next_offset
        self.batches.append(batch)


class Site:
    def __init__(self) -> None:
        self.written = Written()
        self.codes: list[int] = []
        self.lanes = Lanes(self.written, ThreadPoolExecutor(2), self._end)

    def _end(self, code: int) -> NoReturn:
        self.codes.append(code)
        raise Ended

    def batch(self, start: int, end: int, epoch: int | None = None, tp: TP = FIRST) -> Batch:
        return Batch(tp, self.lanes.epoch if epoch is None else epoch, start, end, [])


@pytest.fixture
async def site() -> Site:
    site = Site()
    await site.lanes.claim({FIRST, TP(TOPIC, 1)})
    return site


async def test_batches_of_one_partition_are_written_in_the_order_they_came(site: Site) -> None:
    for start in range(0, 50, 10):
        await site.lanes.put(site.batch(start, start + 10))
        await site.lanes.put(site.batch(start, start + 10, tp=TP(TOPIC, 1)))
    await site.lanes.drain()
    for tp in (FIRST, TP(TOPIC, 1)):
        assert [b.start for b in site.written.batches if b.tp == tp] == [0, 10, 20, 30, 40]
    assert site.lanes.owned() == {FIRST: 50, TP(TOPIC, 1): 50}


async def test_a_batch_of_an_epoch_that_is_over_is_dropped(site: Site) -> None:
    fetched = site.batch(0, 10)
    site.lanes.epoch += 1
    await site.lanes.put(fetched)
    await site.lanes.drain()
    assert site.written.batches == []


async def test_a_batch_already_written_is_not_written_again(site: Site) -> None:
    await site.lanes.put(site.batch(0, 10))
    await site.lanes.put(site.batch(0, 10))
    await site.lanes.drain()
    assert len(site.written.batches) == 1


async def test_a_hole_before_a_batch_ends_the_process(site: Site) -> None:
    await site.lanes.put(site.batch(10, 20))
    with pytest.raises(Ended):
        await asyncio.gather(*site.lanes._tails.values())
    assert site.codes == [1]
    assert site.written.batches == []


async def test_a_position_that_somebody_else_moved_ends_the_process(site: Site) -> None:
    site.written.positions[0] = 7
    await site.lanes.put(site.batch(0, 10))
    with pytest.raises(Ended):
        await asyncio.gather(*site.lanes._tails.values())
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
    other = TP(TOPIC, 1)
    for start in range(0, 10 * QUEUED, 10):
        await site.lanes.put(site.batch(start, start + 10))
    assert not site.lanes.has_room(FIRST)
    for start in range(0, 50, 10):
        await site.lanes.put(site.batch(start, start + 10, tp=other))
    async with asyncio.timeout(5):
        await site.lanes._tails[other]
        while not site.lanes.waiting:  # noqa: ASYNC110 - one turn of the loop at a time
            await asyncio.sleep(0)
    assert site.lanes.owned() == {FIRST: 0, other: 50}
    assert site.lanes.waiting == {FIRST}
    site.written.away = 0
    await site.lanes.drain()
    assert site.lanes.owned() == {FIRST: 10 * QUEUED, other: 50}
    assert site.lanes.waiting == set()


async def test_a_batch_that_waits_is_given_up_when_its_epoch_ends(site: Site) -> None:
    site.written.away = 10**9
    await site.lanes.put(site.batch(0, 10))
    async with asyncio.timeout(5):
        await site.lanes.stop()
    assert site.written.batches == []


def test_only_standing_still_with_lag_counts_as_a_stall() -> None:
    stalls = Stalls()
    assert stalls.probe({0: 5, 1: 5, 2: 5}, {0: 9, 1: 9, 2: 5}) == {0: 1, 1: 1, 2: 0}
    assert stalls.probe({0: 5, 1: 6, 2: 5}, {0: 9, 1: 9, 2: 5}) == {0: 2, 1: 0, 2: 0}
    assert stalls.probe({0: 5}, {0: 9}) == {0: 3}
    assert stalls.probe({1: 6}, {1: 9}) == {1: 1}
