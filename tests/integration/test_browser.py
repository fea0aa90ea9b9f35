"""The pages in a real browser, where the machine has one: with the keyboard, to a screen reader, and against markup."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from pydantic import SecretStr

from broker.api.app import create_app
from broker.security import Issuer
from broker.settings import Settings
from broker.store.database import connect
from tests.integration.browsing import Browser, browsing
from tests.integration.referring import AARHUS, SENDER, Store
from tests.integration.watching import Past, watching

MARKUP = "<img src=x onerror=alert(1)>"
RUNG = "getComputedStyle(document.activeElement).outlineStyle"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with browsing(tmp_path / "profile") as browser:
        yield browser


@pytest.fixture
def settings(store: Store, tmp_path: Path, browser: Browser) -> Iterator[Settings]:
    """Of an API that is served; there is one source, one rejection, one course, and one alert."""
    del browser  # no need to start anything where there is none
    store.put(SENDER)
    with connect(store.dsn, "test") as connection:
        named = json.dumps({"cvr": AARHUS, "name": MARKUP})
        connection.execute("INSERT INTO authority VALUES (%s, %s)", [AARHUS, named])
        connection.execute(
            "INSERT INTO rejection (rejection_id, authority, system, code, pointer, detail)"
            " VALUES (gen_random_uuid(), %s, 'sbsys', 'kle_unknown', '/classification/kle', '')",
            [AARHUS],
        )
        connection.execute("INSERT INTO source_freshness VALUES (%s, 'sbsys', 0, 0, now())", [AARHUS])
    said = {"summary": MARKUP, "description": "All of it", "runbook": "ops/runbooks/ApiDown.md"}
    past: Past = {"sagsbro_projection_lag_events": [{"topic": "t", "partition": number} for number in range(3)]}
    source = {"severity": "ticket", "authority": AARHUS, "system": "sbsys"}
    alerts = [
        {"alert": "Away", "labels": {"severity": "page"}, "annotations": said},
        {"alert": "SourceSilent", "labels": source, "annotations": said},
    ]
    with watching(tmp_path, past, alerts) as prometheus, socket.create_server(("127.0.0.1", 0)) as listening:
        settings = Settings(
            database=SecretStr(store.dsn),
            kafka="127.0.0.1:9",
            api_port=listening.getsockname()[1],
            prometheus=SecretStr(prometheus),
        )
        server = uvicorn.Server(uvicorn.Config(create_app(settings), log_config=None, access_log=False))
        serving = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        serving.start()
        yield settings
        server.should_exit = True
        serving.join()


def token(settings: Settings, role: str = "operator") -> str:
    return Issuer(settings).issue({"sub": "bo", "role": role, "authorities": [AARHUS]}, 600)


def sign_in(browser: Browser, settings: Settings, page: str = "ops", role: str = "operator") -> None:
    """By the keyboard alone."""
    browser.opens(f"{settings.api_url}/{page}")
    for _ in range(4):
        browser.presses("Tab")
    assert browser.runs("document.activeElement.id") == "token"
    browser.types(token(settings, role))
    browser.presses("Enter")


def test_an_operator_signs_in_looks_around_and_leaves_by_the_keyboard(browser: Browser, settings: Settings) -> None:
    sign_in(browser, settings)
    browser.awaits("document.querySelector('#updated').textContent")

    assert browser.runs("[location.href, document.cookie, localStorage.length, Object.keys(sessionStorage)]") == [
        f"{settings.api_url}/ops",
        "",
        0,
        ["sagsbro-token"],
    ]
    assert browser.runs("document.querySelectorAll('polyline.line').length") >= 3
    assert browser.runs("document.title") == "(2) Sagsbro: operations"
    assert browser.runs("document.querySelector('.tall td').textContent").endswith(" d silent")
    rungs = []
    while browser.runs("document.activeElement.textContent") != "sbsys: kle_unknown":
        browser.presses("Tab")
        rungs.append(browser.runs(RUNG))
        assert len(rungs) < 100
    assert set(rungs) == {"solid"}
    browser.presses("Enter")
    browser.awaits("document.activeElement.tagName === 'H4' && document.querySelector('h4 ~ .scrolls code')")
    assert "/classification/kle" in browser.runs("document.querySelector('h4 ~ .scrolls').textContent")
    assert browser.runs(f"document.body.textContent.split({MARKUP!r}).length") > 2
    assert browser.runs("document.querySelectorAll('img').length") == 0

    spoken = browser.spoken()
    for role in ("banner", "main", "navigation", "region", "article", "table", "caption", "rowheader", "columnheader"):
        assert role in dict(spoken), role
    named = {"button", "textbox", "searchbox", "checkbox", "combobox", "image", "table", "link", "region", "heading"}
    assert [one for one in spoken if one[0] in named and not one[1].strip()] == []
    drawn = re.compile(r"Lag by partition: t/0 \d\d, t/1 \d\d, t/2 \d\d\. The numbers stand in the table below\.")
    assert [role for role, name in spoken if drawn.fullmatch(name)] == ["image"]

    browser.runs("document.getElementById('leave').click()")
    browser.awaits("document.readyState === 'complete' && document.getElementById('board').hidden")
    assert browser.runs("sessionStorage.length") == 0
    assert browser.complaints == []


def test_whoever_is_no_operator_is_told_so_and_the_token_is_forgotten(browser: Browser, settings: Settings) -> None:
    sign_in(browser, settings, role="vendor")
    browser.awaits("document.querySelector('#told').textContent.startsWith('Nothing is shown')")
    assert browser.runs("[sessionStorage.length, document.getElementById('board').hidden]") == [0, True]


def test_coverage_takes_the_same_token_in_the_same_tab(browser: Browser, settings: Settings) -> None:
    sign_in(browser, settings, "coverage")
    browser.awaits("document.querySelectorAll('#rows tbody tr').length === 4")
    assert browser.runs("document.querySelector('#told').textContent").startswith("4 of 4 rows")
    browser.opens(f"{settings.api_url}/ops")
    browser.awaits("document.querySelector('#updated').textContent")
    assert browser.complaints == []
