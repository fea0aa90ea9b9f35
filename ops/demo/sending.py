"""Sends the way vendors do: each municipality's system in its own order, one request of it at a time."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import httpx

from ops.demo.account import Delivery
from ops.demo.forms import FORMS
from ops.demo.onboarding import bearer
from ops.demo.sample import Sender, Sending
from ops.embedded.errors import EmbeddedError

BATCH: Final = 200
AHEAD: Final = 2  # batches that wait in each lane
PATIENCE: Final = 60  # times that a batch is sent again
_AGAIN_S: Final = 1.0
_ANSWERED: Final = (202, 422)
_RECEIPT: Final = "Sagsbro-Receipt"
"""Where a service of its own, whose clients expect another answer, tells of the receipt."""


class Lanes:
    """One lane a sender; `run` works them while `put` and `flush` feed them."""

    def __init__(
        self, http: httpx.AsyncClient, tokens: Mapping[Sender, str], delivered: Callable[[Delivery], None]
    ) -> None:
        """`delivered` is called for each batch that was answered."""
        self._lanes = {sender: _Lane(http, sender, token, delivered) for sender, token in tokens.items()}

    async def put(self, sending: Sending) -> None:
        """Take one; waits while its lane is too far ahead."""
        await self._lanes[sending.sender].put(sending)

    async def flush(self) -> None:
        """Send what is there, and return when it is answered."""
        for lane in self._lanes.values():
            await lane.push()
        for lane in self._lanes.values():
            await lane.batches.join()

    async def run(self) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for lane in self._lanes.values():
                tasks.create_task(lane.run())


class _Lane:
    def __init__(
        self, http: httpx.AsyncClient, sender: Sender, token: str, delivered: Callable[[Delivery], None]
    ) -> None:
        self._http = http
        self._sender = sender
        self._form = FORMS[sender.system]
        self._headers = {**bearer(token), "Content-Type": self._form.media_type}
        self._delivered = delivered
        self._gathered: list[Sending] = []
        self.batches: asyncio.Queue[list[Sending]] = asyncio.Queue(AHEAD)

    async def put(self, sending: Sending) -> None:
        self._gathered.append(sending)
        if len(self._gathered) >= BATCH:
            await self.push()

    async def push(self) -> None:
        if self._gathered:
            batch, self._gathered = self._gathered, []
            await self.batches.put(batch)

    async def run(self) -> None:
        while True:
            batch = await self.batches.get()
            self._delivered(await self._deliver(batch))
            self.batches.task_done()

    async def _deliver(self, batch: Sequence[Sending]) -> Delivery:
        """Send until it is answered: what was not acknowledged is sent again, as a vendor must."""
        body = self._form.body(batch)
        for attempt in range(PATIENCE):
            answer = await self._post(body)
            if isinstance(answer, float):
                await asyncio.sleep(answer)
                continue
            told = _told(answer)
            receipt, rejected, warnings = told["receipt_id"], told["rejected"], told["warnings"]
            return Delivery(self._sender, list(_indexed(batch)), receipt, rejected, warnings, again=attempt > 0)
        raise EmbeddedError(f"the intake did not take a batch after {PATIENCE} attempts")

    async def _post(self, body: bytes) -> httpx.Response | float:
        """The answer, or in how many seconds to try again."""
        try:
            answer = await self._http.post(self._form.path, content=body, headers=self._headers)
        except httpx.TransportError:
            return _AGAIN_S
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return float(answer.headers.get("Retry-After", _AGAIN_S))
        if _RECEIPT not in answer.headers and (
            answer.status_code not in _ANSWERED or "receipt_id" not in answer.json()
        ):
            raise EmbeddedError(f"the intake answered {answer.status_code}: {answer.text[:300]}")
        return answer


def _told(answer: httpx.Response) -> dict[str, Any]:
    """What became of each; of a service of its own the receipt tells it, later."""
    if _RECEIPT in answer.headers:
        return {"receipt_id": answer.headers[_RECEIPT], "rejected": [], "warnings": []}
    told: dict[str, Any] = answer.json()
    return told


def _indexed(batch: Sequence[Sending]) -> Iterator[tuple[int, str]]:
    """Where in the request each event is, and what is expected of it."""
    first = 0
    for sending in batch:
        yield from enumerate(sending.expect, first)
        first += sending.places
