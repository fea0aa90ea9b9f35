"""Laws and verdicts of documents: the newest registration stands, and what a case may show of it."""

import uuid
from dataclasses import replace
from datetime import date
from itertools import permutations
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.agreement import AgreementState, Facts, SenderAgreement
from broker.domain.batch import Arrival, Place
from broker.domain.case import CaseEvent, content_hash, stamp_of
from broker.domain.document import (
    Document,
    DocumentEvent,
    Kept,
    Known,
    Reference,
    judge,
    key_of,
    merge,
    outcome_of,
    plan,
    said_by,
    shown_in,
)
from broker.domain.identity import EntryKey
from broker.domain.kle import Patterns
from broker.domain.outcome import Code, Rejected, read_verdict
from broker.intake.canonical import document_from_json, iso
from broker.intake.forms import Item
from broker.intake.verdicts import Accepted, Sender, canonical_offers, judge_all, leaves_index, removal_of
from broker.stream.framing import HEADER, Decoder, encode
from tests.strategies import AUTHORITY, DOCUMENT, SYSTEM, document_events

AGREEMENT = SenderAgreement(AUTHORITY, SYSTEM, 1, AgreementState.FULL, Patterns.of(["N*"]), 4, date(2000, 1, 1))
FACTS = Facts(1, {(AUTHORITY, SYSTEM): AGREEMENT})
AT = 1_800_000_000_000_000
EVENT: DocumentEvent = {
    "event_id": "e-1",
    "system": SYSTEM,
    "authority": AUTHORITY,
    "document_id": DOCUMENT,
    "registered_at": 1_700_000_000_000_000,
    "title": "Afgørelse",
    "removed": False,
}
OWN = EntryKey(AUTHORITY, SYSTEM, str(uuid.UUID(int=7)))
NOTED = {"item_id": "1", "kind": "DOCUMENT", "document_id": DOCUMENT, "title": "I sagen", "registered_at": 0}


def changed(**more: Any) -> DocumentEvent:
    return cast("DocumentEvent", {**EVENT, **more})


def said(event: DocumentEvent) -> Document:
    digest = content_hash(encode("document_event", event)[HEADER.size :])
    return said_by(event, stamp_of(cast("CaseEvent", event), digest))


def arrival(event: DocumentEvent, offset: int = 0) -> Arrival:
    value = encode("document_event", event)
    read = cast("CaseEvent", Decoder("document_event", lambda _: None).decode(value))
    return Arrival(offset, AT // 1000, value, read, content_hash(value[HEADER.size :]))


def agreed(**more: Any) -> Facts:
    return replace(FACTS, senders={(AUTHORITY, SYSTEM): replace(AGREEMENT, **more)})


@given(st.lists(document_events().map(said), min_size=1, max_size=4))
def test_any_order_and_any_duplication_give_the_same_document(documents: list[Document]) -> None:
    results = set()
    for order in permutations(documents):
        merged = order[0]
        for one in (*order, *documents):
            merged = merge(merged, one)
        results.add(merged)
    assert len(results) == 1
    assert results.pop().stamp == max(one.stamp for one in documents)


@given(document_events().map(said), document_events().map(said), document_events().map(said))
def test_merging_is_associative(one: Document, two: Document, three: Document) -> None:
    assert merge(merge(one, two), three) == merge(one, merge(two, three))


@given(document_events().map(said), document_events().map(said))
def test_an_outcome_says_whether_the_document_changed(before: Document, new: Document) -> None:
    assert (outcome_of(before.stamp, new.stamp) == "indexed") == (merge(before, new) != before)


def test_a_document_is_kept_whole() -> None:
    event = changed(sensitivity="VIP_SAGER", type="NOTAT", letter_date="2024-02-29", confidential_title="Hemmelig")
    kept = said(event)
    assert (kept.level, kept.title, kept.confidential_title) == (4, "Afgørelse", "Hemmelig")
    assert (kept.removed, kept.type, kept.letter_date) == (False, "NOTAT", "2024-02-29")
    assert said(changed(removed=True, sensitivity="VIP_SAGER")).title is None


@pytest.mark.parametrize(
    ("more", "code", "pointer"),
    [
        ({"document_id": "ABC"}, Code.SCHEMA_VIOLATION, "/document_id"),
        ({"event_id": ""}, Code.SCHEMA_VIOLATION, "/event_id"),
        ({"event_id": "0101011234"}, Code.SCHEMA_VIOLATION, "/event_id"),
        ({"sequence": 1 << 63}, Code.SCHEMA_VIOLATION, "/sequence"),
        ({"registered_at": -(1 << 62)}, Code.SCHEMA_VIOLATION, "/registered_at"),
        ({"registered_at": AT + 301_000_000}, Code.REGISTERED_IN_FUTURE, "/registered_at"),
        ({"title": "a\0b"}, Code.SCHEMA_VIOLATION, "/title"),
        ({"type": "x" * 201}, Code.SCHEMA_VIOLATION, "/type"),
        ({"letter_date": "2023-02-29"}, Code.SCHEMA_VIOLATION, "/letter_date"),
        ({"letter_date": "20230101"}, Code.SCHEMA_VIOLATION, "/letter_date"),
        ({"sensitivity": "HEMMELIG"}, Code.SENSITIVITY_UNKNOWN, "/sensitivity"),
        ({"system": "nobody"}, Code.UNKNOWN_SYSTEM, "/system"),
        ({"authority": "12345678"}, Code.NO_AGREEMENT, "/authority"),
    ],
)
def test_what_is_wrong_is_named(more: dict[str, Any], code: Code, pointer: str) -> None:
    refused = judge(changed(**more), FACTS, AT)
    assert isinstance(refused, Rejected)
    assert (refused.code, refused.pointer) == (code, pointer)


def test_a_title_with_a_civil_registration_number_is_emptied_or_refused_as_the_agreement_says() -> None:
    event = changed(title="Brev til 010101-1234", confidential_title="Om 0101011234")
    kept = judge(event, FACTS, AT)
    assert isinstance(kept, Kept)
    assert (kept.event["title"], kept.event["confidential_title"]) == ("", "")
    assert [warned.pointer for warned in kept.warnings] == ["/title", "/confidential_title"]
    refused = judge(event, agreed(refuse_title_cpr=True), AT)
    assert isinstance(refused, Rejected)
    assert refused.code is Code.TITLE_HAS_CPR


def test_bytes_are_kept_only_of_what_an_open_agreement_covers() -> None:
    for state, covered in ((AgreementState.FULL, True), (AgreementState.RESTRICTED, False)):
        refused = judge(changed(sensitivity="x"), agreed(state=state), AT)
        assert isinstance(refused, Rejected)
        assert refused.covered is covered


def test_a_document_above_the_ceiling_is_refused_and_hidden_until_it_may_be_held_again() -> None:
    made, documents = plan([arrival(changed(sensitivity="VIP_SAGER"))], agreed(sensitivity=3), Place("t", "id", 0))
    assert [read_verdict(byte) for byte in made.verdicts] == [("rejected", "outside_agreement")]
    assert made.rejections[0]["payload"] is None
    ((gone,),) = documents.values()
    assert (gone.document.removed, gone.document.title) == (True, None)
    assert gone.document.stamp > said(changed(registered_at=EVENT["registered_at"] - 1)).stamp
    assert gone.document.stamp < said(changed(sensitivity="VIP_SAGER")).stamp


def test_the_intake_refuses_it_and_hides_it_in_the_log_without_a_word_of_what_it_was() -> None:
    sent = {**EVENT, "registered_at": iso(EVENT["registered_at"]), "sensitivity": "VIP_SAGER"}
    offers = canonical_offers([Item(sent)], document_from_json)
    judged = judge_all(offers, Sender(SYSTEM, frozenset({AUTHORITY})), agreed(sensitivity=3), AT)
    assert isinstance(judged[0].verdict, Rejected)
    (leaving,) = leaves_index(judged)
    removal = cast("DocumentEvent", removal_of(leaving))
    assert (key_of(removal), removal["removed"], removal.get("title")) == (key_of(EVENT), True, None)
    assert isinstance(judge(removal, agreed(sensitivity=3), AT), Kept)


@given(document_events())
def test_what_the_intake_accepts_is_what_was_sent(event: DocumentEvent) -> None:
    sent = {**event, "registered_at": iso(event["registered_at"])}
    offers = canonical_offers([Item(sent)], document_from_json)
    (judged,) = judge_all(offers, Sender(SYSTEM, frozenset({AUTHORITY})), FACTS, AT)
    assert isinstance(judged.verdict, Accepted)
    assert judged.verdict.value == encode("document_event", event)


def test_what_nobody_has_registered_is_shown_as_the_journal_says() -> None:
    shown = shown_in(OWN, {**NOTED, "sensitivity": "VIP_SAGER"}, {})
    assert shown is not None
    assert (shown.title, shown.level) == ("I sagen", 4)
    assert shown_in(OWN, {**NOTED, "kind": "NOTE"}, {}) is None


def test_the_document_says_its_title_and_the_higher_level_counts() -> None:
    for of_document, of_item, level in ((1, "VIP_SAGER", 4), (3, None, 3), (0, None, 0)):
        document = Document(b"1", level=of_document, title="Afgørelse")
        shown = shown_in(OWN, {**NOTED, "sensitivity": of_item}, _known(sbsys=document))
        assert shown is not None
        assert (shown.title, shown.level) == ("Afgørelse", level)
    emptied = shown_in(OWN, NOTED, _known(sbsys=Document(b"1", title="")))
    assert emptied is not None
    assert emptied.title == "I sagen"


def test_a_removed_document_is_shown_in_no_case_also_when_its_id_is_written_in_capitals() -> None:
    gone = _known(sbsys=Document(b"1", removed=True))
    assert shown_in(OWN, NOTED, gone) is None
    assert shown_in(OWN, {**NOTED, "document_id": DOCUMENT.upper()}, gone) is None
    assert shown_in(OWN._replace(authority="29189420"), NOTED, gone) is not None


def test_another_sender_can_raise_the_level_of_a_document_and_neither_name_nor_remove_it() -> None:
    ours = Document(b"1", level=1, title="Vores")
    for theirs in (Document(b"2", level=4, title="Deres"), Document(b"2", removed=True)):
        shown = shown_in(OWN, NOTED, _known(sbsys=ours, nova=theirs))
        assert shown is not None
        assert (shown.title, shown.level) == ("Vores", max(1, theirs.level))
    of_others = shown_in(OWN._replace(system="nexus"), NOTED, _known(sbsys=ours, nova=Document(b"2", title="Nyest")))
    assert of_others is not None
    assert of_others.title == "Nyest"


def _known(**registered: Document) -> Known:
    return {Reference(AUTHORITY, DOCUMENT): registered}
