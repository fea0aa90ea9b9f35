"""Cursors that were not given out here."""

import base64
import json
import uuid

import pytest

from broker.overviews.cursor import BrokenCursorError, seal, unseal
from broker.store.search import Position

KEY = bytes(32)
PLACE = Position(1, "55133018", "sbsys", str(uuid.UUID(int=1)))


def sealed(body: str) -> str:
    return base64.urlsafe_b64encode(body.encode()).decode().rstrip("=")


def test_a_cursor_leads_back_to_its_place() -> None:
    assert unseal(seal(PLACE, {}, KEY), {}, KEY) == PLACE


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "\u00e9",
        sealed("[" * 740),
        sealed("[" * 100_000),
        sealed(json.dumps([*PLACE, "\ud800"])),
        sealed(json.dumps([*PLACE, "\0"])),
        sealed(json.dumps([1, "\ud800", *PLACE[2:], "x"])),
        sealed(json.dumps([*PLACE, "x"])),
        sealed(json.dumps([*PLACE, None])),
        seal(PLACE, {"other": 1}, KEY),
    ],
)
def test_whatever_else_is_said_to_be_a_cursor_is_none(cursor: str) -> None:
    with pytest.raises(BrokenCursorError):
        unseal(cursor, {}, KEY)
