"""Asking sources again for what a change of KLE brings in: while it led outside, nothing of it was kept."""

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import psycopg

from broker.domain.agreement import Facts
from broker.domain.kle import KleBook
from broker.domain.widening import Brought, brought_in
from broker.store.database import query
from broker.store.rederivation import Scope

Connection = psycopg.AsyncConnection[Any]
EVERY: Final = Scope()


def would_bring_in(known: Facts, changed: KleBook) -> list[Brought]:
    """The sources that are to be asked again, should this book take the place of the one that is known."""
    return brought_in(known, changed, datetime.now(UTC).date())


async def ask(connection: Connection, known: Facts, changed: KleBook, whys: Mapping[str, Scope]) -> list[Brought]:
    """Ask them, in the transaction that makes the change. whys: what was put -> whom it may concern."""
    # It may take longer than a transaction may stand idle, or last.
    await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
    await connection.execute("SET LOCAL transaction_timeout = 0")
    brought = await asyncio.to_thread(would_bring_in, known, changed)
    for one in brought:
        concerned = [why for why, scope in whys.items() if scope.holds(one.authority, one.system)]
        asked = {"authority": one.authority, "system": one.system, "kle": list(one.kle), "reason": "; ".join(concerned)}
        await connection.execute(query("ask_again"), asked)
    return brought


def told(brought: Iterable[Brought], scope: Scope = EVERY) -> list[dict[str, Any]]:
    """Those in the scope, as JSON."""
    return [
        {"authority": one.authority, "system": one.system, "kle": list(one.kle)}
        for one in brought
        if scope.holds(one.authority, one.system)
    ]
