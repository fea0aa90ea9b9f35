"""Receipts, the rejections of the intake, and which entries are there. Each function is one transaction."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from broker.domain.identity import EntryKey, is_uuid
from broker.domain.outcome import VERDICT_BYTE, VERDICTS, read_verdict
from broker.store.database import query

Connection = AsyncConnection[tuple[Any, ...]]
_REJECTED = min(byte for verdict, byte in VERDICT_BYTE.items() if verdict.startswith("rejected"))


class Came(NamedTuple):
    """When a request came in, and in which trace."""

    at: datetime | None
    trace_id: uuid.UUID | None


NOT_SAID: Final = Came(None, None)


async def put(
    connection: Connection,
    receipt_id: uuid.UUID,
    owner: tuple[str, str],
    events: Sequence[Mapping[str, Any]],
    rejections: Sequence[Mapping[str, Any]],
    came: Came = NOT_SAID,
) -> None:
    """Keep a receipt together with its rejections; `owner` is (system, subject)."""
    async with connection.transaction():
        await connection.execute(
            query("put_receipt"),
            {
                "receipt_id": receipt_id,
                "system": owner[0],
                "subject": owner[1],
                "events": Jsonb(list(events)),
                "received_at": came.at,
                "trace_id": came.trace_id,
            },
        )
        if rejections:
            await connection.cursor().executemany(query("put_intake_rejection"), rejections)


async def read(
    connection: Connection, receipt_id: uuid.UUID, owner: tuple[str, str], authorities: Collection[str], topic: str
) -> list[dict[str, Any]] | None:
    """What has become of each event by now; None when its owner has no such receipt, or not for all of it."""
    cursor = await connection.execute(
        query("read_receipt"),
        {
            "receipt_id": receipt_id,
            "system": owner[0],
            "subject": owner[1],
            "authorities": list(authorities),
            "topic": topic,
            "rejected": _REJECTED,
        },
    )
    rows = await cursor.fetchall()
    if not rows:
        return None
    return [_status(event, byte, why) for event, byte, why in rows if event is not None]


async def present(connection: Connection, keys: Sequence[EntryKey]) -> set[EntryKey]:
    """Which of these are in the index."""
    return await _found(connection, "entries_present", keys)


async def standing(connection: Connection, keys: Sequence[EntryKey]) -> set[EntryKey]:
    """Which of these are in the index, and neither removed nor replaced by another case."""
    return await _found(connection, "entries_standing", keys)


async def _found(connection: Connection, name: str, keys: Sequence[EntryKey]) -> set[EntryKey]:
    named = [key for key in keys if is_uuid(key.case_id)]
    if not named:
        return set()
    columns = [list(column) for column in zip(*named, strict=True)]
    cursor = await connection.execute(query(name), columns)
    return {EntryKey(*row) for row in await cursor.fetchall()}


def _status(event: Mapping[str, Any], byte: int | None, why: Mapping[str, Any] | None) -> dict[str, Any]:
    shown = {"index": event["index"], "event_id": event["event_id"]}
    if "status" in event:
        told = ("status", "code", "detail", "pointer")
        return shown | {name: event[name] for name in told if event.get(name) is not None}
    if byte is None or not 0 < byte < len(VERDICTS):
        return {**shown, "status": "pending"}
    status, code = read_verdict(byte)
    return shown | {"status": status} | ({} if code is None else {"code": code}) | dict(why or {})
