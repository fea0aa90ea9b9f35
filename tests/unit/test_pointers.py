"""Where in what was sent a flaw is, and what would be valid there."""

import re
from typing import Any

import click
import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from broker.cli.agreement import given, listed
from broker.cli.running import flaws
from broker.intake.pointers import flaw_of
from broker.overviews.request import SearchRequest
from broker.overviews.subscription import SubscriptionRequest
from broker.store.kle_shapes import RULES
from broker.store.shapes import AGREEMENTS, Authority, Delimitation

CPR = "0101014444"
SENDER = {
    "authority": "55133018",
    "system": "sbsys",
    "state": "FULL",
    "kle": ["27.*"],
    "sensitivity": "VIP_SAGER",
    "from_date": "2020-01-01",
}
READER = {**{name: said for name, said in SENDER.items() if name != "system"}, "overview": "sapa"}
RULE = {"authority": "*", "system": "nexus", "match": {"kle": "27.*"}, "to": {"kle": "27.36.04"}, "from": "2020-01-01"}


def told(shape: TypeAdapter[Any] | type[BaseModel], sent: object) -> dict[str, str]:
    """Pointers and what is said of each."""
    adapter: TypeAdapter[Any] = shape if isinstance(shape, TypeAdapter) else TypeAdapter(shape)
    wrapped = [sent] if shape is AGREEMENTS and not isinstance(sent, list) else sent
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(wrapped)
    return dict(flaw_of(flaw, sent) for flaw in caught.value.errors())


@pytest.mark.parametrize(
    ("shape", "sent", "pointer", "says"),
    [
        (AGREEMENTS, SENDER | {"kle": ["27.*", "x"]}, "/kle/1", r"NN\.NN\.NN"),
        (AGREEMENTS, [SENDER, SENDER | {"state": "x"}], "/1/state", "DRAFT"),
        (AGREEMENTS, READER | {"sensitivity": "x"}, "/sensitivity", "VIP_SAGER"),
        (AGREEMENTS, READER | {"overview": "xx"}, "/overview", "borgerblikket, hoi, hok, sapa"),
        (AGREEMENTS, {name: SENDER[name] for name in SENDER if name != "state"}, "/state", "required"),
        (AGREEMENTS, SENDER | {"authority": "1"}, "/authority", "eight digits"),
        (AGREEMENTS, SENDER | {"system": "x y"}, "/system", "sbsys"),
        (AGREEMENTS, SENDER | {"sensitivty": "x"}, "/sensitivty", "no such field"),
        (AGREEMENTS, SENDER | {CPR: "x"}, "", "no such field"),
        (AGREEMENTS, SENDER | {"010101-4444": "x"}, "", "no such field"),
        (AGREEMENTS, SENDER | {"restricted": {"citizens": ["x"]}}, "/restricted/citizens/0", "ten digits"),
        (AGREEMENTS, "x", "", "object|dictionary"),
        (RULES, RULE | {"match": {}}, "/match", "kle or local_code"),
        (RULES, RULE | {"match": {"local_code": CPR}}, "/match/local_code", "without a civil registration number"),
        (RULES, RULE | {"to_date": "2019-01-01"}, "/to_date", "later than from"),
        (SearchRequest, {}, "", "exactly one of citizen, party, user_key and case_ids"),
        (SearchRequest, {"citizen": CPR + "x"}, "/citizen", "ten digits"),
        (SearchRequest, {"party": {"id_type": "CVR", "id": "x"}}, "/party/id", "CVR"),
        (SearchRequest, {"user_key": "1", "kle": ["x"]}, "/kle/0", r"NN\.\*"),
        (SearchRequest, {"case_ids": ["x"]}, "/case_ids/0", "UUID"),
        (SearchRequest, {"user_key": "a\0"}, "/user_key", "stored"),
        (Authority, {"cvr": "55133018", "name": "x", "municipality_code": "x"}, "/municipality_code", "digits"),
        (Delimitation, {"authority": "55133018", "kle": [], "from_date": "x"}, "/from_date", "date"),
    ],
)
def test_a_flaw_says_where_in_what_was_sent_and_what_would_be_valid(
    shape: Any, sent: Any, pointer: str, says: str
) -> None:
    said = told(shape, sent)
    assert list(said) == [pointer]
    assert re.search(says, said[pointer])
    assert CPR not in str(said)


def test_a_moment_outside_the_calendars_says_which_years_there_are() -> None:
    sent = {"overview": "sapa", "citizens": [CPR], "purpose": "x", "until": "0001-01-01T00:00:00Z"}
    assert told(SubscriptionRequest, sent) == {"/until": "a year from 1900 to 9998"}


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        (b'{"authority": "55133018", "state": "x"}', "/state: "),
        (b'[{"authority": "55133018", "state": "x"}]', "/0/state: "),
        (b'state = "x"', "/state: "),
        (b'[[agreements]]\nstate = "x"', "/0/state: "),
    ],
)
def test_the_command_line_points_into_the_file(content: bytes, pointer: str) -> None:
    said = given(content)
    with pytest.raises(ValidationError) as caught:
        AGREEMENTS.validate_python(listed(said))
    answer = flaws(caught.value, said)
    assert isinstance(answer, click.ClickException)
    assert f"\n{pointer}" in answer.message
