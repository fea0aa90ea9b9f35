"""What the demo's poller fetches: new cases that are well, each once, and counted like what is sent."""

from datetime import UTC, datetime

import httpx
import orjson
import pytest

from connectors.times import micros
from ops.demo import asking, mix

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("events", "number"), [(20, 0), (100, 2), (2_000, 40), (20_000, 200), (100_000, 200)])
def test_a_fiftieth_is_asked_for_and_the_rest_is_sent(events: int, number: int) -> None:
    asked = asking.cases(1, events, NOW)
    assert len({sending.payload["SagIdentity"] for sending in asked}) == len(asked) == number
    assert {sending.expect for sending in asked} <= {("indexed",)}
    assert all(micros(sending.payload["SenestAendret"]) < NOW.timestamp() * 1e6 for sending in asked)
    if events <= 2_000:
        sent = list(mix.stream(1, events - number, NOW, number))
        assert sum(len(sending.expect) for sending in sent) + number == events
        assert not {case for one in asked for case, _ in one.cases} & {case for one in sent for case, _ in one.cases}


async def test_the_poller_hands_over_every_case_as_it_stands_there() -> None:
    asked = asking.cases(1, 2_000, NOW)
    bodies: list[bytes] = []

    def intake(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        told = {"receipt_id": str(len(bodies)), "accepted": 1, "rejected": [], "warnings": []}
        return httpx.Response(202, json=told)

    async with httpx.AsyncClient(transport=httpx.MockTransport(intake), base_url="http://intake.example") as http:
        deliveries = [delivery async for delivery in asking.ask(http, "token", asked)]
    handed = [case for body in bodies for case in orjson.loads(body)]
    assert sorted(case["SagIdentity"] for case in handed) == sorted(one.payload["SagIdentity"] for one in asked)
    assert sum(len(delivery.expect) for delivery in deliveries) == len(asked)
