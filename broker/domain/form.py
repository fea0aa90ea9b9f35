"""Whether a case event is well made: its head, and what is inside its groups. Pure.

Each rule gives the first flaw it finds, or None.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, cast

from broker.domain.case import GROUPS, SENSITIVITY, STATES, CaseEvent, Item, ItemGroup
from broker.domain.identity import has_cpr, is_cpr, is_cvr, is_uuid
from broker.domain.outcome import Code, Rejected

ItemFlaw = Callable[[Item], Rejected | None]
"""The flaw of one item, its pointer beginning at the item."""
MICROSECONDS: Final = 1_000_000
FUTURE_TOLERANCE: Final = 300 * MICROSECONDS
LONGEST_EVENT_ID: Final = 200
LONGEST_KEY: Final = 200
"""Of texts that are searched for: the database's index has a limit, and so has a number that people use."""
NUL: Final = "\0"
"""No text that is searched for may hold it: the database cannot."""

PARTY_ROLES: Final = frozenset({"PRIMARY", "SECONDARY", "BENEFIT_RECIPIENT"})
ACTOR_ROLES: Final = frozenset({"RESPONSIBLE", "PRIMARY_HANDLER", "HANDLER", "LENT_TO"})
JOURNAL_KINDS: Final = frozenset({"DOCUMENT", "NOTE"})
REMOVAL_REASONS: Final = frozenset({"LEFT_INDEX", "DISPOSED", "WRONG_CITIZEN", "MERGED"})


def _digits(text: str) -> bool:
    return text.isascii() and text.isdecimal()


PARTY_FORMS: Final[dict[str, Callable[[str], bool]]] = {
    "CPR": is_cpr,
    "ECPR": lambda text: 0 < len(text) <= 20 and text.isalnum(),  # noqa: PLR2004 - letters and digits, by type
    "CVR": is_cvr,
    "PNR": lambda text: len(text) == 10 and _digits(text),  # noqa: PLR2004 - the register's length
    "BFE": lambda text: 0 < len(text) <= 10 and _digits(text),  # noqa: PLR2004 - the register's length
    "ESR": lambda text: 0 < len(text) <= 20 and _digits(text),  # noqa: PLR2004 - municipality and property number
    "URN": lambda text: text.lower().startswith("urn:"),
    "FREE": lambda text: bool(text.strip()),
}


def violation(pointer: str, detail: str) -> Rejected:
    """A field that does not fit the schema, by its JSON pointer."""
    return Rejected(Code.SCHEMA_VIOLATION, pointer, detail)


def searchable(text: str) -> bool:
    """Whether the database can hold the text and find it."""
    return len(text) <= LONGEST_KEY and NUL not in text


def is_web(link: str | None) -> bool:
    """Whether it can be handed out: an http or https address, or none. Another scheme may run in the reader's page."""
    return not link or link[:8].lower().startswith(("https://", "http://"))


def _one_of(names: frozenset[str]) -> str:
    return "one of " + " ".join(sorted(names))


EARLIEST: Final = -62_135_596_800 * MICROSECONDS
LATEST: Final = 253_402_300_799 * MICROSECONDS


def head_flaw(event: CaseEvent, at: int) -> Rejected | None:
    """What is wrong with the event as such; `at` is when it was received, microseconds since 1970, UTC."""
    return (
        identity_flaw(event, "case_id")
        or _change_flaw(event)
        or _moment_flaw(event)
        or (
            Rejected(Code.REGISTERED_IN_FUTURE, "/registered_at", "more than five minutes ahead")
            if event["registered_at"] > at + FUTURE_TOLERANCE
            else None
        )
    )


def identity_flaw(event: Mapping[str, Any], subject: str) -> Rejected | None:
    """What is wrong with who says it, and of what; `subject`: the field that has its UUID."""
    event_id = event["event_id"]
    if not 0 < len(event_id) <= LONGEST_EVENT_ID or NUL in event_id:
        return violation("/event_id", f"1 to {LONGEST_EVENT_ID} characters, none of them NUL")
    # A UUID has no room for one: no six digits stand alone in it.
    if not is_uuid(event_id) and has_cpr(event_id):
        return violation("/event_id", "a civil registration number stands in the identifier")
    if not is_cvr(event["authority"]):
        return violation("/authority", "a CVR number has 8 digits")
    if not is_uuid(event[subject]):
        return violation(f"/{subject}", "a UUID in lower case")
    if not -(1 << 63) <= (event.get("sequence") or 0) < 1 << 63:
        return violation("/sequence", "an integer of 64 bits")
    return None


def _change_flaw(event: CaseEvent) -> Rejected | None:
    change = event["change"]
    if change == "REGISTERED":
        for group in GROUPS:
            if event.get(group) is not None:
                return None
        return Rejected(Code.MANDATORY_MISSING, "", "the event says nothing of the case")
    if change == "REMOVED":
        if event.get("removal_reason") is None:
            return Rejected(Code.MANDATORY_MISSING, "/removal_reason", _one_of(REMOVAL_REASONS))
        if event["removal_reason"] not in REMOVAL_REASONS:
            return violation("/removal_reason", _one_of(REMOVAL_REASONS))
        return None
    return violation("/change", "REGISTERED or REMOVED")


def _moment_flaw(event: CaseEvent) -> Rejected | None:
    if not EARLIEST <= event["registered_at"] <= LATEST:
        return _no_moment("/registered_at")
    properties = event.get("properties")
    if properties is not None and not EARLIEST <= properties["created_at"] <= LATEST:
        return _no_moment("/properties/created_at")
    return (
        _moment_in(event, "progress", "effective_from")
        or _moment_in(event, "progress", "effective_to")
        or _moment_in(event, "parties", "effective_from")
        or _moment_in(event, "parties", "effective_to")
        or _moment_in(event, "journal", "registered_at")
    )


def _moment_in(event: CaseEvent, group: str, name: str) -> Rejected | None:
    for index, item in enumerate(items_of(event, group)):
        moment = item.get(name)
        if moment is not None and not EARLIEST <= moment <= LATEST:
            return _no_moment(f"/{group}/items/{index}/{name}")
    return None


def _no_moment(pointer: str) -> Rejected:
    return violation(pointer, "a time between the years 1 and 9999")


def items_of(event: CaseEvent, group: str) -> list[dict[str, Any]]:
    """The items of a group, none when the event does not name it."""
    listed = cast("ItemGroup | None", event.get(group))
    return [] if listed is None else listed["items"]


def group_flaw(event: CaseEvent) -> Rejected | None:
    """What is wrong inside the groups: the first of it, in their order."""
    properties = event.get("properties")
    if properties is not None and not searchable(properties["user_key"]):
        return violation("/properties/user_key", f"at most {LONGEST_KEY} characters, none of them NUL")
    access = event.get("access")
    if access is not None:
        level = access.get("sensitivity")
        if level is not None and level not in SENSITIVITY:
            return Rejected(Code.SENSITIVITY_UNKNOWN, "/access/sensitivity", "not one of the four levels")
    progress = event.get("progress")
    if progress is not None and (flaw := _progress_flaw(progress)) is not None:
        return flaw
    for group, flaw_of in _ITEM_FLAWS.items():
        items = items_of(event, group)
        if items and (flaw := _items_flaw(group, items, flaw_of)) is not None:
            return flaw
    return None


def _items_flaw(group: str, items: list[dict[str, Any]], flaw_of: ItemFlaw) -> Rejected | None:
    seen: set[str] = set()
    for index, item in enumerate(items):
        flaw = flaw_of(item)
        if flaw is not None:
            return replace(flaw, pointer=f"/{group}/items/{index}{flaw.pointer}")
        item_id = item["item_id"]
        if item_id in seen:
            return violation(f"/{group}/items/{index}/item_id", "the same item twice in one list")
        seen.add(item_id)
    return None


def _principal_flaw(item: Item) -> Rejected | None:
    if not searchable(item["principal_id"]):
        return violation("/principal_id", f"at most {LONGEST_KEY} characters, none of them NUL")
    return None


def _actor_flaw(actor: Item) -> Rejected | None:
    return None if actor["role"] in ACTOR_ROLES else violation("/role", _one_of(ACTOR_ROLES))


def _journal_flaw(entry: Item) -> Rejected | None:
    if entry["kind"] not in JOURNAL_KINDS:
        return violation("/kind", _one_of(JOURNAL_KINDS))
    level = entry.get("sensitivity")
    if level is not None and level not in SENSITIVITY:
        return Rejected(Code.SENSITIVITY_UNKNOWN, "/sensitivity", "not one of the four levels")
    return None


def _progress_flaw(progress: ItemGroup) -> Rejected | None:
    items = progress["items"]
    begun = False
    for index, step in enumerate(items):
        state = step["state"]
        if state not in STATES:
            return Rejected(Code.STATE_UNKNOWN, f"/progress/items/{index}/state", "not one of the four states")
        begun = begun or state == "OPSTAAET"
    if progress["complete"] and not begun:
        return Rejected(Code.STATE_HISTORY_INCOMPLETE, "/progress/items", "OPSTAAET is missing")
    ordered = sorted(enumerate(items), key=_began)
    for place, (index, step) in enumerate(ordered):
        end = step.get("effective_to")
        if end is None:
            continue
        if end < step["effective_from"]:
            return Rejected(Code.VIRKNING_OVERLAP, f"/progress/items/{index}/effective_to", "ends before it begins")
        if place + 1 < len(ordered):
            following, after = ordered[place + 1]
            if end > after["effective_from"]:
                pointer = f"/progress/items/{following}/effective_from"
                return Rejected(Code.VIRKNING_OVERLAP, pointer, "begins before the last one ends")
    return None


def _began(numbered: tuple[int, Item]) -> Any:
    return numbered[1]["effective_from"]


def _party_flaw(party: Item) -> Rejected | None:
    if party["role"] not in PARTY_ROLES:
        return Rejected(Code.PARTY_MALFORMED, "/role", _one_of(PARTY_ROLES))
    form = PARTY_FORMS.get(party["id_type"])
    if form is None:
        return Rejected(Code.PARTY_UNKNOWN_TYPE, "/id_type", "no such kind of identifier")
    if not searchable(party["id"]) or not form(party["id"]):
        return Rejected(Code.PARTY_MALFORMED, "/id", f"not of the form of {party['id_type']}")
    return None


_ITEM_FLAWS: Final[dict[str, ItemFlaw]] = {
    "parties": _party_flaw,
    "actors": _actor_flaw,
    "journal": _journal_flaw,
    "security_profile": _principal_flaw,
}
