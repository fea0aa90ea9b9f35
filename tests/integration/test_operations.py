"""What operators are told: of their municipalities, within bounds, and nothing of any person."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from fastapi.routing import APIRoute
from pydantic import SecretStr

from broker.api import operations
from broker.api.prometheus import MOST_BYTES, POINTS, Prometheus, PrometheusAwayError
from broker.domain.policy import Role
from broker.panels import BOARDS
from broker.security import Issuer
from broker.settings import Settings
from broker.store import operations as store_operations
from broker.store.database import connect
from ops.embedded.part import Part
from tests.integration.referring import AARHUS, CITIZEN, SENDER, UDK, Store
from tests.integration.running import running
from tests.integration.test_reference_http import Client, api
from tests.integration.watching import Past, watching

MARKER = "Jens Ægteskabsen"
DATA = ("boards", "sources", "waiting", "rejections", "rejections/sbsys/kle_unknown", "rejections/unknown/kle_unknown")
RUNBOOK = {"annotations": {"runbook": "ops/runbooks/ApiDown.md", "summary": "Away", "description": "All of it"}}


def ask(client: Client, path: str) -> Any:
    answer = client.get(f"/v1/ops/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def rejected(store: Store, number: int = 1, **more: Any) -> None:
    row = {"authority": AARHUS, "system": "sbsys", "code": "kle_unknown", "pointer": "/kle", "detail": "", **more}
    columns, values = ", ".join(row), ", ".join(["%s"] * len(row))
    with connect(store.dsn, "test") as connection:
        connection.execute(
            f"INSERT INTO rejection (rejection_id, {columns})"
            f" SELECT gen_random_uuid(), {values} FROM generate_series(1, %s)".encode(),
            [*row.values(), number],
        )


def test_nobody_but_an_operator_is_told_anything(store: Store) -> None:
    store.put(SENDER)
    example = {"board": "flow", "number": "1", "system": "sbsys", "code": "kle_unknown"}
    paths = [route.path.format(**example) for route in operations.router.routes if isinstance(route, APIRoute)]
    assert len(paths) == 7
    with api(store, role="operator", authorities=[AARHUS]) as client:

        def answers(authorization: str) -> list[int]:
            headers = {"Authorization": authorization}
            return [client.runner.run(client.http.get(path, headers=headers)).status_code for path in paths]

        assert answers("") == answers("Bearer x") == [401] * len(paths)
        issuer = Issuer(Settings(database=SecretStr(store.dsn)))
        for role in set(Role) - {Role.OPERATOR}:
            claims = {"sub": "bo", "role": role, "authorities": [AARHUS], "system": "sbsys", "citizen": CITIZEN}
            assert answers(f"Bearer {issuer.issue(claims, 60)}") == [403] * len(paths), role


def test_without_prometheus_it_says_so_and_the_database_still_answers(store: Store) -> None:
    store.put(SENDER, {**SENDER, "system": "nova", "state": "SUSPENDED"})
    store.rows(
        "INSERT INTO source_freshness VALUES"
        f" ('{AARHUS}', 'sbsys', 0, 1700000000000000, '2023-11-15Z'), ('{AARHUS}', 'sbsys', 1, 1600000000000000, now())"
        " RETURNING 1"
    )
    store.entries("sbsys")
    store.rows(
        "INSERT INTO dirty (authority, system, case_id, revision, lane, asked_at)"
        " SELECT authority, system, case_id, 1, 0, now() FROM entry RETURNING 1"
    )
    with api(store, role="operator", authorities=[AARHUS]) as client:
        assert ask(client, "boards")["prometheus"] is False
        for path in ("alerts", "panels/flow/1"):
            answer = client.get(f"/v1/ops/{path}")
            assert (answer.status_code, "SAGSBRO_PROMETHEUS" in answer.json()["detail"]) == (404, True)
        told = {one["system"]: (one["state"], one["last_registered_at"]) for one in ask(client, "sources")}
        assert told == {"sbsys": ("FULL", "2023-11-14T22:13:20Z"), "nova": ("SUSPENDED", None)}
        waiting = ask(client, "waiting")
        assert {name: waiting["outbox"][name] for name in ("entries", "purges", "persons")} == {
            "entries": 1,
            "purges": 1,
            "persons": 1,
        }
        assert (waiting["alarms"], waiting["break_glass"]) == ([], [])


def test_rejections_are_counted_by_sender_and_code_and_lead_on_to_their_causes(store: Store) -> None:
    rejected(store, 3, kle="27.99.99", pointer="/parties/3/id")
    rejected(store, 2, kle="27.99.99", pointer="/parties/14/id", system="sbsys:arkiv")
    rejected(store, 1, pointer="/kle")
    rejected(store, 4, code="suspended", system="nova")
    rejected(store, 5, authority=UDK)
    rejected(store, 6, state="discarded")
    with api(store, role="operator", authorities=[AARHUS]) as client:
        counted = ask(client, "rejections")
        assert counted["more"] is False
        assert [(one["authority"], one["system"], one["code"], one["number"]) for one in counted["open"]] == [
            (AARHUS, "nova", "suspended", 4),
            (AARHUS, "sbsys", "kle_unknown", 6),
        ]
        closer = ask(client, "rejections/sbsys/kle_unknown")
        assert closer["causes"] == [
            {"authority": AARHUS, "pointer": "/parties/*/id", "kle": "27.99.99", "number": 5},
            {"authority": AARHUS, "pointer": "/kle", "kle": None, "number": 1},
        ]
        assert len(closer["newest"]) == 6
        assert closer["remedy"].startswith("Use a number")
        assert client.get("/v1/ops/rejections/sbsys/whatever").status_code == 422
        assert client.get("/v1/ops/rejections/whatever/kle_unknown").status_code == 422


def test_it_is_told_of_the_municipalities_that_the_token_names(store: Store) -> None:
    store.put(SENDER)
    rejected(store)
    with api(store, role="operator", authorities=[UDK]) as client:
        assert ask(client, "sources") == []
        assert ask(client, "rejections")["open"] == []
        assert ask(client, "rejections/sbsys/kle_unknown")["causes"] == []
        assert AARHUS not in json.dumps(ask(client, "waiting"))


def test_no_answer_has_more_rows_than_it_may(store: Store) -> None:
    rejected(store, store_operations.MOST_COUNTED + 50)
    for number in range(store_operations.MOST_CAUSES + 5):
        rejected(store, pointer=f"/field_{number}")
    with api(store, role="operator", authorities=[AARHUS]) as client:
        counted = ask(client, "rejections")
        assert (counted["more"], counted["open"][0]["number"]) == (True, store_operations.MOST_COUNTED + 1)
        closer = ask(client, "rejections/sbsys/kle_unknown")
        assert (closer["more"], len(closer["newest"])) == (True, store_operations.MOST_NEWEST)
        assert (len(closer["causes"]), closer["causes_left_out"]) == (store_operations.MOST_CAUSES, 6)


@contextmanager
def locked(store: Store) -> Iterator[None]:
    """Whoever reads rejections waits until the end of the block."""
    with psycopg.connect(store.dsn) as connection:  # without our guards, one of which would end the waiting
        connection.execute("LOCK TABLE rejection")
        yield


def test_what_takes_the_database_too_long_is_given_up(store: Store) -> None:
    with locked(store), api(store, role="operator", authorities=[AARHUS]) as client:
        answer = client.get("/v1/ops/rejections")
    assert (answer.status_code, answer.json()["code"]) == (503, "took_too_long")


async def test_however_many_look_the_connections_of_searches_stay_free(database: str, kafka: Part) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'rejection'::regclass"
    async with running(database, kafka.address) as api:
        operator = await asyncio.to_thread(api.bearer, role="operator")
        with locked(Store(database)):
            looking = [asyncio.create_task(api.http.get("/v1/ops/rejections", headers=operator)) for _ in range(20)]
            async with asyncio.timeout(60):
                while (most := (await asyncio.to_thread(api.rows, waiting))[0][0]) == 0:
                    pass
            other = await api.http.get("/v1/coverage", headers=operator)
        await asyncio.gather(*looking)
    assert (most <= 2, other.status_code) == (True, 200)


def test_no_answer_has_a_word_of_any_person(store: Store) -> None:
    store.put(SENDER)
    store.entries("sbsys")
    said: dict[str, Any] = {"event_id": MARKER, "detail": MARKER, "kle": MARKER, "payload": MARKER.encode()}
    rejected(store, pointer=f"/parties/{CITIZEN}/id", **said)
    rejected(store, system=MARKER, **said)
    rejected(store, system=f"sbsys:{CITIZEN}", **said)
    reader = json.dumps({"subject": MARKER, "name": MARKER})
    store.rows("INSERT INTO citizen DEFAULT VALUES RETURNING 1")
    store.rows(f"INSERT INTO citizen_number SELECT '{CITIZEN}', citizen_id FROM citizen RETURNING 1")
    for table, columns, values in (
        ("access_alarm", "rule, reader_id, access_id", f"'many_citizens', '{MARKER}', 1"),
        (
            "break_glass",
            "authority, overview, reader, citizen_id, basis, reason, cases",
            f"'{AARHUS}', 'hoi', '{reader}', citizen_id, '{MARKER}', '{MARKER}', ARRAY['{MARKER}']",
        ),
        ("dirty", "authority, system, case_id, revision, lane, asked_at", "authority, system, case_id, 1, 0, now()"),
    ):
        store.rows(f"INSERT INTO {table} ({columns}) SELECT {values} FROM citizen, entry RETURNING 1")
    store.rows(f"UPDATE entry SET user_key = '{MARKER}', document = '{MARKER}' RETURNING 1")
    signed = json.dumps({"signed_by": MARKER})
    store.rows(f"UPDATE sender_agreement SET put_by = '{MARKER}', body = body || '{signed}' RETURNING 1")
    with api(store, role="operator", authorities=[AARHUS]) as client:
        answers = [
            json.dumps(ask(client, path), ensure_ascii=False) for path in (*DATA, "rejections/unknown/kle_unknown")
        ]
        ((case_id,),) = store.rows("SELECT case_id::text FROM entry")
        ((citizen_id,),) = store.rows("SELECT citizen_id::text FROM citizen")
        for answer in answers:
            for word in (MARKER, CITIZEN, case_id, citizen_id):
                assert word not in answer
        alarms = ask(client, "waiting")
        assert [(one["rule"], one["week"]) for one in alarms["alarms"]] == [("many_citizens", 1)]
        assert [(one["overview"], one["number"]) for one in alarms["break_glass"]] == [("hoi", 1)]
        assert '"number": 1' in answers[-1]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    past: Past = {
        "sagsbro_projection_lag_events": [{"topic": "t", "partition": number} for number in range(30)],
        "sagsbro_reconcile_timestamp_seconds": [
            *({"authority": AARHUS, "system": f"s{number}"} for number in range(510)),
            *({"authority": UDK, "system": f"s{number}"} for number in range(40)),
        ],
        "sagsbro:event_to_visible_late:ratio_rate1h": [{}],
    }
    alerts = [
        {"alert": "Ticket", "labels": {"severity": "ticket"}, **RUNBOOK},
        {"alert": "Page", "labels": {"severity": "page"}, **RUNBOOK},
        {"alert": "Waits", "for": "1h", "labels": {"severity": "page"}, **RUNBOOK},
        {"alert": "OfMine", "labels": {"severity": "ticket", "authority": AARHUS}, **RUNBOOK},
        {"alert": "OfAnother", "labels": {"severity": "ticket", "authority": UDK}, **RUNBOOK},
        {"alert": "OfAnotherProgram", "labels": {"severity": "page"}, "annotations": {"summary": MARKER}},
    ]
    with watching(tmp_path_factory.mktemp("prometheus"), past, alerts) as address:
        yield address


@pytest.fixture
def watched(store: Store, prometheus: str) -> Iterator[Client]:
    with api(store, prometheus=prometheus, role="operator", authorities=[AARHUS]) as client:
        yield client


def test_prometheus_fills_every_panel_in_its_bounds(watched: Client) -> None:
    boards = ask(watched, "boards")
    assert boards["prometheus"] is True
    assert [(board["title"], len(board["panels"])) for board in boards["boards"]] == [
        (title, len(panels)) for title, panels in BOARDS.items()
    ]
    for board in boards["boards"]:
        for panel in board["panels"]:
            told = ask(watched, f"panels/{board['title'].lower()}/{panel['number']}?span=1h")
            assert len(told["series"]) <= (24 if panel["kind"] == "timeseries" else 500)
            for series in told["series"]:
                assert len(series["points"]) <= (POINTS + 1 if panel["kind"] == "timeseries" else 1)


def number_of(board: str, title: str) -> int:
    return [panel.title for panel in BOARDS[board]].index(title) + 1


def test_courses_are_the_highest_and_say_how_many_are_left_out(watched: Client) -> None:
    path = f"panels/flow/{number_of('Flow', 'Lag by partition')}?span=1h"
    told = ask(watched, path)
    assert (told["step_s"], len(told["series"]), told["left_out"]) == (15, 24, 6)
    assert {series["name"][:2] for series in told["series"]} == {"t/"}
    times, values = zip(*told["series"][0]["points"], strict=True)
    assert told["until"] - times[-1] < 60
    assert list(values) == sorted(values)
    assert (values[0], values[-1]) == (0, 30)
    assert ask(watched, f"{path}&query=up") == told
    assert watched.get(f"/v1/ops/{path.replace('1h', '1y')}").status_code == 422
    for other in ("flow/0", "flow/99", "nothing/1"):
        assert watched.get(f"/v1/ops/panels/{other}").status_code == 404
    assert watched.get(f"/v1/ops/panels/flow/{quote('up or vector(1)')}").status_code == 422


def test_rows_are_of_the_tokens_municipalities_alone(watched: Client) -> None:
    title = "Days since a source was compared with its own list"
    told = ask(watched, f"panels/sources/{number_of('Sources', title)}")
    assert (len(told["series"]), told["left_out"]) == (500, 10)
    assert {series["labels"]["authority"] for series in told["series"]} == {AARHUS}


def test_alerts_are_ours_and_the_firing_and_paging_come_first(watched: Client) -> None:
    told = ask(watched, "alerts")
    first, *tickets, last = [(alert["name"], alert["state"]) for alert in told["alerts"]]
    assert (first, last) == (("Page", "firing"), ("Waits", "pending"))
    assert set(tickets) == {("Ticket", "firing"), ("OfMine", "firing")}
    assert told["alerts"][0] == {
        "name": "Page",
        "severity": "page",
        "team": "",
        "state": "firing",
        "since": told["alerts"][0]["since"],
        "labels": {},
        **RUNBOOK["annotations"],
    }


@asynccontextmanager
async def answering(body: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Somebody at Prometheus' address who says this to everything; and what was asked."""
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/behind", asked


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b"[]", b'{"data":{"result":' + b" " * MOST_BYTES + b"[]}}"], ids=len
)
async def test_what_is_no_answer_of_prometheus_is_none(body: bytes) -> None:
    async with answering(body) as (address, _):
        asking = Prometheus(address)
        with pytest.raises(PrometheusAwayError):
            await asking.now("up")
        await asking.close()


async def test_the_same_question_of_many_is_asked_once() -> None:
    async with answering(b'{"data":{"result":[{"metric":{"a":"b"},"value":[1,"NaN"]}]}}') as (address, asked):
        asking = Prometheus(address)
        told = await asyncio.gather(*(asking.now("up") for _ in range(20)), asking.now("down"))
        await asking.close()
    assert len(asked) == 2
    assert all(request.startswith(b"POST /behind/api/v1/query HTTP") for request in asked)
    assert {series.points[0] for (series,) in told} == {(1, None)}


def test_a_prometheus_that_is_away_is_said_to_be(store: Store) -> None:
    with api(store, prometheus="http://127.0.0.1:9", role="operator", authorities=[AARHUS]) as client:
        answers = [client.get(f"/v1/ops/{path}") for path in ("alerts", "panels/flow/1")]
        assert [(one.status_code, one.json()["code"]) for one in answers] == [(503, "prometheus_unavailable")] * 2
        assert ask(client, "rejections") == {"more": False, "open": []}
