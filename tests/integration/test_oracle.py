"""Every way of reading against the oracle: random cases, readers, registers, policies, agreements, now and later.

`SAGSBRO_CASES=100000` is the nightly size: so many cases are generated, and decided in each way.
"""

import json
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import product
from math import ceil
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.domain.agreement import CLOSED
from broker.domain.case import SENSITIVITY_NAMES, State
from broker.domain.consent import Person
from broker.domain.entry import Entry, entry_of
from broker.domain.identity import EntryKey
from broker.domain.kle import Patterns
from broker.domain.policy import CASE_TESTS, POLICY, Permit, Query, Reader, Role, Scope, decide, refused
from broker.overviews.grants import grants, principals, roles
from broker.overviews.reading import Caller
from broker.overviews.search import Refused
from broker.store import database
from broker.store import search as index_store
from tests.integration.paths import (
    States,
    Told,
    Topics,
    counted,
    followed,
    handed_over,
    published,
    searched,
    stand,
    told_of,
)
from tests.integration.searching import AT, Index, opened, state_like
from tests.unit.overviews import (
    ANOTHER,
    ANOTHER_EFFORT,
    DENIED,
    EFFORT,
    ENTRY,
    NUMBERS,
    World,
    base,
    changed,
    facts_with,
    shown,
    worlds,
)
from tests.unit.worlds import AUTHORITIES, CLIENTS, COMPANIES, PATTERNS, PRINCIPALS

CASES = int(os.environ.get("SAGSBRO_CASES", "150"))
EACH = 25 if CASES > 10_000 else 5
"""Cases in one situation."""
# They hang on what stands in the document alone: every entry that is found is judged by them, none is left out before.
IN_THE_DOCUMENT = ("still_wanted", "shown_to_citizens", "not_hidden", "role")
IN_THE_TOPIC = (*CASE_TESTS, "consent")
"""The tests that a topic leaves cases out by; agreements and objections it asks about whatever the row says."""
INSERT = (
    "INSERT INTO register (kind, id, citizen_id, authorities, effort_id, representative_id, body)"
    " VALUES (%s, %s, %s, '{}', %s, %s, %s)"
)


@pytest.fixture
def index(database: str) -> Iterator[Index]:
    with opened(database) as index:
        yield index


LOOKS = ("party", "user_key", "case_ids", "company")


@dataclass(frozen=True)
class Situation:
    """A world, the cases beside its own, what a search is narrowed to, and how the world has changed later.

    company: what cases are looked for by, where no citizen is. kle, states: None leaves nothing out.
    """

    world: World
    entries: tuple[Entry, ...]
    look: str
    kle: tuple[str, ...] | None
    states: tuple[str, ...] | None
    limit: int
    later: World


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Each case of a world differs from its first in a thing or two."""
    world = draw(worlds())
    entries = [world.entry]
    for _ in range(EACH - 1):
        names = draw(st.lists(st.sampled_from(sorted(ENTRY)), max_size=2, unique=True))
        user_key = draw(st.sampled_from(("S-1", "S-1", "S-2")))
        one = changed(world.entry, user_key=user_key, **{name: draw(ENTRY[name]) for name in names})
        company = draw(st.sampled_from(((), (("PRIMARY", COMPANIES[0]),), (("BENEFIT_RECIPIENT", COMPANIES[0]),))))
        # As an entry has them: the primary parties first.
        parties = tuple(sorted((*one.parties, *company), key=lambda party: party[0] != "PRIMARY"))
        entries.append(replace(one, parties=parties))
    return Situation(
        world,
        tuple(entries),
        draw(st.sampled_from(LOOKS)),
        draw(st.none() | st.none() | st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2).map(tuple)),
        draw(st.none() | st.none() | st.sampled_from((("OPSTAAET",), (CLOSED,), ("OPSTAAET", CLOSED)))),
        draw(st.integers(1, 3)),
        draw(worlds((world.query.overview,))),
    )


@pytest.mark.timeout(0)
def test_every_way_of_reading_shows_what_the_oracle_says_and_nothing_else(index: Index) -> None:
    decided: Counter[str] = Counter()

    @settings(max_examples=ceil(CASES / EACH))
    @given(situations())
    def judged(situation: Situation) -> None:
        decided.update(judge_each(index, situation))

    judged()
    print(dict(decided))  # noqa: T201 - how many of the nightly size were decided in which way: pytest -rP
    assert decided["cases"] >= CASES
    assert all(decided[way] for way in ("shown", "stream", "topic", "explain", "explain_own", "dossier", "coverage"))


def test_every_way_of_reading_tells_that_a_test_of_the_policy_is_left_out(index: Index) -> None:
    for overview, row in POLICY.items():
        for test in row.tests:
            weaker = replace(row, tests=tuple(each for each in row.tests if each != test))
            world = facts_with(policy={**POLICY, overview: weaker})(DENIED[test](base(overview)))
            assert noticing(index, world) >= able_to_notice(overview, test), (overview, test)


def noticing(index: Index, world: World) -> set[str]:
    """The ways that differ from the oracle in this world."""
    situation = Situation(world, (world.entry,), "citizen", None, None, 1, world)
    states = [state_as(world.entry, 1)]
    entries = [entry_of(key, state) for key, state in states]
    stand(index, states)
    known_as(index, world)
    ways: dict[str, Callable[[], object]] = {
        "search": lambda: judge_search(index, situation, world, entries),
        "explain": lambda: judge_explanations(index, world, entries),
    }
    if world.facts.policy[world.query.overview].published:
        ways["stream"] = lambda: judge_stream(index, world, entries, set(), 0)
        ways["topic"] = lambda: judge_topic(index, world, states, {})
    return {way for way, judge in ways.items() if differs(judge)}


def differs(judge: Callable[[], object]) -> bool:
    try:
        judge()
    except (AssertionError, ValueError):  # half a case does not even fit the topic's schema
        return True
    return False


def able_to_notice(overview: str, test: str) -> set[str]:
    """A topic has no reader; and what is incomplete the index keeps back by itself from all who have one."""
    ways = {"search", "explain", "stream", "topic"} if POLICY[overview].published else {"search", "explain"}
    if test == "complete":
        return ways & {"topic"}
    return ways if test in IN_THE_TOPIC else ways - {"topic"}


def judge_each(index: Index, situation: Situation) -> Counter[str]:
    """Stand it up, read it in every way, compare each with the oracle; how many cases were decided in each way."""
    world = registrable(situation.world)
    states = [state_as(entry, number) for number, entry in enumerate(situation.entries)]
    entries = [entry_of(key, state) for key, state in states]
    stand(index, states)
    known_as(index, world)
    decided = Counter(cases=len(entries), search=len(entries))
    decided["shown"] = judge_search(index, situation, world, entries)
    decided["explain"] = judge_explanations(index, world, entries)
    decided["explain_own"] = judge_own_explanations(index, world, entries)
    decided["dossier"] = judge_dossiers(index, entries)
    decided["coverage"] = judge_coverage(index, entries)
    if world.facts.policy[world.query.overview].published:
        later = replace(world, facts=registrable(situation.later).facts)  # the question is the same
        decided["topic"], decided["stream"] = judge_what_changes(index, world, later, states)
    return decided


def known_as(index: Index, world: World) -> None:
    """The facts of a world: the persons from the register, all else as it says."""
    register(index.dsn, world.facts.persons.values())
    index.facts.facts = replace(world.facts, persons={})


def state_as(entry: Entry, number: int) -> tuple[EntryKey, State]:
    key, state = state_like(entry, number, access=_access(entry))
    return key, replace(state, source=(state.source[0], {**state.source[1], "registered_at": 0}))


def judge_search(index: Index, situation: Situation, world: World, entries: list[Entry]) -> int:
    """Page by page, by whom or by what it is looked for, narrowed by area and state; how many are shown."""
    # A request has a basis where it breaks the glass at all.
    glass = world.query.break_glass
    query = replace(world.query, break_glass=glass if glass and glass.basis and glass.reason else None)
    expected_query = replace(as_known(world, query), citizen=_meant(world, query))
    found = _looked_for(situation, query, expected_query, entries)
    in_order = sorted(found, key=lambda entry: (-(entry.created_at or 0), entry.key))
    expected = [
        entry.key
        for entry in in_order
        if shown(replace(world, entry=entry, query=expected_query)) and _asked_for(situation, entry)
    ]
    request = request_of(query, situation)
    if (reason := refused(world.facts.policy[query.overview], query)) is not None:
        assert index.ask(query, **request) == Refused(reason)
        assert expected == []
    else:
        assert searched(index, query, request, situation.limit) == expected
        by_key = query.citizen is None
        if not by_key or "user_key" in request:
            narrow = narrowed(world, expected_query, in_order, by_key=by_key)
            assert candidates(index, expected_query, world, by_key=by_key) == narrow
    return len(expected)


def as_known(world: World, query: Query) -> Query:
    """The question with every number of those it names."""
    citizen = None if query.citizen is None else numbers(world, frozenset({_one(query)}))
    return replace(query, citizen=citizen, reader=replace(query.reader, citizen=numbers(world, query.reader.citizen)))


def _meant(world: World, query: Query) -> frozenset[str] | None:
    return own(world, query) if query.citizen is None else numbers(world, frozenset({_one(query)}))


def _looked_for(situation: Situation, query: Query, expected: Query, entries: list[Entry]) -> list[Entry]:
    if query.citizen is not None:
        return [entry for entry in entries if any(party in (expected.citizen or ()) for _, party in entry.parties)]
    match situation.look:
        case "case_ids":
            return [entry for entry in entries if entry.key.case_id in _case_ids()]
        case "company":
            return [entry for entry in entries if any(party == COMPANIES[0] for _, party in entry.parties)]
        case _:
            return [entry for entry in entries if entry.user_key == "S-1"]


def _case_ids() -> list[str]:
    """Of half the cases, and of one that is not there."""
    return [str(uuid.UUID(int=number)) for number in (*range(0, min(EACH, 16), 2), 999)]


def _asked_for(situation: Situation, entry: Entry) -> bool:
    in_area = situation.kle is None or any(
        (entry.kle or "").startswith(pattern.rstrip("*") if pattern != "N*" else "") for pattern in situation.kle
    )
    return in_area and (situation.states is None or entry.state in situation.states)


def judge_explanations(index: Index, world: World, entries: list[Entry]) -> int:
    """To an auditor: of every case that anybody could be shown."""
    query = replace(world.query, break_glass=None)
    asked = as_known(world, query)
    assert told_of(index, query, [entry.key for entry in entries]) == {
        entry.key: "permit" if shown(replace(world, entry=entry, query=asked)) else "deny"
        for entry in entries
        if entry.complete and entry.kle is not None
    }
    return len(entries)


def judge_own_explanations(index: Index, world: World, entries: list[Entry]) -> int:
    """To a citizen: of what they may see in an overview of their own, and of nothing else."""
    reader = replace(world.query.reader, role=Role.CITIZEN)
    query = replace(world.query, break_glass=None, reader=reader, citizen=reader.citizen)
    asked = replace(query, reader=replace(reader, citizen=numbers(world, reader.citizen)))
    asked = replace(asked, citizen=asked.reader.citizen)
    own_row = world.facts.policy[query.overview].role is Role.CITIZEN
    assert told_of(index, query, [entry.key for entry in entries], Caller(reader, frozenset(AUTHORITIES))) == {
        entry.key: "permit" for entry in entries if own_row and shown(replace(world, entry=entry, query=asked))
    }
    return len(entries)


def judge_dossiers(index: Index, entries: list[Entry]) -> int:
    """Of one citizen, in each authority: all of its cases with them, and no other authority's."""
    for authority in AUTHORITIES:
        assert handed_over(index, ANOTHER, authority) == {
            entry.key
            for entry in entries
            if entry.key.authority == authority and any(party == ANOTHER for _, party in entry.parties)
        }
    return len(entries)


def judge_coverage(index: Index, entries: list[Entry]) -> int:
    """Each authority is told how many it has itself, whoever may see them."""
    for authority in AUTHORITIES:
        its = [entry for entry in entries if entry.key.authority == authority]
        expected = Counter((entry.key.system, "entries") for entry in its)
        expected += Counter((entry.key.system, "incomplete") for entry in its if not entry.complete)
        assert counted(index, authority) == expected
    return len(entries)


def judge_what_changes(index: Index, world: World, later: World, states: States) -> tuple[int, int]:
    """The topic and the stream, in one world and then in another: each is right at each time."""
    topics: Topics = {}
    held: set[EntryKey] = set()
    entries = [entry_of(key, state) for key, state in states]
    streams = 0
    for offset, now in ((0, world), (len(entries), later)):
        known_as(index, now)
        topics = judge_topic(index, now, states, topics)
        if world.query.citizen is not None:
            held = judge_stream(index, now, entries, held, offset)
            streams += len(entries)
    return 2 * len(entries), streams


def judge_topic(index: Index, world: World, states: States, topics: Topics) -> Topics:
    """A case lies in the topic when some reader could be shown it, and then only."""
    topics = published(index, world.facts, states, topics)
    entries = [entry_of(key, state) for key, state in states]
    assert {key for name, key in topics if name == world.query.overview} == {
        entry.key for entry in entries if for_anybody(world, entry)
    }
    return topics


def judge_stream(index: Index, world: World, entries: list[Entry], held: set[EntryKey], offset: int) -> set[EntryKey]:
    """Told is what may be shown now, and taken back what was told and may not be now; what the reader then holds."""
    query = replace(world.query, break_glass=None)
    told = followed(index, query, _one(query), [entry.key for entry in entries], offset)
    asked = replace(as_known(world, query), purpose="Sag", control_case=None)
    expected = {entry.key for entry in entries if shown(replace(world, entry=entry, query=asked))}
    assert told == Told(expected, held - expected)
    return expected


def for_anybody(world: World, entry: Entry) -> bool:
    """Whether the oracle would show it to some reader, were there one for everything."""
    row = world.facts.policy[world.query.overview]
    every = tuple(Scope.of(authority, ("N*",), {"N*": 4}) for authority in AUTHORITIES)
    areas = Patterns.of(NUMBERS)
    parties = {party for _, party in entry.parties if party.startswith("CPR:")}
    by_key = frozenset[str]() if "primary" in row.tests else None
    whom: list[frozenset[str] | None] = [by_key, *(numbers(world, frozenset({one})) for one in sorted(parties))]
    for client, citizen, effort_id in product(CLIENTS, whom, (EFFORT, ANOTHER_EFFORT)):
        principals = frozenset((*PRINCIPALS, "nobody"))
        own_numbers = (citizen or frozenset()) if row.role is Role.CITIZEN else frozenset[str]()
        reader = Reader("r", "R", row.role, client, every, None, principals, frozenset(AUTHORITIES), areas, own_numbers)
        if shown(replace(world, entry=entry, query=Query(row.name, reader, citizen, "x", "x", effort_id))):
            return True
    return False


def _access(entry: Entry) -> dict[str, Any]:
    return {"sensitivity": SENSITIVITY_NAMES[entry.sensitivity], "hidden_from_citizen": entry.hidden_from_citizen}


def _one(query: Query) -> str:
    return min(query.citizen or ())


def request_of(query: Query, situation: Situation) -> dict[str, Any]:
    asked: dict[str, Any] = _by(query, situation.look)
    return asked | {"kle": situation.kle, "states": situation.states} | said_with(query)


def said_with(query: Query) -> dict[str, Any]:
    """What a search says beside whom it is for."""
    said: dict[str, Any] = {name: getattr(query, name) for name in ("purpose", "control_case", "effort_id")}
    if query.break_glass is not None:
        said["break_glass"] = {"basis": query.break_glass.basis, "reason": query.break_glass.reason}
    return said


def _by(query: Query, look: str) -> dict[str, Any]:
    if query.citizen is not None:
        number = _one(query).removeprefix("CPR:")
        return {"party": {"id_type": "CPR", "id": number}} if look == "party" else {"citizen": number}
    by: dict[str, dict[str, Any]] = {
        "case_ids": {"case_ids": _case_ids()},
        "company": {"party": {"id_type": "CVR", "id": COMPANIES[0][4:]}},
    }
    return by.get(look, {"user_key": "S-1"})


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
            efforts=tuple(
                {
                    effort.effort_id: replace(effort, principals=effort.principals or frozenset({"nobody"}))
                    for effort in person.efforts
                }.values()
            ),
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
