"""The document index: writing a batch of registrations, and finding what cases name.

Which cases a document is published in is known to the publisher, not to whoever writes cases: their path pays nothing.
It links, then reads the documents; a batch of documents writes, then reads the links; and the two never overlap. So
either the publisher reads the new document, or the batch finds the link and marks the entry.
"""

from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any, Final

import psycopg

from broker.domain.batch import Place, Plan
from broker.domain.case import NEVER, State
from broker.domain.document import (
    NOTHING_KNOWN,
    Document,
    DocumentKey,
    Documents,
    Known,
    Reference,
    Said,
    merge,
    references,
    settle,
)
from broker.domain.identity import EntryKey
from broker.store import batch
from broker.store.database import query

Connection = psycopg.Connection[Any]
# No lock of a table: vacuum would stand in its way.
WRITING: Final = "SELECT pg_advisory_xact_lock(hashtext('sagsbro-documents'))"
LINKING: Final = "SELECT pg_advisory_xact_lock_shared(hashtext('sagsbro-documents'))"


def write(connection: Connection, made: Plan, documents: Documents, place: Place) -> None:
    """Everything but the position, in the caller's transaction; settles the open verdicts of the plan."""
    listed = list(documents.items())
    if listed:
        connection.execute(WRITING)
        before = dict(connection.execute(query("merge_documents"), _columns(listed)).fetchall())
        left = [(n, key) for n, (key, _) in enumerate(listed) if n not in before]
        before |= connection.execute(query("document_stamps"), _named(left)).fetchall() if left else []
        for n, (_, said) in enumerate(listed):
            settle(made, said, before[n] or NEVER)
    # No cases: its rejections and outcomes.
    batch.write(connection, {place: made})


def claimed(connection: Connection, entries: Iterable[tuple[EntryKey, State]]) -> Known:
    """Link entries that are about to be published with their documents, and read these; call it in no transaction."""
    links = sorted((named, key) for key, state in entries for named in references(key, state))
    if not links:
        return NOTHING_KNOWN
    with connection.transaction():
        connection.execute(LINKING)
        connection.execute(
            query("link_documents"),
            {
                "authorities": [named.authority for named, _ in links],
                "document_ids": [named.document_id for named, _ in links],
                "systems": [key.system for _, key in links],
                "case_ids": [key.case_id for _, key in links],
            },
        )
        return known(connection.execute(query("find_documents"), asked({named for named, _ in links})).fetchall())


async def of(connection: psycopg.AsyncConnection[Any], entries: Iterable[tuple[EntryKey, State]]) -> Known:
    """What has been registered of the documents that these entries name."""
    wanted = {named for key, state in entries for named in references(key, state)}
    if not wanted:
        return NOTHING_KNOWN
    return known(await (await connection.execute(query("find_documents"), asked(wanted))).fetchall())


async def registered(connection: psycopg.AsyncConnection[Any], keys: Iterable[DocumentKey]) -> set[DocumentKey]:
    """Those of which anything has been registered."""
    listed = list(keys)
    rows = await connection.execute(query("document_stamps"), _named(list(enumerate(listed))))
    return {listed[ordinal] for ordinal, _ in await rows.fetchall()}


def asked(wanted: Iterable[Reference]) -> dict[str, Any]:
    """Of `find_documents.sql`."""
    listed = sorted(wanted)
    return {
        "authorities": [named.authority for named in listed],
        "document_ids": [named.document_id for named in listed],
    }


def known(rows: Iterable[tuple[Any, ...]]) -> Known:
    """The value behind its rows."""
    found: dict[Reference, dict[str, Document]] = {}
    for authority, document_id, system, *columns in rows:
        found.setdefault(Reference(authority, document_id), {})[system] = Document(*columns)
    return found


def _columns(listed: Sequence[tuple[DocumentKey, list[Said]]]) -> dict[str, Any]:
    """One row a document: the newest that the batch says of it."""
    newest = [reduce(merge, (one.document for one in said)) for _, said in listed]
    return {
        **_named([(n, key) for n, (key, _) in enumerate(listed)]),
        "newest": [document.stamp for document in newest],
        "removed": [document.removed for document in newest],
        "levels": [document.level for document in newest],
        "titles": [document.title for document in newest],
        "confidential_titles": [document.confidential_title for document in newest],
        "types": [document.type for document in newest],
        "letter_dates": [document.letter_date for document in newest],
    }


def _named(keys: Sequence[tuple[int, DocumentKey]]) -> dict[str, Any]:
    return {
        "ordinals": [n for n, _ in keys],
        "authorities": [key.authority for _, key in keys],
        "systems": [key.system for _, key in keys],
        "document_ids": [key.document_id for _, key in keys],
    }
