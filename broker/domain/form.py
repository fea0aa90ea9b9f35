"""Whether a case event is well made: its head, and what is inside its groups. Pure.

Each rule yields its flaws; whoever asks takes the first.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, cast

from broker.domain.case import GROUPS, SENSITIVITY, STATES, CaseEvent, Item, ItemGroup
from broker.domain.identity import has_cpr, is_cpr, is_cvr, is_uuid
from broker.domain.outcome import Code, Rejected

ItemFlaws = Callable[[Item, str], Iterator[Rejected]]
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


def _violation(pointer: str, detail: str) -> Rejected:
    return Rejected(Code.SCHEMA_VIOLATION, pointer, detail)


def _searchable(text: str) -> bool:
    return len(text) <= LONGEST_KEY and NUL not in text


def _one_of(names: frozenset[str]) -> str:
    return "one of " + " ".join(sorted(names))


_EARLIEST = -62_135_596_800 * MICROSECONDS
_LATEST = 253_402_300_799 * MICROSECONDS


def head_flaws(event: CaseEvent, at: int) -> Iterator[Rejected]:
    """What is wrong with the event as such; `at` is when it was received, microseconds since 1970, UTC."""
    yield from _identity_flaws(event)
    yield from _change_flaws(event)
    for pointer, moment in _moments(event):
        if moment is not None and not _EARLIEST <= moment <= _LATEST:
            yield _violation(pointer, "a time between the years 1 and 9999")
    if event["registered_at"] > at + FUTURE_TOLERANCE:
        yield Rejected(Code.REGISTERED_IN_FUTURE, "/registered_at", "more than five minutes ahead")


def _identity_flaws(event: CaseEvent) -> Iterator[Rejected]:
    event_id = event["event_id"]
    if not 0 < len(event_id) <= LONGEST_EVENT_ID or NUL in event_id:
        yield _violation("/event_id", f"1 to {LONGEST_EVENT_ID} characters, none of them NUL")
    if has_cpr(event_id):
        yield _violation("/event_id", "a civil registration number stands in the identifier")
    if not is_cvr(event["authority"]):
        yield _violation("/authority", "a CVR number has 8 digits")
    if not is_uuid(event["case_id"]):
        yield _violation("/case_id", "a UUID in lower case")
    if not -(1 << 63) <= (event.get("sequence") or 0) < 1 << 63:
        yield _violation("/sequence", "an integer of 64 bits")


def _change_flaws(event: CaseEvent) -> Iterator[Rejected]:
    match event["change"]:
        case "REGISTERED":
            if all(event.get(group) is None for group in GROUPS):
                yield Rejected(Code.MANDATORY_MISSING, "", "the event says nothing of the case")
        case "REMOVED":
            if event.get("removal_reason") not in REMOVAL_REASONS:
                yield _violation("/removal_reason", _one_of(REMOVAL_REASONS))
        case _:
            yield _violation("/change", "REGISTERED or REMOVED")


def _moments(event: CaseEvent) -> Iterator[tuple[str, int | None]]:
    yield "/registered_at", event["registered_at"]
    if (properties := event.get("properties")) is not None:
        yield "/properties/created_at", properties["created_at"]
    for group in ("progress", "parties"):
        for index, item in enumerate(items_of(event, group)):
            yield f"/{group}/items/{index}/effective_from", item.get("effective_from")
            yield f"/{group}/items/{index}/effective_to", item.get("effective_to")
    for index, item in enumerate(items_of(event, "journal")):
        yield f"/journal/items/{index}/registered_at", item.get("registered_at")


def items_of(event: CaseEvent, group: str) -> list[dict[str, Any]]:
    """The items of a group, none when the event does not name it."""
    listed = cast("ItemGroup | None", event.get(group))
    return [] if listed is None else listed["items"]


def group_flaws(event: CaseEvent) -> Iterator[Rejected]:
    """What is wrong inside the groups, in their order."""
    properties = event.get("properties")
    if properties is not None and not _searchable(properties["user_key"]):
        yield _violation("/properties/user_key", f"at most {LONGEST_KEY} characters, none of them NUL")
    yield from _access_flaws(event.get("access"))
    progress = event.get("progress")
    if progress is not None:
        yield from _progress_flaws(progress)
    for group, flaws in _ITEM_FLAWS.items():
        yield from _items_flaws(event, group, flaws)


def _items_flaws(event: CaseEvent, group: str, flaws: ItemFlaws) -> Iterator[Rejected]:
    seen: set[str] = set()
    for index, item in enumerate(items_of(event, group)):
        yield from flaws(item, f"/{group}/items/{index}")
        if item["item_id"] in seen:
            yield _violation(f"/{group}/items/{index}/item_id", "the same item twice in one list")
        seen.add(item["item_id"])


def _access_flaws(access: Item | None) -> Iterator[Rejected]:
    if access is not None and access.get("sensitivity") is not None and access["sensitivity"] not in SENSITIVITY:
        yield Rejected(Code.SENSITIVITY_UNKNOWN, "/access/sensitivity", "not one of the four levels")


def _principal_flaws(item: Item, pointer: str) -> Iterator[Rejected]:
    if not _searchable(item["principal_id"]):
        yield _violation(f"{pointer}/principal_id", f"at most {LONGEST_KEY} characters, none of them NUL")


def _actor_flaws(actor: Item, pointer: str) -> Iterator[Rejected]:
    if actor["role"] not in ACTOR_ROLES:
        yield _violation(f"{pointer}/role", _one_of(ACTOR_ROLES))


def _journal_flaws(entry: Item, pointer: str) -> Iterator[Rejected]:
    if entry["kind"] not in JOURNAL_KINDS:
        yield _violation(f"{pointer}/kind", _one_of(JOURNAL_KINDS))
    if entry.get("sensitivity") is not None and entry["sensitivity"] not in SENSITIVITY:
        yield Rejected(Code.SENSITIVITY_UNKNOWN, f"{pointer}/sensitivity", "not one of the four levels")


def _progress_flaws(progress: ItemGroup) -> Iterator[Rejected]:
    items = progress["items"]
    for index, step in enumerate(items):
        if step["state"] not in STATES:
            yield Rejected(Code.STATE_UNKNOWN, f"/progress/items/{index}/state", "not one of the four states")
    if progress["complete"] and all(step["state"] != "OPSTAAET" for step in items):
        yield Rejected(Code.STATE_HISTORY_INCOMPLETE, "/progress/items", "OPSTAAET is missing")
    ordered = sorted(range(len(items)), key=lambda index: items[index]["effective_from"])
    for index, following in zip(ordered, [*ordered[1:], None], strict=True):
        end = items[index].get("effective_to")
        if end is None:
            continue
        if end < items[index]["effective_from"]:
            yield Rejected(Code.VIRKNING_OVERLAP, f"/progress/items/{index}/effective_to", "ends before it begins")
        if following is not None and end > items[following]["effective_from"]:
            yield Rejected(
                Code.VIRKNING_OVERLAP, f"/progress/items/{following}/effective_from", "begins before the last one ends"
            )


def _party_flaws(party: Item, pointer: str) -> Iterator[Rejected]:
    if party["role"] not in PARTY_ROLES:
        yield Rejected(Code.PARTY_MALFORMED, f"{pointer}/role", _one_of(PARTY_ROLES))
    form = PARTY_FORMS.get(party["id_type"])
    if form is None:
        yield Rejected(Code.PARTY_UNKNOWN_TYPE, f"{pointer}/id_type", "no such kind of identifier")
    elif not _searchable(party["id"]) or not form(party["id"]):
        yield Rejected(Code.PARTY_MALFORMED, f"{pointer}/id", f"not of the form of {party['id_type']}")


_ITEM_FLAWS: Final[dict[str, ItemFlaws]] = {
    "parties": _party_flaws,
    "actors": _actor_flaws,
    "journal": _journal_flaws,
    "security_profile": _principal_flaws,
}
