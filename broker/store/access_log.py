"""The log of every read. A row is committed before anything of the answer is sent."""

import hashlib
import hmac
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal
from weakref import WeakKeyDictionary

import orjson
import psycopg
from psycopg.pq import TransactionStatus
from psycopg.types.json import Jsonb

from broker.domain.identity import without_cpr
from broker.store.database import query
from broker.store.text import array

Connection = psycopg.AsyncConnection[Any]
_PEPPERS: Final[WeakKeyDictionary[Connection, bytes]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Access:
    """One read. `reader`: who, as the token says; `cases`: the keys of what was shown.

    subject: whom was asked about; shown: other persons whose cases were shown. As in `entry.party_ref`; only their
        keyed hashes are kept.
    hidden_for: how long the citizen does not find it in their own log.
    """

    reader: dict[str, Any]
    overview: str
    decision: Literal["permit", "deny"]
    purpose: str | None = None
    subject: str | None = None
    basis: str | None = None
    reason: str | None = None
    cases: Sequence[str] = ()
    shown: Collection[str] = ()
    hidden_for: timedelta | None = None

    @property
    def authorities(self) -> list[str]:
        """The reader's, and those whose cases were shown."""
        return sorted({*self.reader.get("authorities", ()), *(case.partition("/")[0] for case in self.cases)})


async def write(connection: Connection, access: Access) -> None:
    """One row: committed when this returns, or with the caller's transaction."""
    others = sorted(set(access.shown) - {access.subject})
    key = await pepper(connection) if others or access.subject is not None else b""
    await connection.execute(
        query("log_access"),
        {
            "reader": Jsonb(access.reader, orjson.dumps),
            "overview": access.overview,
            # Free text; a number in it would stand in the clear, for years, before everybody who reads the log.
            "purpose": None if access.purpose is None else without_cpr(access.purpose),
            "subject": None if access.subject is None else keyed(access.subject, key),
            "shown": [keyed(person, key) for person in others] or None,
            "authorities": array(access.authorities),
            "decision": access.decision,
            "basis": access.basis,
            "reason": access.reason,
            "cases": array(access.cases),
            "after": access.hidden_for,
        },
    )


async def pepper(connection: Connection) -> bytes:
    """The key of the subjects' hashes: made once, whoever comes first, and read once a session."""
    if (known := _PEPPERS.get(connection)) is not None:
        return known
    look_up = "SELECT value FROM secret WHERE name = 'pepper'"
    kept = await (await connection.execute(look_up)).fetchone()
    if kept is None:
        fresh = secrets.token_bytes(32)
        await connection.execute("INSERT INTO secret VALUES ('pepper', %s) ON CONFLICT DO NOTHING", [fresh])
        kept = await (await connection.execute(look_up)).fetchone()
    if kept is None:
        raise LookupError("the pepper is gone the moment it was made")
    found = bytes(kept[0])
    if connection.info.transaction_status is TransactionStatus.IDLE:  # what was made in a transaction may yet not last
        _PEPPERS[connection] = found
    return found


def keyed(subject: str, key: bytes) -> bytes:
    """What stands in the log for a person: found again by who has the number, of no use to who has the table."""
    return hmac.digest(key, subject.encode(), hashlib.sha256)
