"""Reference data: put, kept in versions, and what it does to the index."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg
import pytest
from click.testing import CliRunner
from pydantic import SecretStr, ValidationError

from broker.api.app import create_app
from broker.cli import main
from broker.cli.running import OWNER
from broker.domain.kle import Edition
from broker.domain.policy import Role
from broker.intake.edition import read
from broker.security import Issuer
from broker.settings import Settings
from broker.store import database, facts, kle, reference
from broker.store.database import query
from broker.store.reference import NotYoursError, Putter, TransitionRefusedError
from broker.store.shapes import AGREEMENTS, Authority, Delimitation
from tests.integration.searching import row, state_like
from tests.unit.worlds import CITIZENS, an_entry

AARHUS, UDK = "55133018", "33236252"
CITIZEN = CITIZENS[0].removeprefix("CPR:")
ONBOARDING = Putter("Ea", Role.ONBOARDING, frozenset({AARHUS}))
OPERATOR = Putter("Bo", Role.OPERATOR, frozenset({AARHUS}))
SENDER = {
    "authority": AARHUS,
    "system": "sbsys",
    "state": "FULL",
    "kle": ["27.*"],
    "sensitivity": "FOELSOMME_PERSONOPLYSNINGER",
    "from_date": "2020-01-01",
    "override": True,
}
READER = {
    "authority": AARHUS,
    "overview": "sapa",
    "client": "*",
    "state": "FULL",
    "kle": ["N*"],
    "sensitivity": "VIP_SAGER",
    "from_date": "2020-01-01",
}
CSV = "emnenr,titel\n27,Social\n27.36,Hjælp\n27.36.04,Hjemmehjælp\n27.36.08,Madservice\n"
T = TypeVar("T")
Work = Callable[[psycopg.AsyncConnection[Any]], Coroutine[Any, Any, T]]


@dataclass(frozen=True)
class Store:
    """Reference data in a database of its own."""

    dsn: str

    def does(self, work: Work[T]) -> T:
        async def connected() -> T:
            async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as connection:
                return await work(connection)

        return asyncio.run(connected())

    def put(self, *bodies: dict[str, Any], by: Putter = ONBOARDING) -> list[dict[str, Any]]:
        agreements = AGREEMENTS.validate_python(list(bodies))
        return self.does(lambda connection: reference.put_agreements(connection, agreements, by))

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with database.connect(self.dsn, "test") as connection:
            return connection.execute(statement.encode()).fetchall()

    @property
    def revision(self) -> int:
        return int(self.rows("SELECT revision FROM reference_revision")[0][0])

    @property
    def dirty(self) -> list[tuple[str, int]]:
        return [(system, lane) for system, lane in self.rows("SELECT system, lane FROM dirty ORDER BY system, case_id")]

    def entries(self, *systems: str) -> None:
        with database.connect(self.dsn, "test") as connection:
            for number, system in enumerate(systems):
                key, state = state_like(an_entry(AARHUS, "27.36.04", 2, user_key="S-1"), number)
                columns = row(key._replace(system=system), state)
                connection.execute(
                    b"INSERT INTO entry (authority, system, case_id, newest, shape, complete, kle, sensitivity,"
                    b" primary_party, parties, principals, user_key, created_at, received_at, document)"
                    b" VALUES (%s, %s, %s, %s, 0, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                    columns,
                )


@pytest.fixture
def store(database: str) -> Store:
    migrate(database)
    return Store(database)


def migrate(dsn: str) -> None:
    database.migrate(dsn)


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


def test_the_way_is_walked_one_step_at_a_time(store: Store) -> None:
    plain = {**SENDER, "override": False}
    for state in (
        "DRAFT",
        "SIGNED",
        "CLARIFIED",
        "MAPPED",
        "CONNECTED",
        "COMPLIANT",
        "RESTRICTED",
        "FULL",
        "RESTRICTED",
    ):
        store.put({**plain, "state": state})
    with pytest.raises(TransitionRefusedError):
        store.put({**plain, "state": "FULL"}, {**plain, "system": "nexus"})
    assert store.rows("SELECT count(*) FROM sender_agreement") == [(9,)]
    store.put({**plain, "state": "SUSPENDED"})
    with pytest.raises(TransitionRefusedError):
        store.put({**plain, "state": "FULL"})
    store.put({**plain, "state": "FULL", "override": True})
    ((body,),) = store.rows("SELECT body FROM sender_agreement WHERE version = 11")
    assert body["override"] is True


def test_an_operator_may_suspend_or_end_and_nothing_else(store: Store) -> None:
    for body in (SENDER, READER):
        with pytest.raises(NotYoursError):
            store.put(body, by=OPERATOR)
        store.put(body)
        with pytest.raises(NotYoursError):
            store.put({**body, "kle": ["27.36.*"]}, by=OPERATOR)
        with pytest.raises(NotYoursError):
            store.put({**body, "state": "SUSPENDED", "kle": ["N*", "27.*"]}, by=OPERATOR)
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


def test_authorities_are_added_and_replaced(store: Store) -> None:
    def put(name: str) -> list[dict[str, Any]]:
        kommune = [Authority(cvr=AARHUS, name=name)]
        return store.does(lambda connection: reference.put_authorities(connection, kommune, ONBOARDING))

    assert [put(name)[0]["changed"] for name in ("Eksempel", "Eksempel", "Eksempel Kommune")] == [True, False, True]
    assert [one["name"] for one in store.does(reference.authorities)] == ["Eksempel Kommune"]


def test_a_new_edition_touches_the_entries_whose_number_it_calls_otherwise(store: Store) -> None:
    store.entries("sbsys")

    def put(day: date, text: str) -> dict[str, Any]:
        return store.does(
            lambda connection: kle.put_edition(connection, Edition(day, read(text.encode()).titles), OPERATOR)
        )

    assert put(date(2024, 1, 1), CSV)["changed"] == 2
    store.rows("DELETE FROM dirty RETURNING lane")
    assert put(date(2025, 1, 1), CSV.replace("Madservice", "Mad"))["changed"] == 1
    assert store.dirty == []
    assert put(date(2025, 1, 1), CSV.replace("Hjemmehjælp", "Hjælp hjemme"))["changed"] == 2
    assert store.dirty == [("sbsys", 1)]
    revision = store.revision
    assert put(date(2025, 1, 1), CSV.replace("Hjemmehjælp", "Hjælp hjemme"))["changed"] == 0
    assert store.revision == revision

    known = store.does(lambda connection: kle.number(connection, "27.36.04"))
    assert known is not None
    assert (known["title"], known["in_newest_edition"]) == ("Hjælp hjemme", True)
    assert [one["title"] for one in known["editions"]] == ["Hjemmehjælp", "Hjælp hjemme"]


def test_what_every_authority_shares_is_for_an_operator_or_the_owner_of_the_database(store: Store) -> None:
    def put(by: Putter) -> dict[str, Any]:
        edition = Edition(date(2024, 1, 1), read(CSV.encode()).titles)
        return store.does(lambda connection: kle.put_edition(connection, edition, by))

    with pytest.raises(NotYoursError):
        put(ONBOARDING)
    assert [put(OPERATOR)["changed"], put(OWNER)["changed"]] == [2, 0]


@dataclass(frozen=True)
class Client:
    """The app in this process, asked over HTTP."""

    http: httpx.AsyncClient
    runner: asyncio.Runner

    def get(self, path: str) -> httpx.Response:
        return self.runner.run(self.http.get(path))

    def put(self, path: str, **content: Any) -> httpx.Response:
        return self.runner.run(self.http.put(path, **content))

    def delete(self, path: str) -> httpx.Response:
        return self.runner.run(self.http.delete(path))

    def post(self, path: str, **content: Any) -> httpx.Response:
        return self.runner.run(self.http.post(path, **content))


@contextmanager
def api(store: Store, **claims: Any) -> Iterator[Client]:
    settings = Settings(database=SecretStr(store.dsn), kafka="127.0.0.1:9")
    token = Issuer(settings).issue({"sub": "ea", **claims}, 60)
    app = create_app(settings)
    headers = {"Authorization": f"Bearer {token}"}
    http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sagsbro", headers=headers)
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(_awaited(lifespan.__aenter__()))
        try:
            yield Client(http, runner)
        finally:
            runner.run(http.aclose())
            runner.run(_awaited(lifespan.__aexit__(None, None, None)))


async def _awaited(something: Awaitable[Any]) -> None:
    await something


def test_over_http_everything_is_put_and_got(store: Store) -> None:
    with api(store, role="onboarding", authorities=[AARHUS]) as client:
        put = client.put("/v1/agreements", json=[SENDER, READER])
        assert [one["version"] for one in put.json()] == [1, 1]
        assert [one["kle"] for one in client.get("/v1/agreements").json()] == [["27.*"], ["N*"]]
        assert client.put("/v1/authorities", json={"cvr": AARHUS, "name": "Eksempel"}).status_code == 200
        assert [one["name"] for one in client.get("/v1/authorities").json()] == ["Eksempel"]
        choice = {"authority": AARHUS, "kle": ["27.*"], "from_date": "2021-01-01"}
        assert client.put("/v1/delimitations", json=choice).json()[0]["version"] == 1
        assert client.get("/v1/delimitations").json() == [choice | {"active_only": False}]
        cleared = client.delete(f"/v1/delimitations/{AARHUS}").json()
        assert cleared == {"authority": AARHUS, "version": 2, "changed": True}
        assert client.get("/v1/delimitations").json() == []


def test_over_http_an_edition_is_an_operators_to_put_and_no_municipalitys(store: Store) -> None:
    put = {"content": CSV.encode(), "headers": {"Content-Type": "text/csv"}}
    with api(store, role="onboarding", authorities=[AARHUS]) as client:
        assert client.put("/v1/kle/editions/2024-01-01", **put).status_code == 403
        assert client.get("/v1/kle/27.36.04").status_code == 404
    with api(store, role="operator") as client:
        edition = client.put("/v1/kle/editions/2024-01-01", **put)
        assert edition.json() == {"edition": "2024-01-01", "numbers": 2, "changed": 2}
        assert client.get("/v1/kle/27.36.04").json()["title"] == "Hjemmehjælp"
        assert client.get("/v1/kle/%00").status_code == 422
        flawed = client.put("/v1/kle/editions/2024-01-01", content=b"x", headers={"Content-Type": "text/csv"})
        assert (flawed.status_code, flawed.json()["code"]) == (422, "invalid_request")
        assert "line 1" in flawed.json()["detail"]
        unread = client.put("/v1/kle/editions/2024-01-01", content=b"x", headers={"Content-Type": "text/plain"})
        assert (unread.status_code, unread.json()["code"]) == (415, "unsupported_media_type")


def test_over_http_what_is_refused_says_why_by_its_code(store: Store) -> None:
    with api(store, role="onboarding", authorities=[AARHUS]) as client:
        answers = [
            client.put("/v1/agreements", json={**SENDER, "override": False}),
            client.put("/v1/agreements", json={**SENDER, "authority": UDK}),
            client.put("/v1/agreements", json={**SENDER, "colour": "red"}),
            client.get("/v1/kle/99.99.99"),
            client.delete(f"/v1/delimitations/{UDK}"),
            client.delete("/v1/delimitations/aarhus"),
        ]
    codes = [(answer.status_code, answer.json()["code"]) for answer in answers]
    assert codes == [
        (409, "transition_refused"),
        (403, "forbidden"),
        (422, "invalid_request"),
        (404, "not_found"),
        (403, "forbidden"),
        (422, "invalid_request"),
    ]


def test_over_http_an_employee_searches_and_other_roles_are_refused_and_logged(store: Store) -> None:
    store.put(READER)
    scope = {"authority": AARHUS, "kle": ["N*"], "sensitivity": "VIP_SAGER"}
    body = {"citizen": CITIZEN}
    with api(store, role="employee", scopes=[scope]) as client:
        answer = client.post("/v1/overviews/sapa/search", json=body)
        assert answer.json() == {"entries": [], "next_cursor": None, "freshness": [], "notice": None}
        assert client.post("/v1/overviews/ukendt/search", json=body).status_code == 404
        for flawed in (
            {},
            {**body, "user_key": "x"},
            {**body, "x": 1},
            {"citizen": f"{CITIZEN}1"},
            {**body, "limit": 201},
        ):
            refused = client.post("/v1/overviews/sapa/search", json=flawed)
            assert refused.status_code == 422
            assert CITIZEN not in refused.text
        assert client.post("/v1/overviews/sapa/search", json={**body, "cursor": "x"}).json()["code"] == "cursor_invalid"
    with api(store, role="auditor") as client:
        assert client.post("/v1/overviews/sapa/search", json=body).status_code == 403
    logged = store.rows("SELECT decision, reason, reader->>'role' FROM access_log ORDER BY id")
    assert logged == [("deny", "nothing_permitted", "employee"), ("deny", "role", "auditor")]


@pytest.mark.parametrize("sign", ["\\u0000", "\\ud800"])
def test_over_http_a_text_that_cannot_be_stored_is_refused_before_it_reaches_the_database(
    store: Store, sign: str
) -> None:
    store.put(READER)
    scope = {"authority": AARHUS, "kle": ["N*"], "sensitivity": "VIP_SAGER"}
    asked = f'"citizen": "{CITIZEN}"'
    follows = f'"overview": "sapa", "citizens": ["{CITIZEN}"], "until": "2999-01-01T00:00:00Z"'
    searches = [
        f'{{"user_key": "S{sign}1"}}',
        f'{{"party": {{"id_type": "FREE", "id": "x{sign}"}}}}',
        f'{{"party": {{"id_type": "URN", "id": "urn:{sign}"}}}}',
        f'{{"party": {{"id_type": "ECPR", "id": "x{sign}"}}}}',
        f'{{{asked}, "purpose": "x{sign}"}}',
        f'{{{asked}, "cursor": "x{sign}"}}',
        f'{{{asked}, "kle": ["27.{sign}"]}}',
        f'{{{asked}, "x{sign}": 1}}',
    ]
    json_body = {"Content-Type": "application/json"}
    for role in ("employee", "auditor"):
        with api(store, role=role, scopes=[scope]) as client:
            answers = [client.post("/v1/overviews/sapa/search", content=body, headers=json_body) for body in searches]
            for more in (f'"purpose": "x{sign}"', f'"purpose": "x", "effort_id": "{sign}"'):
                answers += [client.put("/v1/subscriptions", content=f"{{{follows}, {more}}}", headers=json_body)]
            answers += [client.delete("/v1/subscriptions?overview=%00")]
        assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(422, "invalid_request")}
        assert not any(CITIZEN in answer.text for answer in answers)
    assert store.rows("SELECT count(*) FROM access_log") == [(0,)]


@pytest.fixture
def instance(store: Store, tmp_path: Path) -> Path:
    running = {
        "api": "http://127.0.0.1:9",
        "registry": "http://127.0.0.1:9",
        "kafka": "127.0.0.1:9",
        "database": store.dsn,
    }
    (tmp_path / "instance.json").write_text(json.dumps(running))
    return tmp_path


def sagsbro(instance: Path, *arguments: str, given: str = "") -> tuple[int, str]:
    ran = CliRunner().invoke(main, [*arguments, "--data", str(instance)], input=given)
    return ran.exit_code, ran.stdout if ran.exit_code == 0 else ran.output


def test_the_command_line_puts_and_shows_agreements_and_editions(instance: Path, store: Store) -> None:
    code, output = sagsbro(instance, "agreement", "put", "-", "--json", given=json.dumps([SENDER, READER]))
    assert (code, [one["version"] for one in json.loads(output)]) == (0, [1, 1])
    toml = '[[agreement]]\nauthority = "55133018"\nsystem = "sbsys"\nstate = "SUSPENDED"\nkle = ["27.*"]\n'
    toml += 'sensitivity = "VIP_SAGER"\nfrom_date = 2020-01-01\n'
    code, output = sagsbro(instance, "agreement", "put", "-", given=toml)
    assert (code, output) == (0, "55133018 sbsys  SUSPENDED  version 2\n")
    assert "55133018 sapa *  FULL  version 1  N*" in sagsbro(instance, "agreement", "list")[1]
    assert json.loads(sagsbro(instance, "agreement", "show", AARHUS, "sbsys", "--json")[1])[0]["state"] == "SUSPENDED"
    assert sagsbro(instance, "agreement", "show", UDK, "sbsys")[0] == 1

    code, output = sagsbro(instance, "kle", "import", "-", "--edition", "2024-01-01", given=CSV)
    assert (code, output) == (0, "edition 2024-01-01: 2 subjects, 2 changed\n")
    assert sagsbro(instance, "kle", "show", "27.36.04")[1].startswith("27.36.04  Hjemmehjælp\n")
    assert sagsbro(instance, "kle", "show", "99.99.99")[0] == 1
    assert store.revision == 4


def test_the_command_line_refuses_with_the_place_and_never_the_input(instance: Path) -> None:
    flawed = {**SENDER, "restricted": {"citizens": [f"{CITIZEN}9"]}}
    code, output = sagsbro(instance, "agreement", "put", "-", given=json.dumps(flawed))
    assert code == 1
    assert "restricted/citizens/0" in output
    assert CITIZEN not in output
    assert sagsbro(instance, "agreement", "put", "-", given="neither = = of both")[0] == 1


def test_a_token_says_what_the_options_say(instance: Path, store: Store) -> None:
    scope = f"{AARHUS}:27.*,15.*:VIP_SAGER"
    code, output = sagsbro(instance, "token", "--role", "employee", "--scope", scope, "--name", "Ea", "--json")
    assert code == 0
    token = Issuer(Settings(database=SecretStr(store.dsn))).verify(json.loads(output)["token"])
    assert (token.role, token.name, token.scopes[0].level("15.20.01")) == (Role.EMPLOYEE, "Ea", 4)
    for wrong in ("27.*", f"{AARHUS}:27*:VIP_SAGER", f"{AARHUS}:27.*:HEMMELIG"):
        assert sagsbro(instance, "token", "--role", "employee", "--scope", wrong)[0] == 2
