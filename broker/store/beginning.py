"""What a search begins with, in one journey: how new the reference data are, the register, who holds anything."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson
import psycopg

from broker.store import persons
from broker.store.database import query
from broker.store.persons import Persons
from broker.store.search import Asked, named


class Beginning(NamedTuple):
    """holders: the authorities that hold anything of what is asked for, whoever asks."""

    revision: int
    registered: Persons
    holders: list[str]


async def begin(
    connection: psycopg.AsyncConnection[Any], references: Iterable[str], effort_id: str | None, asked: Asked
) -> Beginning:
    """`references`: whom the register is asked about; of consents those for an effort alone, if one is named."""
    values = {**persons.asked(references, effort_id), **named(asked)}
    row = await (await connection.execute(query("begin_search"), values)).fetchone()
    if row is None:
        raise LookupError("the database has no reference revision: run the migrations")
    revision, registered, holders, _ = row
    return Beginning(revision, persons.persons(orjson.loads(registered)), holders)
