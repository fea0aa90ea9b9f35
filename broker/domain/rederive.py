"""Deriving an entry's state anew from the originals in it, by the reference data of now. Pure.

Only the classification in a state depends on reference data; everything else that is searched or decided on follows
from the state. Agreements and delimitations are judged when an entry is read or published, and are not in it.
"""

import struct
from datetime import date
from typing import Any, Final

from broker.domain.agreement import Facts, day_of
from broker.domain.case import NEVER, Stamp, State
from broker.domain.identity import EntryKey
from broker.domain.kle import KleBook, Mapped

_REGISTERED: Final = struct.Struct(">Q")


def rederived(key: EntryKey, state: State, facts: Facts) -> State:
    """The state that the same registrations make by these facts; `state` itself when nothing in it changes.

    A number that no longer maps is kept as the original alone: nobody is shown the entry until it maps again.
    """
    stamp, content = state.groups.get("classification", (NEVER, None))
    if content is None:
        return state
    original, on = content["original"], _judged_on(state, facts.kle)
    mapped = facts.kle.map(key.authority, key.system, original, on)
    derived: dict[str, Any] = {
        "kle": mapped.number if isinstance(mapped, Mapped) else None,
        "facet": mapped.facet if isinstance(mapped, Mapped) else None,
        "original": original,
        "rule": mapped.rule if isinstance(mapped, Mapped) else None,
        "edition": _edition(facts.kle, on),
    }
    if "on" in content:
        derived["on"] = content["on"]
    if derived == content:
        return state
    return State({**state.groups, "classification": (stamp, derived)}, state.items, state.removed, state.source)


def registered_at(stamp: Stamp) -> int:
    """When the registration was made, microseconds since 1970, UTC."""
    moment: int = _REGISTERED.unpack_from(stamp)[0]
    return moment - (1 << 63)


def _judged_on(state: State, book: KleBook) -> date:
    """The date that the event with the classification was judged by.

    Of what was kept before the date was noted, it is worked out. Had the event properties, they are still there or
    newer ones have taken their place. Of newer ones it cannot be told whether they took any place: then the edition
    that was in force tells, where it can.
    """
    stamp, content = state.groups["classification"]
    if "on" in content:
        return date.fromisoformat(content["on"])
    since, properties = state.groups.get("properties", (NEVER, None))
    if since < stamp:
        return day_of(registered_at(stamp))
    created = day_of(properties["created_at"])
    if since == stamp:
        return created
    registered = day_of(registered_at(stamp))
    told = _edition(book, registered) == content["edition"] != _edition(book, created)
    return registered if told else created


def _edition(book: KleBook, on: date) -> str | None:
    edition = book.in_force(on)
    return None if edition is None else edition.published.isoformat()
