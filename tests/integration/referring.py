"""Reference data in a database of its own, and what is put there."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg

from broker.domain.policy import Role
from broker.store import database, reference
from broker.store.reference import Putter
from broker.store.shapes import AGREEMENTS
from tests.integration.searching import row, state_like
from tests.unit.worlds import CITIZENS, an_entry

AARHUS, UDK = "55133018", "33236252"
CITIZEN = CITIZENS[0].removeprefix("CPR:")
ONBOARDING = Putter("Ea", Role.ONBOARDING, frozenset({AARHUS}))
OPERATOR = Putter("Bo", Role.OPERATOR, frozenset({AARHUS}))
SENDER = {
    "authority": AARHUS,
    "system": "sbsys",
    "state": "FULL",
    "kle": ["27.*"],
    "sensitivity": "FOELSOMME_PERSONOPLYSNINGER",
    "from_date": "2020-01-01",
    "override": True,
}
READER = {
    "authority": AARHUS,
    "overview": "sapa",
    "client": "*",
    "state": "FULL",
    "kle": ["N*"],
    "sensitivity": "VIP_SAGER",
    "from_date": "2020-01-01",
}
CLARIFIED = {
    "domain": "Ældre",
    "case": "En bevilling",
    "primary_party": "Borgeren, der har fået den",
    "states": {"Aktiv": "OPSTAAET", "Lukket": "AFSLUTTET"},
    "kle": ["27.*"],
}
CSV = "emnenr,titel\n27,Social\n27.36,Hjælp\n27.36.04,Hjemmehjælp\n27.36.08,Madservice\n"
T = TypeVar("T")
Work = Callable[[psycopg.AsyncConnection[Any]], Coroutine[Any, Any, T]]


@dataclass(frozen=True)
class Store:
    """Reference data in a database of its own."""

    dsn: str

    def does(self, work: Work[T]) -> T:
        async def connected() -> T:
            async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as connection:
                return await work(connection)

        return asyncio.run(connected())

    def put(self, *bodies: dict[str, Any], by: Putter = ONBOARDING) -> list[dict[str, Any]]:
        agreements = AGREEMENTS.validate_python(list(bodies))
        return self.does(lambda connection: reference.put_agreements(connection, agreements, by))

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with database.connect(self.dsn, "test") as connection:
            return connection.execute(statement.encode()).fetchall()

    @property
    def revision(self) -> int:
        return int(self.rows("SELECT revision FROM reference_revision")[0][0])

    @property
    def dirty(self) -> list[tuple[str, int]]:
        return [(system, lane) for system, lane in self.rows("SELECT system, lane FROM dirty ORDER BY system, case_id")]

    def entries(self, *systems: str) -> None:
        with database.connect(self.dsn, "test") as connection:
            for number, system in enumerate(systems):
                key, state = state_like(an_entry(AARHUS, "27.36.04", 2, user_key="S-1"), number)
                columns = row(key._replace(system=system), state)
                connection.execute(
                    b"INSERT INTO entry (authority, system, case_id, newest, shape, complete, kle, sensitivity,"
                    b" primary_party, parties, principals, user_key, created_at, received_at, document)"
                    b" VALUES (%s, %s, %s, %s, 0, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                    columns,
                )
