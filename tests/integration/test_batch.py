"""What the table holds after any batches in any order is what the pure merge says."""

import random
import threading
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from typing import Any, cast

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.domain.agreement import AgreementState, Facts, SenderAgreement
from broker.domain.batch import Place, plan
from broker.domain.case import EMPTY, CaseEvent, State, content_hash, key_of, merge, said_by, stamp_of
from broker.domain.classify import Classified, judge
from broker.domain.entry import entry_of
from broker.domain.identity import EntryKey
from broker.domain.kle import Edition, KleBook, Patterns
from broker.domain.outcome import read_verdict
from broker.processing.arrivals import Records, closer, decode, look
from broker.store import batch, database
from broker.store.document import load
from broker.stream.framing import HEADER, Decoder, encode
from tests.strategies import AUTHORITY, KLE, events

Connection = psycopg.Connection[Any]
FACTS = Facts(
    1,
    {
        (AUTHORITY, "sbsys"): SenderAgreement(
            AUTHORITY, "sbsys", 1, AgreementState.FULL, Patterns.of(["N*"]), 4, date(2000, 1, 1)
        )
    },
    kle=KleBook((Edition(date(2000, 1, 1), dict.fromkeys(KLE, "emne")),)),
)
PLACES = (Place("t", "id", 0), Place("t", "id", 1), Place("t", "id", 2))
DECODER = Decoder("case_event", lambda _: None)
RECEIVED_MS = 1_800_000_000_000


@pytest.fixture
def sessions(database: str) -> Iterator[list[Connection]]:
    """Two workers' connections."""
    migrated(database)
    opened = [connected(database) for _ in range(2)]
    yield opened
    for connection in opened:
        connection.close()


def migrated(dsn: str) -> None:
    database.migrate(dsn)


def connected(dsn: str) -> Connection:
    connection = database.connect(dsn, "test")
    batch.prepare(connection)
    return connection


def put(connection: Connection, place: Place, arrived: list[CaseEvent], offset: int = 0) -> list[str]:
    """Write one batch; returns the status of each event."""
    records: list[tuple[int, int, bytes | None]] = [
        (offset + n, RECEIVED_MS, encode("case_event", event)) for n, event in enumerate(arrived)
    ]
    arrivals = decode(records, DECODER)
    made = plan(arrivals, FACTS, place)
    with connection.transaction():
        batch.write(connection, {place: made})
    return [read_verdict(byte)[0] for byte in made.verdicts]


def expected(arrived: list[CaseEvent]) -> dict[EntryKey, State]:
    """The same, calculated without the table."""
    states: dict[EntryKey, State] = defaultdict(lambda: EMPTY)
    for sent in arrived:
        value = encode("case_event", sent)
        event = cast("CaseEvent", DECODER.decode(value))
        verdict = judge(event, FACTS, RECEIVED_MS * 1000)
        assert isinstance(verdict, Classified)
        stamp = stamp_of(event, content_hash(value[HEADER.size :]))
        key = key_of(event)
        states[key] = merge(states[key], said_by(verdict.event, stamp))
    return {key: bare(state) for key, state in states.items()}


def bare(state: State) -> State:
    """Without provenance, which says when and not what."""
    return State(state.groups, state.items, (state.removed[0], None))


def held(connection: Connection) -> dict[EntryKey, State]:
    rows = connection.execute("SELECT authority, system, case_id::text, document FROM entry")
    return {EntryKey(*key): bare(load(document)) for *key, document in rows}


@settings(max_examples=150)
@given(st.lists(st.tuples(events(), st.integers(0, 1), st.booleans()), max_size=20))
def test_the_table_equals_the_pure_merge_over_two_partitions(
    sessions: list[Connection], arrived: list[tuple[CaseEvent, int, bool]]
) -> None:
    sessions[0].execute("TRUNCATE entry, dirty, outcome, rejection, source_freshness")
    waiting: dict[int, list[CaseEvent]] = defaultdict(list)
    offsets = [0, 0]
    for event, partition, cut in [*arrived, *((None, partition, True) for partition in (0, 1))]:
        if event is not None:
            waiting[partition].append(event)
        if cut and waiting[partition]:
            taken = waiting.pop(partition)
            put(sessions[partition], PLACES[partition], taken, offsets[partition])
            offsets[partition] += len(taken)
    assert held(sessions[0]) == expected([event for event, _, _ in arrived])
    searchable(sessions[0])


@settings(max_examples=60)
@given(st.lists(st.dictionaries(st.sampled_from(PLACES), st.lists(events(), min_size=1, max_size=5), min_size=1)))
def test_the_table_equals_the_pure_merge_when_partitions_are_written_together(
    sessions: list[Connection], rounds: list[dict[Place, list[CaseEvent]]]
) -> None:
    """Be it that two of them name the same case, and whether its events are seen at a glance or not."""
    connection = sessions[0]
    connection.execute("TRUNCATE entry, dirty, outcome, rejection, source_freshness")
    for number, arrived in enumerate(rounds):
        plans = {}
        for place, said in arrived.items():
            records: Records = [
                (10 * number + n, RECEIVED_MS, encode("case_event", event)) for n, event in enumerate(said)
            ]
            plans[place] = plan(look(records, DECODER), FACTS, place, closer)
        with connection.transaction():
            batch.write(connection, plans)
        assert all(0 not in made.verdicts for made in plans.values())
    assert held(connection) == expected([event for arrived in rounds for said in arrived.values() for event in said])
    outcomes = connection.execute("SELECT topic, partition, sum(next_offset - first_offset) FROM outcome GROUP BY 1, 2")
    written = {(p.topic, p.partition): sum(len(arrived.get(p, ())) for arrived in rounds) for p in PLACES}
    assert {(t, p): n for t, p, n in outcomes} == {place: n for place, n in written.items() if n}
    searchable(connection)


def searchable(connection: Connection) -> None:
    """Every search column says what the document says."""
    columns = "kle, sensitivity, complete, primary_party, parties, principals, user_key, created_at"
    rows = connection.execute(f"SELECT authority, system, case_id::text, document, {columns} FROM entry")
    for authority, system, case_id, document, *found in rows:
        entry = entry_of(EntryKey(authority, system, case_id), load(document))
        primary = [reference for role, reference in entry.parties if role == "PRIMARY"][:1]
        others = [f"{role}|{reference}" for role, reference in entry.parties[len(primary) :]]
        assert found == [
            entry.kle,
            entry.sensitivity,
            entry.complete,
            primary[0] if primary else None,
            others or None,
            None if entry.principals is None else sorted(entry.principals),
            entry.user_key,
            entry.created_at,
        ]


def changed(n: int, **more: Any) -> CaseEvent:
    said = {
        "event_id": f"00000000-0000-0000-0000-{n:012}",
        "system": "sbsys",
        "authority": AUTHORITY,
        "case_id": "00000000-0000-0000-0000-000000000001",
        "registered_at": 1_700_000_000_000_000 + n,
        "change": "REGISTERED",
        "properties": {"user_key": f"S-{n}", "title": "ansøgning", "created_at": 1_700_000_000_000_000},
        "classification": {"kle": KLE[0]},
        "progress": {"complete": True, "items": [{"state": "OPSTAAET", "effective_from": 1}]},
        **more,
    }
    return cast("CaseEvent", said)


def test_each_event_is_told_what_it_did(sessions: list[Connection]) -> None:
    one, two = sessions
    assert put(one, PLACES[0], [changed(3), changed(3), changed(1)], 0) == ["indexed", "duplicate", "stale"]
    assert put(two, PLACES[1], [changed(3)], 0) == ["duplicate"]
    assert put(one, PLACES[0], [changed(2), changed(4)], 3) == ["stale", "indexed"]
    assert put(one, PLACES[0], [changed(5)], 5) == ["indexed"]
    assert put(one, PLACES[0], [changed(4)], 6) == ["stale"]


def test_every_change_is_marked_for_publication_with_the_revision_it_made(sessions: list[Connection]) -> None:
    one, _ = sessions
    for n in range(1, 4):
        put(one, PLACES[0], [changed(n)], n)
    rows = one.execute("SELECT e.revision, d.revision FROM entry e JOIN dirty d USING (authority, system, case_id)")
    assert rows.fetchall() == [(3, 3)]


def test_a_change_that_fewer_may_see_goes_before_the_rest(sessions: list[Connection]) -> None:
    one, _ = sessions

    def lane() -> int:
        ((lane,),) = one.execute("WITH d AS (DELETE FROM dirty RETURNING lane) SELECT lane FROM d").fetchall()
        return int(lane)

    party = {"item_id": "p", "role": "PRIMARY", "id_type": "CPR", "id": "0101011234"}
    lanes = []
    steps: tuple[dict[str, Any], ...] = (
        {},
        {"access": {"sensitivity": "FORTROLIGE_PERSONOPLYSNINGER"}},
        {"access": {"sensitivity": "VIP_SAGER"}},
        {"access": {"sensitivity": "VIP_SAGER"}, "parties": {"complete": True, "items": [party]}},
        {"change": "REMOVED", "removal_reason": "LEFT_INDEX"},
    )
    for n, more in enumerate(steps, 1):
        put(one, PLACES[0], [changed(n, **more)], n)
        lanes.append(lane())
    assert lanes == [1, 1, 0, 0, 0]


def test_workers_who_write_the_same_cases_at_once_agree_with_the_pure_merge(sessions: list[Connection]) -> None:
    chance = random.Random(7)  # noqa: S311 - reproducible, not secret
    arrived = []
    for n in range(1, 400):
        event = changed(n, case_id=f"00000000-0000-0000-0000-{chance.randrange(20):012}")
        if chance.random() < 0.3:
            event["properties"] = None
        arrived.append(event)
    chance.shuffle(arrived)
    halves = [arrived[::2] + arrived[::7], arrived[1::2] + arrived[::5]]

    def work(which: int) -> None:
        for start in range(0, len(halves[which]), 10):
            while True:
                try:
                    put(sessions[which], PLACES[which], halves[which][start : start + 10], start)
                    break
                except psycopg.errors.DeadlockDetected:
                    continue

    workers = [threading.Thread(target=work, args=(which,)) for which in (0, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert held(sessions[0]) == expected(arrived)
