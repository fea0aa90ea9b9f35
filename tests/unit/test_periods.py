"""Whatever a vendor's list holds, and however little of it is shown at once: every change is read, and once."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.periods import Hit, Periods
from connectors.runner import Cursor
from connectors.times import LAST

SECOND = 1_000_000
NOW = datetime(2024, 3, 18, 9, tzinfo=UTC)
NOW_MICROS = int(NOW.timestamp()) * SECOND
MOST = 4


class Vendor:
    """Rows by their identity; shows `most` at once, in no order, and cuts fractions of a second off its limits."""

    def __init__(self, rows: Sequence[tuple[str, int]], most: int = MOST) -> None:
        self.rows = dict(rows)
        self.most = most
        self.requests = 0

    async def ask(self, begin: int, end: int | None, page: int) -> list[Hit]:
        self.requests += 1
        first, last = begin // SECOND * SECOND, None if end is None else end // SECOND * SECOND
        shown = [
            Hit(identity, changed, {})
            for identity, changed in sorted(self.rows.items(), key=hash)
            if first < changed and (last is None or changed < last)
        ]
        return shown[page * self.most : (page + 1) * self.most]

    def poll(self, since: Cursor, off: timedelta = timedelta(0)) -> tuple[list[tuple[str, int]], Cursor]:
        async def all_of_it() -> tuple[list[tuple[str, int]], Cursor]:
            found: list[tuple[str, int]] = []
            reached = since
            async for hits, cursor in Periods(self.ask, self.most, lambda: NOW + off).changes(since):
                assert 0 < len(hits) <= self.most
                found += [(hit.identity, hit.changed) for hit in hits]
                reached = cursor
            return found, reached

        return asyncio.run(all_of_it())


moments = st.integers(1, NOW_MICROS) | st.integers(NOW_MICROS - 400 * SECOND, NOW_MICROS) | st.just(NOW_MICROS - SECOND)
rows = st.lists(st.tuples(st.text("abcdefghij", min_size=1, max_size=3), moments), max_size=30)
skews = st.sampled_from([timedelta(days=days) for days in (-4000, -1, 0, 1, 4000)])


@given(rows, skews)
def test_every_row_is_read_once(listed: list[tuple[str, int]], off: timedelta) -> None:
    vendor = Vendor(listed)

    found, cursor = vendor.poll({}, off)

    assert sorted(found) == sorted(vendor.rows.items())
    assert vendor.poll(cursor, off)[0] == []


@given(rows, st.lists(st.tuples(st.text("abcdefghij", min_size=1, max_size=3), st.integers(0, 90)), max_size=12))
def test_what_changes_later_is_read_and_nothing_else(
    listed: list[tuple[str, int]], later: list[tuple[str, int]]
) -> None:
    vendor = Vendor(listed)
    _, cursor = vendor.poll({})
    changes = {identity: NOW_MICROS + seconds * SECOND + 1 for identity, seconds in later}

    vendor.rows |= changes

    assert sorted(vendor.poll(cursor, timedelta(minutes=2))[0]) == sorted(changes.items())


def test_a_row_without_a_time_is_read_once_and_takes_the_cursor_nowhere() -> None:
    vendor = Vendor([(f"{number}", NOW_MICROS - number * 3600 * SECOND) for number in range(1, 30)])
    ask = vendor.ask

    async def with_one_more(begin: int, end: int | None, page: int) -> list[Hit]:
        return [Hit("timeless", 1 << 62, {}), *await ask(begin, end, page)][:MOST]

    vendor.ask = with_one_more  # type: ignore[method-assign]

    async def first_page() -> Cursor:
        async for _, cursor in Periods(with_one_more, MOST, lambda: NOW).changes({}):
            return cursor
        raise AssertionError

    found, _ = vendor.poll(asyncio.run(first_page()))

    assert len(found) >= 29 - MOST
    assert "timeless" not in dict(found)


@pytest.mark.parametrize("everywhere", [False, True])
@pytest.mark.parametrize("number", [3, 90])
@pytest.mark.parametrize("off", [timedelta(days=-4000), *(timedelta(minutes=minutes) for minutes in (-10, 0, 10))])
def test_rows_without_a_time_and_from_the_future_hide_no_change_whatever_our_clock_says(
    off: timedelta, number: int, *, everywhere: bool
) -> None:
    ahead = {"TIMELESS": LAST, "AHEAD": NOW_MICROS + 5000 * 86_400 * SECOND}
    dated = [(f"{one}", NOW_MICROS - one * one * 3600 * SECOND) for one in range(1, number)]
    vendor = Vendor([*dated, *ahead.items()], most=20)
    ask = vendor.ask

    async def with_those(begin: int, end: int | None, page: int) -> list[Hit]:
        more = [Hit(name, changed, {}) for name, changed in ahead.items()] if everywhere else []
        return list({hit.identity: hit for hit in (*more, *await ask(begin, end, page))}.values())

    vendor.ask = with_those  # type: ignore[method-assign]
    found, cursor = vendor.poll({}, off)
    assert sorted(found) == sorted(vendor.rows.items())

    vendor.rows["LATER"] = NOW_MICROS + 60 * SECOND

    assert vendor.poll(cursor, off + timedelta(minutes=1))[0] == [("LATER", NOW_MICROS + 60 * SECOND)]


def test_a_clock_that_is_behind_moves_the_cursor_all_the_same() -> None:
    vendor = Vendor([])
    cursor: Cursor = {}
    for minutes in range(60):
        vendor.rows[f"{minutes}"] = NOW_MICROS + minutes * 60 * SECOND
        _, cursor = vendor.poll(cursor, timedelta(minutes=minutes - 10))

    assert cursor["at"] == NOW_MICROS + 49 * 60 * SECOND


def test_a_quiet_system_costs_one_request_a_round() -> None:
    vendor = Vendor([("a", NOW_MICROS - SECOND)])
    _, cursor = vendor.poll({})
    vendor.requests = 0

    vendor.poll(cursor)

    assert vendor.requests == 1


def test_a_burst_is_not_read_over_and_over() -> None:
    vendor = Vendor([(f"{number}", NOW_MICROS - 3600 * SECOND + 1) for number in range(400)])

    found, _ = vendor.poll({})

    assert len(found) == 400
    # Twice, to see that two readings agree, by each of the two periods that touch it; and the way there.
    assert vendor.requests <= 4 * (400 / MOST + 1) + 100
