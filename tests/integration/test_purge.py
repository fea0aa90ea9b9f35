"""Whatever closes a case takes it out of the topics, in whatever order things happen. The topic here is its fold."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import psycopg
import pytest

from broker.domain.agreement import Facts
from broker.domain.case import State
from broker.processing.publisher import Message, messages
from broker.store import outbox, persons
from broker.store.database import connect, migrate
from broker.stream.topics import OVERVIEWS
from tests.integration.following import MARK, a_case
from tests.integration.registering import (
    NEW_CPR,
    OTHER_CPR,
    REGISTRAR,
    consent,
    effort,
    kind_of,
    objection,
    person_event,
    put,
    registration,
    soon,
    withdrawn,
)
from tests.integration.searching import INSERT, row
from tests.unit.overviews import base

HOI = OVERVIEWS["hoi"].name
CITIZENS_TOPIC = OVERVIEWS["borgerblikket"].name
CASE, STATE = a_case(1)
SHARDS = range(outbox.SHARDS)
Sessions = tuple[psycopg.Connection[Any], psycopg.Connection[Any], psycopg.Connection[Any]]


@pytest.fixture
def dsn(database: str) -> str:
    migrate(database)
    return database


def facts() -> Facts:
    """Everything is agreed on, for both overviews that have sparse topics."""
    hoi, own = base("hoi").facts, base("borgerblikket").facts
    return Facts(senders=hoi.senders, readers={**hoi.readers, **own.readers}, citizen_views=own.citizen_views)


@dataclass
class Topics:
    """What is published, folded by key; a tombstone takes a key away."""

    dsn: str
    values: dict[tuple[str, bytes], bytes] = field(default_factory=dict)
    sent: list[Message] = field(default_factory=list)

    def publish(self) -> None:
        """All that is due and marked, by a publisher that nobody disturbs."""
        with connect(self.dsn, "test") as connection:
            while persons.sweep(connection):
                pass
            while outbox.depth(connection):
                for shard in SHARDS:
                    self.settle(connection, shard, self.claim(connection, shard))

    def claim(self, connection: psycopg.Connection[Any], shard: int) -> outbox.Claim:
        claimed = outbox.claim(connection, shard, outbox.START, 100, Facts(revision=-1))
        return outbox.Claim(claimed.entries, facts(), claimed.at, claimed.documents, claimed.persons, claimed.published)

    def settle(self, connection: psycopg.Connection[Any], shard: int, claim: outbox.Claim) -> None:
        self.send(connection, claim)
        outbox.settle(connection, shard, claim.entries)

    def send(self, connection: psycopg.Connection[Any], claim: outbox.Claim) -> None:
        sent, new, broken = messages(claim)
        assert not broken
        outbox.note_published(connection, new)
        for topic, key, value in sent:
            self.sent.append((topic, key, value))
            if value is None:
                self.values.pop((topic, key), None)
            else:
                self.values[topic, key] = value

    def holds(self, topic: str = HOI) -> bool:
        return (topic, str(CASE).encode()) in self.values


def store(dsn: str, state: State = STATE) -> None:
    """The case stands so."""
    with connect(dsn, "test") as connection, connection.transaction():
        _store(connection, state)


def _store(connection: psycopg.Connection[Any], state: State = STATE) -> None:
    connection.execute("DELETE FROM entry WHERE (authority, system, case_id) = (%s, %s, %s)", CASE)
    connection.execute(INSERT.encode(), row(CASE, state))
    connection.execute(MARK.encode(), CASE)


def another(**more: Any) -> State:
    return a_case(1, **more)[1]


CLOSES: dict[str, Callable[[str], object]] = {
    "withdrawal": lambda dsn: put(dsn, withdrawn()),
    "objection": lambda dsn: put(dsn, objection()),
    "an effort that is over": lambda dsn: put(dsn, effort(registered_at=soon(), valid_to=soon(-1))),
    "death": lambda dsn: put(dsn, person_event("DECEASED")),
    "another primary party": lambda dsn: store(dsn, another(party=f"CPR:{OTHER_CPR}")),
    "another area": lambda dsn: store(dsn, another(kle="15.20.01")),
    "removal": lambda dsn: store(dsn, State()),
}


@pytest.mark.parametrize("why", CLOSES)
def test_whatever_closes_a_case_takes_it_out_of_the_topic(dsn: str, why: str) -> None:
    topics = Topics(dsn)
    put(dsn, effort(), consent())
    store(dsn)
    topics.publish()
    assert topics.holds()
    CLOSES[why](dsn)
    topics.publish()
    assert not topics.holds()


def test_a_case_that_is_hidden_from_the_citizen_leaves_their_topic(dsn: str) -> None:
    topics = Topics(dsn)
    store(dsn)
    topics.publish()
    assert topics.holds(CITIZENS_TOPIC)
    store(dsn, another(groups={"access": {"sensitivity": None, "hidden_from_citizen": True}}))
    topics.publish()
    assert not topics.holds(CITIZENS_TOPIC)


def test_a_consent_that_begins_and_ends_by_the_clock_does_so_without_an_event(dsn: str) -> None:
    topics = Topics(dsn)
    store(dsn)
    put(dsn, effort(), consent(valid_from=soon(1), valid_to=soon(2.5)))
    topics.publish()
    assert not topics.holds()
    for there in (True, False):
        while topics.holds() is not there:
            topics.publish()
    with connect(dsn, "test") as connection:
        assert connection.execute("SELECT count(*) FROM register WHERE due_at IS NOT NULL").fetchone() == (0,)


def test_a_sparse_topic_gets_tombstones_of_what_was_in_it_alone(dsn: str) -> None:
    topics = Topics(dsn)
    store(dsn)
    topics.publish()
    assert [message for message in topics.sent if message[0] == HOI] == []
    put(dsn, effort(), consent())
    topics.publish()
    put(dsn, withdrawn())
    topics.publish()
    of_hoi = [value is None for topic, _, value in topics.sent if topic == HOI]
    assert of_hoi[0] is False
    assert of_hoi[-1] is True


def test_an_entry_under_a_former_number_goes_with_the_consent_under_the_new_one(dsn: str) -> None:
    topics = Topics(dsn)
    put(dsn, effort(), consent(), person_event("CPR_CHANGED", new_citizen=NEW_CPR))
    store(dsn, another(party=f"CPR:{NEW_CPR}"))
    topics.publish()
    assert topics.holds()
    put(dsn, withdrawn(citizen=NEW_CPR))
    topics.publish()
    assert not topics.holds()


def test_those_who_are_purged_go_before_a_backlog(dsn: str) -> None:
    put(dsn, effort(), consent())
    with connect(dsn, "test") as connection:
        connection.execute(
            "INSERT INTO dirty (authority, system, case_id, revision)"
            " SELECT 'a', 's', ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 1"
            " FROM generate_series(1, 5000) n"
        )
        store(dsn)
        put(dsn, withdrawn())
        firsts = [outbox.claim(connection, shard, outbox.START, 1, Facts(revision=-1)).entries for shard in SHARDS]
    assert [marked.key for claimed in firsts for marked in claimed] == [CASE]


Step = Callable[[], None]


@dataclass
class Stage:
    """A worker with a new case, a withdrawal, and a publisher, each with a session of its own; one step at a time."""

    topics: Topics
    worker: psycopg.Connection[Any]
    register: psycopg.Connection[Any]
    publisher: psycopg.Connection[Any]
    claims: dict[int, outbox.Claim] = field(default_factory=dict)

    def actors(self) -> dict[str, list[Step]]:
        """Each one's steps, in their order."""
        said = registration(kind_of(withdrawn()), withdrawn())
        return {
            "worker": [lambda: _store(self.worker), self.worker.commit],
            "register": [lambda: _none(persons.put(self.register, [said], REGISTRAR)), self.register.commit],
            "publisher": [self.claim, self.send, self.settle],
        }

    def claim(self) -> None:
        self.claims = {shard: self.topics.claim(self.publisher, shard) for shard in SHARDS}

    def send(self) -> None:
        for claim in self.claims.values():
            self.topics.send(self.publisher, claim)

    def settle(self) -> None:
        for shard, claim in self.claims.items():
            outbox.settle(self.publisher, shard, claim.entries)


def _none(nothing: dict[int, Any]) -> None:
    assert nothing == {}


def orders() -> list[tuple[str, ...]]:
    """Every order in which the steps of the three can fall between each other: 210."""
    return sorted(set(permutations(["worker"] * 2 + ["register"] * 2 + ["publisher"] * 3)))


@pytest.fixture
def sessions(dsn: str) -> Iterator[Sessions]:
    with ExitStack() as stack:
        worker, register, publisher = (psycopg.connect(dsn, autocommit=plain) for plain in (False, False, True))
        yield stack.enter_context(worker), stack.enter_context(register), stack.enter_context(publisher)


def played(dsn: str, sessions: Sessions, order: tuple[str, ...], *, swept: bool) -> Topics:
    """The steps in this order, and then whatever is left to do."""
    with connect(dsn, "test") as connection:
        connection.execute("TRUNCATE entry, dirty, register, register_history, published")
    topics = Topics(dsn)
    put(dsn, effort(), consent())
    with connect(dsn, "test") as connection:
        persons.sweep(connection)
    left = {name: iter(steps) for name, steps in Stage(topics, *sessions).actors().items()}
    for name in order:
        next(left[name])()
    if not swept:
        with connect(dsn, "test") as connection:
            connection.execute("UPDATE register SET due_at = NULL")
    topics.publish()
    return topics


@pytest.mark.slow
def test_no_order_of_a_new_case_a_withdrawal_and_a_publisher_leaves_the_case_behind(
    dsn: str, sessions: Sessions
) -> None:
    assert len(orders()) == 210
    for order in orders():
        assert not played(dsn, sessions, order, swept=True).holds(), order


def test_without_the_second_look_after_the_commit_one_order_would_leave_it(dsn: str, sessions: Sessions) -> None:
    unlucky = ("worker", "register", "worker", "publisher", "register", "publisher", "publisher")
    assert played(dsn, sessions, unlucky, swept=False).holds()
    assert not played(dsn, sessions, unlucky, swept=True).holds()
