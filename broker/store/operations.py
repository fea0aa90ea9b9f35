"""What the database tells an operator at a glance: counts, times and codes; nothing out of an event or a register.

Every question reads a bounded number of rows; whoever asks bounds the time.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from broker.domain.identity import SYSTEMS
from broker.domain.kle import is_number
from broker.domain.outcome import REMEDY, Code
from broker.metrics import system_label
from broker.store.database import query

Connection = psycopg.AsyncConnection[Any]
MOST_SENDERS: Final = 5000
MOST_COUNTED: Final = 50_000
MOST_READ: Final = 5000
MOST_CAUSES: Final = 100
MOST_NEWEST: Final = 20
MOST_LISTED: Final = 500
_PLACE: Final = re.compile(r"/\d+(?=/|$)")


async def sources(connection: Connection, authorities: Iterable[str]) -> list[dict[str, Any]]:
    """Each sender with an agreement: state, and how fresh it is."""
    return await _rows(connection, "ops_sources", authorities=sorted(authorities), limit=MOST_SENDERS)


async def rejections(connection: Connection, authorities: Iterable[str]) -> dict[str, Any]:
    """Open ones by authority, system and code; `more`: there are more than were counted."""
    asked = {"authorities": sorted(authorities), "limit": MOST_COUNTED + 1}
    cursor = await connection.execute(query("ops_rejections"), asked)
    counted: Counter[tuple[str, str, str]] = Counter()
    newest: dict[tuple[str, str, str], datetime] = {}
    for authority, system, code, number, at in await cursor.fetchall():
        key = authority, system_label(system), code
        counted[key] += number
        newest[key] = max(at, newest.get(key, at))
    return {
        "more": counted.total() > MOST_COUNTED,
        "open": [
            {"authority": key[0], "system": key[1], "code": key[2], "number": number, "newest_at": newest[key]}
            for key, number in sorted(counted.items())
        ],
    }


async def rejections_of(connection: Connection, authorities: Iterable[str], system: str, code: Code) -> dict[str, Any]:
    """Of one code and one kind of system: where the flaw is, under which number, how often, and the newest.

    A place in a list is `*`, and what is no KLE number is not told: what a sender wrote there may be anything.
    """
    asked = {"code": code, "system": system, "systems": sorted(SYSTEMS), "limit": MOST_READ + 1}
    rows = [
        _told(row) for row in await _rows(connection, "ops_rejections_of", authorities=sorted(authorities), **asked)
    ]
    causes = Counter((row["authority"], row["pointer"], row["kle"]) for row in rows[:MOST_READ])
    return {
        "remedy": REMEDY[code],
        "more": len(rows) > MOST_READ,
        "causes_left_out": max(0, len(causes) - MOST_CAUSES),
        "causes": [
            {"authority": authority, "pointer": pointer, "kle": kle, "number": number}
            for (authority, pointer, kle), number in causes.most_common(MOST_CAUSES)
        ],
        "newest": rows[:MOST_NEWEST],
    }


async def waiting(connection: Connection, authorities: Iterable[str]) -> dict[str, Any]:
    """What is under way or waits for somebody; `more`: the outbox has more than was counted."""
    of = {"authorities": sorted(authorities)}
    (outbox,) = await _rows(connection, "ops_waiting", limit=MOST_COUNTED)
    (log,) = await _rows(connection, "ops_log")
    return {
        **log,
        "outbox": {**outbox, "more": outbox["entries"] >= MOST_COUNTED},
        "positions": await _rows(connection, "ops_positions", limit=MOST_LISTED),
        "sweeps": await _rows(connection, "ops_sweeps", **of, limit=MOST_LISTED),
        "break_glass": await _rows(connection, "ops_break_glass", **of, limit=MOST_COUNTED),
        "alarms": await _rows(connection, "ops_alarms", limit=MOST_COUNTED),
    }


def _told(row: Mapping[str, Any]) -> dict[str, Any]:
    kle = row["kle"]
    return {
        **row,
        "system": system_label(row["system"]),
        "pointer": _PLACE.sub("/*", row["pointer"]),
        "kle": kle if kle is not None and is_number(kle) else None,
    }


async def _rows(connection: Connection, name: str, **asked: Any) -> list[dict[str, Any]]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query(name), asked)
        return await cursor.fetchall()
