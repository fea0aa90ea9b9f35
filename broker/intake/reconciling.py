"""A manifest from its pieces to what it comes to: read, judged by agreement, kept, compared; memory is bounded."""

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final

from broker.domain.agreement import ACCEPTING, Facts, SenderAgreement
from broker.domain.kle import Patterns
from broker.domain.reconcile import DIFFERENCES, Listed, area_of, arriving, is_expected, prefixes
from broker.intake.canonical import iso
from broker.intake.manifest import Manifest
from broker.store import reconciliation as store
from broker.store.reconciliation import Compared, Connection, Row
from broker.store.reference import answered_again

PIECE: Final = 10_000
"""Rows held in memory at once."""
ASKED_FOR: Final = ("missing", "superfluous", "older")
"""Without any of these the source has answered what was asked of it again."""
BY: Final = "reconciliation"
SHOWN: Final = 100
"""Cases of each kind that the first answer lists."""

Connect = Callable[[], AbstractAsyncContextManager[Connection]]


class NotOpen(Exception):  # noqa: N818 - a state of the agreement
    """No agreement is open for this sender."""


class Miscounted(Exception):  # noqa: N818 - it says what differs
    """Another number of lines came than was announced."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What the source says of its list.

    as_of: when it began to read it, microseconds since 1970, UTC. areas: patterns of its own KLE numbers; none: all.
    count: lines.
    """

    authority: str
    system: str
    as_of: int
    areas: tuple[str, ...] = ()
    count: int | None = None


async def reconcile(
    connect: Connect,
    facts_of: Callable[[Connection], Awaitable[Facts]],
    claim: Claim,
    reader: Manifest,
    pieces: AsyncIterable[bytes],
) -> Compared:
    """Take in a manifest and compare it; no connection is held while the source is slow.

    Raises FlawedManifest, Miscounted, NotOpen, Overtaken, and ValueError naming what is no KLE pattern.
    """
    async with connect() as connection:
        facts = await facts_of(connection)
        agreement = agreed(facts, claim)
        opened = await store.begin(connection, (claim.authority, claim.system), claim.as_of, prefixes(claim.areas))
    rows: list[Row] = []

    def take(listed: Iterable[Listed]) -> None:
        rows.extend(
            Row(one.case_id, one.registered_at, area_of(one.kle), is_expected(one, agreement, facts)) for one in listed
        )

    try:
        async for piece in pieces:
            take(reader.feed(piece))
            if len(rows) >= PIECE:
                async with connect() as connection:
                    await store.put(connection, opened, rows)
                rows.clear()
        take(reader.end())
        if claim.count not in (None, reader.count):
            raise Miscounted(f"{claim.count} lines were announced, {reader.count} came")  # noqa: TRY301
        async with connect() as connection:
            await store.put(connection, opened, rows)
            found = await store.compare(connection, opened)
            if not any(found.total(kind) for kind in ASKED_FOR):
                await _answered(connection, claim, found, await facts_of(connection))
            return found
    except BaseException:
        async with connect() as connection:
            await store.give_up(connection, opened)
        raise


async def _answered(connection: Connection, claim: Claim, found: Compared, facts: Facts) -> None:
    """What was asked of the source is asked in the numbers that cases come to; its list is of those it uses itself."""
    sender, areas = (claim.authority, claim.system), claim.areas
    if prefixes(areas) is None:
        await answered_again(connection, *sender, None, found.as_of, BY)
    else:
        elsewhere = arriving(facts.kle, *sender, Patterns.of(areas))
        await answered_again(connection, *sender, areas, found.as_of, BY, elsewhere)


def agreed(facts: Facts, claim: Claim) -> SenderAgreement:
    """Raises NotOpen."""
    agreement = facts.senders.get((claim.authority, claim.system))
    if agreement is None or agreement.state not in ACCEPTING:
        raise NotOpen("no agreement is open between this authority and this system")
    return agreement


async def answer(connection: Connection, found: Compared) -> dict[str, Any]:
    """As JSON: counts by area and in all, digests, and the first cases of each kind."""
    shown: dict[str, Any] = {}
    for kind in DIFFERENCES:
        listed = await store.differences(connection, found.id, kind, limit=SHOWN)
        shown[kind] = {"count": found.total(kind), "cases": [difference(one) for one in listed]}
    return {
        "reconciliation_id": found.id,
        "authority": found.authority,
        "system": found.system,
        "as_of": _text(found.as_of),
        "at": _text(found.finished_at),
        "same": found.total("same"),
        "outside": found.total("outside"),
        **shown,
        "digest": {"here": found.digest_here, "there": found.digest_there},
        "areas": [area._asdict() for area in found.areas],
    }


def difference(one: store.Difference) -> dict[str, Any]:
    """One case, as JSON."""
    return {
        "case_id": one.case_id,
        "kle_area": one.kle_area,
        "here": None if one.here is None else iso(one.here),
        "there": None if one.there is None else iso(one.there),
    }


def _text(moment: Any) -> str:
    return str(moment.isoformat(timespec="microseconds")).replace("+00:00", "Z")
