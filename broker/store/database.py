"""Connections and the schema. Statements live in `queries/*.sql`; none is longer than a line elsewhere."""

from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import psycopg
from psycopg.abc import Buffer
from psycopg.conninfo import make_conninfo
from psycopg.types.array import ListDumper

from broker.store.schema import Phase, misfit, pending

# A session that stops answering (a stopped process, a lost host) must not hold locks for ever.
GUARDS = "-c idle_in_transaction_session_timeout=10s -c transaction_timeout=60s -c lock_timeout=20s"


class TextList(ListDumper):
    """Quotes the texts of a list at once: the library looks at each by itself, which was a seventh of publishing."""

    def dump(self, obj: list[Any]) -> Buffer | None:
        """A list of anything else, or with a text that needs more than quotes, as the library does it."""
        try:
            joined = '","'.join(obj)
        except TypeError:
            return super().dump(obj)
        if joined.count('"') != 2 * (len(obj) - 1) or "\\" in joined or "\0" in joined:
            return super().dump(obj)
        return f'{{"{joined}"}}'.encode()


psycopg.adapters.register_dumper(list, TextList)


@cache
def query(name: str) -> bytes:
    """The text of `queries/<name>.sql`."""
    return files("broker.store").joinpath("queries", f"{name}.sql").read_bytes()


def conninfo(dsn: str, application: str) -> str:
    """The address with our guards, named so that an operator recognises the session."""
    return make_conninfo(dsn, application_name=f"sagsbro-{application}", options=GUARDS, connect_timeout=5)


def connect(dsn: str, application: str) -> psycopg.Connection[Any]:
    """One blocking connection, in autocommit; transactions are opened by name."""
    return psycopg.connect(conninfo(dsn, application), autocommit=True)


def alone(dsn: str, application: str, lock: Sequence[int], idle_s: int) -> psycopg.Connection[Any] | None:
    """A session that holds this advisory lock (one number, or a class and one); None while another holds it.

    idle_s: after so long without a word the server ends it, or what is stopped would bar the lock for ever.
    """
    connection = connect(dsn, application)
    connection.execute("SELECT set_config('idle_session_timeout', %s, false)", [f"{idle_s}s"])
    numbers = ", ".join(["%s"] * len(lock))
    if connection.execute(f"SELECT pg_try_advisory_lock({numbers})".encode(), lock).fetchone() == (True,):
        return connection
    connection.close()
    return None


def migrations() -> list[tuple[str, bytes]]:
    """(name, text) of every migration, in order."""
    folder = files("broker.store").joinpath("migrations")
    return sorted((file.name, file.read_bytes()) for file in folder.iterdir() if file.name.endswith(".sql"))


def done(connection: psycopg.Connection[Any]) -> set[str]:
    """The migrations that have been done; none where there is no schema yet."""
    if connection.execute("SELECT to_regclass('schema_migration')").fetchone() == (None,):
        return set()
    return {name for (name,) in connection.execute("SELECT name FROM schema_migration")}


def migrate(dsn: str, tell: Callable[[str], None] = lambda _: None, phase: Phase = Phase.ALL) -> None:
    """Bring the schema up to date, or do one phase of it; several at once wait for each other. Raises SchemaRefused."""
    with connect(dsn, "migrate") as connection:
        # A large table takes as long as it takes; who waits for a lock of it waits `lock_timeout` at most.
        connection.execute("SET transaction_timeout = 0")
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtext('sagsbro-migrate'))")
            connection.execute(
                "CREATE TABLE IF NOT EXISTS schema_migration"
                " (name text PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp())"
            )
            known = dict(migrations())
            for name in pending(list(known), done(connection), phase):
                connection.execute(known[name])
                connection.execute("INSERT INTO schema_migration (name) VALUES (%s)", [name])
                tell(name)


def unfit(dsn: str) -> str | None:
    """Why this release must not run on that database; None: it may. Raises psycopg.OperationalError."""
    with connect(dsn, "setup") as connection:
        return misfit([name for name, _ in migrations()], done(connection))
