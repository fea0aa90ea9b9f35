"""The chain over the log of reads."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.chain import GENESIS, Flaw, Row, compared, digest, packed, sealed, unpacked
from broker.processing.verifying import Ids

CONTENTS = st.lists(st.tuples(st.integers(0, 2**62), st.text(), st.none() | st.text()), max_size=6, unique=True)


@given(CONTENTS)
def test_what_is_as_it_was_sealed_has_no_flaw(contents: list[tuple[object, ...]]) -> None:
    rows = [Row(number, digest(content)) for number, content in enumerate(contents)]
    segment = sealed(1, 0, GENESIS, rows)
    assert segment.is_whole
    assert unpacked(packed(rows)) == segment.rows
    assert list(compared(segment, dict(rows))) == []


@given(CONTENTS.filter(bool), st.data())
def test_a_row_that_is_changed_or_gone_is_named(contents: list[tuple[object, ...]], data: st.DataObject) -> None:
    rows = [Row(number, digest(content)) for number, content in enumerate(contents)]
    segment, which = sealed(7, 0, GENESIS, rows), data.draw(st.sampled_from(rows))
    gone = {number: there for number, there in rows if number != which.id}
    (missing,) = compared(segment, gone)
    (changed,) = compared(segment, {**gone, which.id: digest(["another"])})
    assert (missing.flaw, missing.segment, missing.row) == (Flaw.MISSING, 7, which.id)
    assert (changed.flaw, changed.row) == (Flaw.CHANGED, which.id)


def test_rows_that_have_changed_places_are_named() -> None:
    one, two = digest([1]), digest([2])
    found = list(compared(sealed(1, 0, GENESIS, [Row(1, one), Row(2, two)]), {1: two, 2: one}))
    assert [(finding.flaw, finding.row) for finding in found] == [(Flaw.REORDERED, 1), (Flaw.REORDERED, 2)]


@given(CONTENTS, st.integers(1, 9), st.integers(0, 9), st.binary(min_size=32, max_size=32))
def test_a_segment_is_whole_only_with_its_own_number_time_past_and_rows(
    contents: list[tuple[object, ...]], number: int, at: int, previous: bytes
) -> None:
    segment = sealed(number, at, previous, [Row(n, digest(content)) for n, content in enumerate(contents)])
    for other in (
        replace(segment, number=number + 1),
        replace(segment, sealed_at=at + 1),
        replace(segment, previous=bytes(31) + bytes([previous[-1] ^ 1]) if previous[:31] == bytes(31) else bytes(32)),
        replace(segment, rows=(*segment.rows, Row(99, bytes(32)))),
    ):
        assert not other.is_whole or other == segment


def test_a_list_that_was_cut_short_cannot_be_read() -> None:
    with pytest.raises(ValueError, match="sealed rows"):
        unpacked(packed([Row(1, bytes(32))])[:-1])


@given(st.lists(st.integers(0, 50)), st.booleans())
def test_an_id_is_known_when_it_was_added_in_whatever_order(added: list[int], ordered: bool) -> None:  # noqa: FBT001 - drawn
    ids = Ids()
    for number in sorted(added) if ordered else added:
        ids.add(number)
    assert [number in ids for number in range(52)] == [number in added for number in range(52)]
