"""A case that fails round after round is passed over and told of; a source that is away is waited for."""

from collections.abc import Mapping
from typing import Any

import pytest

from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Source, load
from connectors.retry import Away, TooLong, Unanswered
from connectors.unread import Readings, refusing, unread

SOURCE = Source(system="sbsys", authority="55133018", config={})


class OtherForm(Unanswered):
    pass


async def _fails() -> Mapping[str, Any]:
    raise OtherForm("no case")


async def _is_silent() -> Mapping[str, Any]:
    raise Unanswered("status 500")


async def _answers() -> Mapping[str, Any]:
    return {"Id": 1}


async def test_a_case_is_tried_in_three_rounds_and_then_passed_over() -> None:
    readings = Readings()
    for _ in range(2):
        with pytest.raises(Unanswered):
            await readings.of("1", _fails)
    assert await readings.of("1", _fails) == unread("1")


async def test_one_whose_answer_is_too_long_is_passed_over_as_that() -> None:
    readings = Readings()

    async def is_too_long() -> Mapping[str, Any]:
        raise TooLong(17 << 20)

    for _ in range(2):
        with pytest.raises(TooLong, match=r"^an answer of more than 17 MiB$"):
            await readings.of("1", is_too_long, 1)
    for _ in range(2):
        assert await readings.of("1", is_too_long, 1) == unread("1", larger_than=17)


async def test_silence_counts_as_much_only_where_another_case_was_shown_meanwhile() -> None:
    readings, rounds = Readings(), 1
    while True:
        try:
            assert await readings.of("1", _is_silent) == unread("1")
            break
        except Unanswered:
            rounds += 1
    assert rounds == 10
    with pytest.raises(Unanswered):
        await readings.of("1", _is_silent)
    await readings.of("2", _answers)
    with pytest.raises(Unanswered):
        await readings.of("1", _is_silent)
    assert await readings.of("1", _is_silent) == unread("1")


async def test_one_that_is_read_in_the_end_begins_anew_and_others_are_counted_by_themselves() -> None:
    readings = Readings()
    for _ in range(2):
        with pytest.raises(Unanswered):
            await readings.of("1", _fails)
    assert await readings.of("1", _answers) == {"Id": 1}
    for case in ("1", "2"):
        with pytest.raises(Unanswered):
            await readings.of(case, _fails)


async def test_many_on_one_page_are_passed_over_one_after_the_other_and_asked_for_again_when_they_change() -> None:
    readings, rounds = Readings(), 0
    while True:
        rounds += 1
        try:
            page = [await readings.of(case, _fails, 1) for case in "abcd"]
            break
        except Unanswered:
            continue
    assert (page, rounds) == ([unread(case) for case in "abcd"], 9)
    assert await readings.of("a", _answers, 2) == {"Id": 1}
    with pytest.raises(Unanswered):
        await readings.of("b", _fails, 2)


async def test_a_server_that_is_away_says_nothing_of_the_case_and_nothing_is_counted() -> None:
    readings = Readings()

    async def rests() -> Mapping[str, Any]:
        raise Away("left alone")

    for _ in range(9):
        with pytest.raises(Away):
            await readings.of("1", rests)


async def test_what_a_case_can_be_without_is_left_out() -> None:
    readings = Readings()
    for _ in range(2):
        with pytest.raises(Unanswered):
            await readings.or_else(None, "documents of 1", _fails)
    assert await readings.or_else(None, "documents of 1", _fails) is None


@pytest.mark.parametrize(
    ("payload", "detail"),
    [
        (unread("17", 403), "its answer was status 403"),
        (unread("17"), "it gave no usable answer"),
        ({"unread": {"status": "0101014444"}}, "it gave no usable answer"),
        ({"unread": 5}, "it gave no usable answer"),
        (unread("17", larger_than=0), "it gave no usable answer"),
        (unread("17", larger_than=16), "it is read again when it changes"),
        ({"unread": {"larger_than": "0101014444"}}, "it gave no usable answer"),
        ({"unread": {"larger_than": 101014444}}, "it gave no usable answer"),
    ],
)
def test_it_is_refused_and_nothing_of_what_was_sent_is_said(payload: object, detail: str) -> None:
    found = refusing(lambda *_: [])(payload, SOURCE)
    assert isinstance(found, Rejected)
    assert (found.code, found.pointer) == (Code.MALFORMED_PAYLOAD, "/unread")
    assert found.detail.endswith(detail)


def test_one_that_is_too_large_is_refused_with_how_large_it_is_and_what_to_do() -> None:
    # In XML a number is a text.
    for said in (unread("17", larger_than=16), {"unread": {"case": "17", "larger_than": "16"}}):
        found = refusing(lambda *_: [])(said, SOURCE)
        assert isinstance(found, Rejected)
        assert found.detail.startswith("the source shows the case in more than 16 MiB: have it show metadata")


@pytest.mark.parametrize("system", ["sbsys", "acadre", "nova", "edoc", "getorganized", "workpoint", "nexus"])
def test_every_system_that_is_polled_refuses_it_so(system: str) -> None:
    connector = load(system)
    assert connector is not None
    found = connector.translate(unread("17", larger_than=16), Source(system, "55133018"))
    assert isinstance(found, Rejected)
    assert found.pointer == "/unread"


def test_every_other_payload_is_the_vendors() -> None:
    assert refusing(lambda *_: [])({"unread": {}, "Id": 1}, SOURCE) == []
