"""Agreements and delimitations: put, kept in versions, and what they do to the index."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError

from broker.store import database, facts, reference
from broker.store.database import query
from broker.store.reference import NotYoursError, Putter, TransitionRefusedError
from broker.store.shapes import AGREEMENTS, Delimitation
from tests.integration.referring import AARHUS, CITIZEN, CLARIFIED, ONBOARDING, OPERATOR, READER, SENDER, UDK, Store


def test_a_version_is_kept_for_every_change_and_none_for_the_same_again(store: Store) -> None:
    put = [store.put(body)[0] for body in (SENDER, SENDER, {**SENDER, "kle": ["27.*", "32.45.04"]})]
    assert [(one["version"], one["changed"]) for one in put] == [(1, True), (1, False), (2, True)]
    assert store.revision == 3
    with database.connect(store.dsn, "test") as connection:
        agreement = facts.load(connection).senders[AARHUS, "sbsys"]
    assert (agreement.version, agreement.kle.covers("32.45.04")) == (2, True)


def test_a_change_touches_the_entries_of_its_sender_and_a_reader_agreement_those_of_the_authority(store: Store) -> None:
    store.entries("sbsys", "sbsys", "nexus")
    store.put(SENDER)
    assert store.dirty == [("sbsys", 1), ("sbsys", 1)]
    store.put(READER)
    assert store.dirty == [("nexus", 1), ("sbsys", 1), ("sbsys", 1)]


def test_what_narrows_goes_by_the_purge_lane_and_stays_there(store: Store) -> None:
    store.entries("sbsys")
    store.put(READER)
    assert store.dirty == [("sbsys", 1)]
    store.put({**READER, "sensitivity": "FORTROLIGE_PERSONOPLYSNINGER"})
    assert store.dirty == [("sbsys", 0)]
    store.put(READER)
    assert store.dirty == [("sbsys", 0)]


@pytest.mark.parametrize(
    "narrower",
    [
        {"state": "SUSPENDED"},
        {"state": "COMPLIANT"},
        {"kle": ["27.36.*"]},
        {"from_date": "2021-01-01"},
        {"sensitivity": "IKKE_FORTROLIGE_DATA"},
        {"restricted": {"kle": ["27.36.*"]}},
    ],
)
def test_less_of_anything_narrows(store: Store, narrower: dict[str, Any]) -> None:
    store.put(SENDER)
    store.entries("sbsys")
    store.put({**SENDER, **narrower})
    assert store.dirty == [("sbsys", 0)]


def checked(store: Store, unmapped: int = 0, *, passed: bool = True) -> None:
    with database.connect(store.dsn, "test") as connection:
        connection.execute(
            "INSERT INTO kle_check (authority, system, codes, unmapped, revision) VALUES (%s, 'sbsys', 9, %s, 1)",
            [AARHUS, unmapped],
        )
        connection.execute(
            "INSERT INTO compliance_run (authority, system, passed, report) VALUES (%s, 'sbsys', %s, '{}')",
            [AARHUS, passed],
        )


def test_the_way_is_walked_one_step_at_a_time_and_each_shows_what_it_asks_for(store: Store) -> None:
    plain = {**SENDER, "override": False, "state": "DRAFT"}
    store.put(plain)

    def lacking(wanted: dict[str, Any]) -> None:
        with pytest.raises(TransitionRefusedError):
            store.put(wanted)

    lacking({**plain, "state": "SIGNED"})
    plain |= {"signed_by": "Ea Eksempel", "signed_at": "2024-01-01T00:00:00Z"}
    store.put({**plain, "state": "SIGNED"})
    lacking({**plain, "state": "CLARIFIED"})
    plain |= {"clarification": [CLARIFIED | {"kle": ["27.36.*"]}]}
    lacking({**plain, "state": "CLARIFIED"})
    plain |= {"clarification": [CLARIFIED]}
    store.put({**plain, "state": "CLARIFIED"})
    lacking({**plain, "state": "MAPPED"})
    checked(store, unmapped=1)
    lacking({**plain, "state": "MAPPED"})
    checked(store, passed=False)
    store.put({**plain, "state": "MAPPED"})
    lacking({**plain, "state": "CONNECTED"})
    assert store.does(lambda connection: reference.connected(connection, AARHUS, "sbsys"))
    assert not store.does(lambda connection: reference.connected(connection, AARHUS, "sbsys"))
    lacking({**plain, "state": "COMPLIANT"})
    checked(store)
    for state in ("COMPLIANT", "RESTRICTED", "FULL", "RESTRICTED"):
        store.put({**plain, "state": state})
    with pytest.raises(TransitionRefusedError):
        store.put({**plain, "state": "FULL"}, {**plain, "state": "FULL", "system": "nexus"})
    assert store.rows("SELECT count(*) FROM sender_agreement") == [(9,)]
    store.put({**plain, "state": "SUSPENDED"})
    with pytest.raises(TransitionRefusedError):
        store.put({**plain, "state": "FULL"})
    store.put({**plain, "state": "FULL", "override": True})
    ((body,),) = store.rows("SELECT body FROM sender_agreement WHERE version = 11")
    assert (body["override"], body["overrides"]) == (True, "not_next")
    told = store.does(lambda connection: reference.history(connection, AARHUS, "sbsys"))
    assert [one["version"] for one in told] == list(range(11, 0, -1))
    (by_itself,) = [one for one in told if one["put_as"] == "system"]
    assert (by_itself["state"], by_itself["put_by"], by_itself["reason"]) == (
        "CONNECTED",
        "sagsbro",
        "the first event came through",
    )


def test_of_test_citizens_only_the_number_is_told(store: Store) -> None:
    store.put({**SENDER, "state": "RESTRICTED", "restricted": {"kle": ["27.36.*"], "citizens": [CITIZEN]}})
    told = [
        *store.does(reference.agreements),
        *store.does(lambda connection: reference.history(connection, AARHUS, "sbsys")),
    ]
    assert [one["restricted"] for one in told] == [{"kle": ["27.36.*"], "citizens": 1}] * 2
    with database.connect(store.dsn, "test") as connection:
        assert facts.load(connection).senders[AARHUS, "sbsys"].restricted_citizens == {CITIZEN}


def test_an_operator_may_narrow_and_nothing_else(store: Store) -> None:
    for body in (SENDER, READER):
        with pytest.raises(NotYoursError):
            store.put(body, by=OPERATOR)
        store.put(body)
        with pytest.raises(NotYoursError):
            store.put({**body, "state": "SUSPENDED", "from_date": "2019-12-31"}, by=OPERATOR)
        with pytest.raises(NotYoursError):
            store.put({**body, "kle": ["27.36.*"], "signed_by": "Bo"}, by=OPERATOR)
        store.put({**body, "kle": ["27.36.*"]}, by=OPERATOR)
        with pytest.raises(NotYoursError):
            store.put(body, by=OPERATOR)
        store.put(body)
        store.put({**body, "state": "SUSPENDED", "reason": "forkerte sager"}, by=OPERATOR)
        with pytest.raises(NotYoursError):
            store.put(body, by=OPERATOR)


def test_nobody_puts_for_an_authority_that_is_not_theirs(store: Store) -> None:
    for body in ({**SENDER, "authority": UDK}, {**READER, "authority": UDK}):
        with pytest.raises(NotYoursError):
            store.put(SENDER, body)
    assert store.rows("SELECT count(*) FROM sender_agreement") == [(0,)]
    assert store.revision == 1


@pytest.mark.parametrize(
    "flaw",
    [
        {"authority": "1234"},
        {"system": "ukendt"},
        {"kle": ["27*"]},
        {"state": "OPEN"},
        {"sensitivity": "HEMMELIG"},
        {"from_date": "i går"},
        {"restricted": {"citizens": ["0101019999x"]}},
        {"colour": "red"},
        {"overview": "sapa"},
    ],
)
def test_a_body_that_is_not_of_the_shape_is_refused_without_repeating_it(flaw: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        AGREEMENTS.validate_python([{**SENDER, **flaw}])
    assert "0101019999" not in str(refused.value)


def test_a_put_replaces_the_whole_list_of_delimitations(store: Store) -> None:
    store.entries("sbsys", "nexus")

    def put(*patterns: str) -> list[dict[str, Any]]:
        day = date(2021, 1, 1)
        choices = [Delimitation(authority=AARHUS, kle=[pattern], from_date=day) for pattern in patterns]
        return store.does(lambda connection: reference.put_delimitations(connection, choices, ONBOARDING))

    assert [put("27.36.*", "15.*")[0]["version"], put("27.36.*", "15.*")[0]["version"]] == [1, 1]
    assert put("32.*") == [{"authority": AARHUS, "version": 2, "changed": True}]
    assert [one["kle"] for one in store.does(reference.delimitations)] == [["32.*"]]
    assert store.dirty == [("nexus", 0), ("sbsys", 0)]


def test_clearing_delimitations_is_a_version_of_its_own_and_shows_what_was_left_out(store: Store) -> None:
    def clear(by: Putter = ONBOARDING) -> dict[str, Any]:
        return store.does(lambda connection: reference.clear_delimitations(connection, AARHUS, by))

    assert clear() == {"authority": AARHUS, "version": None, "changed": False}
    choice = Delimitation(authority=AARHUS, kle=["15.*"], from_date=date(2021, 1, 1))
    store.does(lambda connection: reference.put_delimitations(connection, [choice], ONBOARDING))
    store.entries("sbsys")
    with pytest.raises(NotYoursError):
        clear(OPERATOR)
    assert [clear()["version"], clear()] == [2, {"authority": AARHUS, "version": 2, "changed": False}]
    assert store.rows("SELECT version, jsonb_array_length(body) FROM delimitation ORDER BY version") == [(1, 1), (2, 0)]
    assert store.dirty == [("sbsys", 1)]
    with database.connect(store.dsn, "test") as connection:
        assert facts.load(connection).delimitations == {AARHUS: ()}


def test_a_change_waits_for_the_batches_before_it_and_for_none_after_it(store: Store) -> None:
    with (
        database.connect(store.dsn, "test") as before,
        database.connect(store.dsn, "test") as after,
        database.connect(store.dsn, "test") as watch,
        ThreadPoolExecutor() as threads,
    ):
        with before.transaction():
            assert before.execute(query("hold_revision")).fetchone() == (1,)
            changed = threads.submit(store.put, SENDER)
            until_waiting(watch, 1)
            late = threads.submit(held_at, after)
            until_waiting(watch, 2)
            assert not changed.done()
        # Had the later batch gone in front, it would have seen the revision that the change was to replace.
        assert late.result() == 2
        assert changed.result()[0]["changed"]


def held_at(connection: psycopg.Connection[Any]) -> int:
    with connection.transaction():
        ((revision,),) = connection.execute(query("hold_revision")).fetchall()
        return int(revision)


def until_waiting(connection: psycopg.Connection[Any], number: int) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    for _ in range(50_000):
        if connection.execute(waiting).fetchone() == (number,):
            return
    raise AssertionError(f"never were {number} waiting")
