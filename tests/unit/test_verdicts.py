"""The intake's judgement, without HTTP, Kafka or a database."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given

from broker.domain.agreement import AgreementState, Facts, SenderAgreement
from broker.domain.case import CaseEvent
from broker.domain.kle import Edition, KleBook, Patterns
from broker.domain.outcome import Code, Rejected
from broker.intake.budget import Budget, Exhausted
from broker.intake.canonical import to_json
from broker.intake.connector import Connector, Source
from broker.intake.forms import Item
from broker.intake.verdicts import Accepted, Sender, canonical_offers, judge_all, kept_bytes, offers_of, removal_of
from broker.stream.framing import encode
from tests.strategies import AUTHORITY, KLE, events

AT = 1_800_000_000_000_000
SENDER = Sender("sbsys", frozenset({AUTHORITY}))
AGREEMENT = SenderAgreement(
    AUTHORITY, "sbsys", 1, AgreementState.FULL, Patterns.of(["N*"]), 4, date(2000, 1, 1)
)  # fmt: skip
FACTS = Facts(
    senders={(AUTHORITY, "sbsys"): AGREEMENT},
    kle=KleBook((Edition(date(2000, 1, 1), dict.fromkeys(KLE, "x")),)),
)


def verdict(raw: object, facts: Facts = FACTS, sender: Sender = SENDER) -> Any:
    (judged,) = judge_all(canonical_offers([Item(raw)]), sender, facts, AT)
    return judged.verdict


@given(events())
def test_what_is_accepted_goes_on_as_it_was_sent(event: CaseEvent) -> None:
    accepted = verdict(to_json(event))
    assert isinstance(accepted, Accepted)
    assert accepted.value == encode("case_event", event)


@given(events())
def test_nobody_sends_for_another(event: CaseEvent) -> None:
    raw = to_json(event)
    assert verdict(raw, sender=Sender("nova", SENDER.authorities)).code is Code.SYSTEM_MISMATCH
    assert verdict(raw, sender=Sender("sbsys", frozenset())).code is Code.AUTHORITY_MISMATCH


@pytest.mark.parametrize(
    ("raw", "state", "covered"),
    [
        ({"system": "sbsys", "authority": AUTHORITY}, AgreementState.FULL, True),
        ({"system": "sbsys", "authority": AUTHORITY}, AgreementState.RESTRICTED, False),
        ({"system": "sbsys", "authority": AUTHORITY}, AgreementState.SUSPENDED, False),
        ({"system": "nova", "authority": AUTHORITY}, AgreementState.FULL, False),
        ({"system": "sbsys", "authority": "29189420"}, AgreementState.FULL, False),
        ({"system": "sbsys"}, AgreementState.FULL, False),
        ("text", AgreementState.FULL, False),
    ],
)
def test_what_cannot_be_read_is_kept_only_under_an_open_agreement(
    raw: object, state: AgreementState, *, covered: bool
) -> None:
    facts = replace(FACTS, senders={(AUTHORITY, "sbsys"): replace(AGREEMENT, state=state)})
    refused = verdict(raw, facts)
    assert isinstance(refused, Rejected)
    assert refused.covered is covered


@given(events())
def test_a_removal_says_nothing_of_the_case(event: CaseEvent) -> None:
    removal = removal_of(event)
    assert set(removal) <= {
        "event_id",
        "system",
        "authority",
        "case_id",
        "registered_at",
        "sequence",
        "change",
        "removal_reason",
    }
    encode("case_event", removal)


@given(events())
def test_one_payload_may_become_several_events_of_one_index(event: CaseEvent) -> None:
    twice = Connector("sbsys", "esdh", (), lambda _: [], lambda _payload, _source: [event, event])
    offers = list(offers_of(["first", "second"], twice, Source("sbsys", AUTHORITY)))
    assert [offer.index for offer in offers] == [0, 0, 1, 1]


def test_a_payload_that_has_no_json_or_is_too_large_is_not_kept() -> None:
    deep: list[Any] = []
    for _ in range(500):
        deep = [deep]
    assert kept_bytes({"a": 1}) == b'{"a":1}'
    assert kept_bytes(b"<xml/>") == b"<xml/>"
    assert [kept_bytes(payload) for payload in (deep, "\ud800", object(), "x" * 1024 * 1024)] == [None] * 4


def test_the_budget_is_given_back_however_a_request_ends() -> None:
    budget = Budget(10)
    with budget.share("a") as one, budget.share("b") as other, budget.share("c") as third:
        one.grow(5)
        other.grow(4)
        with pytest.raises(Exhausted):
            third.grow(2)
        third.grow(1)
    assert (budget.used, budget.senders) == (0, {})


def test_no_sender_holds_more_than_half_of_the_budget() -> None:
    budget = Budget(10)
    with budget.share("a") as one, budget.share("a") as another, budget.share("b") as other:
        one.grow(3)
        with pytest.raises(Exhausted):
            another.grow(3)
        another.grow(2)
        other.grow(5)
