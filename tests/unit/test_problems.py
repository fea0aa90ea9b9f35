"""Errors, as they go out of a small app with the same layers."""

from typing import Annotated

import httpx
import psycopg
import pytest
from fastapi import FastAPI, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, field_validator

from broker.api import problems
from broker.api.guard import Guard
from broker.api.problems import Problem
from broker.intake.budget import Exhausted
from broker.intake.producer import KafkaUnavailable

CPR = "0101014444"


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int
    words: dict[str, int] = {}

    @field_validator("number")
    @classmethod
    def small(cls, number: int) -> int:
        if number > 9:
            raise ValueError(f"{number} is too large")
        return number


def app() -> FastAPI:
    made = FastAPI()
    problems.install(made)
    made.add_middleware(Guard, limit=lambda _path: 1000)

    @made.post("/form")
    async def form(form: Form) -> int:
        return form.number

    @made.put("/forms")
    async def forms(forms: Annotated[list[Form], BeforeValidator(lambda one: [one])], limit: int = 1) -> int:
        return len(forms) + limit

    @made.put("/late")
    async def late() -> None:
        raise Problem(422, "invalid_request", "must lie in the future", pointer="/until")

    @made.post("/fail/{kind}")
    async def fail(kind: str, request: Request) -> None:
        await request.body()
        raise {
            "bug": RuntimeError(CPR),
            "kafka": KafkaUnavailable(),
            "busy": Exhausted(),
            "database": psycopg.OperationalError(CPR),
        }[kind]

    return made


@pytest.fixture
def http() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app()), base_url="http://test")


@pytest.mark.parametrize(
    "body",
    [
        f'{{"number": "{CPR}x"}}',
        f'{{"number": {CPR}}}',
        f'{{"number": 1, "{CPR}": 2}}',
        f'{{"number": 1, "words": {{"{CPR}": "{CPR}x"}}}}',
        f'"{CPR}"',
        f"{{{CPR}",
        "[" * 900,
        "",
    ],
)
async def test_a_wrong_form_never_comes_back(http: httpx.AsyncClient, body: str) -> None:
    answer = await http.post("/form", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == problems.MEDIA_TYPE
    assert answer.json()["code"] in ("invalid_request", "malformed_payload")
    assert CPR not in answer.text


@pytest.mark.parametrize(
    ("query", "body", "pointer"),
    [
        ("", {"number": "x"}, "/number"),
        ("", {}, "/number"),
        ("", {"number": 1, "nmber": 1}, "/nmber"),
        ("", {"number": 1, "words": {"a": "x"}}, "/words/a"),
        ("?limit=x", {"number": 1}, "/query/limit"),
    ],
)
async def test_a_pointer_leads_into_what_was_sent(
    http: httpx.AsyncClient, query: str, body: dict[str, object], pointer: str
) -> None:
    answer = await http.put(f"/forms{query}", json=body)
    assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]


async def test_what_is_judged_later_has_its_pointer_too(http: httpx.AsyncClient) -> None:
    (told,) = (await http.put("/late")).json()["errors"]
    assert told == {"pointer": "/until", "detail": "must lie in the future"}


async def test_a_body_that_is_no_text_is_malformed(http: httpx.AsyncClient) -> None:
    answer = await http.post("/form", content=b'{"a": "\xff"}', headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_payload")


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("bug", 500, "internal_error"),
        ("kafka", 503, "kafka_unavailable"),
        ("busy", 503, "busy"),
        ("database", 503, "database_unavailable"),
    ],
)
async def test_what_fails_says_nothing_of_why(
    http: httpx.AsyncClient, capfd: pytest.CaptureFixture[str], kind: str, status: int, code: str
) -> None:
    answer = await http.post(f"/fail/{kind}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (status == 503) == ("retry-after" in answer.headers)
    assert CPR not in answer.text + capfd.readouterr().err


async def test_a_long_body_is_refused_wherever_it_is_read(http: httpx.AsyncClient) -> None:
    answers = [
        await http.post("/form", content=b" " * 1001, headers={"Content-Type": "application/json"}),
        await http.post("/fail/bug", content=b" " * 1001),
    ]
    assert [(one.status_code, one.json()["code"]) for one in answers] == [(413, "too_large")] * 2
