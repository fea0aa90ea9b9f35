"""The client that overview apps read with."""

import json

import httpx
import pytest

from consumers.client import Overviews, RefusedError

CITIZEN = "0101014444"


def answering(request: httpx.Request) -> httpx.Response:
    """A broker with two pages for a citizen, and nothing else."""
    asked = json.loads(request.content)
    assert CITIZEN not in str(request.url)
    assert request.headers["Authorization"] == "Bearer token"
    if "citizen" not in asked:
        return httpx.Response(503, json={"code": "access_log_unavailable"})
    last = asked.get("cursor") == "next"
    entry = {"title": "second" if last else "first"}
    page = {"entries": [entry], "next_cursor": None if last else "next", "freshness": [], "notice": None}
    return httpx.Response(200, json=page)


def broker(handler: httpx.MockTransport | None = None) -> Overviews:
    return Overviews("http://sagsbro", "token", handler or httpx.MockTransport(answering))


def test_pages_follow_the_cursor_to_the_end() -> None:
    with broker() as overviews:
        pages = list(overviews.pages("sapa", {"citizen": CITIZEN}))
    assert [page.entries[0]["title"] for page in pages] == ["first", "second"]


def test_a_refusal_has_its_code_and_says_whether_to_come_again() -> None:
    with broker() as overviews, pytest.raises(RefusedError) as refused:
        overviews.search("sapa", {"user_key": "S-1"})
    assert (refused.value.code, refused.value.again) == ("access_log_unavailable", True)


def test_a_refusal_that_is_no_problem_document_is_one_too() -> None:
    away = httpx.MockTransport(lambda _: httpx.Response(502, text="gateway"))
    with broker(away) as overviews, pytest.raises(RefusedError) as refused:
        overviews.search("sapa", {"citizen": CITIZEN})
    assert (refused.value.status, refused.value.code, refused.value.again) == (502, "error", False)
