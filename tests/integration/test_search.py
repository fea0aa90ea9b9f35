"""Reading an overview, on a real index."""

import uuid
from collections.abc import Iterator
from contextlib import aclosing, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import date
from itertools import product
from typing import Any

import psycopg
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from broker.domain.agreement import AgreementState, Authority, Facts
from broker.domain.case import State
from broker.domain.entry import Entry, entry_of
from broker.domain.identity import EntryKey
from broker.domain.kle import Edition, KleBook, Patterns
from broker.domain.policy import POLICY, Permit, Query, Reader, Reason, Role, Scope, decide
from broker.overviews.cursor import BrokenCursorError
from broker.overviews.grants import grants, principals, roles
from broker.overviews.reading import NotLoggedError
from broker.overviews.search import Refused
from broker.store import access_log, database
from broker.store import search as index_store
from broker.store.second_line import Bounds, behind
from broker.store.text import array
from tests.integration.searching import AT, Index, OneFacts, listed, opened, state_like
from tests.unit.worlds import (
    CITIZENS,
    COMPANIES,
    DAY,
    NUMBERS,
    ON,
    PATTERNS,
    SYSTEMS,
    USER_KEYS,
    an_entry,
    entries,
    facts,
    open_facts,
    reader_of,
    readers,
    sender_agreement,
)

AARHUS = "55133018"
CITIZEN = CITIZENS[0].removeprefix("CPR:")
EVERYTHING = Scope.of(AARHUS, ("N*",), {"N*": 4})
FACTS = replace(
    open_facts(AARHUS),
    authorities={AARHUS: Authority(AARHUS, "Eksempel Kommune")},
    kle=KleBook((Edition(ON, {"27.36.04": "Hjemmehjælp"}),)),
)
OF_ALL = Query("sapa", reader_of((EVERYTHING,)))


@pytest.fixture
def index(database: str) -> Iterator[Index]:
    with opened(database) as index:
        index.facts.facts = FACTS
        yield index


@dataclass(frozen=True, slots=True)
class Asked:
    """One search in both languages: the request's and the policy's."""

    request: dict[str, Any]
    references: frozenset[str]
    user_key: str | None = None
    citizen: frozenset[str] | None = None
    case_ids: tuple[str, ...] = ()

    def finds(self, entry: Entry) -> bool:
        """Whether the case is what is looked for, whoever looks."""
        named = any(party in self.references for _, party in entry.parties)
        by_key = self.user_key is not None and entry.user_key == self.user_key
        return named or by_key or entry.key.case_id in self.case_ids


CASE_IDS = tuple(str(uuid.UUID(int=number)) for number in range(8))
ASKED = st.one_of(
    st.sampled_from(CITIZENS).map(
        lambda one: Asked({"citizen": one.removeprefix("CPR:")}, frozenset({one}), citizen=frozenset({one}))
    ),
    st.sampled_from(CITIZENS + COMPANIES).map(
        lambda one: Asked(
            {"party": dict(zip(("id_type", "id"), one.split(":"), strict=True))},
            frozenset({one}),
            citizen=frozenset({one}) if one in CITIZENS else None,
        )
    ),
    st.sampled_from(USER_KEYS).map(lambda key: Asked({"user_key": key}, frozenset(), user_key=key)),
    st.lists(st.sampled_from(CASE_IDS), min_size=1, max_size=4, unique=True).map(
        lambda ids: Asked({"case_ids": ids}, frozenset(), case_ids=tuple(ids))
    ),
)


@settings(max_examples=150)
@given(cases=st.lists(entries(), max_size=8), reader=readers(), said=facts(), asked=ASKED, limit=st.integers(1, 4))
def test_a_search_shows_what_decide_permits_page_by_page_and_nothing_else(
    index: Index, cases: list[Entry], reader: Reader, said: Facts, asked: Asked, limit: int
) -> None:
    states = [state_like(case, number) for number, case in enumerate(cases)]
    index.clear()
    index.put(states)
    index.facts.facts = said
    query = Query("sapa", replace(reader, role=Role.EMPLOYEE), asked.citizen)

    pages = list(index.pages(query, **asked.request, limit=limit))

    found = [entry for entry in in_order(states) if asked.finds(entry)]
    permitted = [entry.key for entry in found if isinstance(decide(entry, query, said, AT), Permit)]
    assert [key_of(shown) for page in pages for shown in page.entries] == permitted
    assert all(page.entries or page.next_cursor is None for page in pages)
    assert len(index.logged()) == len(pages)

    # The index narrows by exactly what the policy tests, but for what municipalities leave out.
    all_wanted = replace(said, delimitations={})
    narrowed = [entry.key for entry in found if isinstance(decide(entry, query, all_wanted, AT), Permit)]
    assert candidates(index, query, said, asked) == narrowed


@settings(max_examples=60)
@given(
    levels=st.dictionaries(st.sampled_from(PATTERNS), st.integers(1, 4)), areas=st.sampled_from((("N*",), ("27.*",)))
)
@example(levels={"N*": 2, "27.36.*": 4, "27.36.04": 1}, areas=("N*",))
def test_the_index_takes_the_level_of_the_longest_pattern(
    index: Index, levels: dict[str, int], areas: tuple[str, ...]
) -> None:
    each = [(number, level) for number in NUMBERS for level in (1, 2, 3, 4)]
    states = [state_like(an_entry(AARHUS, *case, user_key="S-1"), number) for number, case in enumerate(each)]
    index.clear()
    index.put(states)
    scope = Scope.of(AARHUS, areas, levels)
    query = Query("sapa", reader_of((scope,)))

    found = candidates(index, query, FACTS, Asked({}, frozenset(), user_key="S-1"))

    covered = [key for (key, _), case in zip(states, each, strict=True) if scope.covers(AARHUS, *case)]
    assert found == covered


RESTRICTED = AgreementState.RESTRICTED


def test_the_index_takes_what_the_senders_agreement_covers_and_the_security_profile_lets_through(index: Index) -> None:
    primary, second = (("PRIMARY", citizen) for citizen in CITIZENS)
    each = product(
        NUMBERS,
        SYSTEMS,
        (DAY - 1, DAY),
        ((primary,), (second, primary), (second, ("SECONDARY", CITIZENS[0]))),
        (None, frozenset({"principal-1"}), frozenset({"principal-2"})),
    )
    states = [
        state_like(
            an_entry(
                AARHUS, kle, 2, system, created_at=at, parties=parties, principals=principals, user_key=USER_KEYS[0]
            ),
            number,
        )
        for number, (kle, system, at, parties, principals) in enumerate(each)
    ]
    index.put(states)
    query = Query("sapa", replace(OF_ALL.reader, principals=frozenset({"principal-1"})))
    for agreement in (
        sender_agreement(AARHUS),
        sender_agreement(AARHUS, from_date=date(1970, 1, 2)),
        sender_agreement(AARHUS, kle=Patterns.of(("27.36.*", "15.*"))),
        sender_agreement(AARHUS, sensitivity=1),
        sender_agreement(AARHUS, state=AgreementState.SUSPENDED),
        sender_agreement(AARHUS, state=RESTRICTED, restricted_citizens=frozenset({CITIZEN})),
        sender_agreement(
            AARHUS, state=RESTRICTED, kle=Patterns.of(("27.36.*",)), restricted_kle=Patterns.of(("27.*",))
        ),
    ):
        said = replace(FACTS, senders={(AARHUS, "sbsys"): agreement})
        permitted = [e.key for e in in_order(states) if isinstance(decide(e, query, said, AT), Permit)]
        assert bool(permitted) is (agreement.state is not AgreementState.SUSPENDED and agreement.sensitivity > 1)
        assert candidates(index, query, said, Asked({}, frozenset(), user_key=USER_KEYS[0])) == permitted


def in_order(states: list[tuple[EntryKey, State]]) -> list[Entry]:
    derived = [entry_of(key, state) for key, state in states]
    return sorted(derived, key=lambda entry: (-(entry.created_at or 0), entry.key))


def key_of(shown: dict[str, Any]) -> EntryKey:
    return EntryKey(shown["authority"], shown["system"], shown["case_id"])


def candidates(index: Index, query: Query, said: Facts, asked: Asked) -> list[EntryKey]:
    row = POLICY[query.overview]
    keys = tuple(EntryKey(*source, case_id) for source in said.senders for case_id in asked.case_ids)
    looked_for = index_store.Asked(
        tuple(asked.references), roles(row, query), asked.user_key, None, principals(row, query), keys
    )

    async def collect() -> list[EntryKey]:
        async with index.pool.connection() as connection:
            holders = await index_store.holders(connection, looked_for)
            stream = index_store.candidates(connection, looked_for, grants(row, query, said, AT, holders), None, 3)
            async with aclosing(stream) as rows:
                return [EntryKey(found.authority, found.system, found.case_id) async for found in rows]

    return index.runner.run(collect())


def a_case(index: Index, number: int = 1, **groups: Any) -> None:
    entry = an_entry(AARHUS, "27.36.04", 2, parties=(("PRIMARY", CITIZENS[0]),), user_key="S-1")
    index.put([state_like(entry, number, **groups)])


def test_a_case_is_shown_with_where_it_came_from(index: Index) -> None:
    a_case(
        index,
        actors=listed(
            {"item_id": "1", "role": "RESPONSIBLE", "id": "u1", "name": "Ældre og Sundhed"},
            {"item_id": "2", "role": "HANDLER", "id": "p1", "name": "Ea", "contact": "ea@eksempel.dk"},
        ),
        progress=listed(
            {"state": "OPLYST", "effective_from": 86_400_000_000},
            {"state": "OPSTAAET", "effective_from": 0, "effective_to": 86_400_000_000},
        ),
    )

    (shown,) = index.answer(OF_ALL, citizen=CITIZEN).entries

    assert shown.pop("indexed_at").endswith("Z")
    assert shown == {
        "case_id": "00000000-0000-0000-0000-000000000001",
        "authority": AARHUS,
        "authority_name": "Eksempel Kommune",
        "system": "sbsys",
        "citizen_role": "PRIMARY",
        "user_key": "S-1",
        "title": "Sag 1",
        "kle": "27.36.04",
        "kle_title": "Hjemmehjælp",
        "facet": None,
        "state": "OPLYST",
        "progress": [
            {
                "state": "OPSTAAET",
                "effective_from": "1970-01-01T00:00:00.000000Z",
                "effective_to": "1970-01-02T00:00:00.000000Z",
            },
            {"state": "OPLYST", "effective_from": "1970-01-02T00:00:00.000000Z", "effective_to": None},
        ],
        "sensitivity": "FORTROLIGE_PERSONOPLYSNINGER",
        "responsible": {"id": "u1", "name": "Ældre og Sundhed", "authority": None},
        "handler": {"id": "p1", "name": "Ea", "authority": None},
        "contact": "ea@eksempel.dk",
        "link": None,
        "documents": [],
        "registered_at": "2023-11-14T22:13:20.000001Z",
        "received_at": "2025-06-01T12:00:00.000000Z",
        "provenance": {
            "event_id": "00000000-0000-0000-0000-000000000001",
            "kle_original": "27.36.04",
            "kle_rule": None,
            "kle_edition": "2024-01-01",
            "agreement_version": 1,
        },
    }


def test_the_kle_title_stands_in_for_a_title_that_was_emptied_and_the_other_title_is_shown(index: Index) -> None:
    titles = {"title": "", "confidential_title": "Hjemmehjælp til Ea", "user_key": "S-1", "created_at": 0}
    a_case(index, properties=titles)
    (shown,) = index.answer(OF_ALL, citizen=CITIZEN).entries
    assert (shown["title"], shown["confidential_title"]) == ("Hjemmehjælp", "Hjemmehjælp til Ea")


def test_documents_are_seen_by_their_own_level_and_notes_never(index: Index) -> None:
    levels = (None, "FORTROLIGE_PERSONOPLYSNINGER", "VIP_SAGER")
    a_case(
        index,
        journal=listed(
            *(
                {"item_id": str(n), "kind": "DOCUMENT", "title": str(level), "registered_at": 0, "sensitivity": level}
                for n, level in enumerate(levels)
            ),
            {"item_id": "note", "kind": "NOTE", "title": "note", "registered_at": 0},
        ),
    )
    below = Scope.of(AARHUS, ("N*",), {"N*": 3})
    reading = [OF_ALL, Query("sapa", reader_of((below,))), Query("sapa", reader_of((EVERYTHING,), (below,)))]
    seen = [
        [document["title"] for document in index.answer(query, citizen=CITIZEN).entries[0]["documents"]]
        for query in reading
    ]
    assert seen == [[str(level) for level in levels], ["None", levels[1]], ["None", levels[1]]]


def test_patterns_and_states_narrow_what_is_asked_for(index: Index) -> None:
    for number, state in enumerate(("OPSTAAET", "AFGJORT", "OPSTAAET")):
        a_case(index, number, progress=listed({"state": state, "effective_from": 0}))
    assert [shown["title"] for shown in index.answer(OF_ALL, citizen=CITIZEN, states=["AFGJORT"]).entries] == ["Sag 1"]
    pages = list(index.pages(OF_ALL, citizen=CITIZEN, states=["OPSTAAET"], limit=1))
    assert [[shown["title"] for shown in page.entries] for page in pages] == [["Sag 0"], ["Sag 2"]]
    assert len(index.answer(OF_ALL, citizen=CITIZEN, kle=["15.*", "27.3*"]).entries) == 3
    assert index.answer(OF_ALL, citizen=CITIZEN, kle=["15.*"]).entries == []


def test_a_cursor_is_good_for_its_own_search_and_reader_alone(index: Index) -> None:
    for number in range(3):
        a_case(index, number)
    cursor = index.answer(OF_ALL, citizen=CITIZEN, limit=1).next_cursor
    assert cursor is not None
    assert index.answer(OF_ALL, citizen=CITIZEN, limit=2, cursor=cursor).next_cursor is None

    another = Query("sapa", replace(OF_ALL.reader, subject="employee-2"))
    bent = ("A" if cursor[9] != "A" else "B").join((cursor[:9], cursor[10:]))
    for query, request in (
        (another, {"citizen": CITIZEN, "cursor": cursor}),
        (OF_ALL, {"citizen": CITIZENS[1].removeprefix("CPR:"), "cursor": cursor}),
        (OF_ALL, {"citizen": CITIZEN, "kle": ["N*"], "cursor": cursor}),
        (OF_ALL, {"citizen": CITIZEN, "cursor": bent}),
        (OF_ALL, {"citizen": CITIZEN, "cursor": "æ"}),
        (OF_ALL, {"citizen": CITIZEN, "cursor": "bnVsbA"}),
    ):
        with pytest.raises(BrokenCursorError):
            index.ask(query, **request)


def test_every_source_in_the_readers_scope_is_told_whether_or_not_it_has_anything(index: Index) -> None:
    with database.connect(index.dsn, "test") as connection:
        connection.execute(
            "INSERT INTO source_freshness VALUES ('55133018', 'sbsys', 0, %(then)s, now()),"
            " ('55133018', 'sbsys', 1, %(then)s - 5000000, now()), ('29189420', 'nexus', 0, %(then)s, now())",
            {"then": int(AT.timestamp() * 1_000_000) - 2_500_000},
        )
    assert index.answer(OF_ALL, citizen=CITIZEN).freshness == [
        {
            "authority": AARHUS,
            "system": "sbsys",
            "last_registered_at": "2025-06-01T11:59:57.500000Z",
            "seconds_behind": 2.5,
        }
    ]


def test_a_source_that_never_delivered_is_told_as_such(index: Index) -> None:
    silent = sender_agreement(AARHUS, system="cura", kle=Patterns.of(("27.*",)))
    suspended = replace(silent, system="klgateway", state=AgreementState.SUSPENDED)
    senders = {(AARHUS, one.system): one for one in (silent, suspended)}
    index.facts.facts = replace(FACTS, senders={**FACTS.senders, **senders})
    with database.connect(index.dsn, "test") as connection:
        connection.execute("INSERT INTO source_freshness VALUES (%s, 'domus', 0, 0, now())", [AARHUS])
    told = index.answer(OF_ALL, citizen=CITIZEN).freshness
    assert [(one["system"], one["last_registered_at"] is None, one["seconds_behind"] is None) for one in told] == [
        ("cura", True, True),
        ("domus", False, False),
        ("sbsys", True, True),
    ]


def test_every_read_is_logged_with_what_was_shown_and_without_the_citizens_number(index: Index) -> None:
    a_case(index)
    index.answer(OF_ALL, citizen=CITIZEN, purpose="Partshøring")
    index.answer(OF_ALL, citizen=CITIZENS[1].removeprefix("CPR:"))
    index.answer(OF_ALL, user_key="S-1")

    shown, nothing, by_key = index.logged()
    key = f"{AARHUS}/sbsys/00000000-0000-0000-0000-000000000001"
    assert (shown["decision"], shown["basis"], shown["reason"]) == ("permit", "official_duty", None)
    assert (shown["purpose"], shown["cases"], shown["overview"]) == ("Partshøring", [key], "sapa")
    assert (shown["reader"]["subject"], shown["reader"]["role"]) == ("employee-1", "employee")
    assert (nothing["decision"], nothing["reason"], nothing["cases"]) == ("deny", "nothing_permitted", [])
    assert shown["subject"] != nothing["subject"]
    assert (by_key["subject"], by_key["cases"], by_key["shown"]) == (None, [key], [shown["subject"]])
    assert (shown["shown"], shown["authorities"]) == (None, [AARHUS])
    assert CITIZEN not in str((shown, nothing, by_key))


def test_a_role_that_does_not_read_is_refused_and_logged(index: Index) -> None:
    a_case(index)
    citizen = Query("sapa", replace(OF_ALL.reader, role=Role.CITIZEN))
    assert index.ask(citizen, citizen=CITIZEN) == Refused(Reason.ROLE)
    (logged,) = index.logged()
    assert (logged["decision"], logged["reason"], logged["cases"]) == ("deny", "role", [])


def test_nothing_is_read_while_the_log_cannot_be_written(index: Index) -> None:
    a_case(index)
    with database.connect(index.dsn, "test") as connection:
        connection.execute("ALTER TABLE access_log RENAME TO away")
    with pytest.raises(NotLoggedError) as refused:
        index.ask(OF_ALL, citizen=CITIZEN)
    assert CITIZEN not in str(refused.value)
    with database.connect(index.dsn, "test") as connection:
        connection.execute("ALTER TABLE away RENAME TO access_log")
    assert len(index.answer(OF_ALL, citizen=CITIZEN).entries) == 1


def test_the_row_is_committed_before_the_answer_is_given(index: Index) -> None:
    a_case(index)
    index.answer(OF_ALL, citizen=CITIZEN)
    with psycopg.connect(index.dsn) as elsewhere:
        assert elsewhere.execute("SELECT count(*) FROM access_log").fetchone() == (1,)


def test_what_is_registered_and_the_cases_are_read_as_of_one_moment(index: Index) -> None:
    class Meanwhile(OneFacts):
        async def current(self, connection: object, revision: int | None = None) -> Facts:
            with database.connect(index.dsn, "test") as other:
                other.execute("DELETE FROM entry")
            return await super().current(connection, revision)

    a_case(index)
    facts = Meanwhile()
    facts.facts = index.facts.facts
    assert len(replace(index, facts=facts).answer(OF_ALL, citizen=CITIZEN).entries) == 1
    assert index.answer(OF_ALL, citizen=CITIZEN).entries == []


def test_an_array_is_written_as_postgresql_reads_it(index: Index) -> None:
    texts = ["", " ", "a,b", "{}", "NULL", "'", '"', "\\", '\\"', "æ\n\t"]
    with database.connect(index.dsn, "test") as connection:
        for listed_texts in (texts, texts[:1], []):
            assert connection.execute("SELECT %s::text[]", [array(listed_texts)]).fetchone() == (listed_texts,)


def test_a_key_made_in_a_transaction_that_failed_hashes_nothing_afterwards(index: Index) -> None:
    async def keys() -> tuple[bytes, bytes, bytes]:
        async with index.pool.connection() as one, index.pool.connection() as other:
            with suppress(InterruptedError):
                async with one.transaction():
                    lost = await access_log.pepper(one)
                    raise InterruptedError
            return lost, await access_log.pepper(one), await access_log.pepper(other)

    lost, kept, elsewhere = index.runner.run(keys())
    assert lost != kept == elsewhere


def test_behind_the_second_line_a_statement_without_conditions_sees_the_readers_rows_alone(index: Index) -> None:
    elsewhere = an_entry("29189420", "27.36.04", 2, parties=(("SECONDARY", CITIZENS[0]),))
    a_case(index, 1)
    index.put([state_like(elsewhere, 2)])

    def seen(bounds: Bounds) -> list[str]:
        async def look() -> list[str]:
            async with index.pool.connection() as connection, behind(connection, bounds):
                rows = await (await connection.execute("SELECT authority FROM entry ORDER BY 1")).fetchall()
                return [authority for (authority,) in rows]

        return index.runner.run(look())

    assert seen(Bounds((AARHUS,), ())) == [AARHUS]
    assert seen(Bounds((AARHUS, "29189420"), ())) == ["29189420", AARHUS]
    assert seen(Bounds((), (CITIZENS[0],))) == ["29189420", AARHUS]
    assert seen(Bounds((), (CITIZENS[1],))) == []
    assert seen(Bounds((), ())) == []


def test_the_second_line_lets_nothing_be_written_and_ends_with_its_block(index: Index) -> None:
    a_case(index)

    async def outcome(*, within: bool) -> tuple[str, int]:
        async with index.pool.connection() as connection:
            async with connection.transaction() if within else nullcontext():
                async with behind(connection, Bounds((), ())):
                    pass
                row = await (await connection.execute("SELECT count(*) FROM entry")).fetchone()
            try:
                async with behind(connection, Bounds((AARHUS,), ())):
                    await connection.execute("UPDATE entry SET user_key = 'x'")
            except psycopg.errors.InsufficientPrivilege as refused:
                return type(refused).__name__, 0 if row is None else row[0]
            return "written", -1

    for within in (False, True):
        assert index.runner.run(outcome(within=within)) == ("InsufficientPrivilege", 1)
