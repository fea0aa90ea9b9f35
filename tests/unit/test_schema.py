"""An upgrade in phases: old and new releases fit the schema between them, and no step is taken out of its order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.store.database import migrations
from broker.store.schema import CONTRACTS, Phase, SchemaRefused, misfit, pending

KINDS = st.lists(st.booleans(), max_size=6)


def named(start: int, kinds: list[bool]) -> list[str]:
    return [f"{start + n:04}_x{CONTRACTS if contracts else '.sql'}" for n, contracts in enumerate(kinds)]


@given(KINDS, st.permutations([False, False, True]))
def test_between_its_phases_the_old_release_and_the_new_one_both_run(old: list[bool], new: list[bool]) -> None:
    """Where what the new one contracts comes last, as its phases want it."""
    before = named(1, [False, *old])
    after = [*before, *named(100, sorted(new))]
    done = set(before)
    assert (misfit(before, done), misfit(after, done) is None) == (None, False)
    done |= set(pending(after, done, Phase.PRE))
    assert (misfit(before, done), misfit(after, done)) == (None, None)
    done |= set(pending(after, done, Phase.POST))
    assert (misfit(before, done) is None, misfit(after, done)) == (False, None)
    assert done == set(after)


@given(KINDS)
def test_in_both_phases_the_same_is_done_as_at_once_and_nothing_twice(kinds: list[bool]) -> None:
    known = named(1, kinds)
    assert pending(known, set(), Phase.ALL) == known
    for phase in Phase:
        assert pending(known, set(known), phase) == []


def test_an_empty_database_has_no_phases() -> None:
    known = named(1, [False, True, False])
    assert pending(known, set(), Phase.PRE) == known


def test_a_step_out_of_its_order_is_refused_with_what_comes_first() -> None:
    known = ["0001.sql", "0002.post.sql", "0003.sql", "0004.post.sql"]
    with pytest.raises(SchemaRefused, match=r"not ended.*0002\.post\.sql"):
        pending(known, {"0001.sql"}, Phase.PRE)
    with pytest.raises(SchemaRefused, match=r"`pre` comes first.*0003\.sql"):
        pending(known, {"0001.sql", "0002.post.sql"}, Phase.POST)


def test_a_release_says_what_it_lacks_or_what_was_taken_from_it() -> None:
    assert "0002.sql" in str(misfit(["0001.sql", "0002.sql"], {"0001.sql"}))
    assert "0009.post.sql" in str(misfit(["0001.sql"], {"0001.sql", "0008.sql", "0009.post.sql"}))


def test_no_two_shipped_migrations_have_one_number() -> None:
    names = [name for name, _ in migrations()]
    assert all(name[:4].isdecimal() and name[4] == "_" for name in names)
    assert len({name[:4] for name in names}) == len(names)
