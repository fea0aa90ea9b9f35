"""The demo's care stream: what it promises of each intervention is what the connector and the rules make of it."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

from broker.domain.case import EMPTY, State, content_hash, key_of, outcome_of, said_by, stamp_of
from broker.domain.classify import judge
from broker.domain.identity import EntryKey
from broker.domain.outcome import Delimited, Rejected
from broker.intake.connector import Source
from connectors.standards.klgateway import CONNECTOR
from ops.demo.care import SYSTEM, Delivery, agreements, configuration, stream
from ops.demo.payloads import citizens
from tests.unit.test_demo_payloads import agreement_of, one
from tests.unit.test_demo_payloads import facts as facts_of_cases

RECEIVED = 1_780_000_000_000_000
CODES = {
    "mandatory_missing",
    "state_unknown",
    "unmapped_local_code",
    "schema_violation",
    "registered_in_future",
    "virkning_overlap",
    "authority_mismatch",
    "party_malformed",
    "party_unknown_type",
    "sensitivity_unknown",
}


class Index:
    """The broker without its database: an entry for each case, and the verdict on each planned intervention."""

    def __init__(self) -> None:
        senders = {(put["authority"], put["system"]): agreement_of(put) for put in agreements()}
        self.facts = replace(facts_of_cases(), senders=senders)
        self.entries: dict[EntryKey, State] = {}
        self.codes: Counter[str] = Counter()

    def take(self, delivery: Delivery) -> tuple[str, ...]:
        payloads = CONNECTOR.split(json.dumps(delivery.bundle).encode())
        assert not isinstance(payloads, Rejected)
        return tuple(
            self._outcome(payload, delivery.authority)
            for payload in payloads
            if isinstance(payload, dict) and "plan" in payload
        )

    def _outcome(self, payload: Any, authority: str) -> str:
        translated = CONNECTOR.translate(payload, Source(SYSTEM, authority, configuration()))
        verdict = translated if isinstance(translated, Rejected) else judge(one(translated), self.facts, RECEIVED)
        if isinstance(verdict, Rejected):
            self.codes[verdict.code] += 1
            return "rejected"
        assert not isinstance(verdict, Delimited)
        key = key_of(verdict.event)
        stamp = stamp_of(verdict.event, content_hash(json.dumps(verdict.event, sort_keys=True).encode()))
        outcome, self.entries[key] = outcome_of(self.entries.get(key, EMPTY), said_by(verdict.event, stamp, "source"))
        return outcome


def test_every_promise_holds_when_the_deliveries_are_taken_in_order() -> None:
    index = Index()

    broken = [
        (number, delivery.expect, outcome)
        for number, delivery in enumerate(stream(seed=7, citizens=300, events=6_000))
        if (outcome := index.take(delivery)) != delivery.expect
    ]

    assert broken == []
    assert set(index.codes) == CODES


def test_every_status_but_delimited_occurs() -> None:
    expected = Counter(status for delivery in stream(seed=3, citizens=200, events=5_000) for status in delivery.expect)

    assert set(expected) == {"indexed", "stale", "duplicate", "rejected"}
    assert 150 < expected["rejected"] < 600


def test_the_same_seed_gives_the_same_stream_and_another_seed_another() -> None:
    first, again, other = (list(stream(seed, citizens=20, events=200)) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_exactly_as_many_interventions_as_asked_for_are_delivered() -> None:
    for citizens_, events in ((0, 20), (1, 100), (30, 1), (30, 0)):
        assert sum(len(delivery.expect) for delivery in stream(5, citizens_, events)) == events


def test_the_citizens_are_those_of_the_case_stream() -> None:
    known = {number.replace("-", "") for number in citizens(seed=6, cases=200)}

    for delivery in stream(seed=6, citizens=100, events=300):
        number = delivery.bundle["entry"][0]["resource"]["identifier"][0]["value"]
        assert number in known or not number.isdecimal() or "rejected" in delivery.expect
