"""A case that fails round after round is passed over and told of; a source that is away is waited for."""

from collections.abc import Mapping
from typing import Any

import pytest

from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Source
from connectors.retry import Unanswered
from connectors.unread import Readings, refusing, unread

SOURCE = Source(system="sbsys", authority="55133018", config={})


async def _fails() -> Mapping[str, Any]:
    raise Unanswered("status 500")


async def _answers() -> Mapping[str, Any]:
    return {"Id": 1}


async def test_a_case_is_tried_in_three_rounds_and_then_passed_over() -> None:
    readings = Readings()
    for _ in range(2):
        with pytest.raises(Unanswered):
            await readings.of("1", _fails)
    assert await readings.of("1", _fails) == unread("1")


async def test_one_that_is_read_in_the_end_begins_anew_and_others_are_counted_by_themselves() -> None:
    readings = Readings()
    for _ in range(2):
        with pytest.raises(Unanswered):
            await readings.of("1", _fails)
    assert await readings.of("1", _answers) == {"Id": 1}
    for case in ("1", "2"):
        with pytest.raises(Unanswered):
            await readings.of(case, _fails)


@pytest.mark.parametrize(
    ("payload", "detail"),
    [
        (unread("17", 403), "its answer was status 403"),
        (unread("17"), "it gave no usable answer"),
        ({"unread": {"status": "0101014444"}}, "it gave no usable answer"),
        ({"unread": 5}, "it gave no usable answer"),
    ],
)
def test_it_is_refused_and_nothing_of_what_was_sent_is_said(payload: object, detail: str) -> None:
    found = refusing(lambda *_: [])(payload, SOURCE)
    assert isinstance(found, Rejected)
    assert (found.code, found.pointer) == (Code.MALFORMED_PAYLOAD, "/unread")
    assert found.detail.endswith(detail)


def test_every_other_payload_is_the_vendors() -> None:
    assert refusing(lambda *_: [])({"unread": {}, "Id": 1}, SOURCE) == []
