"""Manifests against a real index: the one SQL statement says what the pure comparison says, and what comes of it."""

import asyncio
import gzip
import hashlib
import json
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection

from broker.domain.case import content_hash, said_by, stamp_of
from broker.domain.reconcile import Held, area_of, compare
from broker.intake.canonical import iso
from broker.store import measures
from broker.store import reconciliation as store
from broker.store.database import connect, migrate
from broker.store.document import dump
from broker.store.reconciliation import Opened, Overtaken, Row
from broker.stream.framing import encode
from ops.embedded.part import Part
from tests.integration.running import AUTHORITY, CASE, KLE, OUTSIDE, Running, running

SYSTEM = "sbsys"
SENDER = (AUTHORITY, SYSTEM)
AS_OF = 1_714_557_600_000_000
NUMBERS = ("27.36.04", "15.20.01", None)


def put_entry(
    connection: psycopg.Connection[Any], case_id: str, held: Held, kle: str | None, original: str | None = None
) -> None:
    """`original`: what its source calls it; None: the same."""
    newest = (held.registered_at + (1 << 63)).to_bytes(8, "big") + b"\1" + bytes(32)
    shape = (7 if held.stands else 1024) | (8 if held.replaced and held.stands else 0)
    connection.execute(
        "INSERT INTO entry"
        " (authority, system, case_id, newest, shape, complete, kle, sensitivity, received_at, document)"
        " VALUES (%s, %s, %s, %s, %s, true, %s, 1, to_timestamp(%s::numeric / 1000000), %s)",
        [*SENDER, case_id, newest, shape, kle, held.received_at, document(case_id, kle, original)],
    )


def document(case_id: str, kle: str | None, original: str | None) -> bytes:
    """As it came, or, for every other case, as a state."""
    rule = None if original is None else f"successor of {original}"
    event: Any = {
        "event_id": "e", "system": SYSTEM, "authority": AUTHORITY, "case_id": case_id, "registered_at": AS_OF,
        "change": "REGISTERED", "properties": {"user_key": "S", "title": '"rule":null', "created_at": AS_OF},
        "classification": {"kle": original or kle},
    }  # fmt: skip
    event["access"] = {"sensitivity": "IKKE_FORTROLIGE_DATA"}
    value, source = encode("case_event", event), {"received_at": 0, "agreement_version": 1}
    if kle is None and original is None:
        event["classification"] = None
    else:
        told = {"kle": kle, "facet": None, "rule": rule, "edition": "2020-01-01", "on": "2024-05-01"}
        event["classification"] = {**told, "original": {"kle": original or kle}}
    state = said_by(event, stamp_of(event, content_hash(value)), source)
    return dump(state, value if int(case_id[-1], 16) % 2 and event["classification"] is not None else None)


async def sent(connection: AsyncConnection[Any], rows: list[Row], areas: list[str] | None) -> store.Compared:
    opened = await store.begin(connection, SENDER, AS_OF, areas)
    half = len(rows) // 2
    await store.put(connection, opened, rows[:half])
    await store.put(connection, opened, rows[half:])
    return await store.compare(connection, opened)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("areas", [None, ["27."]])
async def test_the_statement_says_of_every_case_what_the_rule_says(
    database: str, seed: int, areas: list[str] | None
) -> None:
    chance = random.Random(seed)  # noqa: S311 - reproducible
    await asyncio.to_thread(migrate, database)
    moments = [AS_OF + step * 1_000 for step in range(-2, 3)]
    listed: dict[str, Row] = {}
    held: dict[str, tuple[Held, str | None]] = {}
    with connect(database, "test") as connection:
        for _ in range(400):
            case_id, number = str(uuid.UUID(int=chance.getrandbits(128))), chance.choice(NUMBERS)
            if chance.random() < 0.8:
                stands = chance.random() < 0.8
                one = Held(chance.choice(moments), chance.choice(moments), stands, stands and chance.random() < 0.1)
                held[case_id] = one, number
                put_entry(connection, case_id, one, number)
            if chance.random() < 0.8:
                listed[case_id] = Row(case_id, chance.choice(moments), area_of(number), chance.random() < 0.8)
        rows = list(listed.values())
        # Named twice, the newest registration counts.
        rows += [row._replace(registered_at=row.registered_at - 5) for row in rows[:20]]
        chance.shuffle(rows)
        async with await AsyncConnection.connect(database, autocommit=True) as asynchronous:
            found = await sent(asynchronous, rows, areas)
            said = {
                (kind, one.case_id)
                for kind in ("missing", "superfluous", "older", "newer")
                for one in await store.differences(asynchronous, found.id, kind)
            }
        left = connection.execute("SELECT count(*) FROM manifest_row").fetchone()
    expected = {}
    for case_id in listed.keys() | held.keys():
        row = listed.get(case_id)
        here, number = held.get(case_id, (None, None))
        if row is None and areas is not None and not (number or "").startswith(tuple(areas)):
            continue
        expected[case_id] = compare(
            None if row is None else row.registered_at, row is not None and row.expected, here, AS_OF
        )
    counted = Counter(expected.values())
    assert {kind: found.total(kind) for kind in ("missing", "superfluous", "older", "newer", "same", "outside")} == {
        kind: counted[kind] for kind in ("missing", "superfluous", "older", "newer", "same", "outside")
    }
    assert said == {(kind, case_id) for case_id, kind in expected.items() if kind not in (None, "same", "outside")}
    assert left == (0,)
    here_lines = [
        (case_id, held[case_id][0].registered_at)
        for case_id, kind in expected.items()
        if kind is not None and case_id in held and held[case_id][0].stands
    ]
    assert found.digest_here == digest(here_lines)
    there_lines = [
        (case_id, listed[case_id].registered_at)
        for case_id, kind in expected.items()
        if case_id in listed and kind != "outside"
    ]
    assert found.digest_there == digest(there_lines)


def digest(cases: list[tuple[str, int]]) -> int:
    """Calculated apart: the first 52 bits of each MD5, added up."""
    hashes = (hashlib.md5(f"{case} {at}".encode(), usedforsecurity=False).hexdigest() for case, at in cases)
    return sum(int(one[:13], 16) for one in hashes) % (1 << 52)


ASTRAY = [
    # what the source calls it, what it came to, whether a list of 27.* that does not name it takes it away
    ("16.08.06", "27.36.04", False),
    ("16.08.06", None, False),
    ("27.36.04", "27.36.04", True),
    ("27.35.10", "27.36.04", True),
    ("27.35.10", "15.20.01", True),
    ("27.35.10", None, True),
    ("15.20.01", "15.20.01", False),
    (None, None, False),
]


async def test_a_list_of_some_areas_is_compared_with_what_its_source_calls_so(database: str) -> None:
    """The source knows nothing of what its numbers are mapped to: a case it keeps under another is not in its list."""
    await asyncio.to_thread(migrate, database)
    gone = set()
    with connect(database, "test") as connection:
        for number, (original, kle, goes) in enumerate(2 * ASTRAY):
            case_id = CASE.format(number * 2 + number // len(ASTRAY))
            put_entry(connection, case_id, Held(AS_OF - 1, AS_OF - 1), kle, None if original == kle else original)
            gone |= {case_id} if goes else set()
    async with await AsyncConnection.connect(database, autocommit=True) as asynchronous:
        for areas in (["27."], ["27.3", "29."]):
            found = await sent(asynchronous, [], areas)
            told = await store.differences(asynchronous, found.id, "superfluous")
            assert {one.case_id for one in told} == gone
            assert {one.kle_area for one in told} == {"27.*"}
        everything = await sent(asynchronous, [], None)
    assert everything.total("superfluous") == 2 * len(ASTRAY)


async def test_a_manifest_of_the_same_sender_takes_the_place_of_an_unfinished_one(database: str) -> None:
    await asyncio.to_thread(migrate, database)
    async with await AsyncConnection.connect(database, autocommit=True) as connection:
        first: Opened = await store.begin(connection, SENDER, AS_OF, None)
        await store.put(connection, first, [Row(CASE.format(1), 1, "27.*", expected=True)])
        second = await store.begin(connection, SENDER, AS_OF, None)
        with pytest.raises(Overtaken):
            await store.put(connection, first, [Row(CASE.format(2), 1, "27.*", expected=True)])
        with pytest.raises(Overtaken):
            await store.compare(connection, first)
        assert (await store.compare(connection, second)).total("missing") == 0


@pytest.fixture
async def api(database: str, kafka: Part) -> AsyncIterator[Running]:
    async with running(database, kafka.address) as up:
        yield up


def line(number: int, registered_at: int, kle: str = KLE) -> bytes:
    said = {"case_id": CASE.format(number), "registered_at": iso(registered_at), "kle": kle}
    return json.dumps(said).encode() + b"\n"


def filled(api: Running) -> None:
    with connect(api.settings.dsn, "test") as connection:
        for number in range(1, 6):
            put_entry(connection, CASE.format(number), Held(AS_OF - number, AS_OF - 1), KLE)


BODY = line(1, AS_OF - 1) + line(2, AS_OF) + line(3, AS_OF - 30) + line(7, AS_OF - 7) + line(8, AS_OF, "15.20.01")


async def post(api: Running, body: bytes, **more: Any) -> Any:
    headers = {
        **api.bearer(**more.pop("claims", {})),
        "Content-Type": "application/x-ndjson",
        **more.pop("headers", {}),
    }
    return await api.http.post("/v1/reconcile", content=body, headers=headers, params={"as_of": iso(AS_OF), **more})


async def test_a_source_is_told_what_is_missing_superfluous_older_and_newer(api: Running) -> None:
    await asyncio.to_thread(filled, api)
    packed = await post(api, gzip.compress(BODY), headers={"Content-Encoding": "gzip"}, count=5)
    assert packed.status_code == 200, packed.text
    said = packed.json()
    kinds = {
        kind: [case["case_id"] for case in said[kind]["cases"]] for kind in ("missing", "superfluous", "older", "newer")
    }
    assert kinds == {
        "missing": [CASE.format(7)],
        "superfluous": [CASE.format(4), CASE.format(5)],
        "older": [CASE.format(2)],
        "newer": [CASE.format(3)],
    }
    assert (said["same"], said["outside"]) == (1, 1)
    headers = api.bearer()
    page = await api.http.get(f"/v1/reconcile/{said['reconciliation_id']}/superfluous?limit=1", headers=headers)
    assert [case["case_id"] for case in page.json()["cases"]] == [CASE.format(4)]
    rest = await api.http.get(
        f"/v1/reconcile/{said['reconciliation_id']}/superfluous?limit=2&after={page.json()['next']}", headers=headers
    )
    assert ([case["case_id"] for case in rest.json()["cases"]], rest.json()["next"]) == ([CASE.format(5)], None)
    with connect(api.settings.dsn, "test") as connection:
        read = measures.read(connection)
    assert read.reconciled[AUTHORITY, SYSTEM, "superfluous"] == 2
    assert read.digests[AUTHORITY, SYSTEM, "here"] != read.digests[AUTHORITY, SYSTEM, "there"]


async def test_a_list_that_is_torn_is_refused_and_leaves_nothing(api: Running) -> None:
    await asyncio.to_thread(filled, api)
    torn = await post(api, BODY, count=6)
    assert (torn.status_code, torn.json()["detail"]) == (422, "6 lines were announced, 5 came")
    cut = await post(api, BODY[:-20])
    assert (cut.status_code, cut.json()["detail"]) == (422, "line 5 is no JSON")
    assert api.rows("SELECT (SELECT count(*) FROM manifest), (SELECT count(*) FROM manifest_row)") == [(0, 0)]


async def test_nobody_compares_or_reads_for_another_sender(api: Running) -> None:
    await asyncio.to_thread(filled, api)
    said = (await post(api, BODY)).json()
    number = said["reconciliation_id"]
    for claims in ({"system": "nova"}, {"authorities": ["29189420"]}):
        refused = await post(api, BODY, claims=claims)
        assert (refused.status_code, refused.json()["code"]) == (403, "no_agreement")
        page = await api.http.get(f"/v1/reconcile/{number}/missing", headers=api.bearer(**claims))
        assert page.status_code == 404
    assert (await post(api, BODY, authority="29189420")).status_code == 403
    assert (await post(api, BODY, claims={"role": "employee"})).status_code == 403
    assert (await post(api, BODY, area="27")).status_code == 422
    wrong = await api.http.get(f"/v1/reconcile/{number}/missing?after=x", headers=api.bearer())
    assert wrong.status_code == 422


async def test_a_list_from_the_future_takes_nothing_that_has_just_come_for_vanished(api: Running) -> None:
    with connect(api.settings.dsn, "test") as connection:
        row = connection.execute("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").fetchone()
        assert row is not None
        put_entry(connection, CASE.format(1), Held(AS_OF, row[0] + 60_000_000), KLE)
    said = await post(api, b"", as_of="2199-01-01T00:00:00Z")
    assert (said.json()["superfluous"]["count"], said.json()["newer"]["count"]) == (0, 1)


async def test_a_list_of_some_areas_answers_no_question_that_its_source_has_cases_for_elsewhere(api: Running) -> None:
    """Agreements are asked for in the numbers that cases come to, lists are made in those that the source uses."""

    async def left(*areas: str) -> int:
        api.rows("DELETE FROM ask_again RETURNING 1")
        api.rows(
            "INSERT INTO ask_again (authority, system, kle, reason, asked_at)"
            " VALUES (%s, %s, %s, 'the first load', 'epoch') RETURNING 1",
            *SENDER,
            ["27.*"],
        )
        said = await post(api, b"", area=list(areas))
        assert (said.status_code, said.json()["missing"]["count"]) == (200, 0)
        return len(api.rows("SELECT FROM ask_again WHERE closed_at IS NULL"))

    async def ruled(*matches: tuple[dict[str, str], str]) -> None:
        rule = {"authority": AUTHORITY, "system": SYSTEM, "from": "2000-01-01"}
        rules = [{**rule, "match": match, "to": {"kle": number}} for match, number in matches]
        headers = api.bearer(role="onboarding")
        put = await api.http.put("/v1/kle/rules", json=rules, headers=headers)
        assert put.status_code == 200, put.text

    assert [await left("27.*"), await left("15.*"), await left()] == [0, 1, 0]
    moved = ({"kle": "15.20.*"}, KLE)
    await ruled(moved)
    assert [await left("27.*"), await left("15.*"), await left("27.*", "15.20.*"), await left()] == [1, 1, 0, 0]
    await ruled(moved, ({"local_code": "B7"}, KLE))
    assert [await left("27.*", "15.20.*"), await left("N*"), await left()] == [1, 0, 0]
    await ruled(({"kle": "15.20.*"}, OUTSIDE))
    assert await left("27.*") == 0
