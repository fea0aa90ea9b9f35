"""Worlds for every overview: each begins as one in which the case is shown, and a few things are otherwise in it.

And an oracle: the table of overviews read once more, as plainly as it can be said, sharing no rule with the policy.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any, Final

from hypothesis import strategies as st

from broker.domain.agreement import CLOSED, AgreementState, CitizenView, Delimitation, Facts
from broker.domain.consent import Consent, Effort, Objection, Person, Power, PowerKind
from broker.domain.entry import Entry
from broker.domain.kle import Patterns
from broker.domain.policy import POLICY, BreakGlass, Permit, Query, Reader, Role, Scope, decide
from tests.unit.worlds import (
    AT,
    AUTHORITIES,
    CITIZENS,
    CLIENTS,
    DAY,
    EPOCH,
    PATTERNS,
    PRINCIPALS,
    SYSTEMS,
    an_entry,
    many_scopes,
    reader_agreement,
    senders,
)

HERE, THERE = AUTHORITIES
CITIZEN, ANOTHER = CITIZENS
FORMER = "CPR:0303034444"
EFFORT, ANOTHER_EFFORT = "e0000000-0000-4000-8000-000000000001", "e0000000-0000-4000-8000-000000000002"
LONG_AGO, BEFORE, AFTER = AT - timedelta(days=900), AT - timedelta(microseconds=1), AT + timedelta(microseconds=1)
NUMBERS = ("27.36.04", "27.35.04", "15.20.01", "32.45.04")
PATTERNS_TOO = (*PATTERNS, "32.*")
CHILD = "CPR:0101204444"
"""Born in 2020 by its century digit."""


@dataclass(frozen=True, slots=True)
class World:
    """One case, one question, and all that is known."""

    entry: Entry
    query: Query
    facts: Facts
    at: datetime = AT

    @property
    def permitted(self) -> bool:
        """What `decide` says."""
        return isinstance(decide(self.entry, self.query, self.facts, self.at), Permit)


def patterns(*texts: str) -> Patterns:
    return Patterns.of(texts)


def a_consent(**more: Any) -> Consent:
    """For the effort: data of one authority under 27 and 15 to its workers in 15."""
    plain = Consent(
        "c", "hoi", EFFORT, patterns("27.*", "15.*"), frozenset({HERE}), patterns("15.*"), frozenset({HERE}), LONG_AGO
    )
    return replace(plain, **more)


def an_effort(**more: Any) -> Effort:
    return replace(Effort(EFFORT, HERE, frozenset({PRINCIPALS[0]}), LONG_AGO), **more)


def a_power(**more: Any) -> Power:
    plain = Power("p", PowerKind.POWER_OF_ATTORNEY, frozenset({ANOTHER}), patterns("27.*"), LONG_AGO)
    return replace(plain, **more)


def a_person(*numbers: str, **more: Any) -> Person:
    return replace(Person(frozenset(numbers or (CITIZEN,))), **more)


def a_view(**more: Any) -> CitizenView:
    plain = CitizenView(HERE, patterns("N*"), True, EPOCH, False, frozenset(), "TITLE", True)  # noqa: FBT003 - its shape
    return replace(plain, **more)


def known(*persons: Person) -> dict[str, Person]:
    return {number: person for person in persons for number in person.numbers}


@cache
def base(overview: str) -> World:
    """The case is shown."""
    role = POLICY[overview].role
    number = "32.45.04" if overview == "hok" else "27.36.04"
    everything = (Scope.of(HERE, ("N*",), {"N*": 4}),)
    reader = Reader(
        "reader-1", "Ea", role, CLIENTS[0], everything, None, frozenset({PRINCIPALS[0]}), frozenset({HERE}),
        patterns("15.2*"), frozenset({CITIZEN} if role is Role.CITIZEN else ()),
    )  # fmt: skip
    return World(
        an_entry(HERE, number, 2, parties=(("PRIMARY", CITIZEN),), user_key="S-1", created_at=DAY),
        Query(overview, reader, frozenset({CITIZEN}), "Kontrol", "K-1", EFFORT),
        Facts(
            senders={(authority, system): sender for authority in AUTHORITIES for system in SYSTEMS
                     for sender in [_sender(authority, system)]},
            readers={(HERE, overview): (reader_agreement(HERE, "*", "N*", 4, AgreementState.FULL, overview=overview),)},
            citizen_views={HERE: (a_view(),)},
            persons=known(a_person(consents=(a_consent(),), efforts=(an_effort(),))),
        ),
    )  # fmt: skip


def _sender(authority: str, system: str) -> Any:
    from tests.unit.worlds import sender_agreement  # noqa: PLC0415 - its name is taken here

    return sender_agreement(authority, system=system)


MOMENTS = st.sampled_from((LONG_AGO, BEFORE, AT, AFTER))
ENDS = st.none() | MOMENTS
AREAS = st.lists(st.sampled_from(PATTERNS_TOO[1:]), min_size=1, max_size=2).map(Patterns.of)
SOME = st.frozensets(st.sampled_from(AUTHORITIES), min_size=1)
WHO = st.frozensets(st.sampled_from(PRINCIPALS))

CONSENTS = st.builds(
    Consent,
    st.just("c"),
    st.sampled_from(("hoi", "hoi", "sapa")),
    st.sampled_from((EFFORT, EFFORT, ANOTHER_EFFORT)),
    AREAS,
    SOME,
    AREAS,
    SOME,
    MOMENTS,
    ENDS,
    st.none() | st.none() | MOMENTS,
)
OBJECTIONS = st.builds(
    Objection, st.just("o"), st.sampled_from(("hoi", "hoi", "sapa")), st.sampled_from((LONG_AGO, AT)), ENDS
)
POWERS = st.builds(
    Power,
    st.just("p"),
    st.sampled_from(PowerKind),
    st.sampled_from((frozenset({ANOTHER}), frozenset({CITIZEN, FORMER}))),
    AREAS,
    MOMENTS,
    ENDS,
    st.none() | MOMENTS,
    ENDS,
)
EFFORTS = st.builds(Effort, st.sampled_from((EFFORT, ANOTHER_EFFORT)), st.just(HERE), WHO, MOMENTS, ENDS)


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=2).map(tuple)


@st.composite
def persons(draw: st.DrawFn) -> dict[str, Person]:
    """The one who is asked about, mostly with what opens the case; and perhaps another."""
    start = base("hoi").facts.persons[CITIZEN]
    changed: dict[str, Any] = {}
    for name, registered in {
        "consents": CONSENTS | st.just(a_consent()),
        "objections": OBJECTIONS,
        "powers": POWERS | st.just(a_power()),
        "efforts": EFFORTS | st.just(an_effort()),
    }.items():
        if draw(st.booleans()):
            changed[name] = draw(some(registered))
    if draw(st.integers(0, 5)) == 0:
        changed["died"] = draw(MOMENTS)
    of = draw(st.sampled_from(((CITIZEN,), (CITIZEN, FORMER), (CHILD,), ())))
    return known(*([replace(start, numbers=frozenset(of), **changed)] if of else []))


def views() -> st.SearchStrategy[dict[str, tuple[CitizenView, ...]]]:
    view = st.builds(
        CitizenView,
        st.just(HERE),
        AREAS,
        st.booleans(),
        st.sampled_from((EPOCH, date(1970, 1, 3))),
        st.booleans(),
        st.sampled_from((frozenset(), frozenset({"sbsys"}), frozenset({"nexus"}))),
        st.sampled_from(("TITLE", "KLE")),
        st.booleans(),
    )
    return st.lists(view, max_size=2).map(lambda listed: {HERE: tuple(listed)})


PARTIES = st.lists(
    st.tuples(
        st.sampled_from(("PRIMARY", "SECONDARY", "BENEFIT_RECIPIENT")), st.sampled_from((*CITIZENS, FORMER, CHILD))
    ),
    max_size=3,
    unique=True,
).map(lambda listed: tuple(sorted(listed, key=lambda one: one[0] != "PRIMARY")))

ENTRY: dict[str, st.SearchStrategy[Any]] = {
    "complete": st.booleans(),
    "kle": st.sampled_from((*NUMBERS, None)),
    "sensitivity": st.integers(1, 4),
    "parties": PARTIES,
    "principals": st.none() | st.frozensets(st.sampled_from(PRINCIPALS), min_size=1),
    "hidden_from_citizen": st.booleans(),
    "created_at": st.sampled_from((0, DAY, 2 * DAY, 3 * DAY)),
    "state": st.sampled_from(("OPSTAAET", CLOSED)),
    "authority": st.sampled_from(AUTHORITIES),
    "system": st.sampled_from(SYSTEMS),
}
READER: dict[str, st.SearchStrategy[Any]] = {
    "role": st.sampled_from(Role),
    "client": st.sampled_from(CLIENTS),
    "scopes": many_scopes(),
    "client_scopes": st.none() | many_scopes(),
    "principals": WHO,
    "authorities": st.frozensets(st.sampled_from(AUTHORITIES)),
    "areas": st.lists(st.sampled_from(PATTERNS_TOO), max_size=2).map(Patterns.of),
    "citizen": st.sampled_from(
        (frozenset(), frozenset({ANOTHER}), frozenset({FORMER, CITIZEN}), frozenset({ANOTHER, "CPR:0404044444"}))
    ),
}
QUERY: dict[str, st.SearchStrategy[Any]] = {
    "citizen": st.sampled_from((None, frozenset({ANOTHER}), frozenset({CITIZEN, FORMER}), frozenset({CHILD}))),
    "purpose": st.sampled_from((None, " ", "Kontrol")),
    "control_case": st.sampled_from((None, "", "K-1")),
    "effort_id": st.sampled_from((None, EFFORT, ANOTHER_EFFORT)),
    "break_glass": st.sampled_from(
        (None, BreakGlass("Sundhedsloven § 43", "Akut"), BreakGlass("x", " "), BreakGlass("", "x"))
    ),
}


@cache
def facts_of(overview: str) -> dict[str, st.SearchStrategy[Any]]:
    """What may be otherwise in what is known."""
    agreement = st.builds(
        reader_agreement,
        st.sampled_from(AUTHORITIES),
        st.sampled_from(("*", *CLIENTS)),
        st.sampled_from(PATTERNS_TOO),
        st.integers(1, 4),
        st.sampled_from((AgreementState.FULL, AgreementState.FULL, AgreementState.SUSPENDED)),
        st.sampled_from((date(2020, 1, 1), AT.date(), date(2026, 1, 1))),
        st.sampled_from((None, AT.date(), date(2026, 1, 1))),
        st.just(overview),
    )
    choice = st.builds(Delimitation, AREAS, st.sampled_from((EPOCH, date(1970, 1, 3))), st.booleans())
    every_sender = st.tuples(*(senders(authority, system) for authority in AUTHORITIES for system in SYSTEMS))
    return {
        "senders": every_sender.map(lambda each: {(one.authority, one.system): one for one in each if one is not None}),
        "readers": st.lists(agreement, max_size=3).map(lambda each: _by_authority(each, overview)),
        "delimitations": st.lists(choice, min_size=1, max_size=2).map(lambda each: {HERE: tuple(each)}),
        "citizen_views": views(),
        "persons": persons(),
        "policy": st.sampled_from(
            [
                {**POLICY, overview: replace(POLICY[overview], custody_below_age=15)},
                {**POLICY, overview: replace(POLICY[overview], break_glass=False)},
            ]
        ),
    }


def _by_authority(agreements: Iterable[Any], overview: str) -> dict[tuple[str, str], tuple[Any, ...]]:
    listed = list(agreements)
    return {(of, overview): tuple(each for each in listed if each.authority == of) for of in AUTHORITIES}


Change = Callable[[World], World]


def entry_with(**more: Any) -> Change:
    return lambda world: replace(world, entry=changed(world.entry, **more))


def reader_with(**more: Any) -> Change:
    return lambda world: replace(world, query=replace(world.query, reader=replace(world.query.reader, **more)))


def facts_with(**more: Any) -> Change:
    return lambda world: replace(world, facts=replace(world.facts, **more))


def citizen_with(**more: Any) -> Change:
    person = a_person(**{"consents": (a_consent(),), "efforts": (an_effort(),), **more})
    return facts_with(persons=known(person))


DENIED: Final[Mapping[str, Change]] = {
    "written_purpose": lambda world: replace(world, query=replace(world.query, purpose=" ")),
    "control_case": lambda world: replace(world, query=replace(world.query, control_case=None)),
    "complete": entry_with(complete=False),
    "still_delivered": facts_with(senders={}),
    "still_wanted": facts_with(delimitations={HERE: (Delimitation(patterns("05.*"), EPOCH, active_only=False),)}),
    "shown_to_citizens": facts_with(citizen_views={}),
    "not_hidden": entry_with(hidden_from_citizen=True),
    "joined": facts_with(readers={}),
    "reader_scope": reader_with(scopes=()),
    "client_scope": reader_with(client_scopes=()),
    "primary_or_secondary": entry_with(parties=(("BENEFIT_RECIPIENT", CITIZEN),)),
    "primary": entry_with(parties=(("PRIMARY", ANOTHER), ("SECONDARY", CITIZEN))),
    "own_or_represented": reader_with(citizen=frozenset({ANOTHER})),
    "effort": citizen_with(efforts=()),
    "no_objection": citizen_with(objections=(Objection("o", "hoi", LONG_AGO),)),
    "consent": citizen_with(consents=()),
    "clearance": reader_with(scopes=(Scope.of(HERE, ("N*",), {"N*": 1}),)),
    "on_control_list": entry_with(kle="27.36.04"),
    "security_profile": entry_with(principals=frozenset({PRINCIPALS[1]})),
}
"""By the name of each test of the policy: what to change where the case is shown, so that this one alone denies."""


@cache
def places_of(overview: str) -> dict[str, str]:
    """Everything that may be otherwise, and where it is."""
    places = {**dict.fromkeys(ENTRY, "entry"), **{f"reader.{name}": "reader" for name in READER}}
    return (
        places
        | {f"query.{name}": "query" for name in QUERY}
        | {f"facts.{name}": "facts" for name in facts_of(overview)}
    )


@st.composite
def worlds(draw: st.DrawFn, overviews: tuple[str, ...] = tuple(POLICY)) -> World:
    """One of those in which the case is shown, with up to five things otherwise."""
    overview = draw(st.sampled_from(overviews))
    start, places = base(overview), places_of(overview)
    chosen = draw(st.lists(st.sampled_from((*places, "facts.persons", "facts.persons")), max_size=5, unique=True))
    entry: dict[str, Any] = {name: draw(ENTRY[name]) for name in chosen if places[name] == "entry"}
    reader = {name[7:]: draw(READER[name[7:]]) for name in chosen if places[name] == "reader"}
    query = {name[6:]: draw(QUERY[name[6:]]) for name in chosen if places[name] == "query"}
    facts = {name[6:]: draw(facts_of(overview)[name[6:]]) for name in chosen if places[name] == "facts"}
    asked = replace(start.query, reader=replace(start.query.reader, **reader), **query)
    return World(changed(start.entry, **entry), asked, replace(start.facts, **facts))


def changed(entry: Entry, **more: Any) -> Entry:
    """The same case but for these."""
    was = {name: getattr(entry, name) for name in (*ENTRY, "user_key") if name not in ("authority", "system")}
    was |= {"authority": entry.key.authority, "system": entry.key.system} | more
    plain = {name: was.pop(name) for name in ("authority", "kle", "sensitivity", "system")}
    return an_entry(plain["authority"], plain["kle"], plain["sensitivity"], plain["system"], **was)


def shown(world: World) -> bool:
    """The table of overviews, once more and plainly: whether all holds that it says."""
    entry, query, facts = world.entry, world.query, world.facts
    row = facts.policy[query.overview]
    if query.reader.role != {"borgerblikket": "citizen", "hok": "control"}.get(query.overview, "employee"):
        return False
    if entry.kle is None or not entry.complete or entry.created_at is None:
        return False
    day = date(1970, 1, 1) + timedelta(microseconds=entry.created_at)
    if not (_delivered(entry, facts, day) and _wanted(entry, facts, day) and _joined(world)):
        return False
    citizen = query.citizen or frozenset()
    primary = any(role == "PRIMARY" and party in citizen for role, party in entry.parties)
    own = query.reader.scopes
    scoped = all(_in_scope(entry, scopes) for scopes in (own, query.reader.client_scopes) if scopes is not None)
    listed = entry.principals is None or bool(entry.principals & query.reader.principals)
    match query.overview:
        case "sapa":
            party = any(role in ("PRIMARY", "SECONDARY") and ref in citizen for role, ref in entry.parties)
            return scoped and listed and (query.citizen is None or party)
        case "borgerblikket":
            return (
                primary and not entry.hidden_from_citizen and _switched_on(entry, facts, day) and _may_act(world, row)
            )
        case "hoi":
            return primary and listed and _at_level(world) and _in_effort_with_consent(world, row)
        case "hok":
            written = bool(
                query.purpose and query.purpose.strip() and query.control_case and query.control_case.strip()
            )
            return written and scoped and listed and entry.kle.startswith("32.")
    raise AssertionError(query.overview)


def _delivered(entry: Entry, facts: Facts, day: date) -> bool:
    agreement = facts.senders.get((entry.key.authority, entry.key.system))
    if agreement is None or agreement.state not in ("FULL", "RESTRICTED") or entry.kle is None:
        return False
    named = {f"CPR:{number}" for number in agreement.restricted_citizens}
    restricted = agreement.state == "RESTRICTED" and not (
        agreement.restricted_kle.covers(entry.kle)
        or any(role == "PRIMARY" and party in named for role, party in entry.parties)
    )
    within = agreement.kle.covers(entry.kle) and entry.sensitivity <= agreement.sensitivity
    return within and agreement.from_date <= day and not restricted


def _wanted(entry: Entry, facts: Facts, day: date) -> bool:
    choices = facts.delimitations.get(entry.key.authority, ())
    return not choices or any(
        choice.kle.covers(entry.kle or "")
        and day >= choice.from_date
        and (not choice.active_only or entry.state != "AFSLUTTET")
        for choice in choices
    )


def _joined(world: World) -> bool:
    entry, today = world.entry, world.at.date()
    return any(
        agreement.state == "FULL"
        and agreement.client in ("*", world.query.reader.client)
        and agreement.from_date <= today
        and (agreement.to_date is None or today < agreement.to_date)
        and agreement.kle.covers(entry.kle or "")
        and entry.sensitivity <= agreement.sensitivity
        for agreement in world.facts.readers.get((entry.key.authority, world.query.overview), ())
    )


def _in_scope(entry: Entry, scopes: tuple[Scope, ...]) -> bool:
    for scope in scopes:
        levels = [level for prefix, level in scope.levels if (entry.kle or "").startswith(prefix)]
        if scope.authority == entry.key.authority and scope.kle.covers(entry.kle or "") and levels:
            longest = max(scope.levels, key=lambda one: ((entry.kle or "").startswith(one[0]), len(one[0])))
            if entry.sensitivity <= longest[1]:
                return True
    return False


def _switched_on(entry: Entry, facts: Facts, day: date) -> bool:
    best: list[tuple[int, bool, CitizenView]] = []
    for view in facts.citizen_views.get(entry.key.authority, ()):
        lengths = [len(prefix) for prefix in view.kle.prefixes if (entry.kle or "").startswith(prefix)]
        best += [(max(lengths), not view.on, view)] if lengths else []
    if not best:
        return False
    deepest = max((depth, off) for depth, off, _ in best)
    view = next(view for depth, off, view in best if (depth, off) == deepest)
    old_enough = day >= view.from_date or (view.active_exempt and entry.state != "AFSLUTTET")
    return view.on and old_enough and (not view.systems or entry.key.system in view.systems)


def _asked_about(world: World) -> list[Person]:
    return [person for number, person in world.facts.persons.items() if number in (world.query.citizen or ())]


def _running(begins: datetime, ends: datetime | None, at: datetime) -> bool:
    return begins <= at and not (ends is not None and ends <= at)


def _may_act(world: World, row: Any) -> bool:
    reader, at = world.query.reader.citizen, world.at
    if reader & (world.query.citizen or frozenset()):
        return True
    for person in _asked_about(world):
        for power in person.powers:
            over = (person.died is not None and person.died <= at) or (
                power.representative_died is not None and power.representative_died <= at
            )
            born_2020 = person.numbers == {CHILD}
            if power.kind == "CUSTODY" and not (row.custody_below_age == 15 and born_2020):
                continue
            in_force = _running(power.valid_from, power.valid_to, at) and power.withdrawn_at is None and not over
            if in_force and power.representatives & reader and power.kle.covers(world.entry.kle or ""):
                return True
    return False


def _at_level(world: World) -> bool:
    reader = world.query.reader
    every = [reader.scopes] if reader.client_scopes is None else [reader.scopes, reader.client_scopes]
    return all(
        any(
            world.entry.sensitivity <= level
            for scope in scopes
            if scope.authority in reader.authorities
            for _, level in scope.levels
        )
        for scopes in every
    )


def _in_effort_with_consent(world: World, row: Any) -> bool:
    query, at, entry = world.query, world.at, world.entry
    for person in _asked_about(world):
        objected = any(
            each.overview == "hoi" and _running(each.effective_from - timedelta(minutes=5), each.lifted_at, at)
            for each in person.objections
        )
        if objected:
            return False
        member = any(
            each.effort_id == query.effort_id
            and _running(each.valid_from, each.valid_to, at)
            and each.principals & query.reader.principals
            for each in person.efforts[: _first(person.efforts, query.effort_id, at)]
        )
        dead = person.died is not None and person.died <= at
        consented = not dead and any(
            each.purpose == "hoi"
            and each.effort_id == query.effort_id
            and each.withdrawn_at is None
            and _running(each.valid_from, each.valid_to, at)
            and each.data_areas.covers(entry.kle or "")
            and entry.key.authority in each.data_authorities
            and each.recipient_authorities & query.reader.authorities
            and any(
                area.startswith(wide) for area in query.reader.areas.prefixes for wide in each.recipient_areas.prefixes
            )
            for each in person.consents
        )
        glass = query.break_glass
        broken = bool(row.break_glass and glass and glass.basis.strip() and glass.reason.strip())
        if member and (consented or broken):
            return True
    return False


def _first(efforts: tuple[Effort, ...], effort_id: str | None, at: datetime) -> int:
    """An id is one effort's: where two are generated with it, the first in force is it."""
    for number, each in enumerate(efforts):
        if each.effort_id == effort_id and _running(each.valid_from, each.valid_to, at):
            return number + 1
    return 0
