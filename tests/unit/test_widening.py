"""What rules, own numbers and editions bring in is asked for, unless it was kept; and nothing else is."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.agreement import AgreementState, Delimitation, Facts, SenderAgreement
from broker.domain.case import CaseEvent
from broker.domain.classify import Classified, judge
from broker.domain.kle import Edition, KleBook, Local, Patterns
from broker.domain.kle_rules import Rule, Rules, ties
from broker.domain.outcome import Delimited
from broker.domain.widening import MOST, Brought, brought_in
from tests.unit.test_classify import event, party, progress

OURS, OTHERS = "55133018", "29189420"
OLD, NEW, TODAY = date(2020, 1, 1), date(2024, 1, 1), date(2025, 6, 1)
CITIZEN = "0101014444"
EPOCH, DAY = date(1970, 1, 1), 86_400_000_000
TITLES = {number: number for number in ("16.08.06", "27.36.04", "27.36.08", "28.01.01")}
FIRST = Edition(OLD, TITLES)
BOOK = KleBook((FIRST,))
OPEN = SenderAgreement(OURS, "sbsys", 1, AgreementState.FULL, Patterns.of(["27.*"]), 4, OLD)
INTO = "27.36.04"


def rule(kle: str | None, number: str = INTO, code: str | None = None, **more: Any) -> Rule:
    said = {"authority": OURS, "system": "sbsys", "since": OLD, **more}
    return Rule(kle=kle, local_code=code, number=number, facet=None, **said)


def known(*agreements: SenderAgreement, book: KleBook = BOOK, choices: Iterable[Delimitation] = ()) -> Facts:
    senders = {(one.authority, one.system): one for one in agreements or (OPEN,)}
    return Facts(1, senders, delimitations={OURS: tuple(choices)} if choices else {}, kle=book)


def ruled(*rules: Rule, book: KleBook = BOOK) -> KleBook:
    return replace(book, rules=Rules(rules))


def asked(facts: Facts, book: KleBook) -> list[tuple[str, ...]]:
    return [one.kle for one in brought_in(facts, book, TODAY)]


@pytest.mark.parametrize(
    ("book", "kle"),
    [
        (ruled(rule("28.*")), [(INTO,)]),
        (ruled(rule("28.01.01")), [(INTO,)]),
        (ruled(rule("99.*")), [(INTO,)]),  # which no edition knows, and of which nothing was kept
        (ruled(rule("N*", "27.36.08")), [("27.36.08",)]),
        (ruled(rule("28.*", system="*", authority="*")), [(INTO,)]),
        (ruled(rule("28.*", system="nexus")), []),
        (ruled(rule("28.*", authority=OTHERS)), []),
        (ruled(rule("27.36.08")), []),  # was in before
        (ruled(rule("27.99.*")), []),  # unknown, and kept
        (ruled(rule(None, code="§ 83")), []),  # no number: kept
        (ruled(rule("28.*", "16.08.06")), []),  # from outside to outside
        (ruled(rule("28.*", "27.99.99")), []),  # to what no edition knows
        (ruled(rule("28.*", since=TODAY + timedelta(days=1))), []),  # cases of tomorrow are still to come
        (ruled(rule("28.*", until=OLD + timedelta(days=1))), [(INTO,)]),
        (ruled(rule("28.*", since=date(2000, 1, 1), until=OLD)), []),  # of days that the agreement does not cover
        (KleBook((replace(FIRST, successors={"16.01.01": frozenset({INTO})}),)), [(INTO,)]),
        (KleBook((replace(FIRST, successors={"27.01.01": frozenset({INTO})}),)), []),  # kept
        (KleBook((FIRST, Edition(NEW, {INTO: ""}, successors={"28.01.01": frozenset({INTO})}))), [(INTO,)]),
        (KleBook((FIRST, Edition(NEW, {**TITLES, "27.36.12": "", "28.36.12": ""}))), []),
        (replace(BOOK, local=(Local(OURS, "27.36.99", "", OLD),)), []),  # kept
        (replace(BOOK, local=(Local(OURS, "28.36.99", "", OLD),)), []),
        (BOOK, []),
    ],
)
def test_what_leads_inside_and_led_outside_is_asked_for(book: KleBook, kle: list[tuple[str, ...]]) -> None:
    assert asked(known(), book) == kle


def test_a_chain_of_successors_a_rule_and_an_own_number_lead_on() -> None:
    """An edition, or an own number, changes what an older rule comes to."""
    gone = replace(FIRST, successors={"28.01.02": frozenset({"28.01.03"})})
    book = KleBook((gone,), rules=Rules((rule("99.*", "28.01.02"),)))
    later = Edition(NEW, TITLES, successors={"28.01.03": frozenset({INTO})})
    assert asked(known(book=book), replace(book, editions=(gone, later))) == [(INTO,)]
    book = ruled(rule("99.*", "27.36.99"))
    assert asked(known(book=book), replace(book, local=(Local(OURS, "27.36.99", "", OLD),))) == [("27.36.99",)]


def test_taking_a_rule_away_brings_back_what_it_had_led_out() -> None:
    assert asked(known(book=ruled(rule("27.36.*", "28.01.01"))), BOOK) == [("27.36.04", "27.36.08")]


def test_while_restricted_nothing_was_kept() -> None:
    restricted = replace(OPEN, state=AgreementState.RESTRICTED, restricted_kle=Patterns.of(["27.36.04"]))
    assert asked(known(restricted), ruled(rule(None, code="§ 83"))) == [(INTO,)]
    assert asked(known(restricted), ruled(rule(None, "27.36.08", code="§ 83"))) == []
    citizens = replace(restricted, restricted_citizens=frozenset({CITIZEN}))
    assert asked(known(citizens), ruled(rule(None, "27.36.08", code="§ 83"))) == [("27.36.08",)]
    assert asked(known(restricted), ruled(rule("27.36.08"))) == [(INTO,)]


def test_what_the_municipality_left_out_is_asked_for_and_what_it_leaves_out_is_not() -> None:
    choices = [Delimitation(Patterns.of(["27.36.04"]), NEW, active_only=True)]
    facts = known(choices=choices)
    assert asked(facts, ruled(rule("27.36.08"))) == [(INTO,)]
    assert asked(facts, ruled(rule("28.*", "27.36.08"))) == []
    assert asked(facts, ruled(rule("27.36.08", until=NEW))) == []
    wide = [*choices, Delimitation(Patterns.of(["27.36.08"]), NEW, active_only=False)]
    assert asked(known(choices=wide), ruled(rule("27.36.04", "27.36.08"))) == [("27.36.08",)]  # closed ones
    assert asked(known(choices=wide), ruled(rule("27.36.08"))) == []


def test_only_open_agreements_are_asked_and_each_for_its_own() -> None:
    closed = replace(OPEN, system="nova", state=AgreementState.SUSPENDED)
    wide = replace(OPEN, system="nexus", kle=Patterns.of(["N*"]))
    facts = known(OPEN, closed, wide, replace(OPEN, authority=OTHERS))
    assert brought_in(facts, ruled(rule("28.*", system="*")), TODAY) == [Brought(OURS, "sbsys", (INTO,))]


def test_many_numbers_are_asked_for_by_their_main_groups() -> None:
    many = {f"27.{group}.{number:02}": "" for group in (36, 40) for number in range(MOST)}
    gone = Edition(OLD, {}, successors={number.replace("27", "99", 1): frozenset({number}) for number in many})
    book = KleBook((replace(gone, titles=many),))
    assert asked(known(), book) == [("27.*",)]
    assert asked(known(replace(OPEN, kle=Patterns.of(["27.36.*", "28.*"]))), book)[0][0] == "27.36.00"
    both = replace(OPEN, kle=Patterns.of(["27.36.*", "27.40.*"]))
    assert asked(known(both), book) == [("27.36.*", "27.40.*")]


NUMBERS = ("27.36.04", "27.36.08", "27.36.12", "28.01.01", "28.01.02", "16.08.06")
UNLISTED = ("27.36.90", "27.99.99", "28.01.90", "28.99.99", "16.99.99")
PATTERNS = ("N*", "27.*", "27.36.*", "27.36.0*", "28.*", "28.01.*", "16.*", *NUMBERS)
DAYS = (date(2019, 6, 1), OLD, date(2022, 1, 1), NEW, TODAY, TODAY + timedelta(days=30))
numbers, days = st.sampled_from(NUMBERS), st.sampled_from(DAYS)


@st.composite
def books(draw: st.DrawFn, patterns: tuple[str, ...] = PATTERNS) -> KleBook:
    def edition(published: date) -> Edition:
        titles = draw(st.sets(numbers))
        successors = draw(st.dictionaries(numbers, st.frozensets(numbers, min_size=1, max_size=2), max_size=3))
        retired = draw(st.dictionaries(st.sampled_from(sorted(titles)), days, max_size=2)) if titles else {}
        return Edition(published, dict.fromkeys(titles, ""), retired, successors)

    editions = tuple(edition(day) for day in sorted(draw(st.sets(days, max_size=3))))
    whose, of = st.sampled_from((OURS, "*")), st.sampled_from(("sbsys", "*"))
    texts = st.one_of(st.tuples(st.sampled_from(patterns), st.none()), st.tuples(st.none(), st.sampled_from("ab")))
    rules: list[Rule] = []
    for authority, system, (kle, code), number, (since, until) in draw(
        st.lists(st.tuples(whose, of, texts, numbers, st.tuples(days, st.none() | days)), max_size=4)
    ):
        one = rule(kle, number, code, authority=authority, system=system, since=since)
        one = replace(one, until=until if until is None or until > since else None)
        if not ties([*rules, one]):
            rules.append(one)
    local = tuple(Local(OURS, number, "", draw(days)) for number in draw(st.sets(numbers, max_size=1)))
    return KleBook(editions, rules=Rules(tuple(rules)), local=local)


@st.composite
def agreed(draw: st.DrawFn) -> Facts:
    def some() -> Patterns:
        return Patterns.of(draw(st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2)))

    state = draw(st.sampled_from((AgreementState.FULL, AgreementState.RESTRICTED)))
    citizens = draw(st.sampled_from((frozenset[str](), frozenset({CITIZEN}))))
    agreement = SenderAgreement(OURS, "sbsys", 1, state, some(), 4, draw(days), some(), citizens)
    choices = [Delimitation(some(), draw(days), draw(st.booleans())) for _ in range(draw(st.integers(0, 2)))]
    return known(agreement, choices=choices)


def cases(listed: tuple[str, ...]) -> Iterator[CaseEvent]:
    """One from each day on which anything may turn, until today, under every number and code, open and closed."""
    named = [{"kle": one} for one in listed] + [{"local_code": code} for code in "ab"]
    whose = party(id=CITIZEN)["parties"], {"complete": True, "items": []}
    for day, classification, parties, step in product(DAYS, named, whose, ("OPSTAAET", "AFSLUTTET")):
        if day > TODAY:
            continue
        at = (day - EPOCH).days * DAY
        yield event(
            authority=OURS,
            classification={"kle": None, "facet": None, "local_code": None, **classification},
            properties={"user_key": "S-1", "title": "ansøgning", "created_at": at},
            parties=parties,
            progress=progress(("OPSTAAET", at, None)) if step == "OPSTAAET" else progress((step, at, None)),
        )


LISTED, ALL = list(cases(NUMBERS)), list(cases((*NUMBERS, *UNLISTED)))


def needed(facts: Facts, book: KleBook, every: Iterable[CaseEvent]) -> set[str]:
    """What cases come to that are taken in, and of which nothing was kept before."""
    after, found, at = replace(facts, kle=book), set[str](), (TODAY - EPOCH).days * DAY
    for case in every:
        was = judge(case, facts, at)
        if isinstance(was, Classified) or not (isinstance(was, Delimited) or not was.covered):
            continue
        now = judge(case, after, at)
        if isinstance(now, Classified):
            found.add((now.event["classification"] or {})["kle"] or "")
    return found


@given(facts=agreed(), before=books(), after=books())
def test_no_case_that_is_let_in_stays_unasked_for(facts: Facts, before: KleBook, after: KleBook) -> None:
    facts = replace(facts, kle=before)
    wanted = needed(facts, after, ALL)
    told = {pattern for one in brought_in(facts, after, TODAY) for pattern in one.kle}
    assert wanted <= told


@given(facts=agreed(), before=books(NUMBERS), after=books(NUMBERS))
def test_nothing_is_asked_for_that_no_case_comes_to(facts: Facts, before: KleBook, after: KleBook) -> None:
    """Where rules name numbers one by one."""
    facts = replace(facts, kle=before)
    told = {pattern for one in brought_in(facts, after, TODAY) for pattern in one.kle}
    assert told == needed(facts, after, LISTED)
