"""The demo's stream: what it promises of each payload is what the connector and the broker's rules make of it."""

import json
from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Any

from broker.domain.agreement import AgreementState, Authority, Delimitation, Facts, SenderAgreement
from broker.domain.case import EMPTY, SENSITIVITY, CaseEvent, State, content_hash, key_of, outcome_of, said_by, stamp_of
from broker.domain.classify import judge
from broker.domain.document import Event
from broker.domain.identity import EntryKey, is_cpr
from broker.domain.kle import Edition, KleBook, Patterns
from broker.domain.outcome import Delimited, Rejected
from broker.intake.connector import Source
from connectors.esdh.sbsys import CONNECTOR
from ops.demo.payloads import Sample, agreements, authorities, citizens, delimitations, reader_agreements, stream
from ops.demo.world import AARHUS, kle

RECEIVED = 1_780_000_000_000_000
CODES = {
    "kle_unknown",
    "kle_malformed",
    "outside_agreement",
    "no_agreement",
    "suspended",
    "mandatory_missing",
    "state_unknown",
    "party_malformed",
    "party_unknown_type",
    "facet_unknown",
    "registered_in_future",
    "schema_violation",
    "virkning_overlap",
}


def agreement_of(put: dict[str, Any]) -> SenderAgreement:
    return SenderAgreement(
        put["authority"],
        put["system"],
        1,
        AgreementState(put["state"]),
        Patterns.of(put["kle"]),
        SENSITIVITY[put["sensitivity"]],
        date.fromisoformat(put["from_date"]),
        Patterns.of(put["restricted"]["kle"]),
    )


def facts() -> Facts:
    return Facts(
        1,
        senders={(put["authority"], put["system"]): agreement_of(put) for put in agreements()},
        delimitations={
            put["authority"]: (
                Delimitation(Patterns.of(put["kle"]), date.fromisoformat(put["from_date"]), put["active_only"]),
            )
            for put in delimitations()
        },
        authorities={put["cvr"]: Authority(put["cvr"], put["name"]) for put in authorities()},
        kle=KleBook((Edition(date(2020, 1, 1), kle()),)),
    )


def one(events: Sequence[Event]) -> CaseEvent:
    (event,) = events
    assert "case_id" in event
    return event


class Index:
    """The broker without its database: an entry for each case, and the verdict on each payload."""

    def __init__(self) -> None:
        self.facts = facts()
        self.entries: dict[EntryKey, State] = {}
        self.codes: Counter[str] = Counter()

    def take(self, sample: Sample) -> str:
        (payload,) = CONNECTOR.split(json.dumps(sample.payload).encode())  # type: ignore[misc]
        translated = CONNECTOR.translate(payload, Source("sbsys", sample.authority))
        verdict = translated if isinstance(translated, Rejected) else judge(one(translated), self.facts, RECEIVED)
        match verdict:
            case Rejected(code):
                self.codes[code] += 1
                return "rejected"
            case Delimited():
                return "delimited"
            case _:
                self.codes.update(f"warned {warned.code}" for warned in verdict.warnings)
                event = verdict.event
        key = key_of(event)
        stamp = stamp_of(event, content_hash(json.dumps(event, sort_keys=True).encode()))
        outcome, self.entries[key] = outcome_of(self.entries.get(key, EMPTY), said_by(event, stamp, "source"))
        return outcome


def test_every_promise_holds_when_the_stream_is_taken_in_order() -> None:
    index = Index()

    broken = [
        (number, sample.expect, outcome)
        for number, sample in enumerate(stream(seed=7, cases=1_500, events=6_000))
        if (outcome := index.take(sample)) != sample.expect and sample.expect
    ]

    assert broken == []
    assert set(index.codes) == CODES | {"warned title_replaced"}


def test_every_status_occurs_and_about_six_in_a_hundred_are_wrong() -> None:
    expected = Counter(sample.expect for sample in stream(seed=3, cases=2_000, events=10_000))

    assert set(expected) == {"indexed", "stale", "duplicate", "delimited", "rejected"}
    assert 400 < expected["rejected"] + expected["delimited"] < 800


def test_the_same_seed_gives_the_same_stream_and_another_seed_another() -> None:
    first, again, other = (list(stream(seed, cases=50, events=200)) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_exactly_as_many_payloads_as_asked_for_come_even_with_few_cases() -> None:
    for cases, events in ((0, 50), (1, 200), (30, 10), (10, 10), (1, 0)):
        assert len(list(stream(seed=5, cases=cases, events=events))) == events


def test_all_cases_are_heard_of_when_there_is_room_for_them() -> None:
    good = {
        sample.payload["SagIdentity"] for sample in stream(4, 300, 2_000) if sample.expect in {"stale", "duplicate"}
    }
    indexed = {sample.payload["SagIdentity"] for sample in stream(4, 300, 2_000) if sample.expect == "indexed"}

    assert good <= indexed
    assert len(indexed) >= 300


def test_a_number_in_the_demo_has_the_form_of_a_cpr_number_and_belongs_to_the_unborn() -> None:
    for number in citizens(seed=9, cases=2_000):
        digits = number.replace("-", "")
        assert is_cpr(digits)
        assert 40 <= int(digits[4:6]) <= 57
        assert digits[6] in "5678"


def test_the_streams_citizens_are_the_ones_that_can_be_searched_for() -> None:
    known = set(citizens(seed=6, cases=200))

    for sample in stream(seed=6, cases=200, events=800):
        if sample.expect == "indexed" and "PrimaryPart" in sample.payload:
            assert sample.payload["PrimaryPart"]["CPRnummer"] in known


def test_what_is_put_has_the_fields_of_the_contract() -> None:
    assert {put["authority"] for put in agreements()} < {put["cvr"] for put in authorities()}
    assert {put["overview"] for put in reader_agreements()} == {"sapa", "borgerblikket", "hoi", "hok"}
    assert any(put["authority"] == AARHUS and put["state"] == "FULL" for put in agreements())
    assert all(put["override"] is True and put["reason"] for put in agreements())
