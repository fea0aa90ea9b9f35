"""What goes wrong between a poller, its vendor and the broker, on command."""

import httpx

from connectors.retry import Asker
from connectors.runner import Broker, Cursor, CursorFile
from tests.contract.polling import Clock, Inbox


class Faulty(httpx.AsyncBaseTransport):
    """A connection that first gives the answers it is told to give, and breaks where None stands."""

    def __init__(self, behind: httpx.AsyncBaseTransport) -> None:
        self.behind = behind
        self.faults: list[httpx.Response | None] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not self.faults:
            return await self.behind.handle_async_request(request)
        fault = self.faults.pop(0)
        if fault is None:
            raise httpx.RemoteProtocolError("the peer closed the connection in the middle of an answer")
        return fault


class KilledAt(CursorFile):
    """The process ends in place of the write of that number."""

    writes = 0
    at = 1

    def write(self, cursor: Cursor) -> None:
        self.writes += 1
        if self.writes == self.at:
            raise KeyboardInterrupt
        super().write(cursor)


def broker(inbox: Inbox, clock: Clock, system: str) -> Broker:
    client = httpx.AsyncClient(transport=httpx.MockTransport(inbox), base_url="https://broker.example")
    return Broker(client, Asker(clock.patience(attempts=3)), system, "t0ken")
