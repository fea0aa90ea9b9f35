"""The smaller senders of the demo: what is promised of each payload is what connector and rules make of it."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from broker.domain import document
from broker.domain.agreement import Facts
from broker.domain.case import (
    EMPTY,
    NEVER,
    CaseEvent,
    Stamp,
    State,
    content_hash,
    key_of,
    outcome_of,
    said_by,
    stamp_of,
)
from broker.domain.classify import Classified, judge
from broker.domain.document import Event
from broker.domain.identity import EntryKey, is_cpr
from broker.domain.outcome import Delimited, Rejected
from broker.intake.connector import Source, load
from ops.demo import care, mix
from ops.demo.forms import FORMS
from ops.demo.lives import Vendor, settled, stream
from ops.demo.payloads import citizens
from ops.demo.sample import Sending
from ops.demo.vendors import VENDORS
from tests.unit.test_demo_payloads import RECEIVED, agreement_of, facts

START = datetime(2026, 4, 1, tzinfo=UTC)
CODES = {
    "acadre": {"state_unknown", "sensitivity_unknown", "mandatory_missing", "virkning_overlap"},
    "nova": {
        "suspended",
        "kle_unknown",
        "state_unknown",
        "party_unknown_type",
        "party_malformed",
        "sensitivity_unknown",
        "schema_violation",
    },
    "edoc": {
        "no_agreement",
        "state_unknown",
        "sensitivity_unknown",
        "unmapped_local_code",
        "party_malformed",
        "schema_violation",
    },
    "getorganized": {
        "outside_agreement",
        "mandatory_missing",
        "kle_malformed",
        "state_unknown",
        "party_malformed",
        "sensitivity_unknown",
    },
    "workpoint": {
        "outside_agreement",
        "schema_violation",
        "state_unknown",
        "party_malformed",
        "kle_malformed",
        "virkning_overlap",
    },
    "nexus": {"state_unknown", "party_malformed", "unmapped_local_code", "mandatory_missing"},
    "sensum": {
        "malformed_payload",
        "state_unknown",
        "unmapped_local_code",
        "party_malformed",
        "schema_violation",
        "virkning_overlap",
    },
    "sf1470": {"outside_agreement", "mandatory_missing", "authority_mismatch", "party_malformed", "state_unknown"},
}
every_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.system)


def of_vendor(vendor: Vendor) -> Facts:
    senders = {(put["authority"], put["system"]): agreement_of(put) for put in vendor.agreements()}
    return replace(facts(), senders=senders)


class Index:
    """The broker without its database, and the codes that it gave."""

    def __init__(self, vendor: Vendor) -> None:
        self._vendor = vendor
        self._facts = of_vendor(vendor)
        self._cases: dict[EntryKey, State] = {}
        self._documents: dict[document.DocumentKey, Stamp] = {}
        self.codes: Counter[str] = Counter()

    def take(self, sent: Sequence[Sending]) -> list[str]:
        """A batch of one sender, as it goes over the wire; a status for each payload in it."""
        connector = load(self._vendor.system)
        assert connector is not None
        payloads = connector.split(self._vendor.form.body(sent))
        assert not isinstance(payloads, Rejected)
        source = Source(self._vendor.system, sent[0].sender.authority, self._vendor.configuration)
        outcomes = []
        for payload in payloads:
            events = connector.translate(payload, source)
            outcomes.append(self._refused(events) if isinstance(events, Rejected) else self._judged(*events))
        return outcomes

    def _judged(self, event: Event) -> str:
        if "case_id" not in event:
            kept = document.judge(event, self._facts, RECEIVED)
            return self._refused(kept) if isinstance(kept, Rejected) else self._document(kept.event)
        verdict = judge(event, self._facts, RECEIVED)
        match verdict:
            case Rejected():
                return self._refused(verdict)
            case Delimited():
                return "delimited"
            case Classified():
                stamp = stamp_of(verdict.event, _hash(verdict.event))
                key = key_of(verdict.event)
                said = said_by(verdict.event, stamp, "source")
                outcome, self._cases[key] = outcome_of(self._cases.get(key, EMPTY), said)
                return outcome

    def _refused(self, flaw: Rejected) -> str:
        self.codes[flaw.code] += 1
        return "rejected"

    def _document(self, event: document.DocumentEvent) -> str:
        key, stamp = document.key_of(event), stamp_of(cast("CaseEvent", event), _hash(event))
        before = self._documents.get(key, NEVER)
        self._documents[key] = max(before, stamp)
        return document.outcome_of(before, stamp)


def _hash(event: Event) -> bytes:
    return content_hash(json.dumps(event, sort_keys=True).encode())


@every_vendor
def test_every_promise_holds_when_the_stream_is_taken_in_order(vendor: Vendor) -> None:
    index = Index(vendor)
    sent = list(stream(vendor, seed=7, cases=100, events=800, start=START))

    broken = [
        (number, sending.expect, outcomes)
        for number, sending in enumerate(sent)
        if (outcomes := index.take([sending])) != list(sending.expect)
    ]

    assert broken == []
    assert set(index.codes) == CODES[vendor.system]


@every_vendor
def test_a_batch_has_its_events_where_they_are_expected(vendor: Vendor) -> None:
    for sender in vendor.senders():
        batch = [one for one in stream(vendor, 3, 100, 400, START) if one.sender == sender]

        assert Index(vendor).take(batch) == [status for sending in batch for status in sending.expect]


@every_vendor
def test_exactly_as_many_as_asked_for_of_every_status_and_the_same_again(vendor: Vendor) -> None:
    sent = list(stream(vendor, 5, 100, 1_000, START))

    assert len(sent) == 1_000
    assert {"indexed", "stale", "duplicate", "rejected"} <= {sending.expect[0] for sending in sent}
    assert sent == list(stream(vendor, 5, 100, 1_000, START))
    assert sent != list(stream(vendor, 6, 100, 1_000, START))


@every_vendor
def test_the_citizens_are_those_of_the_case_stream(vendor: Vendor) -> None:
    known = {number.replace("-", "") for number in citizens(6, 100)}
    named = {citizen for one in stream(vendor, 6, 100, 500, START) for _, citizen in one.cases if citizen is not None}

    assert named
    assert named <= known
    assert all(is_cpr(citizen) for citizen in named)


def test_all_twelve_vendors_and_both_standards_send() -> None:
    sending = {sender.system.partition(":")[0] for sender in mix.senders()}

    esdh = {"acadre", "sbsys", "nova", "edoc", "getorganized", "workpoint"}
    eoj = {"vitae", "sensum", "nexus", "modulus", "cura", "domus"}
    assert sending == esdh | eoj | {"sf1470", "klgateway"}
    assert set(FORMS) == {sender.system for sender in mix.senders()}
    assert set(mix.configuration()) <= set(FORMS)


def test_everybody_but_those_without_an_agreement_has_one_for_each_system() -> None:
    agreed = {(put["authority"], put["system"]) for vendor in VENDORS for put in vendor.agreements()}
    agreed |= {(put["authority"], put["system"]) for put in care.agreements()}
    deliver = {(authority, vendor.system) for vendor in VENDORS for authority in vendor.authorities}

    assert deliver <= agreed
    assert {(authority, system) for system, of in care.SYSTEMS.items() for authority in of} <= agreed


def test_no_stream_runs_through_the_hour_that_comes_twice() -> None:
    twice = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    hour = timedelta(hours=1)

    for hours in range(-30, 60):
        end = settled(twice + (hours - 2) * hour, twice + hours * hour)
        assert end <= twice + hours * hour
        assert not end - 2 * hour <= twice <= end
