"""An API whose reads are logged, with one case in its index, and everybody who reads the log."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from broker.store.database import connect
from tests.integration.following import READER, a_case
from tests.integration.running import AUTHORITY, CPR, Running, running
from tests.integration.searching import INSERT, row
from tests.unit.worlds import CITIZENS

READER_AGREEMENT = {
    "authority": AUTHORITY,
    "overview": "sapa",
    "client": "*",
    "state": "FULL",
    "kle": ["N*"],
    "sensitivity": "VIP_SAGER",
    "from_date": "2020-01-01",
}
AUDITOR: dict[str, Any] = {"role": "auditor", "sub": "auditor-1", "system": None}
CITIZEN: dict[str, Any] = {"role": "citizen", "sub": "citizen-1", "system": None, "authorities": [], "citizen": CPR}
OTHER_CPR = CITIZENS[1].removeprefix("CPR:")


@dataclass
class Logged:
    """An API with one case, and its callers."""

    api: Running

    async def post(self, path: str, said: Any, **claims: Any) -> httpx.Response:
        headers = await asyncio.to_thread(self.api.bearer, **claims)
        return await self.api.http.post(path, json=said, headers=headers)

    async def read(self, said: dict[str, Any], **claims: Any) -> list[Any]:
        answer = await self.post("/v1/overviews/sapa/search", said, **{**READER, "unit": "Jobcenter", **claims})
        assert answer.status_code == 200
        return list(answer.json()["entries"])

    async def search(self, said: dict[str, Any], **claims: Any) -> dict[str, Any]:
        answer = await self.post("/v1/access-log/search", said, **claims)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def execute(self, statement: str, *values: object) -> None:
        with connect(self.api.settings.dsn, "test") as connection:
            connection.execute(statement.encode(), values)


@asynccontextmanager
async def logging(database: str, kafka: str) -> AsyncIterator[Logged]:
    """Serve until the end of the block, on one agreement and one case."""
    async with running(database, kafka) as api:
        made = Logged(api)
        key, state = a_case(1, created_at=1_714_550_400_000_000)
        made.execute(INSERT, *row(key, state))
        made.execute(
            "INSERT INTO reader_agreement (authority, overview, client, version, body, put_by)"
            " VALUES (%s, 'sapa', '*', 1, %s::jsonb, 'test')",
            AUTHORITY,
            json.dumps(READER_AGREEMENT),
        )
        body = json.dumps({"cvr": AUTHORITY, "name": "Eksempel Kommune"})
        made.execute("INSERT INTO authority VALUES (%s, %s::jsonb)", AUTHORITY, body)
        made.execute("UPDATE reference_revision SET revision = revision + 1")
        yield made
