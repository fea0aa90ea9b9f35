"""Ready means: everything that is needed answers, and is as it must be; else what is missing has a name."""

import asyncio

import psycopg

from ops.embedded.part import Part
from tests.integration.running import running


async def test_a_database_that_was_not_migrated_is_named_as_such(empty_database: str, kafka: Part) -> None:
    async with running(empty_database, kafka.address, migrated=False) as api:
        unready = await api.http.get("/readyz")

        assert unready.status_code == 503
        assert "migrations" in unready.json()["missing"]
        assert (await api.http.get("/healthz")).status_code == 200


async def test_one_missing_migration_is_enough_and_ready_it_is_when_it_is_done(database: str, kafka: Part) -> None:
    async with running(database, kafka.address) as api:
        assert (await api.http.get("/readyz")).json() == {"status": "ready"}

        api.rows("DELETE FROM schema_migration WHERE name = '0003_access.sql' RETURNING name")
        unready = await api.http.get("/readyz")

        assert (unready.status_code, unready.json()["missing"]) == (503, ["migrations"])
        assert unready.headers["retry-after"]


async def test_a_database_that_lets_nobody_in_is_missed_and_found_again(
    database: str, kafka: Part, postgres: Part
) -> None:
    async with running(database, kafka.address) as api:
        let_in(postgres, database, anybody=False)
        unready = await api.http.get("/readyz")
        let_in(postgres, database, anybody=True)

        assert (unready.status_code, unready.json()["missing"]) == (503, ["database"])
        async with asyncio.timeout(30):
            while (await api.http.get("/readyz")).status_code == 503:
                pass


async def test_a_session_that_the_database_has_ended_serves_nobody(database: str, kafka: Part) -> None:
    async with running(database, kafka.address) as api:
        assert (await api.http.get("/readyz")).status_code == 200
        ended = api.rows(
            "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
            " WHERE application_name = 'sagsbro-api' AND datname = current_database()"
        )

        assert set(ended) == {(True,)}
        assert (await api.http.get("/readyz")).json() == {"status": "ready"}


def let_in(postgres: Part, database: str, *, anybody: bool) -> None:
    """Open the database, or close it and end every session on it."""
    name = database.rpartition("/")[2]
    with psycopg.connect(postgres.address, autocommit=True) as server:
        server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {anybody}".encode())
        if not anybody:
            server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
