"""What is registered of citizens: shapes, order, time."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.consent import CLOCKS_DIFFER, Kind, Objection, Registration, age, fold, next_change
from broker.domain.outcome import Code, Rejected
from broker.intake import os2forms
from broker.intake.persons import read, read_wire
from tests.integration.registering import CPR, consent, effort, objection, person_event, power
from tests.unit.overviews import a_consent, a_person, a_power
from tests.unit.worlds import AT

MOMENTS = st.integers(0, 4).map(lambda days: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=days))
REGISTRATIONS = st.lists(
    st.builds(
        lambda at, area, withdrawn: Registration(
            Kind.CONSENT, "c", CPR, "55133018", at, {"data_areas": [area], "withdrawn_at": withdrawn}
        ),
        MOMENTS,
        st.sampled_from(("27.*", "32.*")),
        st.sampled_from((None, None, "2024-01-02", "2024-01-03")),
    ),
    min_size=1,
    max_size=4,
)


@given(REGISTRATIONS, st.randoms(use_true_random=False))
def test_what_stands_is_the_same_in_any_order_and_however_often_it_came(
    listed: list[Registration], random: Any
) -> None:
    again = random.sample([*listed, *listed], 2 * len(listed))
    assert fold(again) == fold(listed)


@given(REGISTRATIONS)
def test_what_was_ever_withdrawn_stays_withdrawn(listed: list[Registration]) -> None:
    withdrawn = [each.body["withdrawn_at"] for each in listed if each.body["withdrawn_at"]]
    assert fold(listed)["withdrawn_at"] == min(withdrawn, default=None)


def test_a_consent_counts_from_its_beginning_to_just_before_its_end_and_never_when_withdrawn() -> None:
    lasts = a_consent(valid_from=AT, valid_to=AT + timedelta(days=1))
    moments = (AT - timedelta(microseconds=1), AT, AT + timedelta(days=1))
    assert [lasts.in_force(at) for at in moments] == [False, True, False]
    # Whatever moment it says: a withdrawal is at once.
    assert not a_consent(withdrawn_at=AT + timedelta(days=1)).in_force(AT)


@pytest.mark.parametrize("at", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_the_first_and_the_last_moment_there_is_are_moments_like_any_other(at: datetime) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert Objection("o", "hoi", at).in_force(now) is (at < now)
    assert Objection("o", "hoi", now, at).in_force(now) is (at > now)


def test_death_ends_consents_and_powers_at_its_moment() -> None:
    dead = a_person(consents=(a_consent(),), powers=(a_power(),), died=AT)
    (power,) = dead.powers
    just_before = AT - timedelta(microseconds=1)
    assert dead.consents_in_force("hoi", just_before)
    assert dead.powers_in_force(power.representatives, just_before)
    assert not dead.consents_in_force("hoi", AT)
    assert not dead.powers_in_force(power.representatives, AT)


def test_the_last_word_on_a_protected_address_counts_and_in_doubt_it_is_protected() -> None:
    day = timedelta(days=1)
    said = ((AT - 2 * day, True), (AT - day, False), (AT, True), (AT, False))
    person = a_person(protections=said)
    assert [person.protected(AT - days * day) for days in (3, 2, 1, 0)] == [False, True, False, True]


@pytest.mark.parametrize(
    ("cpr", "years"),
    [
        ("0101202444", 104),  # 1920 by its century digit
        ("0101204444", 4),
        ("0206104444", 14),
        ("0106104444", 15),
        ("6101204444", 4),  # an administrative number
        ("3102204444", None),
    ],
)
def test_the_age_is_by_the_numbers_date_and_century(cpr: str, years: int | None) -> None:
    assert age(cpr, date(2025, 6, 1)) == (years if years is None or cpr[:4] not in ("0101", "6101") else years + 1)


def test_the_clock_next_changes_what_a_registration_means_at_the_first_moment_ahead() -> None:
    body = {"valid_from": "2025-06-02T00:00:00+00:00", "valid_to": "2025-06-03T00:00:00+00:00"}
    at = datetime(2025, 6, 1, tzinfo=UTC)
    assert next_change(Kind.CONSENT, body, at) == at + timedelta(days=1)
    assert next_change(Kind.CONSENT, body, at + timedelta(days=1)) == at + timedelta(days=2)
    assert next_change(Kind.CONSENT, body, at + timedelta(days=2)) is None


SAID = {
    Kind.CONSENT: consent(),
    Kind.OBJECTION: objection(),
    Kind.POWER: power(),
    Kind.EFFORT: effort(),
    Kind.PERSON_EVENT: person_event("DECEASED"),
}


@pytest.mark.parametrize("kind", Kind)
def test_whatever_is_left_out_or_made_up_is_a_verdict_that_quotes_nothing(kind: Kind) -> None:
    whole = SAID[kind]
    assert isinstance(read(kind, whole, AT), Registration)
    for name in whole:
        for broken in ({**whole, name: 3.5}, {**whole, name: f"x {CPR}"}, {**whole, f"{name}{CPR}": 1}):
            verdict = read(kind, broken, AT)
            assert isinstance(verdict, Rejected)
            assert CPR not in verdict.pointer + verdict.detail


@pytest.mark.parametrize(
    ("kind", "said", "pointer"),
    [
        (Kind.CONSENT, consent(valid_to="2023-01-01T00:00:00Z"), "/valid_to"),
        (
            Kind.CONSENT,
            consent(given_by={"id_type": "CPR", "id": "0202024444", "capacity": "SELF"}),
            "/given_by/capacity",
        ),
        (Kind.CONSENT, consent(valid_from="2023-01-01"), "/valid_from"),
        (Kind.POWER, power(valid_to="2023-01-01T00:00:00Z"), "/valid_to"),
        (Kind.EFFORT, effort(valid_to="2023-01-01T00:00:00Z"), "/valid_to"),
        (Kind.PERSON_EVENT, person_event("CPR_CHANGED"), "/new_citizen"),
    ],
)
def test_what_is_seen_between_two_fields_points_at_the_one_to_correct(
    kind: Kind, said: dict[str, Any], pointer: str
) -> None:
    verdict = read(kind, said, AT)
    assert isinstance(verdict, Rejected)
    assert (verdict.code, verdict.pointer) == (Code.CONSENT_MALFORMED, pointer)
    assert verdict.detail != "not valid"


@given(st.recursive(st.none() | st.text() | st.integers(), lambda inner: st.dictionaries(st.text(), inner)))
def test_any_json_at_all_gets_a_verdict(raw: Any) -> None:
    for kind in Kind:
        assert isinstance(read(kind, raw, AT), Rejected)


def test_one_of_the_five_comes_in_a_record_of_the_log() -> None:
    values: tuple[dict[str, Any], ...] = ({}, {"effort": {}, "power": {}})
    for value in values:
        verdict = read_wire(value, AT)
        assert isinstance(verdict, Rejected)
        assert verdict.code is Code.CONSENT_MALFORMED


def test_a_registration_from_the_future_is_refused_but_for_clocks_that_differ() -> None:
    for ahead, accepted in ((CLOCKS_DIFFER, True), (CLOCKS_DIFFER + timedelta(seconds=1), False)):
        said = read(Kind.CONSENT, consent(registered_at=(AT + ahead).isoformat()), AT)
        assert isinstance(said, Registration) is accepted


DECLARATION = f"""<?xml version="1.0" encoding="UTF-8"?>
<v:Viljestilkendegivelseserklaering xmlns:v="urn:eksempel">
  <v:ID>urn:uuid:C0000000-0000-4000-8000-000000000001</v:ID>
  <v:Attestation><v:Underskriftstidspunkt>2024-05-01T10:00:00+02:00</v:Underskriftstidspunkt></v:Attestation>
  <v:ErklaeringHeader>
    <v:Erklaeringsskabelon>samtykke-3</v:Erklaeringsskabelon>
    <v:Aktoer><v:Aktoerrolle>viljestilkendegivelsessubjekt</v:Aktoerrolle>
      <v:Person><v:Navn>Ea</v:Navn><v:Identifikator><v:Vaerdi>{CPR}</v:Vaerdi></v:Identifikator></v:Person></v:Aktoer>
    <v:Aktoer><v:Aktoerrolle>viljetilkendegivelsesrekvirent</v:Aktoerrolle>
      <v:Organisation><v:CVR>55133018</v:CVR></v:Organisation></v:Aktoer>
    <v:Erklaeringsmetadata><v:Status>gaeldende</v:Status></v:Erklaeringsmetadata>
    <v:Viljestilkendegivelsestype>samtykke</v:Viljestilkendegivelsestype>
  </v:ErklaeringHeader>
</v:Viljestilkendegivelseserklaering>"""
BESIDES = {
    name: consent()[name]
    for name in ("effort_id", "data_areas", "data_authorities", "recipient_areas", "recipient_authorities")
}


def test_a_declaration_of_os2forms_is_a_consent_with_its_evidence() -> None:
    made = os2forms.read(DECLARATION.encode(), BESIDES)
    assert isinstance(made, dict)
    said = read(Kind.CONSENT, made, AT)
    assert isinstance(said, Registration)
    assert (said.id, said.citizen, said.authority) == ("c0000000-0000-4000-8000-000000000001", CPR, "55133018")
    assert said.body["signed_at"] == "2024-05-01T08:00:00.000000Z"
    assert (said.body["evidence"]["text_version"], len(said.body["evidence"]["sha256"])) == ("samtykke-3", 64)


@pytest.mark.parametrize(
    "document",
    [
        "x",
        DECLARATION.replace("gaeldende", "tilbagekaldt"),
        DECLARATION.replace(">samtykke<", ">fuldmagt<"),
        DECLARATION.replace("viljestilkendegivelsessubjekt", "andet"),
        DECLARATION.replace("<v:ID>", '<!ENTITY x "y"><v:ID>'),
    ],
)
def test_what_is_no_consent_in_force_is_none(document: str) -> None:
    assert isinstance(os2forms.read(document.encode(), BESIDES), Rejected)
