"""Row-level security around reading: should a statement forget its conditions, the database does not.

It repeats the coarsest bound of the policy by plain comparisons of columns; `decide` remains the rule.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg.pq import PipelineStatus, TransactionStatus

from broker.domain.form import PARTY_ROLES
from broker.store.database import query
from broker.store.text import array

_ROLES: Final = sorted(PARTY_ROLES)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Whose rows can be seen: those of the authorities, and those in which a person has a part (`entry.party_ref`)."""

    authorities: tuple[str, ...]
    persons: tuple[str, ...]


@asynccontextmanager
async def behind(connection: psycopg.AsyncConnection[Any], bounds: Bounds) -> AsyncIterator[None]:
    """Within the block nothing else is seen, nor written; in a transaction of its own or in the caller's.

    Whoever is in a pipeline has begun a transaction in it.
    """
    pipelined = connection.info.pipeline_status is not PipelineStatus.OFF
    if pipelined or connection.info.transaction_status is TransactionStatus.INTRANS:
        await connection.execute(query("second_line"), _settings(bounds))
        yield
        await connection.execute("SELECT set_config('role', 'none', true)")
        return
    async with connection.pipeline():  # one journey for both
        await connection.execute("BEGIN")
        await connection.execute(query("second_line"), _settings(bounds))
    try:
        yield
    except BaseException:
        await connection.rollback()
        raise
    await connection.commit()


def _settings(bounds: Bounds) -> dict[str, str]:
    return {
        "authorities": array(bounds.authorities),
        "persons": array(bounds.persons),
        "parties": array(f"{role}|{person}" for role in _ROLES for person in bounds.persons),
    }
