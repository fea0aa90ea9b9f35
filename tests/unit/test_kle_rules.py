"""Which rule wins, that no two can, and what a case comes to by them."""

from collections.abc import Sequence
from datetime import date
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.domain.agreement import Delimitation, Facts
from broker.domain.case import CaseEvent
from broker.domain.classify import Classified, judge
from broker.domain.kle import Edition, KleBook, Local, Mapped, Patterns
from broker.domain.kle_rules import ANY, Rule, Rules, ties
from broker.domain.outcome import Code, Delimited, Rejected, WarningCode
from broker.store.kle_rules import unknown
from tests.unit.worlds import sender_agreement

AUTHORITIES, SYSTEMS = ("55133018", "29189420"), ("nexus", "sbsys")
NUMBERS = ("27.36.04", "27.36.08", "27.35.04", "32.45.04")
PATTERNS = ("N*", "27.*", "27.3*", "27.36.*", "27.36.0*", *NUMBERS)
CODES = ("Serviceloven § 83 a", "forløbstype 7")
DAYS = st.integers(0, 5).map(lambda n: date(2024, 1, 1 + n))
FIRST, SECOND = date(2024, 1, 2), date(2024, 1, 4)
BOOK = (
    Edition(FIRST, dict.fromkeys(NUMBERS, "emne")),
    Edition(
        SECOND,
        {"27.36.04": "emne", "27.36.08": "emne", "32.45.04": "emne [udgår 2027]"},
        retired={"32.45.04": date(2024, 1, 6)},
        successors={"27.35.04": frozenset({"27.36.04"})},
    ),
)
FACETS = (Edition(SECOND, {"G01": "Generelt", "K02": "Klager"}),)


@st.composite
def a_rule(draw: st.DrawFn) -> Rule:
    since, matched = draw(DAYS), draw(st.sampled_from((*PATTERNS, *CODES)))
    return Rule(
        draw(st.sampled_from((*AUTHORITIES, ANY))),
        draw(st.sampled_from((*SYSTEMS, ANY))),
        matched if matched in PATTERNS else None,
        matched if matched in CODES else None,
        draw(st.sampled_from((*NUMBERS, "27.99.99"))),
        draw(st.none() | st.sampled_from(("G01", "A00"))),
        since,
        draw(st.none() | DAYS.filter(lambda until: until > since)),
    )


def untied(drawn: Sequence[Rule]) -> list[Rule]:
    """Without those that tie with an earlier one."""
    kept: list[Rule] = []
    for rule in drawn:
        if not ties([*kept, rule]):
            kept.append(rule)
    return kept


RULES = st.lists(a_rule(), max_size=12).map(untied)
CASES = st.fixed_dictionaries(
    {
        "kle": st.none() | st.sampled_from((*NUMBERS, "27.99.99", "27.3604")),
        "facet": st.none() | st.sampled_from(("G01", "A00", "1")),
        "local_code": st.none() | st.sampled_from((*CODES, "andet")),
    }
)
WHO = st.tuples(st.sampled_from(AUTHORITIES), st.sampled_from(SYSTEMS))


def winner(rules: Sequence[Rule], authority: str, system: str, number: str | None, code: str | None, on: date) -> Rule:
    """As the module says it: the greatest by (names the authority, names the system, the length of the pattern)."""
    matching = [
        rule
        for rule in rules
        if rule.authority in (authority, ANY)
        and rule.system in (system, ANY)
        and rule.in_force(on)
        and (Patterns.of([rule.kle]).covers(number) if rule.kle and number else number is None)
        and (rule.local_code == code if number is None else rule.kle is not None)
    ]
    return max(
        matching,
        key=lambda rule: (rule.authority != ANY, rule.system != ANY, len((rule.kle or "").rstrip("*").strip("N"))),
    )


@given(RULES, WHO, st.none() | st.sampled_from(NUMBERS), st.sampled_from(CODES), DAYS)
def test_the_most_specific_rule_wins(
    rules: list[Rule], who: tuple[str, str], number: str | None, code: str, on: date
) -> None:
    found = Rules(tuple(rules)).winner(*who, number, code, on)
    try:
        assert found == winner(rules, *who, number, code, on)
    except ValueError:
        assert found is None


@given(RULES, st.randoms(), WHO, CASES, DAYS)
def test_the_order_of_rules_does_not_matter(
    rules: list[Rule], random: st.DataObject, who: tuple[str, str], case: dict[str, str | None], on: date
) -> None:
    shuffled = tuple(random.sample(rules, len(rules)))  # type: ignore[attr-defined]
    one, other = (KleBook(BOOK, FACETS, Rules(listed)) for listed in (tuple(rules), shuffled))
    assert one.map(*who, case, on) == other.map(*who, case, on)


@given(st.lists(a_rule(), max_size=6))
def test_two_rules_tie_when_nothing_tells_them_apart_on_some_day(rules: list[Rule]) -> None:
    days = [date(2024, 1, day) for day in range(1, 10)]
    found = {
        (one, other)
        for other in range(len(rules))
        for one in range(other)
        if (rules[one].authority, rules[one].system, rules[one].kle, rules[one].local_code)
        == (rules[other].authority, rules[other].system, rules[other].kle, rules[other].local_code)
        and any(rules[one].in_force(day) and rules[other].in_force(day) for day in days)
    }
    assert set(ties(rules)) == found
    if found:
        with pytest.raises(ValueError, match="tie"):
            Rules(tuple(rules))


@given(RULES, WHO, CASES, DAYS, st.sampled_from(((), (Local(AUTHORITIES[0], "27.99.99", "Egen", FIRST),))))
def test_whatever_a_case_says_it_maps_to_what_stands_or_is_rejected_with_a_code(
    rules: list[Rule], who: tuple[str, str], case: dict[str, str | None], on: date, own: tuple[Local, ...]
) -> None:
    book = KleBook(BOOK, FACETS, Rules(tuple(rules)), own)
    match book.map(*who, case, on):
        case Mapped(number=number, edition=published):
            edition = book.in_force(on)
            assert edition is not None
            assert published == edition.published
            assert edition.holds(number, on) or (bool(own) and (number, who[0]) == ("27.99.99", AUTHORITIES[0]))
        case Rejected(code):
            assert code in {
                Code.KLE_MALFORMED,
                Code.KLE_UNKNOWN,
                Code.KLE_RETIRED,
                Code.FACET_UNKNOWN,
                Code.UNMAPPED_LOCAL_CODE,
                Code.MANDATORY_MISSING,
            }


@given(RULES, st.lists(st.tuples(WHO, CASES, DAYS), max_size=20))
def test_what_a_book_remembers_changes_no_answer(
    rules: list[Rule], asked: list[tuple[tuple[str, str], dict[str, str | None], date]]
) -> None:
    book = KleBook(BOOK, FACETS, Rules(tuple(rules)))
    for who, case, on in [*asked, *asked]:
        assert book.map(*who, case, on) == KleBook(BOOK, FACETS, Rules(tuple(rules))).map(*who, case, on)


def mapped(book: KleBook, number: str, on: date, facet: str | None = None) -> Mapped | Code:
    judged = book.map(*AUTHORITIES[:1], "sbsys", {"kle": number, "facet": facet}, on)
    return judged.code if isinstance(judged, Rejected) else judged


def test_a_retired_number_follows_its_only_successor_and_says_so() -> None:
    book = KleBook(BOOK)
    assert mapped(book, "27.35.04", FIRST) == Mapped("27.35.04", None, FIRST)
    assert mapped(book, "27.35.04", SECOND) == Mapped("27.36.04", None, SECOND, "successor of 27.35.04")


@pytest.mark.parametrize(
    ("successors", "comes_to"),
    [
        ({}, Code.KLE_RETIRED),
        ({"27.35.04": {"27.36.04", "27.36.08"}}, Code.KLE_RETIRED),  # it was split
        ({"27.35.04": {"27.36"}}, Code.KLE_RETIRED),  # a whole group has taken its place
        ({"27.35.04": {"27.35.04"}}, Code.KLE_RETIRED),
        ({"27.35.04": {"27.35.08"}, "27.35.08": {"27.35.04"}}, Code.KLE_RETIRED),
        ({"27.35.04": {"27.35.08"}, "27.35.08": {"27.36.04"}}, "27.36.04"),
    ],
)
def test_no_successor_two_of_them_or_a_circle_is_retired(successors: dict[str, set[str]], comes_to: str | Code) -> None:
    later = Edition(
        SECOND,
        {"27.36.04": "x", "27.36.08": "x"},
        successors={number: frozenset(of) for number, of in successors.items()},
    )
    came = mapped(KleBook((BOOK[0], later)), "27.35.04", SECOND)
    assert (came.number if isinstance(came, Mapped) else came) == comes_to


def test_a_number_that_is_only_named_as_a_predecessor_is_no_unknown_one() -> None:
    book = KleBook((Edition(FIRST, {"27.36.04": "x"}, successors={"16.08.06": frozenset({"27.36.04"})}),))
    came = mapped(book, "16.08.06", SECOND)
    assert isinstance(came, Mapped)
    assert came.number == "27.36.04"
    assert mapped(book, "16.08.07", SECOND) is Code.KLE_UNKNOWN


def test_a_case_from_before_the_retirement_keeps_its_number_and_the_announcement_is_told() -> None:
    book = KleBook(BOOK)
    assert mapped(book, "32.45.04", SECOND) == Mapped("32.45.04", None, SECOND, announced="2024-01-06")
    assert mapped(book, "32.45.04", date(2024, 1, 6)) is Code.KLE_RETIRED
    assert book.announced(SECOND) == {"32.45.04": "2024-01-06"}
    marked = KleBook((Edition(FIRST, {"32.24.03": "Revalidering [udgår 2027]"}),))
    assert mapped(marked, "32.24.03", SECOND) == Mapped("32.24.03", None, FIRST, announced="2027")


def test_facets_are_judged_by_their_form_until_there_is_a_list() -> None:
    book = KleBook(BOOK, FACETS)
    assert isinstance(mapped(book, "27.36.04", FIRST, "A00"), Mapped)
    assert mapped(book, "27.36.04", SECOND, "A00") is Code.FACET_UNKNOWN
    assert isinstance(mapped(book, "27.36.04", SECOND, "K02"), Mapped)


def test_an_authority_s_own_number_is_known_to_it_alone_and_in_its_time() -> None:
    own = Local(AUTHORITIES[0], "27.36.99", "Eget", FIRST, date(2024, 1, 5))
    book = KleBook(BOOK, local=(own,))
    assert mapped(book, "27.36.99", SECOND) == Mapped("27.36.99", None, SECOND)
    assert mapped(book, "27.36.99", date(2024, 1, 5)) is Code.KLE_UNKNOWN
    other = book.map(AUTHORITIES[1], "sbsys", {"kle": "27.36.99"}, SECOND)
    assert isinstance(other, Rejected)
    assert (book.title("27.36.99", AUTHORITIES[0]), book.title("27.36.99", AUTHORITIES[1])) == ("Eget", None)


def test_a_rule_s_number_is_known_by_any_edition_and_by_whose_own_it_is() -> None:
    book = KleBook(BOOK, local=(Local(AUTHORITIES[0], "27.36.99", "Eget", FIRST),))

    def told(authority: str, number: str) -> list[str]:
        return unknown(book, [Rule(authority, ANY, "N*", None, number, None, FIRST)] * 2)

    assert [told(ANY, number) for number in ("27.35.04", "27.36.99", "27.99.99")] == [[], [], ["27.99.99"]]
    assert [told(authority, "27.36.99") for authority in AUTHORITIES] == [[], ["27.36.99"]]


def test_a_rule_maps_a_paragraph_and_a_number_it_names_says_its_name() -> None:
    rule = Rule(AUTHORITIES[0], "nexus", None, CODES[0], "27.36.04", "G01", FIRST)
    book = KleBook(BOOK, rules=Rules((rule,)))
    came = book.map(AUTHORITIES[0], "nexus", {"local_code": CODES[0]}, SECOND)
    assert came == Mapped("27.36.04", "G01", SECOND, f"{AUTHORITIES[0]}/nexus/local_code:{CODES[0]}@{FIRST}")
    # A number is the sender's own word: no rule for local codes takes its place.
    with_number = book.map(AUTHORITIES[0], "nexus", {"kle": "27.36.08", "local_code": CODES[0]}, SECOND)
    assert with_number == Mapped("27.36.08", None, SECOND)
    before = book.map(AUTHORITIES[0], "nexus", {"local_code": CODES[0]}, date(2024, 1, 1))
    assert isinstance(before, Rejected)
    assert (before.code, before.pointer) == (Code.UNMAPPED_LOCAL_CODE, "/classification/local_code")


def test_a_rule_s_number_that_is_gone_is_followed_or_refused_at_what_was_sent() -> None:
    rules = Rules(
        (
            Rule(ANY, ANY, None, "a", "27.35.04", None, FIRST),
            Rule(ANY, ANY, None, "b", "27.99.99", None, FIRST),
        )
    )
    book = KleBook(BOOK, rules=rules)
    followed = book.map(*AUTHORITIES[:1], "nexus", {"local_code": "a"}, SECOND)
    assert isinstance(followed, Mapped)
    assert (followed.number, followed.rule) == ("27.36.04", f"*/*/local_code:a@{FIRST}; successor of 27.35.04")
    refused = book.map(*AUTHORITIES[:1], "nexus", {"local_code": "b"}, SECOND)
    assert isinstance(refused, Rejected)
    assert (refused.code, refused.pointer) == (Code.KLE_UNKNOWN, "/classification/local_code")


NOW = 1_800_000_000_000_000
DAY = 86_400_000_000


@given(RULES, st.sampled_from((*NUMBERS, "16.08.06")), DAYS, st.lists(st.sampled_from(PATTERNS), max_size=2))
def test_every_number_of_every_edition_maps_is_delimited_or_is_rejected_with_a_code(
    rules: list[Rule], number: str, on: date, delimited: list[str]
) -> None:
    agreement = sender_agreement(AUTHORITIES[0], system="sbsys", kle=Patterns.of(["N*"]))
    choices = (Delimitation(Patterns.of(delimited), FIRST, active_only=False),) if delimited else ()
    known = Facts(
        1,
        {(AUTHORITIES[0], "sbsys"): agreement},
        delimitations={AUTHORITIES[0]: choices},
        kle=KleBook(BOOK, FACETS, Rules(tuple(rules))),
    )
    created = (on.toordinal() - date(1970, 1, 1).toordinal()) * DAY
    event = {
        "event_id": "e",
        "system": "sbsys",
        "authority": AUTHORITIES[0],
        "case_id": "00000000-0000-0000-0000-000000000001",
        "registered_at": created,
        "change": "REGISTERED",
        "properties": {"user_key": "S-1", "title": "ansøgning", "created_at": created},
        "classification": {"kle": number},
    }
    verdict = judge(cast("CaseEvent", event), known, NOW)
    match verdict:
        case Classified(event=judged, warnings=warnings):
            came = judged.get("classification")
            assert came is not None
            assert not delimited or (Patterns.of(delimited).covers(came["kle"]) and on >= FIRST)
            announced = came["kle"] == "32.45.04" and on >= SECOND
            assert [warned.code for warned in warnings] == [WarningCode.KLE_ANNOUNCED_RETIRED] * announced
        case Delimited():
            assert delimited
        case Rejected(code):
            assert code in {Code.KLE_UNKNOWN, Code.KLE_RETIRED, Code.FACET_UNKNOWN}


def test_an_announcement_is_a_warning_and_no_reason_to_keep_the_event_otherwise() -> None:
    known = Facts(
        1,
        {(AUTHORITIES[0], "sbsys"): sender_agreement(AUTHORITIES[0], system="sbsys", refuse_title_cpr=True)},
        kle=KleBook((Edition(FIRST, {"27.35.04": "Emne [udgår 2026]"}),)),
    )
    event = {
        "event_id": "e",
        "system": "sbsys",
        "authority": AUTHORITIES[0],
        "registered_at": NOW,
        "change": "REGISTERED",
    }
    event |= {"case_id": "00000000-0000-0000-0000-000000000001", "classification": {"kle": "27.35.04"}}
    verdict = judge(cast("CaseEvent", event), known, NOW)
    assert isinstance(verdict, Classified)
    assert [warned.detail for warned in verdict.warnings] == ["27.35.04 is to be gone: 2026"]
    assert not verdict.emptied
