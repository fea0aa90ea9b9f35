"""The register of persons on a real database, and what every overview shows by it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.domain.agreement import Facts
from broker.domain.batch import Arrival, Place
from broker.domain.consent import Kind, fold
from broker.domain.outcome import VERDICT_BYTE, Code
from broker.domain.policy import Query, Reader, Reason, Scope
from broker.overviews.search import Answer, Refused
from broker.processing.registering import write_registrations
from broker.store.batch import prepare
from broker.store.database import connect
from broker.store.persons import Author
from broker.stream.framing import Decoder, encode
from tests.integration.registering import (
    AUTHORITY,
    CPR,
    EFFORT,
    LONG_AGO,
    NEW_CPR,
    OTHER_CPR,
    REGISTRAR,
    an_id,
    consent,
    effort,
    kind_of,
    objection,
    person_event,
    power,
    put,
    registration,
    soon,
    withdrawn,
)
from tests.integration.searching import Index, listed, opened, state_like
from tests.unit.overviews import a_view, base
from tests.unit.worlds import an_entry

CONSENTED = (effort(), consent())
OTHERS_CVR = "29189420"
OTHERS = Author("Another", frozenset({OTHERS_CVR}))


@pytest.fixture
def index(database: str) -> Iterator[Index]:
    with opened(database) as index:
        index.facts.facts = base("hoi").facts
        a_case(index)
        yield index


def a_case(index: Index, number: int = 1, **more: Any) -> None:
    groups = more.pop("groups", {})
    plain: dict[str, Any] = {"parties": (("PRIMARY", f"CPR:{CPR}"),), "user_key": "S-1"}
    index.put([state_like(an_entry(AUTHORITY, more.pop("kle", "27.36.04"), 2, **plain | more), number, **groups)])


def reads(index: Index, overview: str = "hoi") -> Query:
    """A reader for whom everything is in order, and the facts that go with it."""
    world = base(overview)
    index.facts.facts = replace(world.facts, persons={})
    return world.query


def numbers(index: Index, query: Query, citizen: str = CPR, **more: Any) -> list[int]:
    """The cases that are shown, in order."""
    request = {"citizen": citizen, "effort_id": query.effort_id, "purpose": query.purpose} | more
    answer = index.answer(query, **request, control_case=query.control_case)
    return [int(entry["case_id"].replace("-", ""), 16) for entry in answer.entries]


def test_a_consent_opens_and_its_withdrawal_closes_at_once_and_for_good(index: Index) -> None:
    query = reads(index)
    assert numbers(index, query) == []
    assert put(index.dsn, *CONSENTED) == {}
    assert numbers(index, query) == [1]
    put(index.dsn, withdrawn())
    assert numbers(index, query) == []
    put(index.dsn, consent(registered_at=soon(1)))
    assert numbers(index, query) == []


def test_a_withdrawal_that_comes_before_its_consent_counts_all_the_same(index: Index) -> None:
    put(index.dsn, effort(), withdrawn())
    put(index.dsn, consent())
    assert numbers(index, reads(index)) == []


def test_an_objection_beats_every_consent_until_it_is_lifted(index: Index) -> None:
    query = reads(index)
    put(index.dsn, *CONSENTED, objection())
    assert numbers(index, query) == []
    put(index.dsn, objection(registered_at=soon(), lifted_at=LONG_AGO))
    assert numbers(index, query) == [1]


def test_only_who_asked_or_the_citizen_changes_what_is_registered(index: Index) -> None:
    citizen, another = Author("citizen", frozenset(), CPR), Author("citizen", frozenset(), OTHER_CPR)
    put(index.dsn, *CONSENTED)
    for author, said in (
        (OTHERS, consent()),
        (OTHERS, withdrawn(asked_by_authority="29189420")),
        (another, withdrawn()),
        (citizen, effort()),
        (citizen, power(kind="CUSTODY")),
        (citizen, person_event("DECEASED")),
        (Author("nobody", frozenset()), objection()),
        (replace(REGISTRAR, registrar=False), person_event("CPR_CHANGED", new_citizen=NEW_CPR)),
    ):
        (flaw,) = put(index.dsn, said, author=author).values()
        assert flaw.code is Code.CONSENT_AUTHORITY
    assert put(index.dsn, withdrawn(), author=citizen) == {}
    assert numbers(index, reads(index)) == []


def test_an_objection_is_lifted_by_who_registered_it_or_the_citizen(index: Index) -> None:
    put(index.dsn, *CONSENTED, objection())
    lifted = objection(registered_at=soon(), lifted_at=LONG_AGO)
    (flaw,) = put(index.dsn, lifted, author=OTHERS).values()
    assert flaw.code is Code.CONSENT_AUTHORITY
    assert put(index.dsn, lifted, author=Author("citizen", frozenset(), CPR)) == {}


def test_an_id_is_one_citizens_for_good(index: Index) -> None:
    put(index.dsn, consent())
    (flaw,) = put(index.dsn, consent(citizen=OTHER_CPR)).values()
    assert flaw.code is Code.CONSENT_MALFORMED


@settings(max_examples=40)
@given(
    order=st.permutations(
        [
            consent(),
            consent(registered_at="2024-02-01T00:00:00Z", data_areas=["32.*"]),
            consent(registered_at="2024-03-01T00:00:00Z", withdrawn_at="2024-03-01T00:00:00Z"),
            consent(registered_at="2024-04-01T00:00:00Z", data_areas=["27.*"]),
        ]
    )
)
def test_what_stands_does_not_depend_on_the_order_in_which_it_came(index: Index, order: list[dict[str, Any]]) -> None:
    with connect(index.dsn, "test") as connection:
        connection.execute("TRUNCATE register, register_history")
    for said in order:
        put(index.dsn, said)
        put(index.dsn, said)
    with connect(index.dsn, "test") as connection:
        ((stands,),) = connection.execute("SELECT body FROM register").fetchall()
    assert stands == fold([registration(Kind.CONSENT, said) for said in order])
    assert (stands["data_areas"], stands["withdrawn_at"]) == (["27.*"], "2024-03-01T00:00:00.000000Z")


def test_the_same_registration_twice_marks_nothing_again(index: Index) -> None:
    put(index.dsn, *CONSENTED)
    with connect(index.dsn, "test") as connection:
        connection.execute("DELETE FROM dirty")
        put(index.dsn, *CONSENTED)
        assert connection.execute("SELECT count(*) FROM dirty").fetchone() == (0,)


def test_the_register_is_one_whether_it_comes_over_http_or_out_of_the_log(index: Index) -> None:
    query = reads(index)
    said = [*CONSENTED, effort(authority="29189420"), withdrawn()]
    with connect(index.dsn, "test") as connection, connection.transaction():
        prepare(connection)
        arrivals = [arrival(number, each) for number, each in enumerate(said)]
        arrivals.append(Arrival(9, arrivals[0].received_ms, b"x", None, flaw="no Avro"))
        place = Place("sagsbro.consents.v1", "t", 0)
        made = write_registrations(connection, {place: arrivals}, Facts())[place]
    verdicts = [VERDICT_BYTE["indexed"], VERDICT_BYTE["rejected:consent_authority"]]
    assert sorted({*made.verdicts[:4]}) == sorted({*verdicts})
    assert made.verdicts[9] == VERDICT_BYTE["rejected:malformed_payload"]
    assert numbers(index, query) == []
    with connect(index.dsn, "test") as connection:
        kept = connection.execute("SELECT count(*), count(payload) FROM rejection").fetchone()
    assert kept == (2, 0)


def on_the_wire(said: dict[str, Any]) -> dict[str, Any]:
    """As a ConsentEvent: times are microseconds."""
    times = ("registered_at", "signed_at", "valid_from", "valid_to", "withdrawn_at")
    wire = {
        name: int(datetime.fromisoformat(value).timestamp() * 1_000_000) if name in times and value else value
        for name, value in said.items()
    }
    return {str(kind_of(said)): wire}


def arrival(offset: int, said: dict[str, Any]) -> Arrival:
    value = encode("consent_event", on_the_wire(said))
    event: Any = Decoder("consent_event", lambda _: None).decode(value)
    return Arrival(offset, int(datetime.now(UTC).timestamp() * 1000), value, event)


def test_changed_numbers_are_one_person_in_whatever_order_it_is_told(index: Index) -> None:
    query = reads(index)
    put(index.dsn, consent(citizen=NEW_CPR))
    a_case(index, 2, parties=(("PRIMARY", f"CPR:{NEW_CPR}"),))
    put(index.dsn, effort())
    assert numbers(index, query) == []
    put(index.dsn, person_event("CPR_CHANGED", new_citizen=NEW_CPR))
    assert numbers(index, query) == numbers(index, query, NEW_CPR) == [1, 2]
    put(index.dsn, withdrawn(citizen=CPR))
    assert numbers(index, query) == numbers(index, query, NEW_CPR) == []


def test_death_ends_consents_powers_and_being_followed(index: Index) -> None:
    put(index.dsn, *CONSENTED, power())
    follow = "INSERT INTO subscription VALUES ('s', %s, 'sapa', gen_random_uuid(), %s, 'x', NULL, 'infinity')"
    with connect(index.dsn, "test") as connection:
        connection.execute(follow, ["alone", [CPR]])
        connection.execute(follow, ["both", [CPR, OTHER_CPR]])
    put(index.dsn, person_event("DECEASED"))
    assert numbers(index, reads(index)) == []
    assert numbers(index, representing(index)) == []
    with connect(index.dsn, "test") as connection:
        assert connection.execute("SELECT client, citizens FROM subscription").fetchall() == [("both", [OTHER_CPR])]


def citizen(number: str) -> dict[str, Any]:
    return {"citizen": frozenset({f"CPR:{number}"})}


def representing(index: Index) -> Query:
    query = reads(index, "borgerblikket")
    return replace(query, reader=replace(query.reader, **citizen(OTHER_CPR)))


def test_who_names_nobody_sees_their_own_cases_as_their_own_and_nothing_through_an_effort(index: Index) -> None:
    put(index.dsn, *CONSENTED, power())
    company = ("PRIMARY", "CVR:55133018")
    a_case(index, 2, parties=(("PRIMARY", f"CPR:{OTHER_CPR}"), ("SECONDARY", f"CPR:{CPR}")))
    a_case(index, 3, parties=(company, ("PRIMARY", f"CPR:{CPR}")))
    a_case(index, 4, parties=(company,))
    for asked, own, represented in (
        ({"user_key": "S-1"}, [1, 3], [2]),
        ({"case_ids": [an_id(number) for number in (1, 2, 4)]}, [1], [2]),
        ({"party": {"id_type": "CVR", "id": "55133018"}}, [3], []),
    ):
        more: dict[str, Any] = {"citizen": None, **asked}
        assert numbers(index, reads(index, "borgerblikket"), **more) == own
        assert numbers(index, representing(index), **more) == represented
        assert numbers(index, replace(reads(index, "borgerblikket"), reader=nobody(index)), **more) == []
        assert numbers(index, reads(index), **more) == []


def nobody(index: Index) -> Reader:
    """A citizen whose token has no number."""
    return replace(reads(index, "borgerblikket").reader, citizen=frozenset())


def test_an_effort_sees_another_authoritys_cases_where_the_consent_names_it(index: Index) -> None:
    query = reads(index)
    there = OTHERS_CVR
    (open_here,) = index.facts.facts.readers[AUTHORITY, "hoi"]
    readers = {**index.facts.facts.readers, (there, "hoi"): (replace(open_here, authority=there),)}
    index.facts.facts = replace(index.facts.facts, readers=readers)
    index.put([state_like(an_entry(there, "27.36.04", 2, parties=(("PRIMARY", f"CPR:{CPR}"),)), 2)])
    put(index.dsn, *CONSENTED)
    assert numbers(index, query) == [1]
    put(index.dsn, consent(consent_id=an_id(9), data_authorities=[there]))
    assert numbers(index, query) == [2, 1]


def test_a_representative_sees_what_the_power_covers_while_it_lasts(index: Index) -> None:
    a_case(index, 2, kle="15.20.01")
    query = representing(index)
    assert numbers(index, reads(index, "borgerblikket")) == [1, 2]
    assert numbers(index, query) == []
    put(index.dsn, power(), power(power_id=an_id(9), kind="CUSTODY", kle=["15.*"]))
    assert numbers(index, query) == [1]
    put(index.dsn, person_event("DECEASED", citizen=OTHER_CPR, effective_from=soon(60)))
    assert numbers(index, query) == [1]
    put(index.dsn, power(registered_at=soon(), withdrawn_at=soon()))
    assert numbers(index, query) == []


def test_a_power_ends_with_the_representatives_death(index: Index) -> None:
    put(index.dsn, power())
    assert numbers(index, representing(index)) == [1]
    put(index.dsn, person_event("DECEASED", citizen=OTHER_CPR))
    assert numbers(index, representing(index)) == []


RICH = {
    "properties": {
        "user_key": "S-1", "title": "Plejetilsyn", "confidential_title": "Mistanke", "created_at": 0,
        "link": "https://sag.example/1",
    },
    "actors": listed(
        {"item_id": "1", "role": "RESPONSIBLE", "id": "u1", "name": "Krisecenter Nord", "contact": "nord@sag.example"},
        {"item_id": "2", "role": "PRIMARY_HANDLER", "id": "p1", "name": "Ea Eksempel", "contact": "ea@sag.example"},
    ),
    "journal": listed(
        {"item_id": "1", "kind": "DOCUMENT", "title": "Afgørelse", "registered_at": 0, "link": "https://dok.example"},
        {"item_id": "2", "kind": "NOTE", "title": "Intern note", "registered_at": 0},
    ),
}  # fmt: skip


def test_citizens_see_neither_handlers_nor_notes_nor_confidential_titles(index: Index) -> None:
    a_case(index, 2, groups=RICH)
    query = reads(index, "borgerblikket")
    entry = next(one for one in index.answer(query, citizen=CPR).entries if one["title"] == "Plejetilsyn")
    assert [document["title"] for document in entry["documents"]] == ["Afgørelse"]
    for secret in ("Ea Eksempel", "ea@sag.example", "Mistanke", "Intern note"):
        assert secret not in str(entry)


def test_the_municipality_switches_titles_and_documents_off_for_citizens(index: Index) -> None:
    a_case(index, 2, groups=RICH)
    query = reads(index, "borgerblikket")
    views = {AUTHORITY: (a_view(title="KLE", documents=False),)}
    index.facts.facts = replace(index.facts.facts, citizen_views=views)
    for entry in index.answer(query, citizen=CPR).entries:
        assert (entry["title"], entry["documents"]) == ("", [])


@pytest.mark.parametrize("overview", ["sapa", "hoi", "hok", "borgerblikket"])
def test_a_protected_place_is_shown_within_the_owning_authority_alone(index: Index, overview: str) -> None:
    a_case(index, 2, groups=RICH, kle="32.45.04" if overview == "hok" else "27.36.04")
    put(index.dsn, *CONSENTED, person_event("PROTECTED"))
    query = reads(index, overview)
    # A reader from elsewhere, where the law lets one read at all.
    reader = replace(query.reader, authorities=frozenset({"29189420"}) if overview in ("sapa", "hok") else frozenset())
    if overview == "hoi":
        reader = replace(reader, authorities=frozenset({"29189420"}))
        put(index.dsn, consent(consent_id=an_id(7), recipient_authorities=["29189420"]))
        index.facts.facts = base("hoi").facts
        reader = replace(reader, scopes=(Scope.of("29189420", ("N*",), {"N*": 4}),))
    asked = {"citizen": CPR, "purpose": "Kontrol", "control_case": "K-1", "effort_id": EFFORT}
    said = str(
        [one for one in index.answer(replace(query, reader=reader), **asked).entries if "Plejetilsyn" in str(one)]
    )
    assert "Plejetilsyn" in said
    for place in ("Krisecenter", "nord@", "sag.example", "dok.example"):
        assert place not in said
    put(index.dsn, person_event("UNPROTECTED", 5, effective_from="2024-01-02T00:00:00Z"))
    assert "sag.example" in str(index.answer(replace(query, reader=reader), **asked).entries)


def test_control_states_its_purpose_and_case_and_sees_what_is_on_the_list(index: Index) -> None:
    a_case(index, 2, kle="32.45.04")
    query = reads(index, "hok")
    assert numbers(index, query) == [2]
    refused = [
        index.ask(query, citizen=CPR, **said)
        for said in ({}, {"purpose": "Kontrol"}, {"control_case": "K-1"}, {"purpose": " ", "control_case": "K-1"})
    ]
    reasons = [outcome.reason for outcome in refused if isinstance(outcome, Refused)]
    missing = Reason.PURPOSE_MISSING
    assert reasons == [missing, Reason.CONTROL_CASE_MISSING, missing, missing]
    assert [(row["decision"], row["reason"]) for row in index.logged()[-2:]] == [
        ("deny", reasons[-2]),
        ("deny", missing),
    ]


GLASS = {"basis": "Sundhedsloven § 43, stk. 2, nr. 2", "reason": "Akut indlæggelse"}


def broken(index: Index, query: Query, **more: Any) -> Answer:
    return index.answer(query, citizen=CPR, effort_id=EFFORT, break_glass=GLASS, **more)


def test_a_broken_glass_shows_once_and_is_noted_for_the_citizen_and_the_data_protection_officer(index: Index) -> None:
    for number in (2, 3):
        a_case(index, number)
    put(index.dsn, effort())
    query = reads(index)
    shown = broken(index, query, limit=2)
    assert (len(shown.entries), shown.next_cursor) == (2, None)
    (row,) = index.logged()
    assert (row["decision"], row["basis"], row["purpose"]) == (
        "permit", f"break_glass: {GLASS['basis']}", GLASS["reason"]
    )  # fmt: skip
    with connect(index.dsn, "test") as connection:
        waiting = connection.execute("SELECT authority, basis, reason, cases FROM break_glass").fetchall()
    assert waiting == [(AUTHORITY, *GLASS.values(), row["cases"])]
    assert numbers(index, query) == []


def test_a_broken_glass_opens_nothing_that_is_closed_for_another_reason(index: Index) -> None:
    query = reads(index)
    assert broken(index, query).entries == []  # no effort
    put(index.dsn, effort(), objection())
    assert broken(index, query).entries == []
    put(index.dsn, objection(registered_at=soon(), lifted_at=LONG_AGO))
    assert len(broken(index, query).entries) == 1
    stranger = replace(query, reader=replace(query.reader, principals=frozenset()))
    low = replace(query, reader=replace(query.reader, scopes=(Scope.of(AUTHORITY, ("N*",), {"N*": 1}),)))
    assert broken(index, stranger).entries == broken(index, low).entries == []
    with connect(index.dsn, "test") as connection:
        assert connection.execute("SELECT count(*) FROM break_glass").fetchone() == (1,)


def test_the_register_keeps_every_registration_and_who_put_it(index: Index) -> None:
    put(index.dsn, consent())
    put(index.dsn, withdrawn(), author=Author("citizen", frozenset(), CPR))
    with connect(index.dsn, "test") as connection:
        kept = connection.execute("SELECT put_by FROM register_history ORDER BY registered_at").fetchall()
    assert kept == [("Register",), ("citizen",)]
