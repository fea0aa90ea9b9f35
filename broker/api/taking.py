"""What becomes of one request's events: read, judged, handed to Kafka, receipted, and answered once for each key."""

import asyncio
import hashlib
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Final, assert_never

import psycopg
import psycopg_pool
from fastapi import Request
from fastapi.responses import JSONResponse, Response

from broker import metrics, tracing
from broker.api import bodies
from broker.api.core import Core
from broker.api.problems import Problem
from broker.domain.outcome import Code
from broker.intake.connecting import comes_through
from broker.intake.elsewhere import elsewhere, warned
from broker.intake.leaving import leaving
from broker.intake.receipts import Receipt, receipt_of
from broker.intake.verdicts import (
    Accepted,
    Offer,
    Sender,
    judge_all,
    message,
    orphans,
    without,
)
from broker.security import Token
from broker.store import documents, idempotency, receipts, reference
from broker.store.idempotency import Answered, Claim, Conflict, Taken, Underway

LONGEST_KEY: Final = 255
MARKS: Final = (b"{", b"[", b",", b"\n")
MOST_MARKS: Final = 2_000_000
"""What stands before a value of JSON, or between two, and between lines: each may become some hundred bytes."""
_JSON: Final = "application/json"

Offers = Callable[[bytes], Iterable[Offer]]


async def take_in(
    request: Request, core: Core, token: Token, sender: Sender, offers: Offers, key: str | None
) -> Response:
    """Judge and send the events of a request, and answer; a repeated one gets the first answer. Raises Problem."""
    with core.budget.share(token.subject) as share:
        body = await bodies.read(request, share)
        fingerprint = _fingerprint(request, body)
        return _response(await answered_once(core, token, sender, lambda: offers(sparse(body)), key, fingerprint))


def sparse(body: bytes) -> bytes:
    """The same, where it does not become hundreds of times as large when it is read. Raises Problem."""
    if sum(map(body.count, MARKS)) > MOST_MARKS:
        raise Problem(413, Code.TOO_LARGE, f"at most {MOST_MARKS} values and lines in a body")
    return body


async def answered_once(
    core: Core,
    token: Token,
    sender: Sender,
    offers: Callable[[], Iterable[Offer]],
    key: str | None,
    fingerprint: bytes,
) -> Answered:
    """The same for what was read; `fingerprint` tells one request under a key from another. Raises Problem."""
    if key is None:
        return await _answered(core, token, sender, offers, None)
    wish = Claim(sender.system, token.subject, _key(key), fingerprint, uuid.uuid4())
    async with core.pool.connection() as connection:
        found = await idempotency.claim(connection, wish)
    match found:
        case Answered():
            return found
        case Conflict():
            raise Problem(422, "idempotency_conflict", "this key came with another request before")
        case Underway():
            raise Problem(
                409, "idempotency_under_way", "the first request with this key is under way", {"Retry-After": "1"}
            )
        case Taken():
            async with _kept_or_released(core, wish):
                return await _answered(core, token, sender, offers, wish)
        case _:
            assert_never(found)


async def _answered(
    core: Core, token: Token, sender: Sender, offers: Callable[[], Iterable[Offer]], wish: Claim | None
) -> Answered:
    async with core.pool.connection() as connection:
        facts = await core.facts.current(connection)
    at, began = time.time_ns() // 1000, time.monotonic()
    judged = await asyncio.to_thread(lambda: judge_all(offers(), sender, facts, at))
    if found := orphans(judged):
        async with core.pool.connection() as connection:
            held = await documents.registered(connection, found)
        judged = without(judged, {key: verdict for key, verdict in found.items() if key not in held})
    if others := elsewhere(judged, facts):
        async with core.pool.connection() as connection:
            judged = warned(judged, await receipts.standing(connection, others))
    accepted = [one.verdict for one in judged if isinstance(one.verdict, Accepted)]
    messages = [message(verdict.event, verdict.value) for verdict in accepted]
    removals = await leaving(judged, core.pool.connection)
    places = (await core.producer.send([*removals, *messages]))[len(removals) :]
    came = receipts.Came(datetime.fromtimestamp(at / 1_000_000, UTC), tracing.current_id())
    receipt = receipt_of(uuid.uuid4() if wish is None else wish.receipt_id, judged, places, sender, came.trace_id)
    answer = Answered(receipt.status, bytes(JSONResponse(receipt.answer).body))
    async with core.pool.connection() as connection, connection.transaction():
        await receipts.put(
            connection, receipt.receipt_id, (sender.system, token.subject), receipt.events, receipt.rejections, came
        )
        if wish is not None:
            await idempotency.answered(connection, wish, answer)
    metrics.INTAKE_SECONDS.observe(time.monotonic() - began)
    for source in comes_through(judged, facts, at):
        # What was taken in is taken in; the next event connects as well.
        with suppress(psycopg.Error, psycopg_pool.PoolTimeout, psycopg_pool.PoolClosed):
            async with core.pool.connection() as connection:
                await reference.connected(connection, *source)
    _count(sender, receipt)
    return answer


@asynccontextmanager
async def _kept_or_released(core: Core, wish: Claim) -> AsyncIterator[None]:
    """A request that fails lets go of its key; where that fails too, the key is free after two minutes."""
    try:
        yield
    except BaseException:
        with suppress(psycopg.Error, psycopg_pool.PoolTimeout, psycopg_pool.PoolClosed):
            async with core.pool.connection() as connection:
                await idempotency.release(connection, wish)
        raise


def _response(answer: Answered) -> Response:
    return Response(answer.answer, answer.status, media_type=_JSON)


def _key(said: str) -> bytes:
    key = said.strip()
    if not 0 < len(key) <= LONGEST_KEY:
        raise Problem(400, "idempotency_key_malformed", f"an Idempotency-Key has 1 to {LONGEST_KEY} characters")
    return hashlib.sha256(key.encode()).digest()


def _fingerprint(request: Request, body: bytes) -> bytes:
    """Where it goes, in which form, and what it says."""
    form = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    where = f"{request.url.path}\n{request.url.query}\n{form}\n"
    return hashlib.sha256(where.encode() + hashlib.sha256(body).digest()).digest()


def _count(sender: Sender, receipt: Receipt) -> None:
    """Final verdicts only: what was accepted is counted by the worker."""
    label = metrics.system_label(sender.system)
    numbers = {"delimited": receipt.answer["delimited"], "rejected": len(receipt.answer["rejected"])}
    for outcome, number in numbers.items():
        if number:
            metrics.EVENTS.labels(label, outcome).inc(number)
