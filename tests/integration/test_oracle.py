"""Every search of every overview against the oracle: random cases, readers, registers, policies, agreements."""

import json
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.domain.case import SENSITIVITY_NAMES
from broker.domain.consent import Person
from broker.domain.entry import Entry, entry_of
from broker.domain.identity import EntryKey
from broker.domain.policy import POLICY, Permit, Query, decide, refused
from broker.overviews.grants import grants, principals, roles
from broker.overviews.search import Refused
from broker.store import database
from broker.store import search as index_store
from tests.integration.searching import AT, Index, opened, state_like
from tests.unit.overviews import ANOTHER, ENTRY, World, changed, shown, worlds

# `SAGSBRO_CASES=100000` is the nightly size.
CASES = max(100, int(os.environ.get("SAGSBRO_CASES", "500")) // 20)
# They hang on what stands in the document alone: every entry that is found is judged by them, none is left out before.
IN_THE_DOCUMENT = ("still_wanted", "shown_to_citizens", "not_hidden", "role")
INSERT = (
    "INSERT INTO register (kind, id, citizen_id, authorities, effort_id, representative_id, body)"
    " VALUES (%s, %s, %s, '{}', %s, %s, %s)"
)


@pytest.fixture
def index(database: str) -> Iterator[Index]:
    with opened(database) as index:
        yield index


@st.composite
def situations(draw: st.DrawFn) -> tuple[World, list[Entry]]:
    """A world, and more cases beside its own."""
    world = draw(worlds())
    entries = [world.entry]
    for _ in range(draw(st.integers(0, 4))):
        names = draw(st.lists(st.sampled_from(sorted(ENTRY)), max_size=2, unique=True))
        entries.append(changed(world.entry, **{name: draw(ENTRY[name]) for name in names}))
    return world, entries


@pytest.mark.timeout(0)
@settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(situations(), st.integers(1, 3))
def test_a_search_shows_what_the_oracle_says_page_by_page_and_nothing_else(
    index: Index, situation: tuple[World, list[Entry]], limit: int
) -> None:
    world, entries = registrable(situation[0]), situation[1]
    # A request has a basis where it breaks the glass at all, and an entry stands in the index with a moment.
    glass = world.query.break_glass
    query = replace(world.query, break_glass=glass if glass and glass.basis and glass.reason else None)
    states = [state_like(entry, number, access=_access(entry)) for number, entry in enumerate(entries)]
    index.clear()
    index.put(states)
    register(index.dsn, world.facts.persons.values())
    index.facts.facts = replace(world.facts, persons={})
    expected_query = replace(
        query,
        citizen=own(world, query) if query.citizen is None else numbers(world, frozenset({_one(query)})),
        reader=replace(query.reader, citizen=numbers(world, query.reader.citizen)),
    )
    found = expected_query.citizen or frozenset()
    known = [
        entry
        for key, state in states
        for entry in [entry_of(key, state)]
        if query.citizen is None or any(party in found for _, party in entry.parties)
    ]
    in_order = sorted(known, key=lambda entry: (-(entry.created_at or 0), entry.key))
    expected = [entry.key for entry in in_order if shown(replace(world, entry=entry, query=expected_query))]

    request = request_of(query)
    if refused(POLICY[query.overview], query) is not None:
        assert isinstance(index.ask(query, **request), Refused)
        assert expected == []
        return
    pages = [index.answer(query, **request)] if query.break_glass else list(index.pages(query, **request, limit=limit))
    assert [
        EntryKey(*(entry[name] for name in EntryKey._fields)) for page in pages for entry in page.entries
    ] == expected
    assert all(page.entries or page.next_cursor is None for page in pages)

    by_key = query.citizen is None
    assert candidates(index, expected_query, world, by_key=by_key) == narrowed(
        world, expected_query, in_order, by_key=by_key
    )


def _access(entry: Entry) -> dict[str, Any]:
    return {"sensitivity": SENSITIVITY_NAMES[entry.sensitivity], "hidden_from_citizen": entry.hidden_from_citizen}


def _one(query: Query) -> str:
    return min(query.citizen or ())


def request_of(query: Query) -> dict[str, Any]:
    asked: dict[str, Any] = (
        {"user_key": "S-1"} if query.citizen is None else {"citizen": _one(query).removeprefix("CPR:")}
    )
    asked |= {"purpose": query.purpose, "control_case": query.control_case, "effort_id": query.effort_id}
    if query.break_glass is not None:
        asked["break_glass"] = {"basis": query.break_glass.basis, "reason": query.break_glass.reason}
    return asked


def own(world: World, query: Query) -> frozenset[str] | None:
    """Whom a question is for that names nobody: in an overview of what is one's own, oneself."""
    row = world.facts.policy[query.overview]
    return numbers(world, query.reader.citizen) if "own_or_represented" in row.tests else None


def numbers(world: World, references: frozenset[str]) -> frozenset[str]:
    """With every number that the register knows."""
    also = [person.numbers for reference in references if (person := world.facts.persons.get(reference)) is not None]
    return references.union(*also)


def narrowed(world: World, query: Query, entries: list[Entry], *, by_key: bool) -> list[EntryKey]:
    """What the index alone may leave over: all that the policy permits but for what hangs on the document."""
    row = world.facts.policy[query.overview]
    # A user key is looked for whoever the case is about.
    later = (*IN_THE_DOCUMENT, "primary") if by_key else IN_THE_DOCUMENT
    looser = replace(row, tests=tuple(test for test in row.tests if test not in later))
    facts = replace(world.facts, policy={row.name: looser})
    return [entry.key for entry in entries if isinstance(decide(entry, query, facts, AT), Permit)]


def candidates(index: Index, query: Query, world: World, *, by_key: bool) -> list[EntryKey]:
    row = world.facts.policy[query.overview]
    references, key = ((), "S-1") if by_key else (tuple(query.citizen or ()), None)
    asked = index_store.Asked(references, roles(row, query), key, None, principals(row, query))

    async def collect() -> list[EntryKey]:
        async with index.pool.connection() as connection:
            holders = await index_store.holders(connection, asked)
            allowed = grants(row, query, world.facts, AT, holders)
            async with aclosing(index_store.candidates(connection, asked, allowed, None, 3)) as rows:
                return [EntryKey(found.authority, found.system, found.case_id) async for found in rows]

    return index.runner.run(collect())


def registrable(world: World) -> World:
    """As a register can have it: an effort has an id of its own, and a person dies once."""
    persons = {
        number: replace(
            person,
            efforts=tuple({effort.effort_id: effort for effort in person.efforts}.values()),
            powers=tuple(
                replace(power, representative_died=person.powers[0].representative_died)
                for power in person.powers
                if power.representatives.isdisjoint(person.numbers) and power.representatives == {ANOTHER}
            ),
        )
        for number, person in world.facts.persons.items()
    }
    return replace(world, facts=replace(world.facts, persons=persons))


def register(dsn: str, persons: Iterable[Person]) -> None:
    """Let the database know just these persons, and whoever may act for them."""
    each = {person.numbers: person for person in persons}
    with database.connect(dsn, "test") as connection, connection.transaction():
        connection.execute("TRUNCATE register, citizen_number, citizen, break_glass")
        another = _person(connection, frozenset({ANOTHER}))
        for references, person in each.items():
            of = _person(connection, references)
            for kind, effort_id, body in _bodies(person):
                row_id = effort_id if kind == "effort" else str(uuid.uuid4())
                acts = another if kind == "power" else None
                connection.execute(INSERT, [kind, row_id, of, effort_id, acts, json.dumps(body)])
            if person.powers and (died := person.powers[0].representative_died) is not None:
                body = {"kind": "DECEASED", "effective_from": _text(died)}
                connection.execute(INSERT, ["person_event", str(uuid.uuid4()), another, None, None, json.dumps(body)])


def _person(connection: psycopg.Connection[Any], references: frozenset[str]) -> uuid.UUID:
    (made,) = connection.execute("INSERT INTO citizen DEFAULT VALUES RETURNING citizen_id").fetchone() or (None,)
    assert isinstance(made, uuid.UUID)
    for reference in references:
        connection.execute("INSERT INTO citizen_number VALUES (%s, %s)", [reference.removeprefix("CPR:"), made])
    return made


def _bodies(person: Person) -> Iterator[tuple[str, str | None, dict[str, Any]]]:
    for consent in person.consents:
        yield (
            "consent",
            consent.effort_id,
            {
                "purpose": consent.purpose,
                "effort_id": consent.effort_id,
                "data_areas": consent.data_areas.patterns(),
                "data_authorities": sorted(consent.data_authorities),
                "recipient_areas": consent.recipient_areas.patterns(),
                "recipient_authorities": sorted(consent.recipient_authorities),
                "signed_at": _text(consent.valid_from),
                **_period(consent),
                "withdrawn_at": _text(consent.withdrawn_at),
            },
        )
    for each in person.objections:
        objected = {"overview": each.overview, "from": _text(each.effective_from), "lifted_at": _text(each.lifted_at)}
        yield "objection", None, objected
    for power in person.powers:
        yield (
            "power",
            None,
            {
                "kind": str(power.kind),
                "kle": power.kle.patterns(),
                **_period(power),
                "withdrawn_at": _text(power.withdrawn_at),
            },
        )
    for effort in person.efforts:
        coordinator, *members = sorted(effort.principals) or ["nobody"]
        body: dict[str, Any] = {
            "authority": effort.authority,
            "coordinator": coordinator,
            "members": members,
            **_period(effort),
        }
        yield "effort", effort.effort_id, body
    if person.died is not None:
        yield "person_event", None, {"kind": "DECEASED", "effective_from": _text(person.died)}


def _period(of: Any) -> dict[str, Any]:
    return {"valid_from": _text(of.valid_from), "valid_to": _text(of.valid_to)}


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
