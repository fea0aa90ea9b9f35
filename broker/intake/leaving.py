"""What has to leave the index because of events that do not come into it: removals, for the cases that are there."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from broker.domain.case import key_of
from broker.domain.document import Event
from broker.intake.producer import Message
from broker.intake.verdicts import Accepted, Judged, encoded, leaves_index, message, removal_of
from broker.store import receipts
from broker.store.receipts import Connection

Connecting = Callable[[], AbstractAsyncContextManager[Connection]]


async def removals(connection: Connection, judged: Sequence[Judged]) -> list[Event]:
    """Of cases that are in the index, or come with these very events, and of all documents.

    They go before what is accepted: should only a part arrive, then rather that.
    """
    leaving = leaves_index(judged)
    if not leaving:
        return []
    accepted = [one.verdict.event for one in judged if isinstance(one.verdict, Accepted)]
    coming = {key_of(event) for event in accepted if "case_id" in event}
    held = await receipts.present(connection, [key_of(event) for event in leaving if "case_id" in event])
    return [removal_of(event) for event in leaving if "case_id" not in event or key_of(event) in held | coming]


async def leaving(
    judged: Sequence[Judged], connect: Callable[[], AbstractAsyncContextManager[Connection]]
) -> list[Message]:
    """The same as messages. No connection is taken where nothing leaves."""
    if not leaves_index(judged):
        return []
    async with connect() as connection:
        return [message(removal, encoded(removal)) for removal in await removals(connection, judged)]
