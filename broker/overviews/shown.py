"""An entry as a reader is shown it. Only for what `decide` permitted. Pure."""

import struct
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from broker.domain.agreement import Facts
from broker.domain.case import NEVER, SENSITIVITY_NAMES, Item, Stamp, State, visible_items
from broker.domain.document import Document, Known, shown_in
from broker.domain.entry import Entry, steps_in_order
from broker.domain.form import is_web
from broker.domain.moments import text as text  # noqa: PLC0414 - others take it from here
from broker.domain.policy import Permit, Query, as_switched, decide, protected
from broker.store.search import Found

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HANDLERS: Final = ("PRIMARY_HANDLER", "HANDLER")


def show(
    found: Found,
    state: State,
    entry: Entry,
    query: Query,
    facts: Facts,
    at: datetime,
    known: Known,
    *,
    references: frozenset[str],
) -> dict[str, Any]:
    """One Entry of the contract; `references`: the party searched for, whose part in the case is told."""
    row = facts.policy[query.overview]
    confidential_titles = "confidential_titles" in row.shows
    own_title, documents = as_switched(entry, row, facts)
    # A protected address: what gives a place away is for the owning authority alone.
    placeless = found.authority not in query.reader.authorities and protected(entry, facts, at)
    properties = _content(state, "properties")
    classification = _content(state, "classification")
    kle_title = facts.kle.title(entry.kle, entry.key.authority) if entry.kle else None
    actors = visible_items(state, "actors")
    responsible = None if placeless else _actor(actors, "RESPONSIBLE")
    handler = None if placeless or "handlers" not in row.shows else _actor(actors, *_HANDLERS)
    authority = facts.authorities.get(found.authority)
    shown = {
        "case_id": found.case_id,
        "authority": found.authority,
        "authority_name": authority.name if authority else None,
        "system": found.system,
        "citizen_role": _role_of(entry, references),
        "user_key": entry.user_key,
        "title": (own_title and properties.get("title")) or kle_title or "",
        "kle": entry.kle,
        "kle_title": kle_title,
        "facet": classification.get("facet"),
        "state": entry.state,
        "progress": [_step(step) for step in steps_in_order(state)],
        "sensitivity": SENSITIVITY_NAMES[entry.sensitivity],
        "responsible": _named(responsible),
        "handler": _named(handler),
        "contact": next((actor["contact"] for actor in (handler, responsible) if actor and actor.get("contact")), None),
        "link": None if placeless else _link(properties),
        "documents": [
            _document(item, document, confidential_title=confidential_titles, placeless=placeless)
            for item in visible_items(state, "journal")
            if documents
            and (document := shown_in(entry.key, item, known)) is not None
            and _may_see(document, entry, query, facts, at)
        ],
        "registered_at": moment(registered_at(found.newest)),
        "received_at": text(found.received_at),
        "indexed_at": text(found.indexed_at),
        "provenance": provenance(state),
    }
    # Here and with documents, and nowhere else, a title that the public may not see leaves the index.
    if confidential_titles and properties.get("confidential_title"):
        shown["confidential_title"] = properties["confidential_title"]
    return shown


def _role_of(entry: Entry, references: frozenset[str]) -> str | None:
    """The part that the party has in the case; of several, the primary one."""
    return next((role for role, party in entry.parties if party in references), None)


@lru_cache(maxsize=20_000)
def moment(micros: int) -> str:
    """Microseconds since 1970 as ISO 8601, UTC. Kept: hundreds of sources tell how fresh they are in each answer."""
    return (_EPOCH + timedelta(microseconds=micros)).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def registered_at(stamp: Stamp) -> int:
    """The time in a stamp: microseconds since 1970, UTC."""
    biased: int = struct.unpack(">Q", stamp[:8])[0]
    return biased - (1 << 63)


def _content(state: State, group: str) -> dict[str, Any]:
    content: dict[str, Any] = state.groups.get(group, (NEVER, {}))[1]
    return content


def _step(step: Item) -> dict[str, Any]:
    ends = step.get("effective_to")
    return {
        "state": step["state"],
        "effective_from": moment(step["effective_from"]),
        "effective_to": None if ends is None else moment(ends),
    }


def _actor(actors: list[Item], *roles: str) -> Item | None:
    return next((actor for role in roles for actor in actors if actor["role"] == role), None)


def _named(actor: Item | None) -> dict[str, Any] | None:
    return None if actor is None else {field: actor.get(field) for field in ("id", "name", "authority")}


def _link(said: Mapping[str, Any]) -> str | None:
    """As it was sent; one that was kept before other schemes were dropped is not handed out."""
    link: str | None = said.get("link")
    return link if is_web(link) else None


def _may_see(document: Document, entry: Entry, query: Query, facts: Facts, at: datetime) -> bool:
    """A document is seen through the case, and only by whom a case of the document's own level would be shown to."""
    if document.level <= entry.sensitivity:
        return True
    return isinstance(decide(replace(entry, sensitivity=document.level), query, facts, at), Permit)


def _document(item: Item, document: Document, *, confidential_title: bool, placeless: bool) -> dict[str, Any]:
    shown = {
        "document_id": item.get("document_id"),
        "title": document.title,
        "type": document.type,
        "letter_date": document.letter_date,
        "registered_at": moment(item["registered_at"]),
        "sensitivity": SENSITIVITY_NAMES.get(document.level),
        "link": None if placeless else _link(item),
    }
    if confidential_title and document.confidential_title:
        shown["confidential_title"] = document.confidential_title
    return shown


def provenance(state: State) -> dict[str, Any]:
    """Where the case came from, and how its number was found."""
    source: dict[str, Any] = state.source[1] or {}
    classification = _content(state, "classification")
    original = classification.get("original") or {}
    return {
        "event_id": source.get("event_id"),
        "kle_original": original.get("kle") or original.get("local_code"),
        "kle_rule": classification.get("rule"),
        "kle_edition": classification.get("edition"),
        "agreement_version": source.get("agreement_version"),
    }
