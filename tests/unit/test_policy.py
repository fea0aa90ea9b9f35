"""Laws that hold `decide` and `audience` together."""

from datetime import date

from hypothesis import Phase, example, find, given, settings
from hypothesis import strategies as st

from broker.domain.agreement import AgreementState
from broker.domain.audience import Audience, Nobody, audience
from broker.domain.policy import POLICY, Deny, Permit, Query, Reason, Role, Scope, decide, judge
from tests.unit.worlds import AT, CITIZENS, NUMBERS, World, an_entry, open_facts, reader_agreement, reader_of, worlds

SAPA = (
    Reason.ROLE, Reason.INCOMPLETE, Reason.NOT_DELIVERED, Reason.DELIMITED, Reason.AUTHORITY_NOT_JOINED,
    Reason.OUTSIDE_SCOPE, Reason.OUTSIDE_CLIENT_SCOPE, Reason.NOT_A_PARTY, Reason.SECURITY_PROFILE,
)  # fmt: skip
UNSHRUNK = settings(max_examples=3000, phases=[Phase.generate], database=None)


@settings(max_examples=500)
@given(worlds())
def test_nobody_whom_decide_permits_is_outside_the_audience(world: World) -> None:
    if isinstance(world.verdict, Permit):
        reached = audience(world.entry, world.query.overview, world.facts, AT)
        assert isinstance(reached, Audience)
        assert reached.admits(world.query, AT)


@given(worlds())
def test_an_audience_of_nobody_means_that_everyone_is_denied(world: World) -> None:
    if isinstance(audience(world.entry, world.query.overview, world.facts, AT), Nobody):
        assert isinstance(world.verdict, Deny)


@given(worlds())
def test_an_employee_in_the_audience_is_permitted_what_is_not_asked_for_a_citizen(world: World) -> None:
    reached = audience(world.entry, world.query.overview, world.facts, AT)
    employee = world.reading(role=Role.EMPLOYEE).query.reader
    if isinstance(reached, Audience) and reached.admits(Query("sapa", employee), AT):
        assert isinstance(decide(world.entry, Query("sapa", employee), world.facts, AT), Permit)


def test_the_random_worlds_permit_and_deny_for_every_reason() -> None:
    for reason in (None, *SAPA):
        find(worlds(), lambda world, reason=reason: _why(world) is reason, settings=UNSHRUNK)  # type: ignore[misc]


def _why(world: World) -> Reason | None:
    verdict = world.verdict
    return verdict.reason if isinstance(verdict, Deny) else None


@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_scopes_and_agreements_does_not_matter(world: World, random: object) -> None:
    shuffled = world.shuffled(random)

    assert shuffled.verdict == world.verdict


@given(worlds())
def test_one_test_that_denies_is_enough(world: World) -> None:
    reasons = [reason for _, reason in judge(POLICY["sapa"], world.entry, world.query, world.facts, AT)]
    assert isinstance(world.verdict, Permit) == (set(reasons) == {None})


@given(worlds())
def test_a_wider_scope_never_shows_less(world: World) -> None:
    everything = tuple(Scope.of(scope.authority, ("N*",), {"N*": 4}) for scope in world.query.reader.scopes)
    wider = world.reading(scopes=world.query.reader.scopes + everything)
    assert not (isinstance(world.verdict, Permit) and isinstance(wider.verdict, Deny))


@given(worlds(), st.sampled_from([role for role in Role if role is not Role.EMPLOYEE]))
def test_no_other_role_reads_what_employees_read(world: World, role: Role) -> None:
    assert world.reading(role=role).verdict == Deny(Reason.ROLE)


@given(worlds(), st.text(max_size=10).filter(lambda name: name not in POLICY))
def test_an_overview_that_the_policy_does_not_name_shows_nothing(world: World, name: str) -> None:
    query = Query(name, world.query.reader, world.query.citizen)
    assert decide(world.entry, query, world.facts, AT) == Deny(Reason.NO_SUCH_OVERVIEW)


@given(st.sampled_from(NUMBERS), st.integers(1, 4), st.integers(1, 4))
@example(number="27.36.04", level=3, ceiling=3)
def test_a_scope_reaches_its_level_and_no_further(number: str, level: int, ceiling: int) -> None:
    scope = Scope.of("55133018", ("27.*",), {"27.*": ceiling})
    assert scope.covers("55133018", number, level) == (number.startswith("27.") and level <= ceiling)
    assert not scope.covers("29189420", number, level)


def test_the_longest_pattern_decides_the_level_whether_it_raises_or_lowers() -> None:
    scope = Scope.of("55133018", ("N*",), {"N*": 2, "27.36.*": 4, "27.36.04": 1})
    assert [scope.level(number) for number in ("15.20.01", "27.36.08", "27.36.04")] == [2, 4, 1]


def test_scopes_are_never_mixed() -> None:
    number_of_one_authority = Scope.of("55133018", ("27.*",), {"N*": 1})
    level_of_another_area = Scope.of("55133018", ("15.*",), {"N*": 4})
    reader = reader_of((number_of_one_authority, level_of_another_area))
    entry = an_entry("55133018", "27.36.04", 3)

    assert decide(entry, Query("sapa", reader), open_facts("55133018"), AT) == Deny(Reason.OUTSIDE_SCOPE)


def test_a_beneficiary_is_no_party_to_search_for() -> None:
    reader = reader_of((Scope.of("55133018", ("N*",), {"N*": 4}),))
    entry = an_entry("55133018", "27.36.04", 3, parties=(("BENEFIT_RECIPIENT", CITIZENS[0]),))
    query = Query("sapa", reader, frozenset({CITIZENS[0]}))

    assert decide(entry, query, open_facts("55133018"), AT) == Deny(Reason.NOT_A_PARTY)


def test_an_agreement_is_in_force_from_its_first_day_to_the_day_before_its_last() -> None:
    agreement = reader_agreement("55133018", "*", "N*", 4, AgreementState.FULL, date(2024, 1, 1), date(2024, 2, 1))
    days = (date(2023, 12, 31), date(2024, 1, 1), date(2024, 1, 31), date(2024, 2, 1))
    assert [agreement.in_force(day) for day in days] == [False, True, True, False]
