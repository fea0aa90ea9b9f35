"""The schema registry's rows: schemas by id, and the versions of each subject. The bundled schemas keep fixed ids."""

import hashlib
import json
from typing import Any, Final, NamedTuple

import fastavro
import psycopg
from psycopg import AsyncConnection

from broker.store.database import query
from broker.stream.framing import BUNDLED, schema_text
from broker.stream.topics import TOPICS

FIRST_FREE_ID: Final = 100
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('sagsbro-registry'))"
_LONGEST_SUBJECT: Final = 255

Connection = AsyncConnection[tuple[Any, ...]]


class InvalidSchemaError(ValueError):
    """The text is no Avro schema."""


class SeedError(Exception):
    """The registry holds something else under a bundled schema's id, or that schema under another id."""


class Version(NamedTuple):
    """One version of a subject; `body` is the schema's text as it was first registered."""

    subject: str
    version: int
    schema_id: int
    body: str


def digest_of(body: str) -> bytes:
    """The same for texts that differ in blanks and in the order of their names only. Raises InvalidSchemaError."""
    try:
        parsed = json.loads(body)
        fastavro.parse_schema(parsed)
        plain = json.dumps(parsed, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    except Exception as error:  # a schema of a stranger breaks the parser in whatever way it likes
        raise InvalidSchemaError("no Avro schema") from error
    if "\\u0000" in plain:
        raise InvalidSchemaError("holds a zero character")
    return hashlib.sha256(plain.encode()).digest()


def is_subject(name: str) -> bool:
    """Whether a subject may have this name."""
    return 0 < len(name) <= _LONGEST_SUBJECT and name.isprintable()


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


async def register(connection: Connection, subject: str, body: str) -> int:
    """The schema's id, new or not; ids are given out one writer at a time. Raises InvalidSchemaError."""
    digest = digest_of(body)
    async with connection.transaction():
        await connection.execute(_LOCK)
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
    """The text of a schema."""
    cursor = await connection.execute("SELECT body FROM registry_schema WHERE id = %s", [schema_id])
    row = await cursor.fetchone()
    return None if row is None else str(row[0])


async def subjects(connection: Connection) -> list[str]:
    """Every subject, in order."""
    cursor = await connection.execute('SELECT DISTINCT subject COLLATE "C" FROM registry_version ORDER BY 1')
    return [name for (name,) in await cursor.fetchall()]


async def versions(connection: Connection, subject: str) -> list[Version]:
    """Every version of a subject, oldest first; none when there is no such subject."""
    cursor = await connection.execute(query("registry_versions"), [subject])
    return [Version(*row) for row in await cursor.fetchall()]
