"""What goes out to an overview topic for one entry: a value with its audience, or nothing. Pure."""

from datetime import datetime
from typing import Any

from broker.domain.agreement import Facts
from broker.domain.audience import Audience, Grant, Nobody, audience
from broker.domain.case import SENSITIVITY_NAMES, State, visible_items
from broker.domain.document import Known, shown_in
from broker.domain.entry import Entry, steps_in_order
from broker.domain.form import is_web
from broker.domain.policy import Overview, as_switched, protected


def publication(
    entry: Entry, state: State, revision: int, overview: str, facts: Facts, at: datetime, known: Known
) -> dict[str, Any] | None:
    """An OverviewEntry, or None for a tombstone."""
    admitted = audience(entry, overview, facts, at)
    if isinstance(admitted, Nobody):
        return None
    key = entry.key
    return {
        "authority": key.authority,
        "system": key.system,
        "case_id": key.case_id,
        "revision": revision,
        "registered_at": state.source[1]["registered_at"],
        "audience": {
            "authorities": list(admitted.authorities),
            "kle": admitted.kle,
            "sensitivity": SENSITIVITY_NAMES[admitted.sensitivity],
            "clients": list(admitted.clients),
            "principals": None if admitted.principals is None else sorted(admitted.principals),
            "grants": None if admitted.grants is None else [_grant(grant) for grant in admitted.grants],
        },
        "content": _content(entry, state, admitted, facts.policy[overview], facts, at, known),
    }


def _grant(grant: Grant) -> dict[str, Any]:
    return {
        "effort_id": grant.effort_id,
        "principals": sorted(grant.principals),
        "areas": list(grant.areas.patterns()),
        "authorities": sorted(grant.authorities),
        "valid_to": None if grant.valid_to is None else int(grant.valid_to.timestamp() * 1_000_000),
    }


def _content(
    entry: Entry, state: State, admitted: Audience, row: Overview, facts: Facts, at: datetime, known: Known
) -> dict[str, Any] | None:
    if admitted.reference_only:
        return None
    own_title, documents = as_switched(entry, row, facts)
    properties, classification = state.groups["properties"][1], state.groups["classification"][1]
    kle_title = facts.kle.title(admitted.kle, entry.key.authority)
    return {
        "user_key": properties["user_key"],
        # A title that had a civil registration number in it is empty: the KLE title stands in.
        "title": (own_title and properties["title"]) or kle_title or admitted.kle,
        "kle_title": kle_title,
        "facet": classification.get("facet"),
        "created_at": properties["created_at"],
        "state": entry.state,
        "local_status": properties.get("local_status"),
        # A topic has no reader: a link that gives a protected place away is for search alone.
        # One that was kept before other schemes than http and https were dropped is not for anybody.
        "link": None if not is_web(link := properties.get("link")) or protected(entry, facts, at) else link,
        "progress": [
            {
                "state": step["state"],
                "effective_from": step["effective_from"],
                "effective_to": step.get("effective_to"),
            }
            for step in steps_in_order(state)
        ],
        "parties": [
            {"role": party["role"], "id_type": party["id_type"], "id": party["id"]}
            for party in visible_items(state, "parties")
        ],
        "documents": [
            {
                "document_id": item.get("document_id"),
                "title": document.title or kle_title or admitted.kle,
                "registered_at": item["registered_at"],
                "sensitivity": SENSITIVITY_NAMES.get(document.level),
            }
            for item in visible_items(state, "journal")
            # A document above the case's own level is for search, where each reader is judged by it.
            if documents
            and (document := shown_in(entry.key, item, known)) is not None
            and document.level <= admitted.sensitivity
        ],
    }
