"""Asks for receipts until nothing in them is pending, the oldest first."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import httpx

from ops.demo.account import Account, Delivery
from ops.demo.onboarding import bearer
from ops.demo.sample import Sender
from ops.embedded.errors import EmbeddedError

ASK_AGAIN_S: Final = 0.2
_NOBODY_ANSWERS: Final[list[dict[str, Any]]] = [{"status": "pending"}]


class Settler:
    """Books what became of every delivery."""

    def __init__(self, http: httpx.AsyncClient, tokens: Mapping[Sender, str], account: Account) -> None:
        """`tokens` are those that the deliveries were sent with: a receipt is its sender's only."""
        self._http = http
        self._tokens = tokens
        self._account = account
        self.open: asyncio.Queue[Delivery] = asyncio.Queue()

    async def run(self) -> None:
        """Settle until cancelled."""
        while True:
            delivery = await self.open.get()
            self._account.settle(delivery, await self._decided(delivery))
            self.open.task_done()

    async def finished(self, patience: float) -> bool:
        """Wait until all is settled. False when nothing moved for `patience` seconds."""
        done = asyncio.create_task(self.open.join())
        while not done.done():
            before = self._account.decided
            await asyncio.wait([done], timeout=patience)
            if not done.done() and self._account.decided == before:
                done.cancel()
                return False
        return True

    async def _decided(self, delivery: Delivery) -> list[dict[str, Any]]:
        """The verdicts, once there is one for each event."""
        while True:
            events = await self._ask(delivery)
            if not any(event["status"] == "pending" for event in events):
                return events
            await asyncio.sleep(ASK_AGAIN_S)

    async def _ask(self, delivery: Delivery) -> list[dict[str, Any]]:
        """What is known by now."""
        headers = bearer(self._tokens[delivery.sender])
        try:
            answer = await self._http.get(f"/v1/receipts/{delivery.receipt_id}", headers=headers)
        except httpx.TransportError:
            return _NOBODY_ANSWERS
        if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            return _NOBODY_ANSWERS
        if answer.is_error:
            raise EmbeddedError(f"a receipt was answered {answer.status_code}")
        events: list[dict[str, Any]] = answer.json()["events"]
        return events
