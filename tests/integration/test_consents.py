"""Consents over HTTP and in the stream of changes: 202 means in force."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from broker.api.persons import is_registrar
from broker.settings import Settings
from broker.store import persons
from broker.store.database import connect
from ops.embedded.part import Part
from tests.integration.following import World, a_case, world
from tests.integration.registering import (
    AUTHORITY,
    CPR,
    EFFORT,
    MEMBER,
    OTHER_CPR,
    an_id,
    consent,
    effort,
    objection,
    person_event,
    power,
    soon,
    withdrawn,
)

REGISTRAR = {"sub": "register-1", "role": "consent", "authorities": [AUTHORITY], "system": None}
COORDINATOR = {"authorities": [AUTHORITY], "areas": ["15.2*"], "principal_ids": [MEMBER]}
HOI = (
    "INSERT INTO reader_agreement SELECT authority, 'hoi', client, version,"
    ' body || \'{"overview": "hoi"}\', put_by FROM reader_agreement;'
    "UPDATE reference_revision SET revision = revision + 1"
)


@pytest.fixture
async def served(database: str, kafka: Part) -> AsyncIterator[World]:
    async with world(database, kafka.address) as made:
        for statement in HOI.split(";"):
            await made.sql(statement)
        made.claims |= COORDINATOR
        yield made


async def post(served: World, path: str, said: object, **claims: Any) -> httpx.Response:
    headers = await asyncio.to_thread(served.api.bearer, **{**REGISTRAR, **claims})
    return await served.api.http.post(f"/v1/{path}", json=said, headers=headers)


async def found(served: World, **more: Any) -> list[dict[str, Any]]:
    asked = {"citizen": CPR, "effort_id": EFFORT, "purpose": "Indsats", **more}
    headers = await served.bearer()
    answer = await served.api.http.post("/v1/overviews/hoi/search", json=asked, headers=headers)
    assert answer.status_code == 200, answer.text
    entries: list[dict[str, Any]] = answer.json()["entries"]
    return entries


async def test_what_is_answered_202_is_in_force(served: World) -> None:
    await served.change(a_case(1))
    assert await found(served) == []
    for path, said in (("efforts", effort()), ("consents", [consent()])):
        answer = await post(served, path, said)
        assert (answer.status_code, answer.json()) == (202, {"accepted": 1})
    assert len(await found(served)) == 1
    assert (await post(served, "objections", objection())).status_code == 202
    assert await found(served) == []
    assert (await post(served, "objections", objection(registered_at=soon(), lifted_at=soon(-1)))).status_code == 202
    assert len(await found(served)) == 1
    own = {"role": "citizen", "authorities": [], "citizen": CPR}
    assert (await post(served, "consents", withdrawn(), **own)).status_code == 202
    assert await found(served) == []


KINDS = {"consents": "consent", "efforts": "effort", "person-events": "person event"}


@pytest.mark.parametrize(
    ("path", "said", "claims", "status", "code", "pointer"),
    [
        ("consents", consent(data_areas=[]), {}, 422, "consent_not_specific", "/data_areas"),
        ("consents", consent(recipient_areas=["N*"]), {}, 422, "consent_not_specific", "/recipient_areas"),
        ("consents", consent(recipient_authorities=[]), {}, 422, "consent_not_specific", "/recipient_authorities"),
        ("consents", consent(data_areas=["27"]), {}, 422, "consent_malformed", "/data_areas/0"),
        ("consents", consent(citizen="1"), {}, 422, "consent_malformed", "/citizen"),
        ("consents", consent(purpose="alt"), {}, 422, "consent_malformed", "/purpose"),
        ("consents", consent(valid_to="2023-01-01T00:00:00Z"), {}, 422, "consent_malformed", "/valid_to"),
        ("consents", {**consent(), "ja": True}, {}, 422, "consent_malformed", "/ja"),
        ("consents", consent(registered_at=soon(3600)), {}, 422, "registered_in_future", "/registered_at"),
        ("consents", [], {}, 202, None, None),
        ("consents", "x", {}, 422, "consent_malformed", ""),
        ("consents", consent(), {"authorities": ["29189420"]}, 403, "consent_authority", "/asked_by_authority"),
        ("consents", consent(), {"authorities": []}, 403, "consent_authority", "/asked_by_authority"),
        ("consents", consent(), {"role": "citizen", "citizen": OTHER_CPR}, 403, "consent_authority", "/citizen"),
        ("consents", consent(), {"role": "citizen"}, 403, "consent_authority", "/citizen"),
        ("efforts", effort(), {"role": "citizen", "citizen": CPR}, 403, "consent_authority", "/authority"),
        ("efforts", effort(members=[CPR]), {}, 422, "consent_malformed", "/members/0"),
        (
            "powers-of-attorney",
            power(),
            {"role": "citizen", "citizen": OTHER_CPR},
            403,
            "consent_authority",
            "/citizen",
        ),
        ("powers-of-attorney", power(), {"role": "citizen", "citizen": CPR}, 202, None, None),
        ("person-events", person_event("CPR_CHANGED"), {}, 422, "consent_malformed", "/new_citizen"),
        ("person-events", person_event("DECEASED"), {"role": "operator"}, 403, "forbidden", None),
        ("person-events", person_event("PROTECTED"), {}, 202, None, None),
    ],
)
async def test_each_flaw_has_its_code_and_place_and_never_repeats_what_was_sent(
    served: World, path: str, said: Any, claims: dict[str, Any], status: int, code: str | None, pointer: str | None
) -> None:
    answer = await post(served, path, said, **claims)
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert told.get("code") == code
    if pointer is not None:
        (flaw,) = told["rejected"]
        assert (flaw["index"], flaw["code"], flaw["pointer"]) == (0, code, pointer)
        assert flaw["remedy"]
        if code == "consent_malformed":
            assert flaw["remedy"] == f"Correct the {KINDS[path]}."
    assert not any(number in answer.text for number in (CPR, OTHER_CPR))


async def test_only_an_authority_that_is_named_for_it_says_what_the_civil_register_knows(
    database: str, kafka: Part, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAGSBRO_CPR_REGISTRARS", f'["{AUTHORITY}"]')
    async with world(database, kafka.address) as made:
        for path, said in (
            ("person-events", person_event("CPR_CHANGED", new_citizen=OTHER_CPR)),
            ("person-events", person_event("DECEASED", 2)),
            ("person-events", person_event("UNPROTECTED", 3)),
            ("powers-of-attorney", power(kind="CUSTODY")),
            ("powers-of-attorney", power(kind="GUARDIANSHIP", power_id=an_id(2))),
        ):
            assert (await post(made, path, said, authorities=["29189420"])).status_code == 403
            assert (await post(made, path, said)).status_code == 202
        assert (
            await post(made, "person-events", person_event("PROTECTED", 5), authorities=["29189420"])
        ).status_code == 202


def test_with_an_outside_issuer_nobody_is_a_registrar_who_is_not_named() -> None:
    outside = Settings(jwks_url="https://issuer.example/keys")
    assert not is_registrar(frozenset({AUTHORITY}), outside)
    assert is_registrar(frozenset({AUTHORITY}), Settings())
    assert not is_registrar(frozenset({AUTHORITY}), Settings(cpr_registrars=[]))


async def test_all_of_a_request_is_registered_or_nothing(served: World) -> None:
    answer = await post(served, "consents", [consent(), consent(data_areas=[])])
    assert [flaw["index"] for flaw in answer.json()["rejected"]] == [1]
    answer = await post(served, "efforts", [effort(), effort(effort_id=EFFORT[:-1] + "2", authority="29189420")])
    assert answer.status_code == 403
    assert served.api.rows("SELECT count(*) FROM register_history") == [(0,)]


async def test_a_stream_is_decided_on_again_when_a_consent_is_withdrawn(served: World) -> None:
    for path, said in (("efforts", effort()), ("consents", consent())):
        await post(served, path, said)
    put = await served.subscribe(overview="hoi", effort_id=EFFORT)
    assert put.status_code == 200, put.text
    async with served.stream(overview="hoi") as heard:
        await served.change(a_case(1))
        assert await heard.case() == ("entry", 1)
        await post(served, "consents", withdrawn())
        await swept(served)
        assert await heard.case() == ("gone", 1)
    # Who was away comes back right: the place before the withdrawal tells of it again.
    await served.change(a_case(2))
    assert await found(served) == []


async def test_one_who_was_away_is_told_what_has_gone_meanwhile(served: World) -> None:
    for path, said in (("efforts", effort()), ("consents", consent())):
        await post(served, path, said)
    await served.subscribe(overview="hoi", effort_id=EFFORT)
    async with served.stream(overview="hoi") as heard:
        await served.change(a_case(1))
        assert await heard.case() == ("entry", 1)
        place = heard.after
    await post(served, "consents", withdrawn())
    await swept(served)
    async with served.stream(after=place, overview="hoi") as heard:
        assert await heard.case() == ("gone", 1)


async def test_control_has_no_topic_to_follow(served: World) -> None:
    headers = await asyncio.to_thread(served.api.bearer, role="control", scopes=served.claims["scopes"])
    answer = await served.api.http.get("/v1/overviews/hok/changes", headers=headers)
    assert answer.status_code == 404
    said = {"citizen": CPR, "purpose": "Kontrol"}
    answer = await served.api.http.post("/v1/overviews/hok/search", json=said, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "control_case_missing")


async def swept(served: World) -> None:
    def sweep() -> None:
        with connect(served.api.settings.dsn, "test") as connection:
            while persons.sweep(connection):
                pass

    await asyncio.to_thread(sweep)
    await served.publish()
