"""The first answer to a request that has a key, for whoever sends the same again. Each function is one transaction."""

import uuid
from dataclasses import dataclass
from typing import Any

from psycopg import AsyncConnection

from broker.store.database import query

Connection = AsyncConnection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Claim:
    """One sender's wish to be answered once. `key` and `request` are hashes; `receipt_id` tells it from another."""

    system: str
    subject: str
    key: bytes
    request: bytes
    receipt_id: uuid.UUID


@dataclass(frozen=True, slots=True)
class Answered:
    """What was answered to the first."""

    status: int
    answer: bytes


class Taken:
    """The claim stands: this request is the first."""


class Underway:
    """The first is not answered yet."""


class Conflict:
    """The key was used for something else."""


async def claim(connection: Connection, wish: Claim) -> Taken | Underway | Conflict | Answered:
    """Take the key, or what has become of it; one whose request was lost two minutes ago is free again."""
    named = {"system": wish.system, "subject": wish.subject, "key": wish.key}
    asked = {**named, "request": wish.request, "receipt_id": wish.receipt_id}
    if await (await connection.execute(query("claim_key"), asked)).fetchone() is not None:
        return Taken()
    row = await (await connection.execute(query("read_key"), named)).fetchone()
    if row is None:  # let go of in between
        return Underway()
    request, status, answer = row
    if bytes(request) != wish.request:
        return Conflict()
    return Underway() if status is None else Answered(status, bytes(answer))


async def answered(connection: Connection, wish: Claim, answer: Answered) -> None:
    """Keep the answer; belongs into the transaction of the receipt."""
    await connection.execute(
        "UPDATE idempotency SET status = %s, answer = %s"
        " WHERE system = %s AND subject = %s AND key = %s AND receipt_id = %s",
        [answer.status, answer.answer, wish.system, wish.subject, wish.key, wish.receipt_id],
    )


async def release(connection: Connection, wish: Claim) -> None:
    """The request came to nothing: the same may be sent again."""
    await connection.execute(
        "DELETE FROM idempotency"
        " WHERE system = %s AND subject = %s AND key = %s AND receipt_id = %s AND status IS NULL",
        [wish.system, wish.subject, wish.key, wish.receipt_id],
    )
