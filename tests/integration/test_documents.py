"""Documents in a real index: what stands after any batches, and what readers of the cases that name one are shown."""

import threading
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any, cast

import httpx
import psycopg
import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.cli.setup import prepare
from broker.domain import document
from broker.domain.agreement import AgreementState, Facts
from broker.domain.batch import Place
from broker.domain.case import CaseEvent, content_hash, stamp_of
from broker.domain.document import Document, DocumentEvent, DocumentKey, Reference
from broker.domain.identity import EntryKey
from broker.domain.outcome import read_verdict
from broker.processing.arrivals import decode
from broker.processing.documents import write_documents
from broker.processing.publisher import messages
from broker.security import Issuer
from broker.settings import Settings
from broker.store import documents, outbox
from broker.store.database import connect, query
from broker.store.document import load
from broker.stream.framing import HEADER, Decoder, encode
from broker.stream.topics import OVERVIEWS
from ops.bench.faults import agree, settle
from ops.embedded import instance
from tests.integration import test_batch as cases
from tests.integration.searching import party
from tests.strategies import AUTHORITY, DOCUMENT, SYSTEM, document_events
from tests.unit.worlds import reader_agreement

Connection = psycopg.Connection[Any]
PLACES = (Place("d", "id", 0), Place("d", "id", 1))
READ = Decoder("document_event", lambda _: None)
HIGHEST = "VIP_SAGER"
PUBLIC = "IKKE_FORTROLIGE_DATA"
CITIZEN = "0101011234"


@pytest.fixture
def sessions(database: str) -> Iterator[list[Connection]]:
    """Two workers' connections."""
    cases.migrated(database)
    opened = [cases.connected(database) for _ in PLACES]
    yield opened
    for connection in opened:
        connection.close()


def put(connection: Connection, place: Place, arrived: list[DocumentEvent], offset: int = 0) -> list[str]:
    """Write one batch; returns the status of each event."""
    records: list[tuple[int, int, bytes | None]] = [
        (offset + n, cases.RECEIVED_MS, encode("document_event", event)) for n, event in enumerate(arrived)
    ]
    with connection.transaction():
        made = write_documents(connection, {place: decode(records, READ)}, cases.FACTS)
    return [read_verdict(byte)[0] for byte in made[place].verdicts]


def said(event: DocumentEvent) -> Document:
    digest = content_hash(encode("document_event", event)[HEADER.size :])
    return document.said_by(event, stamp_of(cast("CaseEvent", event), digest))


def changed(n: int, **more: Any) -> DocumentEvent:
    event = {
        "event_id": str(uuid.UUID(int=n)),
        "system": SYSTEM,
        "authority": AUTHORITY,
        "document_id": DOCUMENT,
        "registered_at": 1_700_000_000_000_000 + n,
        "title": "Afgørelse",
        "removed": False,
        **more,
    }
    return cast("DocumentEvent", event)


@settings(max_examples=100)
@given(st.lists(st.tuples(document_events(), st.integers(0, 1), st.booleans()), max_size=20))
def test_the_table_equals_the_pure_merge_over_two_partitions(
    sessions: list[Connection], arrived: list[tuple[DocumentEvent, int, bool]]
) -> None:
    sessions[0].execute("TRUNCATE document, document_link, outcome")
    waiting: dict[int, list[DocumentEvent]] = defaultdict(list)
    offsets = [0, 0]
    expected: dict[DocumentKey, Document] = {}
    for event, partition, cut in [*arrived, *((None, partition, True) for partition in (0, 1))]:
        if event is not None:
            waiting[partition].append(event)
            key = document.key_of(event)
            expected[key] = document.merge(expected.get(key, Document(b"")), said(event))
        if cut and waiting[partition]:
            taken = waiting.pop(partition)
            put(sessions[partition], PLACES[partition], taken, offsets[partition])
            offsets[partition] += len(taken)
    wanted = {Reference(key.authority, key.document_id) for key in expected}
    rows = sessions[0].execute(query("find_documents"), documents.asked(wanted)).fetchall()
    held = documents.known(rows)
    assert {
        DocumentKey(named.authority, system, named.document_id): one
        for named, registered in held.items()
        for system, one in registered.items()
    } == expected


def test_each_event_is_told_what_it_did(sessions: list[Connection]) -> None:
    one, two = sessions
    assert put(one, PLACES[0], [changed(3), changed(3), changed(1)]) == ["indexed", "duplicate", "stale"]
    assert put(two, PLACES[1], [changed(3)]) == ["duplicate"]
    assert put(one, PLACES[0], [changed(2), changed(4)], 3) == ["stale", "indexed"]
    assert put(two, PLACES[1], [changed(4), changed(2)], 1) == ["duplicate", "stale"]


def test_a_bad_document_is_rejected_alone_with_its_bytes_and_no_case_with_it(
    sessions: list[Connection],
) -> None:
    bad = changed(1, sensitivity="HEMMELIG")
    assert put(sessions[0], PLACES[0], [bad, changed(2)]) == ["rejected", "indexed"]
    named = cases.changed(1, journal=journal())
    assert cases.put(sessions[1], cases.PLACES[1], [named]) == ["indexed"]
    rows = sessions[0].execute("SELECT code, pointer, payload IS NOT NULL FROM rejection").fetchall()
    assert rows == [("sensitivity_unknown", "/sensitivity", True)]


def journal(**more: Any) -> dict[str, Any]:
    noted = {"item_id": "1", "kind": "DOCUMENT", "document_id": DOCUMENT, "title": "I sagen", "registered_at": 0}
    return {"complete": True, "items": [{**noted, **more}]}


def published(connection: Connection) -> dict[str, list[tuple[str, str | None]]]:
    """What the publisher would send of everything marked, settled: the documents of each case."""
    reads = {(AUTHORITY, "sapa"): (reader_agreement(AUTHORITY, "*", "N*", 4, AgreementState.FULL),)}
    sent: dict[str, list[tuple[str, str | None]]] = {}
    for shard in range(outbox.SHARDS):
        claim = outbox.claim(connection, shard, outbox.START, 500, Facts(revision=-1))
        claim = replace(claim, facts=replace(cases.FACTS, readers=reads))
        for topic, key, value in messages(claim)[0]:
            if topic == OVERVIEWS["sapa"].name and value is not None:
                content = Decoder("overview_entry", lambda _: None).decode(value)["content"]
                sent[key.decode()] = [(one["title"], one["sensitivity"]) for one in content["documents"]]
        outbox.settle(connection, shard, claim.entries)
    return sent


def two_cases(connection: Connection, level: str = PUBLIC) -> tuple[str, str]:
    """Two cases that name the document, published; their keys."""
    ids = [str(uuid.UUID(int=n)) for n in (1, 2)]
    access = {"sensitivity": level, "hidden_from_citizen": False}
    for n, case_id in enumerate(ids):
        event = cases.changed(n + 1, case_id=case_id, journal=journal(), access=access)
        cases.put(connection, cases.PLACES[0], [event], n)
    assert list(published(connection).values()) == [[("I sagen", None)]] * 2
    first, second = (str(EntryKey(AUTHORITY, SYSTEM, case_id)) for case_id in ids)
    return first, second


def lanes(connection: Connection) -> list[int]:
    return [lane for (lane,) in connection.execute("SELECT lane FROM dirty ORDER BY lane")]


def test_every_case_that_names_a_document_is_published_again_without_it_when_its_level_rises(
    sessions: list[Connection],
) -> None:
    both = two_cases(sessions[0])
    put(sessions[1], PLACES[0], [changed(1)])
    assert lanes(sessions[0]) == [1, 1]
    assert published(sessions[0]) == {key: [("Afgørelse", None)] for key in both}

    put(sessions[1], PLACES[0], [changed(2, sensitivity=HIGHEST)], 1)
    assert lanes(sessions[0]) == [0, 0]
    assert published(sessions[0]) == {key: [] for key in both}

    put(sessions[1], PLACES[0], [changed(3, sensitivity=PUBLIC)], 2)
    assert lanes(sessions[0]) == [1, 1]
    assert published(sessions[0]) == {key: [("Afgørelse", PUBLIC)] for key in both}

    put(sessions[1], PLACES[0], [changed(4, removed=True)], 3)
    assert lanes(sessions[0]) == [0, 0]
    assert published(sessions[0]) == {key: [] for key in both}


def test_the_same_said_again_marks_nothing(sessions: list[Connection]) -> None:
    two_cases(sessions[0])
    put(sessions[1], PLACES[0], [changed(1)])
    published(sessions[0])
    put(sessions[1], PLACES[0], [changed(2, letter_date="2024-05-01")], 1)
    assert lanes(sessions[0]) == []


def test_another_municipalitys_document_of_the_same_id_reaches_nobody_here(sessions: list[Connection]) -> None:
    two_cases(sessions[0])
    sessions[1].execute(
        "INSERT INTO document (authority, document_id, system, newest, removed, sensitivity)"
        " VALUES ('29189420', %s, 'sbsys', '', true, 0)",
        [DOCUMENT],
    )
    cases.put(sessions[0], cases.PLACES[0], [cases.changed(9, case_id=str(uuid.UUID(int=1)), journal=journal())], 9)
    assert list(published(sessions[0]).values()) == [[("I sagen", None)]]


def test_a_document_that_changes_while_its_first_case_is_published_is_not_missed(sessions: list[Connection]) -> None:
    """Whichever comes first waits for none: the later one sees what the earlier did."""
    publisher, worker = sessions
    cases.put(publisher, cases.PLACES[0], [cases.changed(1, journal=journal())])
    writing = threading.Thread(target=put, args=(worker, PLACES[0], [changed(1, sensitivity=HIGHEST)]))
    with publisher.transaction():
        publisher.execute(documents.LINKING)
        writing.start()
        # It waits for the publisher, who has not linked yet.
        until_one_waits(publisher)
        state = load(publisher.execute("SELECT document FROM entry").fetchall()[0][0])
        key = EntryKey(AUTHORITY, SYSTEM, "00000000-0000-0000-0000-000000000001")
        assert documents.claimed(publisher, [(key, state)]) == {}
        publisher.execute("DELETE FROM dirty")
    writing.join()
    assert lanes(publisher) == [0]


def until_one_waits(connection: Connection) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    for _ in range(2000):
        if connection.execute(waiting).fetchone() == (1,):
            return
    raise AssertionError("nobody waited")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """API, one worker, one publisher."""

    def ready(where: Mapping[str, str]) -> None:
        for name, value in where.items():
            environment.setenv(name, value)
        prepare(Settings())
        agree(Settings())

    data = tmp_path_factory.mktemp("whole") / "data"
    with pytest.MonkeyPatch.context() as environment, instance.held(instance.Plan(data), {}) as running:
        running.start(ready)
        yield Settings()


def bearer(settings: Settings, role: str, **claims: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {Issuer(settings).issue({'sub': 'outside', 'role': role, **claims}, 600)}"}


def post(settings: Settings, path: str, *events: dict[str, Any]) -> tuple[httpx.Response, list[dict[str, Any]]]:
    """The answer, and what the receipt says once everything is settled."""
    vendor = bearer(settings, "vendor", system=SYSTEM, authorities=[AUTHORITY])
    answer = httpx.post(f"{settings.api_url}{path}", json=list(events), headers=vendor, timeout=30)
    assert settle(settings, 60) == []
    receipt = httpx.get(f"{settings.api_url}/v1/receipts/{answer.json()['receipt_id']}", headers=vendor, timeout=30)
    return answer, receipt.json()["events"]


def a_case(number: int) -> dict[str, Any]:
    now = "2024-05-01T10:00:00Z"
    return {
        "event_id": f"case-{number}",
        "system": SYSTEM,
        "authority": AUTHORITY,
        "case_id": str(uuid.UUID(int=number)),
        "registered_at": now,
        "change": "REGISTERED",
        "properties": {"user_key": f"S-{number}", "title": "Bevilling", "created_at": now},
        "access": {"sensitivity": PUBLIC},
        "classification": {"kle": "27.36.04"},
        "progress": [{"state": "OPSTAAET", "effective_from": now}],
        "parties": [party(1, ("PRIMARY", f"CPR:{CITIZEN}"))],
        "journal": [{**journal()["items"][0], "registered_at": now}],
    }


def registered(second: int, **more: Any) -> dict[str, Any]:
    return {
        "event_id": f"document-{second}",
        "system": SYSTEM,
        "authority": AUTHORITY,
        "document_id": DOCUMENT,
        "registered_at": f"2024-05-01T10:00:{second:02}Z",
        "title": "Afgørelse",
        **more,
    }


def shown(settings: Settings, level: str = "FORTROLIGE_PERSONOPLYSNINGER") -> list[list[str]]:
    """The documents of each case that a reader of that level is shown."""
    scopes = [{"authority": AUTHORITY, "kle": ["N*"], "sensitivity": level}]
    reader = bearer(settings, "employee", name="Ea Eksempel", scopes=scopes)
    asked = {"citizen": CITIZEN, "purpose": "Sagsbehandling"}
    answer = httpx.post(f"{settings.api_url}/v1/overviews/sapa/search", json=asked, headers=reader, timeout=30)
    return [[one["title"] for one in entry["documents"]] for entry in answer.json()["entries"]]


def in_topic(settings: Settings) -> list[list[str]]:
    """The documents in the newest value of each case in the overview's topic."""
    newest: dict[bytes, list[str]] = {}
    topic, read = OVERVIEWS["sapa"], Decoder("overview_entry", lambda _: None).decode
    options = {"group.id": "test", "enable.auto.commit": False, "enable.partition.eof": True}
    with closing(Consumer({"bootstrap.servers": settings.kafka, **options})) as consumer:
        consumer.assign([TopicPartition(topic.name, partition, 0) for partition in range(topic.partitions)])
        ended = 0
        while ended < topic.partitions:
            record = consumer.poll(30)
            assert record is not None
            if record.error() is None:
                newest[record.key()] = [one["title"] for one in read(record.value())["content"]["documents"]]
            ended += record.error() is not None and record.error().code() == KafkaError._PARTITION_EOF
    return list(newest.values())


def test_a_document_reaches_every_case_that_names_it_over_http(whole: Settings) -> None:
    answer, events = post(whole, "/v1/case-events", a_case(1), a_case(2))
    assert [one["status"] for one in events] == ["indexed", "indexed"]
    assert shown(whole) == in_topic(whole) == [["I sagen"], ["I sagen"]]

    bad = registered(1, event_id="bad", sensitivity="HEMMELIG")
    answer, events = post(whole, "/v1/document-events", bad, registered(1))
    assert [one["status"] for one in events] == ["rejected", "indexed"]
    assert [(one["code"], one["pointer"]) for one in answer.json()["rejected"]] == [
        ("sensitivity_unknown", "/sensitivity")
    ]
    assert shown(whole) == in_topic(whole) == [["Afgørelse"], ["Afgørelse"]]

    _, events = post(whole, "/v1/document-events", registered(2, sensitivity=HIGHEST), registered(1))
    assert [one["status"] for one in events] == ["indexed", "stale"]
    assert shown(whole) == in_topic(whole) == [[], []]
    assert shown(whole, HIGHEST) == [["Afgørelse"], ["Afgørelse"]]

    _, events = post(whole, "/v1/document-events", registered(3, removed=True))
    assert shown(whole, HIGHEST) == [[], []]
    assert kept(whole) == [(True, None)]


def kept(settings: Settings) -> list[tuple[Any, ...]]:
    with connect(settings.dsn, "test") as connection:
        return connection.execute("SELECT removed, title FROM document").fetchall()
