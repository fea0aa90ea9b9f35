"""The document event: judging one, which registration stands, and what of it the cases that name it may show. Pure.

A document is a thing of its own: the newest registration says all there is of it, and whatever is wrong with one is
never the fault of a case. A case names it by `document_id` in its journal; the document names no case.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, NamedTuple, NotRequired, TypedDict, cast, final

from broker.domain.agreement import AgreementState, Facts, gate
from broker.domain.batch import Arrival, Place, Plan, reject
from broker.domain.case import NEVER, SENSITIVITY, CaseEvent, Item, Stamp, State, just_before, stamp_of, visible_items
from broker.domain.form import EARLIEST, FUTURE_TOLERANCE, LONGEST_KEY, NUL, identity_flaw, violation
from broker.domain.identity import EntryKey, has_cpr, is_uuid
from broker.domain.outcome import VERDICT_BYTE, Code, Rejected, Warned, WarningCode

TITLES: Final = ("title", "confidential_title")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@final
class DocumentEvent(TypedDict):
    """`dk.sagsbro.v1.DocumentEvent`: `registered_at` in microseconds since 1970, UTC; `letter_date` as YYYY-MM-DD.

    Final, so that `"case_id" in event` tells the two kinds of event apart to the type checker as well.
    """

    event_id: str
    system: str
    authority: str
    document_id: str
    registered_at: int
    sequence: NotRequired[int | None]
    title: NotRequired[str | None]
    confidential_title: NotRequired[str | None]
    type: NotRequired[str | None]
    letter_date: NotRequired[str | None]
    sensitivity: NotRequired[str | None]
    removed: bool


Event = CaseEvent | DocumentEvent


class DocumentKey(NamedTuple):
    """One document as one sender knows it: nobody else can touch it."""

    authority: str
    system: str
    document_id: str


class Reference(NamedTuple):
    """What a case of an authority names in its journal."""

    authority: str
    document_id: str


class Document(NamedTuple):
    """One registration, whole. `level`: 1 to 4, 0 where it says none: then the case's own counts."""

    stamp: Stamp
    removed: bool = False
    level: int = 0
    title: str | None = None
    confidential_title: str | None = None
    type: str | None = None
    letter_date: str | None = None


Known = Mapping[Reference, Mapping[str, Document]]
"""What has been registered of the documents that cases name, by system."""
NOTHING_KNOWN: Final[Known] = {}


@dataclass(frozen=True, slots=True)
class Kept:
    """An event that may be kept, its titles cleaned."""

    event: DocumentEvent
    warnings: tuple[Warned, ...] = ()


class Said(NamedTuple):
    """What the event at `place`, counted from the batch's first offset, says; None: its verdict is settled."""

    place: int | None
    document: Document


Documents = dict[DocumentKey, list[Said]]


def key_of(event: DocumentEvent) -> DocumentKey:
    """The document that the event is about."""
    return DocumentKey(event["authority"], event["system"], event["document_id"])


def merge(one: Document, other: Document) -> Document:
    """The newest registration, whole."""
    return max(one, other, key=lambda document: document.stamp)


def outcome_of(before: Stamp, said: Stamp) -> str:
    """What one registration did to a document: indexed, stale or duplicate."""
    return "indexed" if said > before else "duplicate" if said == before else "stale"


def judge(event: DocumentEvent, facts: Facts, at: int) -> Kept | Rejected:
    """The whole judgement: the same at intake and, under the revision lock, in the worker.

    An agreement's KLE and dates are the cases' to meet: a document is seen through them alone.

    Args:
        at: when it was received, microseconds since 1970, UTC.
    """
    agreement = gate(cast("CaseEvent", event), facts)
    if isinstance(agreement, Rejected):
        return agreement
    for flaw in _flaws(event, at):
        return replace(flaw, covered=agreement.state is AgreementState.FULL)
    if _level(event.get("sensitivity")) > agreement.sensitivity:
        return Rejected(Code.OUTSIDE_AGREEMENT, "/sensitivity", "above the agreement's ceiling", covered=False)
    found = [name for name in TITLES if has_cpr(_text(event, name) or "")]
    if found and agreement.refuse_title_cpr:
        detail, covered = "a civil registration number stands in the text", agreement.state is AgreementState.FULL
        return Rejected(Code.TITLE_HAS_CPR, f"/{found[0]}", detail, covered)
    cleaned = cast("DocumentEvent", {**event, **dict.fromkeys(found, "")})
    return Kept(cleaned, tuple(_replaced(name) for name in found))


def said_by(event: DocumentEvent, stamp: Stamp) -> Document:
    """What a judged event says of its document; of one that is removed nothing more is kept."""
    if event["removed"]:
        return Document(stamp, removed=True)
    return Document(
        stamp,
        level=_level(event.get("sensitivity")),
        title=event.get("title"),
        confidential_title=event.get("confidential_title"),
        type=event.get("type"),
        letter_date=event.get("letter_date"),
    )


def plan(arrivals: list[Arrival], facts: Facts, place: Place) -> tuple[Plan, Documents]:
    """Judge every arrival by the same facts; the plan has no cases."""
    made = Plan(arrivals[0].offset, bytearray(arrivals[-1].offset - arrivals[0].offset + 1))
    documents: Documents = {}
    for arrival in arrivals:
        index = arrival.offset - made.first_offset
        if arrival.event is None:
            flaw = Rejected(Code.MALFORMED_PAYLOAD, "", arrival.flaw, covered=False)
            reject(made, index, arrival, flaw, place)
            continue
        event = cast("DocumentEvent", arrival.event)
        made.systems[index] = event["system"]
        verdict = judge(event, facts, arrival.received_ms * 1000)
        if isinstance(verdict, Kept):
            said = Said(index, said_by(verdict.event, stamp_of(arrival.event, arrival.digest)))
            documents.setdefault(key_of(event), []).append(said)
            continue
        reject(made, index, arrival, verdict, place)
        if verdict.code is Code.OUTSIDE_AGREEMENT:
            # It has risen above what may be held: it is hidden, also where the cases' journals know no better.
            # Just before any registration of that moment: the same event, sent again when it may be held, is newer.
            gone = Said(None, Document(just_before(arrival.event), removed=True))
            documents.setdefault(key_of(event), []).append(gone)
    return made, documents


def settle(made: Plan, said: list[Said], before: Stamp) -> None:
    """Give each event of one document its verdict in the order of the log."""
    for index, document in said:
        if index is not None:
            made.verdicts[index] = VERDICT_BYTE[outcome_of(before, document.stamp)]
        before = max(before, document.stamp)


def references(key: EntryKey, state: State) -> set[Reference]:
    """The documents that a case names."""
    return {named for item in visible_items(state, "journal") if (named := _reference(key, item)) is not None}


def shown_in(key: EntryKey, item: Item, known: Known) -> Document | None:
    """The document of a journal item as this case may show it; None when it is removed, or no document.

    Of several senders of one document the case's own says what it is called, else the newest; the highest level that
    anybody has said counts. What nobody has registered is as the journal says.
    """
    if item["kind"] != "DOCUMENT":
        return None
    noted = Document(NEVER, level=_level(item.get("sensitivity")), title=item["title"])
    named = _reference(key, item)
    registered = None if named is None else known.get(named)
    if not registered:
        return noted
    own = registered.get(key.system) or max(registered.values(), key=lambda document: document.stamp)
    if own.removed:
        return None
    level = max(noted.level, *(document.level for document in registered.values()))
    return own._replace(level=level, title=own.title or noted.title)


def _reference(key: EntryKey, item: Item) -> Reference | None:
    document_id = (item.get("document_id") or "").lower()
    named = item["kind"] == "DOCUMENT" and is_uuid(document_id)
    return Reference(key.authority, document_id) if named else None


def _flaws(event: DocumentEvent, at: int) -> Iterator[Rejected]:
    if (flaw := identity_flaw(event, "document_id")) is not None:
        yield flaw
    yield from _time_flaws(event, at)
    yield from _content_flaws(event)


def _time_flaws(event: DocumentEvent, at: int) -> Iterator[Rejected]:
    if event["registered_at"] < EARLIEST:
        yield violation("/registered_at", "a time between the years 1 and 9999")
    if event["registered_at"] > at + FUTURE_TOLERANCE:
        yield Rejected(Code.REGISTERED_IN_FUTURE, "/registered_at", "more than five minutes ahead")


def _content_flaws(event: DocumentEvent) -> Iterator[Rejected]:
    for name in (*TITLES, "type"):
        if NUL in (_text(event, name) or ""):
            yield violation(f"/{name}", "characters, none of them NUL")
    if len(event.get("type") or "") > LONGEST_KEY:
        yield violation("/type", f"at most {LONGEST_KEY} characters")
    if (letter_date := event.get("letter_date")) is not None and not _is_date(letter_date):
        yield violation("/letter_date", "a date as YYYY-MM-DD")
    if (sensitivity := event.get("sensitivity")) is not None and sensitivity not in SENSITIVITY:
        yield Rejected(Code.SENSITIVITY_UNKNOWN, "/sensitivity", "not one of the four levels")


def _level(sensitivity: str | None) -> int:
    return 0 if sensitivity is None else SENSITIVITY.get(sensitivity, 0)


def _is_date(text: str) -> bool:
    try:
        return _DATE.fullmatch(text) is not None and date.fromisoformat(text) is not None
    except ValueError:
        return False


def _text(event: DocumentEvent, name: str) -> str | None:
    return cast("str | None", event.get(name))


def _replaced(name: str) -> Warned:
    return Warned(WarningCode.TITLE_REPLACED, f"/{name}", "a civil registration number stood in the text")
