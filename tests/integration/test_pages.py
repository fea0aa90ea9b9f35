"""The pages for people: shells without data that run and load nothing but their own."""

import re
from collections.abc import Iterator
from typing import get_args

import pytest

from broker.api.pages import Name
from broker.panels import BOARDS, Own
from tests.integration.referring import AARHUS, SENDER, Store
from tests.integration.test_reference_http import Client, api

SVG = "http://www.w3.org/2000/svg"
PAGES = ("/ops", "/coverage")
PARTS = get_args(Name)


@pytest.fixture
def client(store: Store) -> Iterator[Client]:
    store.put(SENDER)
    with api(store, role="vendor") as client:
        yield client


def test_a_page_may_run_and_load_its_own_and_nothing_inline(client: Client) -> None:
    for path in PAGES:
        answer = client.get(path)
        policy = dict(
            part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";") if part.strip()
        )
        assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
        assert (policy["require-trusted-types-for"], policy["trusted-types"]) == ("'script'", "'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|javascript:", answer.text) == []


def test_nothing_comes_from_elsewhere_and_no_text_becomes_markup(client: Client) -> None:
    for path in (*PAGES, *(f"/pages/{name}" for name in PARTS)):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["x-content-type-options"] == "nosniff"
        text = answer.text.replace(SVG, "")
        assert re.findall(r"https?:|//[a-z]|@import|url\(", text) == [], path
        assert re.findall(r"HTML\b|\beval\(|Function\(|localStorage|cookie|document\.write", text) == [], path
        assert AARHUS not in text


def test_the_documentation_of_the_api_loads_nothing_from_elsewhere(client: Client) -> None:
    named = re.findall(r'(?:src|href)="([^"]+)"', client.get("/docs").text)
    assert len(named) >= 2
    for path in named:
        assert client.get(path).status_code == 200, path


def test_whatever_a_page_names_is_served(client: Client) -> None:
    for path in PAGES:
        for name in re.findall(r'(?:src|href)="(pages/[^"]+)"', client.get(path).text):
            assert name.removeprefix("pages/") in PARTS
    for name in PARTS:
        for other in re.findall(r'from "\./([^"]+)"', client.get(f"/pages/{name}").text):
            assert other in PARTS
    assert client.get("/pages/page.css").headers["content-type"].startswith("text/css")
    assert client.get("/pages/page.js").headers["content-type"].startswith("text/javascript")
    assert client.get("/pages/..%2fapp.py").status_code in {404, 422}
    assert client.get("/pages/operations.html").status_code == 422


def test_what_the_database_fills_has_a_place_on_the_page(client: Client) -> None:
    script = client.get("/pages/operations.js").text
    own = {panel.own for panels in BOARDS.values() for panel in panels if panel.own is not None}
    assert own == set(get_args(Own))
    assert {name for name in own if f"places.{name}" in script} == own


def test_what_is_said_in_colour_is_said_in_another_way_too(client: Client) -> None:
    style = client.get("/pages/page.css").text
    assert "prefers-color-scheme: dark" in style
    assert "prefers-reduced-motion" in style
    dashes = re.findall(r"\.s\d \{ stroke: var\(--s\d\)(; stroke-dasharray: [^}]+)? \}", style)
    assert len(dashes) == len(set(dashes)) == 8
    for scheme in (style.split("@media")[0], style.split("@media")[1]):
        colours = dict(re.findall(r"--([\w-]+): (#\w{3,6})", scheme))
        for ink, sheet in [(ink, sheet) for ink in ("ink", "quiet", "link") for sheet in ("sheet", "page")]:
            assert contrast(colours[ink], colours[sheet]) >= 4.5, (ink, sheet)
        for word in ("bad", "wary", "good"):
            assert contrast(colours[word], colours[f"{word}-sheet"]) >= 4.5, word
            assert contrast(colours[word], colours["sheet"]) >= 4.5, word
        assert contrast(colours["quiet"], colours["plain-sheet"]) >= 4.5
        for mark in ("edge", "bar", *(f"s{number}" for number in range(8))):
            assert contrast(colours[mark], colours["sheet"]) >= 3, mark


def contrast(one: str, other: str) -> float:
    """As WCAG 2 has it."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
