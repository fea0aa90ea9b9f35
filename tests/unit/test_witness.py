"""What was seen of a citizen is judged by their consent's history alone; and a slope is a slope."""

from hypothesis import given
from hypothesis import strategies as st

from ops.bench.soak import slope
from ops.bench.witness import STREAM_S, History, Seen, Watched

CASES = frozenset({"a", "b"})


def history(*changes: tuple[float, float | None, bool]) -> History:
    made = History()
    for asked, answered, stands in changes:
        made.asks(asked, stands=stands)
        if answered is not None:
            made.answered(answered)
    return made


def one(*changes: tuple[float, float | None, bool]) -> Watched:
    return Watched(1, CASES, history(*changes))


GIVEN_AND_WITHDRAWN = ((10.0, 11.0, True), (20.0, 21.0, False))


@given(st.floats(0, 40), st.floats(0, 10))
def test_a_consent_is_certain_only_where_no_change_of_it_is_under_way(since: float, took: float) -> None:
    until = since + took
    touched = any(asked < until and since < answered for asked, answered, _ in GIVEN_AND_WITHDRAWN)
    expected = None if touched else 11 <= since < 21
    assert history(*GIVEN_AND_WITHDRAWN).stood(since, until) is expected


def test_nobody_has_consented_before_they_were_asked() -> None:
    assert history().stood(1, 2) is False


def test_what_was_asked_and_not_answered_may_hold_or_not() -> None:
    assert history((10, None, True)).stood(1000, 1001) is None


def test_a_search_after_the_withdrawal_must_find_nothing_and_before_it_everything() -> None:
    seen, citizen = Seen(), one(*GIVEN_AND_WITHDRAWN)
    seen.searched(citizen, "hoi", 12, 13, CASES)
    seen.searched(citizen, "hoi", 22, 23, frozenset())
    seen.searched(citizen, "hoi", 19, 22, frozenset({"a"}))  # it was being withdrawn
    seen.searched(citizen, "sapa", 22, 23, CASES)
    assert seen.leaks == []
    assert seen.judged == {"hoi": 2, "sapa": 1}
    seen.searched(citizen, "hoi", 22, 23, CASES)
    seen.searched(citizen, "hoi", 12, 13, frozenset({"a"}))
    seen.searched(citizen, "hoi", 19, 22, frozenset({"c"}))
    assert len(seen.leaks) == 3


def test_a_stream_may_send_what_it_had_decided_but_not_long_after() -> None:
    seen, citizen = Seen(), one(*GIVEN_AND_WITHDRAWN)
    seen.heard(citizen, 12, "entry", "a")
    seen.heard(citizen, 21.5, "entry", "b")
    assert (seen.leaks, seen.late, citizen.there) == ([], [500.0], set(CASES))
    seen.heard(citizen, 22, "gone", "a")
    seen.heard(citizen, 21 + STREAM_S + 1, "entry", "a")
    assert len(seen.leaks) == 1


@given(st.floats(-100, 100), st.floats(-1000, 1000), st.lists(st.integers(0, 10_000), min_size=2, unique=True))
def test_the_slope_of_a_line_is_its_own(rise: float, start: float, at: list[int]) -> None:
    assert abs(slope([(float(x), start + rise * x) for x in at]) - rise) < 1e-3
