"""What a citizen is told of who has looked."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from broker.overviews.own_log import Look, told

BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)
NAME = "Ea Eksempel"


def looks() -> st.SearchStrategy[list[Look]]:
    look = st.builds(
        lambda minutes, role, unit, purpose, cases, may_name: Look(
            0,
            BEGAN + timedelta(minutes=minutes),
            {"subject": "employee-1", "name": NAME, "role": role, "unit": unit},
            "sapa",
            purpose,
            "permit" if cases else "deny",
            cases,
            ["Eksempel Kommune"],
            may_name,
        ),
        st.integers(0, 5000),
        st.sampled_from(("employee", "control", "citizen", "unheard_of")),
        st.sampled_from(("", "Jobcenter")),
        st.sampled_from((None, "Partshøring")),
        st.lists(st.sampled_from(("1/a/x", "1/a/y")), max_size=2),
        st.booleans(),
    )
    return st.lists(look, max_size=20)


@given(looks())
def test_no_look_is_lost_or_told_twice_and_the_newest_comes_first(listed: list[Look]) -> None:
    lines = told(listed, "citizen-1")
    assert sum(line["times"] for line in lines) == len(listed)
    assert [line["last_at"] for line in lines] == sorted((line["last_at"] for line in lines), reverse=True)


@given(looks())
def test_the_same_is_told_in_whatever_order_the_rows_come(listed: list[Look]) -> None:
    assert told(listed, "citizen-1") == told(listed[::-1], "citizen-1")


@given(looks())
def test_who_read_is_named_only_where_their_authorities_say_so(listed: list[Look]) -> None:
    said = [(NAME in str(line), line["name"] is not None) for line in told(listed, "citizen-1")]
    assert all(named == shown for named, shown in said)
    assert any(named for named, _ in said) == any(look.may_name for look in listed)
    assert "employee-1" not in str(told(listed, "citizen-1"))


def test_what_one_has_looked_up_oneself_is_called_so() -> None:
    look = Look(
        1, BEGAN, {"subject": "citizen-1", "role": "citizen"}, "access-log", None, "permit", [], [], may_name=False
    )
    (line,) = told([look], "citizen-1")
    assert line["text"] == "Du slog dig op i loggen over opslag."
