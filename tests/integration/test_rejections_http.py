"""The rejections desk over real HTTP: each sees their own, masked; in the clear only logged; nothing twice."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from broker.domain.refusals import COLUMNS
from broker.store.database import connect
from ops.embedded.part import Part
from tests.integration.logging_reads import AUDITOR
from tests.integration.running import AUTHORITY, CPR, OTHER, Running, event, log_of, running

OPERATOR: dict[str, Any] = {"role": "operator", "sub": "operator-1", "system": None, "name": "Drift"}
VENDOR: dict[str, Any] = {}
OTHER_VENDOR: dict[str, Any] = {"system": "nova"}
TITLE = "Hjemmehjælp til Kirsten"
UNKNOWN = {"kle": "27.99.99"}
DESK = "/v1/rejections"


@pytest.fixture
async def api(database: str, kafka: Part) -> AsyncIterator[Running]:
    async with running(database, kafka.address) as made:
        yield made


async def call(api: Running, method: str, path: str, said: Any = None, **claims: Any) -> httpx.Response:
    headers = await asyncio.to_thread(api.bearer, **claims)
    return await api.http.request(method, path, json=said, headers=headers)


async def get(api: Running, path: str, **claims: Any) -> Any:
    answer = await call(api, "GET", path, **claims)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def refuse(api: Running, number: int, **more: Any) -> None:
    titled = {"user_key": "S-1", "title": TITLE, "created_at": "2024-05-01T09:00:00Z"}
    answer = await api.send(event(number, classification=UNKNOWN, properties=titled, **more))
    assert answer.status_code == 422, answer.text


def keep(api: Running, system: str, authority: str, payload: bytes | None = None) -> str:
    rejection_id = str(uuid4())
    api.rows(
        "INSERT INTO rejection (rejection_id, authority, system, code, pointer, detail, payload)"
        " VALUES (%s, %s, %s, 'kle_unknown', '', '', %s) RETURNING 1",
        rejection_id,
        authority,
        system,
        payload,
    )
    return rejection_id


async def test_each_sees_their_own_and_nobody_else_s(api: Running) -> None:
    await refuse(api, 1)
    (own,) = (await get(api, DESK, **VENDOR))["rejections"]
    foreign = [keep(api, "nova", AUTHORITY), keep(api, "sbsys", OTHER), keep(api, "unknown", "unknown")]

    assert [one["rejection_id"] for one in (await get(api, DESK, **VENDOR))["rejections"]] == [own["rejection_id"]]
    assert (await call(api, "GET", f"{DESK}?system=nova", **VENDOR)).status_code == 403
    assert (await get(api, f"{DESK}?authority={OTHER}", **VENDOR))["rejections"] == []
    assert {one["authority"] for one in (await get(api, DESK, **AUDITOR))["rejections"]} == {AUTHORITY}
    seen = {one["rejection_id"] for one in (await get(api, DESK, **OPERATOR))["rejections"]}
    assert seen == {own["rejection_id"], foreign[0], foreign[2]}
    (cause,) = (await get(api, f"{DESK}/causes", **VENDOR))["causes"]
    assert (cause["code"], cause["pointer"], cause["rejections"]) == ("kle_unknown", "/classification/kle", 1)
    for rejection_id in (*foreign, str(uuid4())):
        path = f"{DESK}/{rejection_id}"
        assert (await call(api, "GET", path, **VENDOR)).status_code == 404
        assert (await call(api, "PUT", path, {"state": "replayed"}, **VENDOR)).status_code == 404
        assert (await call(api, "POST", f"{path}/payload", {"purpose": "x"}, **VENDOR)).status_code == 404
    for role in ("employee", "citizen", "control", "consent"):
        assert (await call(api, "GET", DESK, role=role)).status_code == 403


async def test_pages_show_each_once(api: Running) -> None:
    made = {keep(api, "sbsys", AUTHORITY) for _ in range(5)}
    api.rows("UPDATE rejection SET at = now() RETURNING 1")
    seen: list[str] = []
    path = f"{DESK}?limit=2"
    while True:
        page = await get(api, path, **OPERATOR)
        seen += [one["rejection_id"] for one in page["rejections"]]
        if page["next"] is None:
            break
        path = f"{DESK}?limit=2&after={page['next']}"
    assert (set(seen), len(seen)) == (made, 5)
    assert (await call(api, "GET", f"{DESK}?after=nonsense", **OPERATOR)).status_code == 422


async def test_an_event_is_masked_and_in_the_clear_only_to_those_who_may_and_logged(api: Running) -> None:
    await refuse(api, 1)
    (listed,) = (await get(api, DESK, **OPERATOR))["rejections"]
    path = f"{DESK}/{listed['rejection_id']}"

    shown = (await call(api, "GET", path, **OPERATOR)).text
    assert (TITLE in shown, CPR in shown, "27.99.99" in shown) == (False, False, True)
    assert (await call(api, "POST", f"{path}/payload", {"purpose": "x"}, **OPERATOR)).status_code == 403
    assert api.rows("SELECT 1 FROM access_log") == []
    assert (await call(api, "POST", f"{path}/payload", {}, **AUDITOR)).status_code == 422

    for claims in (AUDITOR, VENDOR):
        answer = await call(api, "POST", f"{path}/payload", {"purpose": "Mending"}, **claims)
        assert answer.json()["payload"]["properties"]["title"] == TITLE
    elsewhere = {**AUDITOR, "authorities": [OTHER]}
    assert (await call(api, "POST", f"{path}/payload", {"purpose": "x"}, **elsewhere)).status_code == 404
    logged = api.rows(
        "SELECT reader->>'role', decision, purpose, basis, cases, cardinality(shown) FROM access_log ORDER BY id"
    )
    cases = [f"{AUTHORITY}/sbsys/{event(1)['case_id']}"]
    purpose = f"rejection {listed['rejection_id']}: Mending"
    assert logged == [
        ("auditor", "permit", purpose, "supervision", cases, 1),
        ("vendor", "permit", purpose, "mending", cases, 1),
        ("auditor", "deny", None, None, [], None),
    ]


async def test_nothing_is_shown_that_cannot_be_logged(api: Running) -> None:
    await refuse(api, 1)
    (listed,) = (await get(api, DESK, **OPERATOR))["rejections"]
    with connect(api.settings.dsn, "test") as connection:
        connection.execute("ALTER TABLE access_log ADD CONSTRAINT nothing_more CHECK (false) NOT VALID")
    answer = await call(api, "POST", f"{DESK}/{listed['rejection_id']}/payload", {"purpose": "x"}, **AUDITOR)
    assert (answer.status_code, TITLE in answer.text) == (503, False)


async def test_one_is_given_up_with_a_reason_and_the_same_again_changes_nothing(api: Running) -> None:
    await refuse(api, 1)
    (listed,) = (await get(api, DESK, **OPERATOR))["rejections"]
    path = f"{DESK}/{listed['rejection_id']}"
    assert (await call(api, "PUT", path, {"state": "discarded"}, **OPERATOR)).status_code == 422
    given_up = (await call(api, "PUT", path, {"state": "discarded", "reason": "Prøve"}, **OPERATOR)).json()
    again = (await call(api, "PUT", path, {"state": "discarded", "reason": "Andet"}, **OPERATOR)).json()
    assert (given_up["closed_by"], given_up["closed_because"], given_up["payload"]) == ("Drift", "Prøve", None)
    assert again == given_up
    assert (await call(api, "PUT", path, {"state": "replayed"}, **OPERATOR)).status_code == 409
    assert (await call(api, "PUT", path, {"state": "discarded", "reason": "x"}, **AUDITOR)).status_code == 403


async def test_a_group_is_replayed_once_it_is_said_how_many_they_are(api: Running, kafka: Part) -> None:
    for number in (1, 2, 3):
        await refuse(api, number)
    path = f"{DESK}?code=kle_unknown&pointer=/classification/kle"
    replayed = {"state": "replayed"}
    assert (await call(api, "PUT", path, replayed, **VENDOR)).json() == {"found": 3, "with_event": 3, "done": False}
    assert (await call(api, "PUT", path, {**replayed, "expected": 2}, **VENDOR)).status_code == 409
    done = (await call(api, "PUT", path, {**replayed, "expected": 3}, **VENDOR)).json()
    assert (done["replayed"], done["stays"]) == (0, {"kle_unknown": 3})

    api.rows("INSERT INTO kle_subject (published, number, title) VALUES ('2020-01-01', '27.99.99', 'x') RETURNING 1")
    api.rows("UPDATE reference_revision SET revision = revision + 1 RETURNING 1")
    before = await log_of(kafka.address)
    done = (await call(api, "PUT", path, {**replayed, "expected": 3}, **VENDOR)).json()
    assert (done["replayed"], done["sent"], done["stays"]) == (3, 3, {})
    after = await log_of(kafka.address)
    assert len(after) == len(before) + 3
    assert (await call(api, "PUT", path, {**replayed, "expected": 0}, **VENDOR)).json()["sent"] == 0
    (one, *_) = (await get(api, f"{DESK}?state=replayed", **VENDOR))["rejections"]
    assert (await call(api, "PUT", f"{DESK}/{one['rejection_id']}", replayed, **VENDOR)).status_code == 200
    assert await log_of(kafka.address) == after


async def test_many_are_looked_at_in_parts_and_none_twice(api: Running) -> None:
    api.rows(
        "INSERT INTO rejection (rejection_id, authority, system, code, pointer, detail)"
        " SELECT gen_random_uuid(), %s, 'sbsys', 'kle_unknown', '', '' FROM generate_series(1, 1001) RETURNING 1",
        AUTHORITY,
    )
    all_of_them = {"state": "replayed", "expected": 1001}
    first = (await call(api, "PUT", DESK, all_of_them, **OPERATOR)).json()
    rest = (await call(api, "PUT", f"{DESK}?after={first['next']}", all_of_them, **OPERATOR)).json()
    assert (first["stays"], rest["stays"], rest["next"]) == ({"not_kept": 1000}, {"not_kept": 1}, None)


async def test_a_vendor_reads_its_own_report_as_json_and_as_csv(api: Running) -> None:
    await refuse(api, 1, event_id="=1+1")
    keep(api, "nova", AUTHORITY)
    (day,) = api.rows("SELECT (now() AT TIME ZONE 'Europe/Copenhagen')::date::text")[0]
    path = f"{DESK}/report?day={day}"
    told = await get(api, path, **VENDOR)
    assert (told["system"], told["rejections"], told["left_out"]) == ("sbsys", 1, 0)
    headers = await asyncio.to_thread(api.bearer)
    answer = await api.http.get(path, headers={**headers, "Accept": "text/csv"})
    header, line = csv.reader(io.StringIO(answer.text))
    assert (header, line[COLUMNS.index("event_id")]) == (list(COLUMNS), "'=1+1")
    assert (CPR in answer.text, TITLE in answer.text, "nova" in answer.text) == (False, False, False)
    assert (await call(api, "GET", f"{path}&system=nova", **VENDOR)).status_code == 403
    assert (await call(api, "GET", path, **OPERATOR)).status_code == 422
    assert (await get(api, f"{path}&system=nova", **OPERATOR))["rejections"] == 1
