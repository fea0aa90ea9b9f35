"""Who may see what: `decide`. Pure and total.

Everything that is not permitted is denied; any deny wins. An overview is a row of the policy's data, which names the
tests of this module: no overview has a name here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from broker.domain.agreement import ACCEPTING, Facts, ReaderAgreement, citizen_view, day_of, outside, wanted
from broker.domain.consent import Person, Power, PowerKind, age
from broker.domain.entry import PRIMARY, SECONDARY, Entry
from broker.domain.kle import Patterns
from broker.domain.overview import Overview as Overview  # noqa: PLC0414 - others take them from here
from broker.domain.overview import Policy, bundled
from broker.domain.overview import Role as Role  # noqa: PLC0414 - the same
from broker.domain.question import BreakGlass as BreakGlass  # noqa: PLC0414 - others take them from here
from broker.domain.question import Deny as Deny  # noqa: PLC0414 - the same
from broker.domain.question import Permit as Permit  # noqa: PLC0414 - the same
from broker.domain.question import Query as Query  # noqa: PLC0414 - the same
from broker.domain.question import Reader as Reader  # noqa: PLC0414 - the same
from broker.domain.question import Reason as Reason  # noqa: PLC0414 - the same
from broker.domain.question import Scope as Scope  # noqa: PLC0414 - the same

_NOWHERE: Final = Patterns(())


@dataclass(frozen=True, slots=True)
class Case:
    """One entry before one row of the policy."""

    entry: Entry
    row: Overview
    facts: Facts
    at: datetime


HIGHEST: Final = 4
OWN_TITLE: Final = "TITLE"
RequestTest = Callable[[Query, Overview], Reason | None]
CaseTest = Callable[[Entry, Facts], Reason | None]
Test = Callable[[Case, Query], Reason | None]
_PRIMARY: Final = frozenset({PRIMARY})
_PRIMARY_OR_SECONDARY: Final = frozenset({PRIMARY, SECONDARY})


def role(query: Query, row: Overview) -> Reason | None:
    """The reader's token is for this use."""
    return None if query.reader.role is row.role else Reason.ROLE


def written_purpose(query: Query, _row: Overview) -> Reason | None:
    """The reader says in writing what for."""
    return None if (query.purpose or "").strip() else Reason.PURPOSE_MISSING


def control_case(query: Query, _row: Overview) -> Reason | None:
    """The reader names the control case."""
    return None if (query.control_case or "").strip() else Reason.CONTROL_CASE_MISSING


def named_effort(query: Query, row: Overview) -> Reason | None:
    """The reader names the effort; who breaks the glass is not kept waiting for it, though without it nothing opens."""
    return Reason.EFFORT_MISSING if query.effort_id is None and not glass_broken(query, row) else None


def complete(entry: Entry, _facts: Facts) -> Reason | None:
    """Properties, progress and classification are there, and no other case has taken its place."""
    return None if entry.complete and entry.kle is not None else Reason.INCOMPLETE


def still_delivered(entry: Entry, facts: Facts) -> Reason | None:
    """The sender's agreement covers the case as it is now: what is lowered hides at once."""
    agreement = facts.senders.get((entry.key.authority, entry.key.system))
    if agreement is None or agreement.state not in ACCEPTING or entry.kle is None or entry.created_at is None:
        return Reason.NOT_DELIVERED
    covers = outside(agreement, day_of(entry.created_at), entry.sensitivity, entry.kle, entry.primary_citizens) is None
    return None if covers else Reason.NOT_DELIVERED


def still_wanted(entry: Entry, facts: Facts) -> Reason | None:
    """The municipality's own delimitation has not left it out."""
    choices = facts.delimitations.get(entry.key.authority, ())
    if entry.kle is None or entry.created_at is None:
        return Reason.DELIMITED if choices else None
    return None if wanted(choices, entry.kle, day_of(entry.created_at), entry.state) else Reason.DELIMITED


def shown_to_citizens(entry: Entry, facts: Facts) -> Reason | None:
    """The municipality has switched the area on for citizens, for cases as old, from this system."""
    if entry.kle is None or entry.created_at is None:
        return Reason.NOT_FOR_CITIZENS
    view = citizen_view(facts.citizen_views.get(entry.key.authority, ()), entry.kle)
    shown = view is not None and view.shows(entry.key.system, day_of(entry.created_at), entry.state)
    return None if shown else Reason.NOT_FOR_CITIZENS


def not_hidden(entry: Entry, _facts: Facts) -> Reason | None:
    """The case is not kept from the citizen."""
    return Reason.HIDDEN_FROM_CITIZEN if entry.hidden_from_citizen else None


def joined(case: Case, query: Query) -> Reason | None:
    """The municipality lets this overview's client show the case."""
    for agreement in agreements(case):
        if agreement.client in ("*", query.reader.client):
            return None
    return Reason.AUTHORITY_NOT_JOINED


def reader_scope(case: Case, query: Query) -> Reason | None:
    """One of the reader's scopes covers the entry, as a whole."""
    return None if _covered(case.entry, query.reader.scopes) else Reason.OUTSIDE_SCOPE


def client_scope(case: Case, query: Query) -> Reason | None:
    """One of the calling system's scopes does too."""
    scopes = query.reader.client_scopes
    return None if scopes is None or _covered(case.entry, scopes) else Reason.OUTSIDE_CLIENT_SCOPE


def primary_or_secondary(case: Case, query: Query) -> Reason | None:
    """The citizen searched for has that part in the case."""
    if query.citizen is None or case.entry.has_party(query.citizen, _PRIMARY_OR_SECONDARY):
        return None
    return Reason.NOT_A_PARTY


def primary(case: Case, query: Query) -> Reason | None:
    """A citizen is searched for, and is whom the case is about."""
    if query.citizen is not None and case.entry.has_party(query.citizen, _PRIMARY):
        return None
    return Reason.NOT_A_PARTY


def own_or_represented(case: Case, query: Query) -> Reason | None:
    """The reader is the citizen searched for, or may act for them in the case's area."""
    areas = areas_of(query, case.row, case.facts, case.at)
    return None if case.entry.kle is not None and areas.covers(case.entry.kle) else Reason.NO_POWER


def effort(case: Case, query: Query) -> Reason | None:
    """The reader coordinates or takes part in the effort that is named, which is for the citizen searched for."""
    return None if in_effort(query, case.facts, case.at) else Reason.NOT_IN_EFFORT


def no_objection(case: Case, query: Query) -> Reason | None:
    """The citizen has not objected: that beats every consent."""
    return Reason.OBJECTION if objected(query, case.row, case.facts, case.at) else None


def consent(case: Case, query: Query) -> Reason | None:
    """The citizen has consented for this effort, this data and this reader; or the glass is broken."""
    key, number = case.entry.key, case.entry.kle
    if number is None:
        return Reason.NO_CONSENT
    opened = consented(query, case.row, case.facts, case.at, frozenset((key.authority,)))
    given = any([areas.covers(number) for areas in opened.values()])  # noqa: C419 - compiled
    return None if given or glass_broken(query, case.row) else Reason.NO_CONSENT


def clearance(case: Case, query: Query) -> Reason | None:
    """The reader's own work, and the calling system, reach the entry's sensitivity."""
    return None if case.entry.sensitivity <= cleared(query.reader) else Reason.CLEARANCE


def on_control_list(case: Case, _query: Query) -> Reason | None:
    """The law lets control look into such cases."""
    number = case.entry.kle
    return None if number is not None and case.row.control_kle.covers(number) else Reason.NOT_ON_CONTROL_LIST


def security_profile(case: Case, query: Query) -> Reason | None:
    """Where there is a list of who may, the reader is on it."""
    if case.entry.principals is None or not case.entry.principals.isdisjoint(query.reader.principals):
        return None
    return Reason.SECURITY_PROFILE


REQUEST_TESTS: Final[dict[str, RequestTest]] = {
    "role": role,
    "written_purpose": written_purpose,
    "control_case": control_case,
}
CASE_TESTS: Final[dict[str, CaseTest]] = {
    "complete": complete,
    "still_delivered": still_delivered,
    "still_wanted": still_wanted,
    "shown_to_citizens": shown_to_citizens,
    "not_hidden": not_hidden,
}
TESTS: Final[dict[str, Test]] = {
    "joined": joined,
    "reader_scope": reader_scope,
    "client_scope": client_scope,
    "primary_or_secondary": primary_or_secondary,
    "primary": primary,
    "own_or_represented": own_or_represented,
    "effort": effort,
    "no_objection": no_objection,
    "consent": consent,
    "clearance": clearance,
    "on_control_list": on_control_list,
    "security_profile": security_profile,
}
PRECONDITIONS: Final[dict[str, RequestTest]] = {**REQUEST_TESTS, "effort": named_effort}
"""By a test's name what of the request it cannot pass without, whatever there is."""
OF_THE_REQUEST: Final = frozenset({"role", *REQUEST_TESTS})
"""Tests that ask about the reader and the question alone."""
OF_THE_REGISTER: Final = frozenset({"effort", "no_objection"})
"""Those that ask about them and the register of persons alone."""
POLICY: Final[Policy] = bundled()
_ALWAYS: Final = ("complete", "still_delivered", "still_wanted", "joined")


def flaws(policy: Policy) -> list[str]:
    """What is wrong with a policy of the right form; nothing of it may be in force then."""
    known = {*REQUEST_TESTS, *CASE_TESTS, *TESTS}
    wrong = []
    for name, row in policy.items():
        wrong += [f"{name}: no test is called {test}" for test in row.tests if test not in known]
        wrong += [f"{name}: {test} is never left out" for test in _ALWAYS if test not in row.tests]
        if len(set(row.tests)) != len(row.tests):
            wrong.append(f"{name}: a test stands twice")
        if "consent" in row.tests and row.nothing_registered != "deny":
            wrong.append(f"{name}: where a consent is needed, nothing registered means deny")
        if "consent" in row.tests and not {"effort", "no_objection", "primary"} <= set(row.tests):
            wrong.append(f"{name}: a consent is for an effort and a primary party, and an objection beats it")
        if not {"primary", "reader_scope"} & set(row.tests):
            wrong.append(f"{name}: neither the reader's scope nor the citizen bounds what is seen")
        if row.break_glass and "consent" not in row.tests:
            wrong.append(f"{name}: break-glass stands in for a consent alone")
        if bool(row.control_kle.prefixes) != ("on_control_list" in row.tests):
            wrong.append(f"{name}: control_kle and the test on_control_list go together")
    return wrong


def decide(entry: Entry, query: Query, facts: Facts, at: datetime) -> Permit | Deny:
    """May this reader be shown this entry in this overview, at this moment?"""
    overview = facts.policy.get(query.overview)
    if overview is None:
        return Deny(Reason.NO_SUCH_OVERVIEW)
    for _, reason in judge(overview, entry, query, facts, at):
        if reason is not None:
            return Deny(reason)
    return Permit(basis_of(overview, query))


def judge(
    overview: Overview, entry: Entry, query: Query, facts: Facts, at: datetime
) -> Iterator[tuple[str, Reason | None]]:
    """Every test by its name and why it denies, in order; None where it has no objection."""
    yield "role", role(query, overview)
    case = Case(entry, overview, facts, at)
    for name in overview.tests:
        if name in CASE_TESTS:
            yield name, CASE_TESTS[name](entry, facts)
        elif name in TESTS:
            yield name, TESTS[name](case, query)
        else:
            yield name, REQUEST_TESTS[name](query, overview)


def refused(overview: Overview, query: Query) -> Reason | None:
    """Why nothing can be shown for this request, whatever there is."""
    asked = (role, *(PRECONDITIONS[name] for name in overview.tests if name in PRECONDITIONS))
    return next((reason for test in asked if (reason := test(query, overview)) is not None), None)


def basis_of(overview: Overview, query: Query) -> str:
    """The legal basis of what is shown: the row's, or the one that was stated when the glass was broken."""
    broken = query.break_glass
    return f"break_glass: {broken.basis}" if broken is not None and glass_broken(query, overview) else overview.basis


def as_switched(entry: Entry, row: Overview, facts: Facts) -> tuple[bool, bool]:
    """(whether the case's own title is shown and not the KLE title, whether documents are).

    As the row says, and the municipality's switch where the row asks for it.
    """
    documents = "documents" in row.shows
    if "shown_to_citizens" not in row.tests or entry.kle is None:
        return True, documents
    view = citizen_view(facts.citizen_views.get(entry.key.authority, ()), entry.kle)
    return (False, False) if view is None else (view.title == OWN_TITLE, documents and view.documents)


def protected(entry: Entry, facts: Facts, at: datetime) -> bool:
    """Whether where a party lives is nobody's business: unit names and links are for the owning authority alone."""
    return any(person.protected(at) for person in persons(frozenset([ref for _, ref in entry.parties]), facts))


def areas_of(query: Query, row: Overview, facts: Facts, at: datetime) -> Patterns:
    """The areas in which the reader may see what is the citizen's own: all of the reader's own, some of another's."""
    if query.citizen is None or not query.reader.citizen:
        return _NOWHERE
    if not query.citizen.isdisjoint(query.reader.citizen):
        return Patterns.of(("N*",))
    powers = [
        power
        for person in _asked(query, facts)
        for power in person.powers_in_force(query.reader.citizen, at)
        if _counts(power, person, row, at)
    ]
    return Patterns(tuple(prefix for power in powers for prefix in power.kle.prefixes))


def in_effort(query: Query, facts: Facts, at: datetime) -> bool:
    """Whether the named effort is in force for the citizen asked about, and the reader one of it."""
    efforts = [person.effort(query.effort_id, at) for person in _asked(query, facts)]
    return any(each is not None and not each.principals.isdisjoint(query.reader.principals) for each in efforts)


def objected(query: Query, row: Overview, facts: Facts, at: datetime) -> bool:
    """Whether the citizen asked about objects to the overview."""
    return any(person.objects(row.name, at) for person in _asked(query, facts))


def consented(
    query: Query, row: Overview, facts: Facts, at: datetime, authorities: frozenset[str] | None = None
) -> dict[str, Patterns]:
    """By authority the areas of what the citizen asked about lets this reader see for this effort; None: of any."""
    areas: dict[str, list[str]] = {}
    for person in _asked(query, facts):
        for each in person.consents_in_force(row.name, at, authorities):
            if each.effort_id != query.effort_id or not each.to(query.reader.authorities, query.reader.areas):
                continue
            for authority in each.data_authorities if authorities is None else each.data_authorities & authorities:
                areas.setdefault(authority, []).extend(each.data_areas.prefixes)
    # However many consents there are, an area once is enough.
    return {authority: Patterns(tuple(dict.fromkeys(prefixes))) for authority, prefixes in areas.items()}


def glass_broken(query: Query, row: Overview) -> bool:
    """Whether the reader breaks the glass, with a basis and a reason, where the policy allows it."""
    broken = query.break_glass
    return row.break_glass and broken is not None and bool(broken.basis.strip()) and bool(broken.reason.strip())


def cleared(reader: Reader) -> int:
    """The highest sensitivity in the reader's own work, and no more than the calling system's."""
    each = (reader.scopes,) if reader.client_scopes is None else (reader.scopes, reader.client_scopes)
    levels = [
        max(
            [level for scope in scopes if scope.authority in reader.authorities for _, level in scope.levels],
            default=0,
        )
        for scopes in each
    ]
    return min(levels)


def _counts(power: Power, person: Person, row: Overview, at: datetime) -> bool:
    """Custody is over when the child is old enough, and gives nothing where the policy does not say when that is."""
    if power.kind is not PowerKind.CUSTODY:
        return True
    if row.custody_below_age is None:
        return False
    ages = [age(reference.rpartition(":")[2], at.date()) for reference in person.numbers]
    return all([years is not None and years < row.custody_below_age for years in ages])  # noqa: C419 - compiled


def _asked(query: Query, facts: Facts) -> list[Person]:
    return persons(query.citizen or frozenset(), facts)


def persons(references: frozenset[str], facts: Facts) -> list[Person]:
    """What is registered of them, each once."""
    found: dict[frozenset[str], Person] = {}
    for reference in references:
        person = facts.persons.get(reference)
        if person is not None:
            found[person.numbers] = person
    return list(found.values())


def agreements(case: Case) -> list[ReaderAgreement]:
    """Those that let the case be shown in the row's overview, to whatever client."""
    entry, on = case.entry, case.at.date()
    return [
        agreement
        for agreement in case.facts.readers.get((entry.key.authority, case.row.name), ())
        if agreement.in_force(on)
        and entry.kle is not None
        and agreement.kle.covers(entry.kle)
        and entry.sensitivity <= agreement.sensitivity
    ]


def _covered(entry: Entry, scopes: tuple[Scope, ...]) -> bool:
    return entry.kle is not None and any(
        scope.covers(entry.key.authority, entry.kle, entry.sensitivity) for scope in scopes
    )
