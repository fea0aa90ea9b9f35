"""Reading all reference data as one value, as of one revision."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import psycopg

from broker.domain import overview
from broker.domain.agreement import (
    AgreementState,
    Authority,
    CitizenView,
    Delimitation,
    Facts,
    ReaderAgreement,
    SenderAgreement,
)
from broker.domain.case import SENSITIVITY
from broker.domain.kle import Patterns
from broker.domain.policy import flaws
from broker.store import kle_book
from broker.store.database import query

Row = tuple[Any, ...]


def load(connection: psycopg.Connection[Any]) -> Facts:
    """Everything the decisions read; call it inside a transaction whose snapshot is the one meant."""
    with connection.cursor() as cursor:
        (everything,) = cursor.execute(query("load_facts")).fetchone() or (None,)
    if everything is None:
        raise LookupError("the database has no reference revision: run the migrations")
    return from_rows(everything)


async def stands(
    connection: psycopg.AsyncConnection[Any], made: Callable[[Mapping[str, Any]], Facts] | None = None
) -> Facts:
    """The same, of what stands now. Tens of thousands of KLE titles: `made` of them off the event loop."""
    row = await (await connection.execute(query("load_facts"))).fetchone()
    if row is None or row[0].get("revision") is None:
        raise LookupError("the database has no reference revision: run the migrations")
    return await asyncio.to_thread(made or from_rows, row[0])


async def at(connection: psycopg.AsyncConnection[Any], moment: datetime) -> tuple[Facts, bool]:
    """What stood at that moment, and whether the policy of then is known; of authorities no history is kept.

    Where it is not known, or asks for tests that this program has not, the facts have the policy of now.
    """
    row = await (await connection.execute(query("load_facts_at"), {"at": moment})).fetchone()
    if row is None:
        raise LookupError("the database has no reference revision: run the migrations")
    return await asyncio.to_thread(_stood, row[0])


def _stood(rows: Mapping[str, Any]) -> tuple[Facts, bool]:
    facts, document = from_rows(rows), rows["policy"]
    if document is None:
        return facts, False
    try:
        _, policy = overview.read(document)
    except overview.FlawedPolicyError:
        return facts, False
    return (facts, False) if flaws(policy) else (replace(facts, policy=policy), True)


def note_policy(connection: psycopg.Connection[Any]) -> None:
    """Write down which policy this program has, from now on."""
    connection.execute(query("note_policy"), {"document": overview.text()})


def from_rows(rows: Mapping[str, Any]) -> Facts:
    """The value behind the JSON that `load_facts.sql` makes."""
    readers: dict[tuple[str, str], list[ReaderAgreement]] = defaultdict(list)
    for body in rows["readers"]:
        agreement = reader_agreement(body)
        readers[agreement.authority, agreement.overview].append(agreement)
    senders = [sender_agreement(row["body"], row["version"]) for row in rows["senders"]]
    return Facts(
        revision=rows["revision"],
        senders={(agreement.authority, agreement.system): agreement for agreement in senders},
        readers={key: tuple(listed) for key, listed in readers.items()},
        delimitations={row["authority"]: tuple(map(delimitation, row["body"])) for row in rows["delimitations"]},
        authorities={body["cvr"]: Authority(body["cvr"], body["name"]) for body in rows["authorities"]},
        citizen_views={row["authority"]: tuple(map(citizen_view, row["body"])) for row in rows["citizen_views"]},
        kle=kle_book.from_rows(rows),
    )


def sender_agreement(body: Mapping[str, Any], version: int) -> SenderAgreement:
    """From the shape of the contract; what is checked when it is put is not checked again."""
    restricted = body.get("restricted") or {}
    return SenderAgreement(
        body["authority"],
        body["system"],
        version,
        AgreementState(body["state"]),
        Patterns.of(body["kle"]),
        SENSITIVITY[body["sensitivity"]],
        date.fromisoformat(body["from_date"]),
        Patterns.of(restricted.get("kle", ())),
        frozenset(restricted.get("citizens", ())),
        body.get("on_title_cpr") == "REFUSE",
    )


def reader_agreement(body: Mapping[str, Any]) -> ReaderAgreement:
    """From the shape of the contract."""
    to_date = body.get("to_date")
    return ReaderAgreement(
        body["authority"],
        body["overview"],
        body["client"],
        AgreementState(body["state"]),
        Patterns.of(body["kle"]),
        SENSITIVITY[body["sensitivity"]],
        date.fromisoformat(body["from_date"]),
        None if to_date is None else date.fromisoformat(to_date),
        body.get("tells_hidden") is True,
    )


def delimitation(body: Mapping[str, Any]) -> Delimitation:
    """From the shape of the contract."""
    return Delimitation(Patterns.of(body["kle"]), date.fromisoformat(body["from_date"]), bool(body.get("active_only")))


def citizen_view(body: Mapping[str, Any]) -> CitizenView:
    """From the shape of the contract."""
    return CitizenView(
        body["authority"],
        Patterns.of([body["kle"]]),
        body["on"],
        date.fromisoformat(body["from_date"]),
        body["active_exempt"],
        frozenset(body["systems"]),
        body["title"],
        body["documents"],
    )
