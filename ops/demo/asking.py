"""One municipality's SBSYS sends nothing: the connector's own poller asks it. It is a simulated one, in memory."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from itertools import islice
from typing import Final

import httpx
import orjson

from connectors.esdh.sbsys.client import Access, SbsysPoller
from connectors.esdh.sbsys.simulator import Simulator
from connectors.retry import Asker, Patience
from connectors.runner import Broker
from ops.demo import payloads
from ops.demo.account import Delivery
from ops.demo.mix import of_case
from ops.demo.sample import Sender, Sending
from ops.demo.world import AARHUS, SYSTEM

SENDER: Final = Sender(SYSTEM, AARHUS)
MOST: Final = 200
PAGE: Final = 25
_PART: Final = 50
_OTHERS: Final = 30  # of so many cases one at least is Aarhus' and well


def cases(seed: int, events: int, end: datetime) -> list[Sending]:
    """New cases of Aarhus, about a fiftieth of so many events; the newest registered before `end`. Pure."""
    number = min(MOST, events // _PART)
    drawn = number * _OTHERS
    start = end - drawn * payloads.STEP
    wanted = (
        of_case(sample)
        for sample in payloads.stream(seed + 1, drawn, drawn, start)
        if sample.authority == AARHUS and sample.expect == "indexed" and not sample.payload.get("Slettet")
    )
    first: dict[str, Sending] = {}
    for sending in wanted:
        first.setdefault(sending.payload["SagIdentity"], sending)
    return list(islice(first.values(), number))


@asynccontextmanager
async def _poller(sendings: Sequence[Sending]) -> AsyncIterator[SbsysPoller]:
    there = httpx.ASGITransport(Simulator([sending.payload for sending in sendings]).app)
    vendor = httpx.AsyncClient(transport=there, base_url="http://sbsys.example")
    poller = SbsysPoller(vendor, Asker(Patience(per_second=1000)), Access("connect/token", "demo", "demo", PAGE))
    try:
        yield poller
    finally:
        await poller.aclose()


async def ask(http: httpx.AsyncClient, token: str, sendings: Sequence[Sending]) -> AsyncIterator[Delivery]:
    """Each page of cases that changed, handed to the intake as `sagsbro connector run` does."""
    broker = Broker(http, Asker(Patience()), SYSTEM, token)
    async with _poller(sendings) as poller:
        async for page in poller.changes({}):
            told = await broker.push(page.body)
            expect = [(index, "indexed") for index in range(len(orjson.loads(page.body)))]
            yield Delivery(SENDER, expect, told["receipt_id"], told["rejected"], told["warnings"], again=False)
