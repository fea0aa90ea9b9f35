"""What a change narrows is out of sight at once, soon out of the topics, and then out of the index."""

import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from broker.domain.agreement import Facts
from broker.domain.batch import Arrival, Place, plan
from broker.domain.case import CaseEvent, content_hash
from broker.domain.kle import Edition
from broker.domain.policy import Query, Role, Scope
from broker.processing.publisher import Message, messages
from broker.processing.sweeping import keep_swept
from broker.settings import Settings
from broker.store import batch, clock, facts, kle, outbox, reference, sweep
from broker.store.database import connect, query
from broker.store.shapes import CitizenView, Delimitation
from broker.stream.framing import HEADER, encode
from broker.stream.topics import OVERVIEWS
from tests.integration.referring import AARHUS, ONBOARDING, READER, SENDER, Store
from tests.integration.searching import Index, opened
from tests.unit.worlds import CITIZENS, reader_of

CITIZEN = CITIZENS[0].removeprefix("CPR:")
NUMBERS = ("27.36.04", "27.36.08", "27.35.04", "27.48.04")
EDITION = "emnenr,titel\n" + "".join(f"{number},Emne {number}\n" for number in NUMBERS)
EVERYTHING = Scope.of(AARHUS, ("N*",), {"N*": 4})
NARROW = {"state": "RESTRICTED", "restricted": {"kle": ["27.36.*"], "citizens": []}}
WITHIN = ("27.36.04", "27.36.08")


class Worker:
    """Judges and writes batches as a worker does; each has a place of its own in the log."""

    def __init__(self, connection: psycopg.Connection[Any], partition: int = 0) -> None:
        self.connection = connection
        batch.prepare(connection)
        self.facts = Facts(revision=-1)
        self.place = Place("t", "id", partition)
        self.offset = 0

    def write(self, events: list[CaseEvent]) -> None:
        arrivals = []
        for event in events:
            value = encode("case_event", event)
            arrivals.append(Arrival(self.offset, 1_700_000_000_000, value, event, content_hash(value[HEADER.size :])))
            self.offset += 1
        with self.connection.transaction():
            held = self.connection.execute(query("hold_revision")).fetchone()
            if held is None or held[0] != self.facts.revision:
                self.facts = facts.load(self.connection)
            batch.write(self.connection, {self.place: plan(arrivals, self.facts, self.place)})


class Topic:
    """What a reader of the compacted topic holds after everything that was published: key -> value."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection
        self.holds: dict[tuple[str, bytes], bytes] = {}

    def publish(self) -> int:
        number = 0
        for shard in range(outbox.SHARDS):
            claim = outbox.claim(self.connection, shard, outbox.START, 1000, Facts(revision=-1))
            sent, new, broken = messages(claim)
            assert not broken
            outbox.note_published(self.connection, new)
            self._take(sent)
            outbox.settle(self.connection, shard, claim.entries)
            number += len(claim.entries)
        return number

    def _take(self, sent: list[Message]) -> None:
        for topic, key, value in sent:
            if value is None:
                self.holds.pop((topic, key), None)
            else:
                self.holds[topic, key] = value


def event(number: int, version: int = 0) -> CaseEvent:
    case_id = f"00000000-0000-4000-8000-{number:012d}"
    said: Any = {
        "event_id": f"{case_id}-{version}",
        "system": "sbsys",
        "authority": AARHUS,
        "case_id": case_id,
        "registered_at": 1_650_000_000_000_000 + version,
        "change": "REGISTERED",
        "properties": {"user_key": str(number), "title": f"Sag {number}", "created_at": 1_640_000_000_000_000},
        "access": {"sensitivity": "FORTROLIGE_PERSONOPLYSNINGER", "hidden_from_citizen": False},
        "classification": {"kle": NUMBERS[number % len(NUMBERS)], "facet": None, "local_code": None},
        "progress": {"complete": True, "items": [{"state": "OPSTAAET", "effective_from": 1_640_000_000_000_000}]},
        "parties": {
            "complete": True,
            "items": [{"item_id": "p", "role": "PRIMARY", "id_type": "CPR", "id": CITIZEN, "removed": False}],
        },
    }
    whole: CaseEvent = said
    return whole


@pytest.fixture
def index(database: str) -> Iterator[Index]:
    with opened(database) as made:
        yield made


@pytest.fixture
def store(index: Index) -> Store:
    made = Store(index.dsn)
    edition = Edition(date(2020, 1, 1), dict.fromkeys(NUMBERS, "Emne"))
    made.does(lambda connection: kle.put_edition(connection, edition, OWNER))
    made.put(SENDER, READER)
    return made


@pytest.fixture
def worker(store: Store) -> Iterator[Worker]:
    with connect(store.dsn, "test") as connection:
        yield Worker(connection)


@pytest.fixture
def topic(store: Store) -> Iterator[Topic]:
    with connect(store.dsn, "test") as connection:
        yield Topic(connection)


OWNER = reference.Putter("test", ONBOARDING.role)


OF_ALL = Query("sapa", reader_of((EVERYTHING,)), frozenset({CITIZENS[0]}))
ITSELF = replace(reader_of(()), role=Role.CITIZEN, citizen=frozenset({CITIZENS[0]}))
OWN = Query("borgerblikket", ITSELF, ITSELF.citizen)


def shown(index: Index, asking: Query = OF_ALL) -> set[str]:
    """The KLE numbers that a search of now shows."""
    with connect(index.dsn, "test") as connection:
        index.facts.facts = facts.load(connection)
    pages = index.pages(asking, citizen=CITIZEN, limit=200)
    return {entry["kle"] for page in pages for entry in page.entries}


def swept(dsn: str, topic: Topic, limit: int = sweep.SLICE) -> list[sweep.Swept]:
    """Everything that is left over, with a publisher beside it."""
    done: list[sweep.Swept] = []
    known = Facts(revision=-1)
    with connect(dsn, "test") as connection:
        while True:
            came, known = sweep.next_slice(connection, known, limit)
            if came is None:
                while topic.publish():
                    pass
                return done
            done.append(came)
            if came.waits:
                topic.publish()


def digest(dsn: str) -> str:
    """Of the whole index, but for what tells when it was written and by which version."""
    with connect(dsn, "test") as connection:
        rows = connection.execute(
            "SELECT authority, system, case_id, newest, shape, complete, kle, sensitivity, primary_party, parties"
            " FROM entry ORDER BY authority, system, case_id"
        ).fetchall()
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def test_what_is_narrowed_while_events_come_in_is_in_no_search_and_no_topic(
    index: Index, store: Store, worker: Worker, topic: Topic
) -> None:
    worker.write([event(number) for number in range(400)])
    topic.publish()
    assert (shown(index), len(topic.holds)) == (set(NUMBERS), 400)
    stop, written = threading.Event(), threading.Event()

    def live() -> None:
        version = 0
        with connect(index.dsn, "test") as connection:
            busy = Worker(connection, 1)
            while not stop.is_set():
                version += 1
                busy.write([event(number, version) for number in range(version % 7, 600, 7)])
                written.set()

    def publish() -> None:
        while not stop.is_set():
            topic.publish()

    threads = [threading.Thread(target=work) for work in (live, publish)]
    for thread in threads:
        thread.start()
    try:
        assert written.wait(30)
        store.put({**SENDER, **NARROW})
        assert shown(index) <= set(WITHIN)
        written.clear()
        assert written.wait(30)
        assert shown(index) <= set(WITHIN)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    swept(index.dsn, topic, 50)
    assert shown(index) == set(WITHIN)
    assert store.rows("SELECT DISTINCT kle FROM entry WHERE kle IS NOT NULL ORDER BY kle") == [(one,) for one in WITHIN]
    assert {key for _, key in topic.holds} == {
        f"{AARHUS}/sbsys/{case_id}".encode() for (case_id,) in store.rows("SELECT case_id FROM entry WHERE complete")
    }


def test_a_large_change_is_marked_in_slices_and_obeyed_at_once(
    index: Index, store: Store, worker: Worker, topic: Topic
) -> None:
    many = reference.AT_ONCE + 500
    worker.write([event(number) for number in range(many)])
    swept(index.dsn, topic)
    assert len(topic.holds) == many
    store.put({**SENDER, "state": "SUSPENDED"})
    assert shown(index) == set()
    assert store.rows("SELECT count(*), min(lane), max(lane) FROM dirty") == [(reference.AT_ONCE, 0, 0)]
    done = swept(index.dsn, topic, 200)
    assert [one.looked_at for one in done] == [200, 200, 100]
    assert topic.holds == {}
    # What is suspended is hidden, and not lost.
    store.put({**SENDER, "override": True})
    swept(index.dsn, topic)
    assert (shown(index), len(topic.holds)) == (set(NUMBERS), many)


def test_raising_and_lowering_again_leaves_what_a_fresh_load_makes(
    index: Index, store: Store, worker: Worker, topic: Topic
) -> None:
    source = [event(number) for number in range(300)]
    store.put({**SENDER, **NARROW})
    worker.write(source)
    fresh = digest(index.dsn)
    assert shown(index) == set(WITHIN)
    store.put(SENDER)
    assert [asked["kle"] for asked in again(store)] == [["27.*"]]
    worker.write(source)
    swept(index.dsn, topic)
    assert (shown(index), digest(index.dsn) == fresh) == (set(NUMBERS), False)
    store.put({**SENDER, **NARROW})
    swept(index.dsn, topic)
    assert (shown(index), digest(index.dsn)) == (set(WITHIN), fresh)


def test_what_is_not_published_yet_is_not_deleted(index: Index, store: Store, worker: Worker, topic: Topic) -> None:
    worker.write([event(number) for number in range(20)])
    store.put({**SENDER, **NARROW})
    with connect(index.dsn, "test") as connection:
        came, _ = sweep.next_slice(connection, Facts(revision=-1))
        assert came is not None
        assert (came.waits, came.deleted) == (True, 0)
    swept(index.dsn, topic)
    assert store.rows("SELECT count(*) FROM entry") == [(10,)]


def test_what_a_delimitation_leaves_out_goes_and_widening_it_asks_every_source_again(
    index: Index, store: Store, worker: Worker, topic: Topic
) -> None:
    worker.write([event(number) for number in range(20)])
    store.does(lambda connection: reference.answered_again(connection, AARHUS, "sbsys", None, later(), "test"))

    def put(*kle: str, **more: Any) -> None:
        choice = Delimitation(authority=AARHUS, kle=list(kle), from_date=date(2020, 1, 1), **more)
        store.does(lambda connection: reference.put_delimitations(connection, [choice], ONBOARDING))

    put("27.36.*")
    assert shown(index) == set(WITHIN)
    swept(index.dsn, topic)
    assert store.rows("SELECT count(*) FROM entry") == [(10,)]
    assert again(store) == []
    put("27.*")
    assert [(one["system"], one["reason"]) for one in again(store)] == [("sbsys", "another delimitation")]
    # In effect from a day that lies ahead: until then nothing is left out.
    put("27.36.04", effective_from=later().date() + timedelta(days=3))
    assert shown(index) == set(WITHIN)
    with connect(index.dsn, "test") as connection:
        assert clock.turn(connection, later().date() + timedelta(days=3))
    assert shown(index) == {"27.36.04"}
    swept(index.dsn, topic)
    assert store.rows("SELECT DISTINCT kle FROM entry") == [("27.36.04",)]


def test_a_delimitation_that_another_takes_the_place_of_by_its_date_asks_every_open_source_again(store: Store) -> None:
    """What the first one left out was not kept, and whoever put the second put it before there was anything to ask."""
    store.put({**SENDER, "system": "nexus"}, {**SENDER, "system": "nova"})
    on = later().date() + timedelta(days=3)
    narrow = Delimitation(authority=AARHUS, kle=["27.36.*"], from_date=date(2020, 1, 1), effective_to=on)
    wide = Delimitation(authority=AARHUS, kle=["27.*"], from_date=date(2020, 1, 1), effective_from=on)
    store.does(lambda connection: reference.put_delimitations(connection, [narrow, wide], ONBOARDING))
    store.put({**SENDER, "system": "nova", "state": "SUSPENDED"})
    for system in ("sbsys", "nexus"):
        answered = partial(reference.answered_again, kle=None, began_at=later(), by="test")
        store.does(lambda connection, system=system, answered=answered: answered(connection, AARHUS, system))  # type: ignore[misc]
    with connect(store.dsn, "test") as connection:
        assert clock.turn(connection, on - timedelta(days=1))
        assert again(store) == []
        assert clock.turn(connection, on)
    reason = "the delimitation of another day"
    assert [(one["system"], one["kle"], one["reason"]) for one in again(store)] == [
        ("nexus", ["27.*"], reason),
        ("sbsys", ["27.*"], reason),
    ]


def later() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=1)


def again(store: Store) -> list[dict[str, Any]]:
    return store.does(lambda connection: reference.asked_again(connection, [AARHUS]))


def test_what_was_widened_is_asked_again_until_a_load_that_began_later_is_complete(store: Store) -> None:
    def answered(kle: list[str] | None, began_at: datetime) -> int:
        return store.does(
            lambda connection: reference.answered_again(connection, AARHUS, "sbsys", kle, began_at, "load 1")
        )

    before = datetime.now(UTC) - timedelta(minutes=1)
    assert [(one["kle"], one["reason"]) for one in again(store)] == [(["27.*"], "the first load")]
    assert [answered(None, before), answered(["27.36.*"], later()), len(again(store))] == [0, 0, 1]
    assert [answered(["N*"], later()), again(store)] == [1, []]
    store.put({**SENDER, "state": "SUSPENDED"})
    assert again(store) == []
    store.put(SENDER)
    assert [one["reason"] for one in again(store)] == ["SUSPENDED to FULL"]
    store.put({**SENDER, "state": "SUSPENDED"})
    assert again(store) == []


def test_what_has_ended_is_hidden_and_after_thirty_days_deleted_with_its_documents(
    index: Index, store: Store, worker: Worker, topic: Topic
) -> None:
    worker.write([event(number) for number in range(20)])
    case = event(1)["case_id"]
    other = "00000000-0000-4000-9000-000000000000"
    for system, case_id, document in (("sbsys", case, case), ("sbsys", case, other), ("nexus", other, other)):
        store.rows(
            f"INSERT INTO document_link VALUES ('{AARHUS}', '{document}', '{system}', '{case_id}') RETURNING 1",
        )
    for document in (case, other):
        store.rows(
            "INSERT INTO document (authority, document_id, system, newest, removed, sensitivity)"
            f" VALUES ('{AARHUS}', '{document}', 'sbsys', '', false, 1) RETURNING 1"
        )
    store.put({**SENDER, "state": "ENDED"})
    swept(index.dsn, topic)
    assert (shown(index), topic.holds) == (set(), {})
    ended = datetime.now(UTC).date()
    (told,) = store.does(lambda connection: reference.history(connection, AARHUS, "sbsys"))[:1]
    assert told["deleted_on"] == (ended + timedelta(days=30)).isoformat()
    with connect(index.dsn, "test") as connection:
        assert clock.turn(connection, ended + timedelta(days=29))
        swept(index.dsn, topic)
        assert store.rows("SELECT count(*) FROM entry") == [(20,)]
        assert clock.turn(connection, ended + timedelta(days=30))
    swept(index.dsn, topic, 7)
    assert store.rows("SELECT count(*) FROM entry") == [(0,)]
    assert store.rows("SELECT document_id::text FROM document") == [(other,)]


def test_what_has_ended_and_begun_anew_is_not_deleted(index: Index, store: Store, worker: Worker, topic: Topic) -> None:
    worker.write([event(number) for number in range(5)])
    store.put({**SENDER, "state": "ENDED"})
    with connect(index.dsn, "test") as connection:
        clock.turn(connection, datetime.now(UTC).date() + timedelta(days=30))
    store.put({**SENDER, "state": "DRAFT", "override": False})
    swept(index.dsn, topic)
    assert store.rows("SELECT count(*) FROM entry") == [(5,)]


def test_what_is_switched_off_for_citizens_is_out_of_their_search_at_once_and_then_out_of_their_topic(
    index: Index, store: Store, worker: Worker, topic: Topic
) -> None:
    store.put({**READER, "overview": "borgerblikket"})
    worker.write([event(number) for number in range(8)])
    view = CitizenView(authority=AARHUS, kle="27.*", on=True, from_date=date(2000, 1, 1))
    narrow = view.model_copy(update={"kle": "27.36.*"})
    for views, seen in (
        ([view], set(NUMBERS)),
        ([view, narrow.model_copy(update={"on": False})], set(NUMBERS) - set(WITHIN)),
        ([narrow], set(WITHIN)),
        ([narrow.model_copy(update={"from_date": date(2024, 1, 1)})], set()),
    ):
        switched = partial(reference.put_citizen_views, views=views, putter=OWNER)
        store.does(switched)
        assert shown(index, OWN) == seen
        swept(index.dsn, topic)
        held = {key for name, key in topic.holds if name == OVERVIEWS["borgerblikket"].name}
        assert {NUMBERS[int(key[-12:]) % len(NUMBERS)] for key in held} == seen
    assert shown(index) == set(NUMBERS)


def test_a_reader_agreement_that_begins_or_ends_marks_its_entries_on_that_day(
    index: Index, store: Store, worker: Worker, topic: Topic
) -> None:
    worker.write([event(number) for number in range(5)])
    today = datetime.now(UTC).date()
    begins, ends = today + timedelta(days=2), today + timedelta(days=9)
    store.put({**READER, "from_date": begins.isoformat(), "to_date": ends.isoformat()})
    swept(index.dsn, topic)
    marked = []
    with connect(index.dsn, "test") as connection:
        for day in (today, today + timedelta(days=1), begins, begins, ends, ends + timedelta(days=1)):
            clock.turn(connection, day)
            swept_of = sweep.next_slice(connection, Facts(revision=-1))[0]
            marked.append(0 if swept_of is None else outbox.depth(connection))
            connection.execute("DELETE FROM dirty")
    assert marked == [0, 0, 5, 0, 5, 0]


def test_a_dispensation_ends_by_the_clock_and_opens_nothing(store: Store) -> None:
    today = datetime.now(UTC).date()
    store.put({**SENDER, "state": "DISPENSATION", "dispensation_until": (today + timedelta(days=1)).isoformat()})
    with connect(store.dsn, "test") as connection:
        clock.turn(connection, today)
        assert facts.load(connection).senders[AARHUS, "sbsys"].state == "DISPENSATION"
        assert clock.turn(connection, today + timedelta(days=4))
        assert facts.load(connection).senders[AARHUS, "sbsys"].state == "COMPLIANT"
        assert not clock.turn(connection, today + timedelta(days=4))
    newest = store.does(lambda connection: reference.history(connection, AARHUS, "sbsys"))[0]
    assert (newest["put_by"], newest["put_as"], newest["reason"]) == ("sagsbro", "system", "the dispensation is over")


def test_rejected_bytes_that_may_not_be_kept_any_more_are_forgotten(store: Store, topic: Topic, worker: Worker) -> None:
    worker.write([event(1)])

    def kept(*numbers: str | None) -> int:
        with connect(store.dsn, "test") as connection:
            connection.execute("DELETE FROM rejection")
            for number in numbers:
                connection.execute(
                    "INSERT INTO rejection (rejection_id, authority, system, code, pointer, detail, kle, payload)"
                    " VALUES (gen_random_uuid(), %s, 'sbsys', 'kle_unknown', '', '', %s, 'x')",
                    [AARHUS, number],
                )
        return len(numbers)

    def left() -> set[str | None]:
        swept(store.dsn, topic)
        return {kle for (kle,) in store.rows("SELECT kle FROM rejection WHERE payload IS NOT NULL")}

    kept("27.36.99", "27.48.99", None)
    store.put({**SENDER, "kle": ["27.36.*"]})
    assert left() == {"27.36.99", None}
    store.put({**SENDER, "kle": ["27.36.*"], "state": "SUSPENDED"})
    assert left() == {"27.36.99", None}
    store.put({**SENDER, **NARROW})
    assert left() == set()


def test_what_is_left_over_is_done_by_one_of_many_and_by_the_next_when_that_one_ends(
    store: Store, topic: Topic, worker: Worker
) -> None:
    settings = Settings(database=SecretStr(store.dsn))
    stops = [threading.Event(), threading.Event()]
    threads = [threading.Thread(target=keep_swept, args=(settings, stop)) for stop in stops]

    def narrowed_to(kle: list[str], numbers: set[str]) -> None:
        store.put({**SENDER, "kle": kle})
        deadline = time.monotonic() + 60
        while store.rows("SELECT 1 FROM sweep"):
            topic.publish()
            assert time.monotonic() < deadline
        assert {kle for (kle,) in store.rows("SELECT DISTINCT kle FROM entry")} == numbers

    worker.write([event(number) for number in range(40)])
    try:
        for thread in threads:
            thread.start()
        narrowed_to(["27.36.*", "27.35.*"], {"27.36.04", "27.36.08", "27.35.04"})
        holders = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7346004"
        assert store.rows(holders) == [(1,)]
        for stop, thread, kle in zip(stops, threads, ("27.36.*", "27.36.04"), strict=True):
            narrowed_to([kle], {number for number in NUMBERS if number.startswith(kle.rstrip("*"))})
            stop.set()
            thread.join()
    finally:
        for stop in stops:
            stop.set()
