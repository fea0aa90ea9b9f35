"""Mending what a comparison found: what vanished is removed through the log, what is missing is asked for again."""

from collections.abc import AsyncIterator, Callable, Iterable
from typing import Final

from broker.domain.identity import EntryKey, is_uuid
from broker.domain.outcome import Rejected
from broker.domain.reconcile import removal
from broker.intake.loading import Hand, Piece
from broker.intake.verdicts import Offer
from broker.store import reconciliation as store
from broker.store.reconciliation import FIRST, Compared, Connection

PAGE: Final = 1000


async def remove_vanished(hand: Hand, connection: Connection, found: Compared) -> int:
    """REMOVED events for all that is superfluous, just after what stood when it was compared. Raises LoadFailed."""
    after, removed, pages = FIRST, 0, 0
    while page := await store.differences(connection, found.id, "superfluous", after, PAGE):
        events = [
            removal(EntryKey(found.authority, found.system, one.case_id), one.here)
            for one in page
            if one.here is not None
        ]
        offers = [
            Offer(index, event, found.authority, found.system, event["event_id"], event, canonical=True)
            for index, event in enumerate(events)
        ]
        underway = await hand.give(f"repair {found.id}", pages, Piece(len(offers), 0, _these(offers)))
        await hand.settle(underway, None)
        removed, pages = removed + underway.chunk.sent, pages + 1
        after = page[-1].case_id
    return removed


async def send_missing(hand: Hand, connection: Connection, found: Compared, pieces: AsyncIterator[Piece]) -> int:
    """Of all that a source says again, what is missing or older here. Raises LoadFailed."""
    sent, number = 0, 0
    async for piece in pieces:
        offers = list(piece.offers())
        named = [case_id for offer in offers if (case_id := _case(offer)) is not None]
        wanted = await store.wanted(connection, found.id, named)
        chosen = [offer for offer in offers if _case(offer) in wanted]
        if not chosen:
            continue
        underway = await hand.give(f"ask {found.id}", number, Piece(len(chosen), 0, _these(chosen)))
        await hand.settle(underway, None)
        sent, number = sent + underway.chunk.sent, number + 1
    return sent


def _case(offer: Offer) -> str | None:
    event = offer.event
    if isinstance(event, Rejected) or "case_id" not in event:
        return None
    return event["case_id"] if is_uuid(event["case_id"]) else None


def _these(offers: list[Offer]) -> Callable[[], Iterable[Offer]]:
    return lambda: offers
