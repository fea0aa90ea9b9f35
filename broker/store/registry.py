"""The schema registry's rows: schemas by id, the versions of each subject, its rules.

The bundled schemas keep fixed ids. A schema's id is given out once and for ever: values in the log name it.
"""

from typing import Any, Final, NamedTuple

import psycopg
from psycopg import AsyncConnection

from broker.store.database import query
from broker.stream.compatibility import Level, digest_of
from broker.stream.framing import BUNDLED, schema_text
from broker.stream.topics import TOPICS

FIRST_FREE_ID: Final = 100
EVERY: Final = ""  # the subject that stands for all
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('sagsbro-registry'))"

Connection = AsyncConnection[tuple[Any, ...]]


class SeedError(Exception):
    """The registry holds something else under a bundled schema's id, or that schema under another id."""


class Version(NamedTuple):
    """One version of a subject; `body` is the schema's text as it was first registered."""

    subject: str
    version: int
    schema_id: int
    body: str
    deleted: bool


class Rule(NamedTuple):
    """What holds for a subject; None: nothing of its own."""

    level: Level | None
    mode: str | None


def seed(connection: psycopg.Connection[Any]) -> None:
    """Register the bundled schemas under their fixed ids; again and again is the same as once. Raises SeedError."""
    with connection.transaction():
        connection.execute(_LOCK)
        for name, schema_id in BUNDLED.items():
            body = schema_text(name)
            row = connection.execute(
                query("registry_seed"), {"id": schema_id, "body": body, "digest": digest_of(body)}
            ).fetchone()
            if row != (True,):
                raise SeedError(f"the registry's schema {schema_id} is not the bundled {name}")
        for topic in TOPICS:
            if topic.subject is not None:
                connection.execute(
                    query("registry_add_version"), {"subject": f"{topic.name}-value", "id": BUNDLED[topic.subject]}
                )


async def lock(connection: Connection) -> None:
    """Until the transaction ends nobody else writes, in this process or another."""
    await connection.execute(_LOCK)


async def add(connection: Connection, subject: str, body: str, digest: bytes) -> int:
    """Make it the subject's next version; its id, which it may have had before. Run under the lock."""
    cursor = await connection.execute(
        query("registry_put_schema"), {"body": body, "digest": digest, "first": FIRST_FREE_ID}
    )
    row = await cursor.fetchone()
    if row is None:
        raise LookupError("the schema was put and is not there")
    schema_id: int = row[0]
    await connection.execute(query("registry_add_version"), {"subject": subject, "id": schema_id})
    return schema_id


async def schema_of(connection: Connection, schema_id: int) -> str | None:
    """The text of a schema, deleted or not."""
    cursor = await connection.execute("SELECT body FROM registry_schema WHERE id = %s", [schema_id])
    row = await cursor.fetchone()
    return None if row is None else str(row[0])


async def find(connection: Connection, subject: str, digest: bytes, *, deleted: bool = False) -> Version | None:
    """The version of a subject that is the schema with this digest."""
    asked = {"subject": subject, "digest": digest, "deleted": deleted}
    row = await (await connection.execute(query("registry_find"), asked)).fetchone()
    return None if row is None else Version(*row)


async def versions(
    connection: Connection,
    subject: str | None = None,
    *,
    prefix: str | None = None,
    schema_id: int | None = None,
    deleted: bool = False,
) -> list[Version]:
    """Every version that is asked for, by subject, oldest first; `deleted`: those too."""
    asked = {"subject": subject, "prefix": prefix, "id": schema_id, "deleted": deleted}
    cursor = await connection.execute(query("registry_versions"), asked)
    return [Version(*row) for row in await cursor.fetchall()]


async def hide(connection: Connection, subject: str, numbers: list[int]) -> None:
    """Delete versions so that they can still be asked for."""
    await connection.execute(
        "UPDATE registry_version SET deleted = true WHERE subject = %s AND version = ANY(%s)", [subject, numbers]
    )


async def forget(connection: Connection, subject: str, numbers: list[int]) -> None:
    """Delete versions for good; their schemas and ids stay, because values in the log may name them."""
    await connection.execute(
        "DELETE FROM registry_version WHERE subject = %s AND version = ANY(%s)", [subject, numbers]
    )


async def rules(connection: Connection, subject: str = EVERY) -> tuple[Rule, Rule]:
    """The subject's own rule, and the one for all."""
    row = await (await connection.execute(query("registry_rule"), {"subject": subject})).fetchone()
    level, mode, level_of_all, mode_of_all = row or (None, None, None, None)
    return _rule(level, mode), _rule(level_of_all, mode_of_all)


async def put_rule(connection: Connection, subject: str, rule: Rule) -> None:
    """Set what holds for a subject, or for all."""
    asked = {"subject": subject, "level": rule.level, "mode": rule.mode}
    await connection.execute(query("registry_put_rule"), asked)


def _rule(level: str | None, mode: str | None) -> Rule:
    return Rule(None if level is None else Level(level), mode)
