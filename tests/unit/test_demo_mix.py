"""The demo's streams together: exactly what was asked for, every kind in it, and each promise as the rules have it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from broker.domain.agreement import SenderAgreement
from broker.domain.case import key_of
from broker.domain.kle import Edition, KleBook
from broker.domain.outcome import Code, Rejected
from broker.intake import forms
from broker.intake.verdicts import Accepted, Sender, canonical_offers, judge_all
from connectors.standards.klgateway import CONNECTOR
from ops.demo import canonical, care, mix
from ops.demo.expected import Expected
from ops.demo.forms import FORMS
from ops.demo.mix import senders, shares, stream
from ops.demo.payloads import STEP
from ops.demo.sample import Sending
from ops.demo.world import AARHUS, SYSTEM, kle
from tests.unit import test_demo_care, test_demo_payloads
from tests.unit.test_demo_payloads import agreement_of, facts

NOW = datetime(2026, 5, 1, tzinfo=UTC)
BY_LINE = {
    "malformed_payload",
    "system_mismatch",
    "kle_retired",
    "state_history_incomplete",
    "title_has_cpr",
    "too_large",
}
NEVER = {
    "unknown_system",  # a token names known systems only
    "document_orphan",  # documents come with cases that are taken in
    "consent_malformed",  # no consents are taken in yet
    "consent_not_specific",
    "consent_authority",
}


def lines_agreement() -> SenderAgreement:
    (put,) = canonical.agreements()
    return replace(agreement_of(put), refuse_title_cpr=put["on_title_cpr"] == "REFUSE")


def items(sent: Sequence[Sending]) -> Sequence[forms.Item]:
    """What the intake finds in a request of these lines."""
    form = FORMS[canonical.SYSTEM]
    found = forms.canonical(form.media_type, form.body(sent))
    assert not isinstance(found, Rejected)
    return found


def test_exactly_as_many_events_as_asked_for_are_sent() -> None:
    for events in (1, 2, 17, 101, 500, 2_345):
        assert sum(len(sending.expect) for sending in stream(3, events, NOW)) == events
        assert sum(shares(events).values()) == events


def test_everybody_who_sends_is_known_and_everybody_known_sends() -> None:
    met = {sending.sender for sending in stream(1, 20_000, NOW)}

    assert met == set(senders())
    assert {sender.system for sender in met} == set(FORMS)


def test_nothing_is_registered_after_the_end() -> None:
    offers = canonical_offers(items(list(canonical.stream(1, 10, 40, NOW - 40 * STEP))))
    moments = [offer.event["registered_at"] for offer in offers if isinstance(offer.event, dict)]

    assert moments
    assert max(moments) <= NOW.timestamp() * 1_000_000


def test_each_line_is_judged_as_promised_and_every_kind_comes() -> None:
    book = KleBook((Edition(date(2020, 1, 1), {**kle(), canonical.RETIRED: "x"}), Edition(date(2022, 1, 1), kle())))
    known = replace(facts(), senders={(AARHUS, canonical.SYSTEM): lines_agreement()}, kle=book)
    sent = list(canonical.stream(1, 100, 10 * canonical.EACH_ONCE, NOW - timedelta(days=1)))
    sender = Sender(canonical.SYSTEM, frozenset({AARHUS}))
    judged = judge_all(canonical_offers(items(sent)), sender, known, int(NOW.timestamp() * 1_000_000))

    verdicts = ["indexed" if isinstance(one.verdict, Accepted) else "rejected" for one in judged]
    assert verdicts == [sending.expect[0] for sending in sent]
    assert {one.verdict.code for one in judged if not isinstance(one.verdict, Accepted)} == BY_LINE  # type: ignore[union-attr]
    whole = {
        key_of(one.verdict.event).case_id
        for one in judged
        if isinstance(one.verdict, Accepted) and "case_id" in one.verdict.event and one.verdict.event.get("progress")
    }
    assert {case for sending in sent for case, _ in sending.cases} == whole


def test_a_delivery_of_many_bundles_has_its_events_where_they_are_expected() -> None:
    sent = [mix.of_care(delivery) for delivery in care.stream(5, 40, 400)]

    payloads = CONNECTOR.split(FORMS[care.SYSTEM].body(sent))

    assert isinstance(payloads, list)
    found = {place for place, payload in enumerate(payloads) if "plan" in payload}
    first, expected = 0, set()
    for sending in sent:
        expected |= {first + number for number in range(len(sending.expect))}
        first += sending.places
    assert found == expected
    assert len(payloads) == first


def test_every_code_that_can_occur_is_met() -> None:
    met = BY_LINE | test_demo_payloads.CODES | test_demo_care.CODES

    assert met == set(Code) - NEVER


def test_what_is_expected_in_the_index_counts_each_case_once_and_not_what_has_left() -> None:
    expected, cases = Expected(), Counter[str]()
    for sending in stream(2, 3_000, NOW):
        expected.note(sending)
        cases.update(case for case, citizen in sending.cases if citizen is not None)
    removed = len(cases) - expected.cases

    assert 0 < removed < len(cases) / 2
    assert len(expected.citizens(5)) == 5


def test_the_citizen_to_search_for_has_cases_in_several_systems() -> None:
    expected = Expected()
    systems: dict[str, set[str]] = {}
    for sending in stream(1, 2_000, NOW):
        expected.note(sending)
        for _, citizen in sending.cases:
            systems.setdefault(citizen or "", set()).add(sending.sender.system)

    assert systems[expected.citizens(1)[0]] >= {SYSTEM, care.SYSTEM}
