"""Small worlds in which readers, scopes, agreements and cases meet often: for laws of who may see what."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Any

from hypothesis import strategies as st

from broker.domain.agreement import AgreementState, Delimitation, Facts, ReaderAgreement, SenderAgreement
from broker.domain.entry import Entry
from broker.domain.identity import EntryKey
from broker.domain.kle import Patterns
from broker.domain.policy import Deny, Permit, Query, Reader, Role, Scope, decide

ON = date(2025, 6, 1)
AT = datetime.combine(ON, time(12), UTC)
EPOCH = date(1970, 1, 1)
DAY = 86_400_000_000
AUTHORITIES = ("55133018", "29189420")
SYSTEMS = ("nexus", "sbsys")
NUMBERS = ("27.36.04", "27.36.08", "27.35.04", "15.20.01")
PATTERNS = ("N*", "27.*", "27.3*", "27.36.*", "27.36.0*", "27.36.04", "15.*")
CLIENTS = ("fordel", "andet")
PRINCIPALS = ("principal-1", "principal-2")
# Constructed: no such days of the month are given out with these running numbers.
CITIZENS = ("CPR:0101014444", "CPR:0202024444")
COMPANIES = ("CVR:11111111",)
USER_KEYS = ("S-1", "S-2")


@dataclass(frozen=True, slots=True)
class World:
    """One case, one search, and the agreements between them."""

    entry: Entry
    query: Query
    facts: Facts

    @property
    def verdict(self) -> Permit | Deny:
        """What `decide` says."""
        return decide(self.entry, self.query, self.facts, AT)

    def reading(self, **changes: Any) -> "World":
        """The same for a reader who differs."""
        return replace(self, query=replace(self.query, reader=replace(self.query.reader, **changes)))

    def shuffled(self, random: Any) -> "World":
        """The same with scopes and agreements in another order."""

        def anyhow(listed: tuple[Any, ...]) -> tuple[Any, ...]:
            return tuple(random.sample(listed, len(listed)))

        client_scopes = self.query.reader.client_scopes
        readers = {key: anyhow(agreements) for key, agreements in self.facts.readers.items()}
        return replace(self, facts=replace(self.facts, readers=readers)).reading(
            scopes=anyhow(self.query.reader.scopes),
            client_scopes=None if client_scopes is None else anyhow(client_scopes),
        )


def reader_of(scopes: tuple[Scope, ...], client_scopes: tuple[Scope, ...] | None = None) -> Reader:
    """An employee."""
    return Reader("employee-1", "Ea Eksempel", Role.EMPLOYEE, CLIENTS[0], scopes, client_scopes)


def reader_agreement(
    authority: str,
    client: str,
    pattern: str,
    sensitivity: int,
    state: AgreementState,
    from_date: date = date(2020, 1, 1),
    to_date: date | None = None,
    overview: str = "sapa",
) -> ReaderAgreement:
    """With one pattern."""
    kle = Patterns.of((pattern,))
    return ReaderAgreement(authority, overview, client, state, kle, sensitivity, from_date, to_date)


def sender_agreement(authority: str, **more: Any) -> SenderAgreement:
    """Everything, unless said otherwise."""
    everything = SenderAgreement(authority, "sbsys", 1, AgreementState.FULL, Patterns.of(("N*",)), 4, EPOCH)
    return replace(everything, **more)


def open_facts(authority: str) -> Facts:
    """All of one authority's cases come in and may be read in the overview."""
    return Facts(
        senders={(authority, "sbsys"): sender_agreement(authority)},
        readers={(authority, "sapa"): (reader_agreement(authority, "*", "N*", 4, AgreementState.FULL),)},
    )


def an_entry(authority: str, kle: str | None, sensitivity: int, system: str = "sbsys", **more: Any) -> Entry:
    """A complete case without a security profile, unless said otherwise."""
    key = EntryKey(authority, system, "00000000-0000-4000-8000-000000000001")
    plain: dict[str, Any] = {
        "complete": True,
        "parties": (),
        "principals": None,
        "hidden_from_citizen": False,
        "user_key": None,
        "created_at": 0,
        "state": "OPSTAAET",
    }
    return Entry(key=key, kle=kle, sensitivity=sensitivity, **plain | more)


def scopes() -> st.SearchStrategy[Scope]:
    """Any authority, areas and levels."""
    levels = st.dictionaries(st.sampled_from(PATTERNS), st.integers(1, 4), max_size=3)
    areas = st.lists(st.sampled_from(PATTERNS), max_size=2).map(tuple)
    return st.builds(Scope.of, st.sampled_from(AUTHORITIES), areas, levels)


def many_scopes() -> st.SearchStrategy[tuple[Scope, ...]]:
    """None, one or some; half the time among them some that cover everything, lest nothing is ever permitted."""
    few = st.lists(scopes(), max_size=3).map(tuple)
    everything = tuple(Scope.of(authority, ("N*",), {"N*": 4}) for authority in AUTHORITIES)
    return few | few.map(lambda listed: (*listed, *everything))


def readers() -> st.SearchStrategy[Reader]:
    """Mostly employees."""
    return st.builds(
        Reader,
        subject=st.just("employee-1"),
        name=st.just("Ea Eksempel"),
        role=st.sampled_from((*[Role.EMPLOYEE] * 7, Role.CITIZEN)),
        client=st.sampled_from(CLIENTS),
        scopes=many_scopes(),
        client_scopes=st.none() | many_scopes(),
        principals=st.frozensets(st.sampled_from(PRINCIPALS)),
    )


def entries() -> st.SearchStrategy[Entry]:
    """With parties, profiles and gaps."""
    party = st.tuples(
        st.sampled_from(("PRIMARY", "SECONDARY", "BENEFIT_RECIPIENT")), st.sampled_from(CITIZENS + COMPANIES)
    )
    return st.builds(
        an_entry,
        st.sampled_from(AUTHORITIES),
        st.sampled_from((*NUMBERS, *NUMBERS, None)),
        st.integers(1, 4),
        st.sampled_from(SYSTEMS),
        complete=st.sampled_from((*[True] * 7, False)),
        parties=st.lists(party, max_size=3, unique=True).map(
            lambda listed: tuple(sorted(listed, key=lambda one: one[0] != "PRIMARY"))
        ),
        principals=st.none() | st.frozensets(st.sampled_from(PRINCIPALS), min_size=1),
        user_key=st.sampled_from(USER_KEYS),
        created_at=st.sampled_from((0, 1, DAY - 1, DAY, 2 * DAY)),
        state=st.sampled_from(("OPSTAAET", "OPLYST", "AFSLUTTET")),
    )


def facts() -> st.SearchStrategy[Facts]:
    """Agreements, most of them in force, and what municipalities leave out."""
    agreement = st.builds(
        reader_agreement,
        st.sampled_from(AUTHORITIES),
        st.sampled_from(("*", *CLIENTS)),
        st.sampled_from(PATTERNS),
        st.integers(1, 4),
        st.sampled_from((AgreementState.FULL, AgreementState.FULL, AgreementState.SUSPENDED)),
        st.sampled_from((date(2020, 1, 1), date(2026, 1, 1))),
        st.sampled_from((None, None, date(2025, 1, 1))),
    )
    few = st.lists(agreement, max_size=4)
    everything = [reader_agreement(authority, "*", "N*", 4, AgreementState.FULL) for authority in AUTHORITIES]
    readers = few | few.map(lambda listed: [*listed, *everything])
    every_sender = st.tuples(*(senders(authority, system) for authority in AUTHORITIES for system in SYSTEMS))
    return st.builds(_facts, readers, every_sender, delimitations())


def senders(authority: str, system: str) -> st.SearchStrategy[SenderAgreement | None]:
    """None, any, or (half the time) one that takes everything."""
    patterns = st.lists(st.sampled_from(PATTERNS), max_size=2).map(Patterns.of)
    numbers = [citizen.removeprefix("CPR:") for citizen in CITIZENS]
    some = st.builds(
        sender_agreement,
        st.just(authority),
        system=st.just(system),
        state=st.sampled_from((*[AgreementState.RESTRICTED] * 2, AgreementState.FULL, AgreementState.SUSPENDED)),
        kle=patterns,
        sensitivity=st.integers(1, 4),
        from_date=st.sampled_from((EPOCH, date(1970, 1, 2))),
        restricted_kle=patterns,
        restricted_citizens=st.frozensets(st.sampled_from(numbers), max_size=1),
    )
    return st.sampled_from((True, False)).flatmap(
        lambda plain: st.just(sender_agreement(authority, system=system)) if plain else st.none() | some
    )


def delimitations() -> st.SearchStrategy[dict[str, tuple[Delimitation, ...]]]:
    """Few have any."""
    patterns = st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2).map(Patterns.of)
    choice = st.builds(Delimitation, patterns, st.sampled_from((EPOCH, date(1970, 1, 2))), st.booleans())
    choices = st.dictionaries(st.sampled_from(AUTHORITIES), st.lists(choice, max_size=2).map(tuple), max_size=1)
    return st.just({}) | choices


def _facts(
    agreements: list[ReaderAgreement],
    senders: tuple[SenderAgreement | None, ...],
    delimitations: dict[str, tuple[Delimitation, ...]],
) -> Facts:
    by_key: dict[tuple[str, str], tuple[ReaderAgreement, ...]] = {}
    for agreement in agreements:
        key = (agreement.authority, agreement.overview)
        by_key[key] = (*by_key.get(key, ()), agreement)
    taken = {(sender.authority, sender.system): sender for sender in senders if sender is not None}
    return Facts(senders=taken, readers=by_key, delimitations=delimitations)


def worlds() -> st.SearchStrategy[World]:
    """Random worlds."""
    query = st.builds(
        Query, st.just("sapa"), readers(), st.none() | st.sampled_from(CITIZENS).map(lambda one: frozenset({one}))
    )
    return st.builds(World, entries(), query, facts())
