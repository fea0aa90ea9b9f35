"""Judging one case event: is it well made, does an agreement cover it, what does its classification mean. Pure.

Every test looks at this event alone, so the verdict does not depend on what came before it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, cast

from broker.domain.agreement import AgreementState, Delimitation, Facts, SenderAgreement, gate
from broker.domain.case import GROUPS, SENSITIVITY, SENSITIVITY_UNSAID, STATES, CaseEvent, ItemGroup
from broker.domain.identity import has_cpr, is_cpr, is_cvr, is_uuid
from broker.domain.kle import Mapped
from broker.domain.outcome import Code, Delimited, Rejected, Warned, WarningCode

MICROSECONDS: Final = 1_000_000
FUTURE_TOLERANCE: Final = 300 * MICROSECONDS
LONGEST_EVENT_ID: Final = 200
NUL: Final = "\0"
"""No text that is searched for may hold it: the database cannot."""

PARTY_ROLES: Final = frozenset({"PRIMARY", "SECONDARY", "BENEFIT_RECIPIENT"})
ACTOR_ROLES: Final = frozenset({"RESPONSIBLE", "PRIMARY_HANDLER", "HANDLER", "LENT_TO"})
JOURNAL_KINDS: Final = frozenset({"DOCUMENT", "NOTE"})
REMOVAL_REASONS: Final = frozenset({"LEFT_INDEX", "DISPOSED", "WRONG_CITIZEN", "MERGED"})


def _digits(text: str) -> bool:
    return text.isascii() and text.isdecimal()


PARTY_FORMS: Final = {
    "CPR": is_cpr,
    "ECPR": lambda text: 0 < len(text) <= 20 and text.isalnum(),
    "CVR": is_cvr,
    "PNR": lambda text: len(text) == 10 and _digits(text),  # noqa: PLR2004 - the register's length
    "BFE": lambda text: 0 < len(text) <= 10 and _digits(text),  # noqa: PLR2004 - the register's length
    "ESR": lambda text: 0 < len(text) <= 20 and _digits(text),  # noqa: PLR2004 - municipality and property number
    "URN": lambda text: text.lower().startswith("urn:"),
    "FREE": lambda text: bool(text.strip()),
}


@dataclass(frozen=True, slots=True)
class Classified:
    """An event that may be kept. `event` carries its derived classification and cleaned texts."""

    event: CaseEvent
    agreement_version: int
    warnings: tuple[Warned, ...] = ()


Verdict = Classified | Delimited | Rejected


def judge(event: CaseEvent, facts: Facts, at: int) -> Verdict:
    """The whole judgement: the same at intake and, under the revision lock, in the worker.

    Args:
        at: when it was received, microseconds since 1970, UTC.
    """
    agreement = gate(event, facts)
    if isinstance(agreement, Rejected):
        return agreement
    verdict = classify(event, agreement, facts, at)
    if isinstance(verdict, Rejected) and verdict.covered and agreement.state is AgreementState.RESTRICTED:
        # Nothing shows that a restricted agreement covers what cannot be read: its bytes are not kept.
        return Rejected(verdict.code, verdict.pointer, verdict.detail, covered=False)
    return verdict


def classify(event: CaseEvent, agreement: SenderAgreement, facts: Facts, at: int) -> Verdict:
    """Judge an event whose sender has an open agreement."""
    if (flaw := _form(event, at)) is not None:
        return flaw
    if event["change"] == "REMOVED":
        return Classified(event, agreement.version)
    on = case_date(event)
    mapped: Mapped | None = None
    if (classification := event.get("classification")) is not None:
        result = facts.kle.map(classification, on)
        if isinstance(result, Rejected):
            return _covered(result, classification, agreement)
        mapped = result
    if (refused := _outside(event, agreement, mapped, on)) is not None:
        return refused
    for flaw in _group_flaws(event):
        return flaw
    if _delimited(event, facts.delimitations.get(event["authority"], ()), mapped, on):
        return Delimited()
    cleaned, warnings = _without_cpr(event)
    if warnings and agreement.refuse_title_cpr:
        return Rejected(Code.TITLE_HAS_CPR, warnings[0].pointer, "a civil registration number stands in the text")
    if mapped is not None and classification is not None:
        cleaned = cast(
            "CaseEvent",
            {
                **cleaned,
                "classification": {
                    "kle": mapped.number,
                    "facet": mapped.facet,
                    "original": dict(classification),
                    "rule": mapped.rule,
                    "edition": mapped.edition.isoformat(),
                },
            },
        )
    return Classified(cleaned, agreement.version, warnings)


def _covered(flaw: Rejected, classification: Mapping[str, Any], agreement: SenderAgreement) -> Rejected:
    """A number that is no subject is covered all the same where the agreement's patterns cover its place."""
    if flaw.code in (Code.KLE_UNKNOWN, Code.KLE_RETIRED) and not agreement.kle.covers(classification["kle"]):
        return Rejected(flaw.code, flaw.pointer, flaw.detail, covered=False)
    return flaw


def case_date(event: CaseEvent) -> date:
    """The date a case is judged by: when it was created, else when it was registered."""
    properties = event.get("properties")
    return _date(event["registered_at"] if properties is None else properties["created_at"])


def _date(micros: int) -> date:
    return datetime.fromtimestamp(micros / MICROSECONDS, UTC).date()


def _violation(pointer: str, detail: str) -> Rejected:
    return Rejected(Code.SCHEMA_VIOLATION, pointer, detail)


_EARLIEST = -62_135_596_800 * MICROSECONDS
_LATEST = 253_402_300_799 * MICROSECONDS


def _form(event: CaseEvent, at: int) -> Rejected | None:
    if not 0 < len(event["event_id"]) <= LONGEST_EVENT_ID:
        return _violation("/event_id", f"1 to {LONGEST_EVENT_ID} characters")
    if has_cpr(event["event_id"]):
        return _violation("/event_id", "a civil registration number stands in the identifier")
    properties = event.get("properties")
    for pointer, text in (
        ("/event_id", event["event_id"]),
        ("/properties/user_key", (properties or {}).get("user_key")),
    ):
        if text is not None and NUL in text:
            return _violation(pointer, "a NUL character")
    if not is_cvr(event["authority"]):
        return _violation("/authority", "a CVR number has 8 digits")
    if not is_uuid(event["case_id"]):
        return _violation("/case_id", "a UUID in lower case")
    if event["change"] not in ("REGISTERED", "REMOVED"):
        return _violation("/change", "REGISTERED or REMOVED")
    for pointer, moment in _moments(event):
        if moment is not None and not _EARLIEST <= moment <= _LATEST:
            return _violation(pointer, "a time between the years 1 and 9999")
    if not -(1 << 63) <= (event.get("sequence") or 0) < 1 << 63:
        return _violation("/sequence", "an integer of 64 bits")
    if event["registered_at"] > at + FUTURE_TOLERANCE:
        return Rejected(Code.REGISTERED_IN_FUTURE, "/registered_at", "more than five minutes ahead")
    if event["change"] == "REMOVED" and event.get("removal_reason") not in REMOVAL_REASONS:
        return _violation("/removal_reason", "one of " + " ".join(sorted(REMOVAL_REASONS)))
    if event["change"] == "REGISTERED" and all(event.get(group) is None for group in GROUPS):
        return Rejected(Code.MANDATORY_MISSING, "", "the event says nothing of the case")
    return None


def _moments(event: CaseEvent) -> Iterator[tuple[str, int | None]]:
    yield "/registered_at", event["registered_at"]
    if (properties := event.get("properties")) is not None:
        yield "/properties/created_at", properties["created_at"]
    for group in ("progress", "parties"):
        for index, item in enumerate(_items(event, group)):
            yield f"/{group}/items/{index}/effective_from", item.get("effective_from")
            yield f"/{group}/items/{index}/effective_to", item.get("effective_to")
    for index, item in enumerate(_items(event, "journal")):
        yield f"/journal/items/{index}/registered_at", item.get("registered_at")


def _items(event: CaseEvent, group: str) -> list[dict[str, Any]]:
    listed = cast("ItemGroup | None", event.get(group))
    return [] if listed is None else listed["items"]


def _group_flaws(event: CaseEvent) -> Iterator[Rejected]:
    yield from _access_flaws(event.get("access"))
    progress = event.get("progress")
    if progress is not None:
        yield from _progress_flaws(progress)
    for index, party in enumerate(_items(event, "parties")):
        yield from _party_flaws(party, f"/parties/items/{index}")
    for index, actor in enumerate(_items(event, "actors")):
        if actor["role"] not in ACTOR_ROLES:
            yield _violation(f"/actors/items/{index}/role", "one of " + " ".join(sorted(ACTOR_ROLES)))
    for index, entry in enumerate(_items(event, "journal")):
        if entry["kind"] not in JOURNAL_KINDS:
            yield _violation(f"/journal/items/{index}/kind", "DOCUMENT or NOTE")
        if entry.get("sensitivity") is not None and entry["sensitivity"] not in SENSITIVITY:
            yield Rejected(
                Code.SENSITIVITY_UNKNOWN, f"/journal/items/{index}/sensitivity", "not one of the four levels"
            )
    for group in ("parties", "actors", "journal", "security_profile"):
        seen: set[str] = set()
        for index, item in enumerate(_items(event, group)):
            if item["item_id"] in seen:
                yield _violation(f"/{group}/items/{index}/item_id", "the same item twice in one list")
            seen.add(item["item_id"])


def _access_flaws(access: Mapping[str, Any] | None) -> Iterator[Rejected]:
    if access is not None and access.get("sensitivity") is not None and access["sensitivity"] not in SENSITIVITY:
        yield Rejected(Code.SENSITIVITY_UNKNOWN, "/access/sensitivity", "not one of the four levels")


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


def _party_flaws(party: Mapping[str, Any], pointer: str) -> Iterator[Rejected]:
    if party["role"] not in PARTY_ROLES:
        yield Rejected(Code.PARTY_MALFORMED, f"{pointer}/role", "one of " + " ".join(sorted(PARTY_ROLES)))
    form = PARTY_FORMS.get(party["id_type"])
    if form is None:
        yield Rejected(Code.PARTY_UNKNOWN_TYPE, f"{pointer}/id_type", "no such kind of identifier")
    elif NUL in party["id"] or not form(party["id"]):
        yield Rejected(Code.PARTY_MALFORMED, f"{pointer}/id", f"not of the form of {party['id_type']}")


def _outside(event: CaseEvent, agreement: SenderAgreement, mapped: Mapped | None, on: date) -> Rejected | None:
    def outside(pointer: str, detail: str) -> Rejected:
        return Rejected(Code.OUTSIDE_AGREEMENT, pointer, detail, covered=False)

    if on < agreement.from_date:
        return outside("/properties/created_at", f"cases from {agreement.from_date} on")
    if (access := event.get("access")) is not None:
        level = access.get("sensitivity")
        if (SENSITIVITY_UNSAID if level is None else SENSITIVITY.get(level, 0)) > agreement.sensitivity:
            return outside("/access/sensitivity", "above the agreement's ceiling")
    if mapped is None:
        return None
    if not agreement.kle.covers(mapped.number):
        return outside("/classification/kle", f"the agreement does not name {mapped.number}")
    if agreement.state is AgreementState.RESTRICTED and not agreement.restricted_kle.covers(mapped.number):
        named = {party["id"] for party in _items(event, "parties") if party["role"] == "PRIMARY"}
        if named.isdisjoint(agreement.restricted_citizens):
            return outside("/classification/kle", "the agreement is still restricted")
    return None


def _delimited(event: CaseEvent, choices: tuple[Delimitation, ...], mapped: Mapped | None, on: date) -> bool:
    """Whether the municipality has said what it wants, and this is not in it."""
    if not choices or mapped is None:
        return False
    closed = any(step["state"] == "AFSLUTTET" for step in _items(event, "progress"))
    return not any(
        choice.kle.covers(mapped.number) and on >= choice.from_date and not (choice.active_only and closed)
        for choice in choices
    )


def _without_cpr(event: CaseEvent) -> tuple[CaseEvent, tuple[Warned, ...]]:
    """Texts in which a CPR number stands are emptied; an empty title is shown as the KLE title."""
    warnings: list[Warned] = []
    properties = event.get("properties")
    if properties is not None:
        for name in ("title", "user_key", "link"):
            text = properties.get(name)
            if text is not None and has_cpr(text):
                properties = {**properties, name: None if name == "link" else ""}
                warnings.append(_replaced(f"/properties/{name}"))
    journal = cast("ItemGroup | None", event.get("journal"))
    if journal is not None and any(has_cpr(f"{item['title']} {item.get('link') or ''}") for item in journal["items"]):
        items = []
        for index, item in enumerate(journal["items"]):
            for name in ("title", "link"):
                if has_cpr(item.get(name) or ""):
                    item = {**item, name: None if name == "link" else ""}  # noqa: PLW2901 - the cleaned one
                    warnings.append(_replaced(f"/journal/items/{index}/{name}"))
            items.append(item)
        journal = {"complete": journal["complete"], "items": items}
    if not warnings:
        return event, ()
    return cast("CaseEvent", {**event, "properties": properties, "journal": journal}), tuple(warnings)


def _replaced(pointer: str) -> Warned:
    return Warned(WarningCode.TITLE_REPLACED, pointer, "a civil registration number stood in the text")
