"""KLE, the municipalities' subject classification: patterns, editions, and what a code maps to. Pure."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from broker.domain.kle_rules import Rules
from broker.domain.outcome import Code, Rejected
from broker.domain.retention import Retention

_NUMBER = re.compile(r"\d\d\.\d\d\.\d\d", re.ASCII)
_FACET = re.compile(r"[A-ZÆØÅ]\d\d", re.ASCII)
_ANNOUNCED = re.compile(r"\[udgår\s+(\d{4})\]", re.IGNORECASE | re.ASCII)
_LONGEST = len("NN.NN.NN")
_PATTERN = re.compile(r"N\*|\d\d\.(\*|\d\*|\d\d\.(\*|\d\*|\d\d))", re.ASCII)


MOST_MAPPED: Final = 50_000
"""Mappings that a book remembers."""


def is_number(text: str) -> bool:
    """Whether it has the form NN.NN.NN."""
    return _NUMBER.fullmatch(text) is not None


def is_facet(text: str) -> bool:
    """Whether it has the form G01."""
    return _FACET.fullmatch(text) is not None


def is_pattern(text: str) -> bool:
    """KOMBIT's grammar: `N*`, `NN.*`, `NN.N*`, `NN.NN.*`, `NN.NN.N*`, `NN.NN.NN`."""
    return _PATTERN.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Patterns:
    """A set of KLE patterns, ready to be asked. Build with `Patterns.of`."""

    prefixes: tuple[str, ...]

    @classmethod
    def of(cls, patterns: Iterable[str]) -> "Patterns":
        """Raises ValueError naming what is no pattern. A pattern is a prefix: numbers have one length."""
        listed = tuple(patterns)
        for pattern in listed:
            if not is_pattern(pattern):
                raise ValueError(f"{pattern!r} is no KLE pattern")
        return cls(tuple("" if pattern == "N*" else pattern.rstrip("*") for pattern in listed))

    def covers(self, number: str) -> bool:
        """Whether any pattern covers the full number."""
        return number.startswith(self.prefixes)

    def patterns(self) -> list[str]:
        """As they are written."""
        return [prefix if len(prefix) == _LONGEST else f"{prefix}*" if prefix else "N*" for prefix in self.prefixes]

    def both(self, other: "Patterns") -> "Patterns":
        """What these and the others cover: of two that overlap, the longer."""
        pairs = [(one, another) for one in self.prefixes for another in other.prefixes]
        return Patterns(
            tuple(max(pair, key=len) for pair in pairs if pair[0].startswith(pair[1]) or pair[1].startswith(pair[0]))
        )


def announced(title: str) -> str | None:
    """The year from which the number is to be gone, as its title announces it: `Revalidering [udgår 2027]`."""
    found = _ANNOUNCED.search(title)
    return None if found is None else found[1]


@dataclass(frozen=True, slots=True)
class Edition:
    """One published edition of the subjects, or of the facets: number -> title.

    retired: number -> the first day on which it is gone. successors: number that is gone -> what took its place.
    retention: number -> how long its cases are kept, where the edition says so.
    """

    published: date
    titles: Mapping[str, str]
    retired: Mapping[str, date] = field(default_factory=dict)
    successors: Mapping[str, frozenset[str]] = field(default_factory=dict)
    retention: Mapping[str, Retention] = field(default_factory=dict)

    def holds(self, number: str, on: date) -> bool:
        """Whether it knows the number, and has not retired it by then."""
        if number not in self.titles:
            return False
        gone = self.retired.get(number)
        return gone is None or on < gone

    def standing(self) -> dict[str, str]:
        """Number -> title of what it knows and has not retired itself."""
        return {number: title for number, title in self.titles.items() if self.holds(number, self.published)}

    def announced(self, number: str) -> str | None:
        """When the number is to be gone: a day, or a year; None when that is not announced."""
        gone = self.retired.get(number)
        if gone is not None:
            return gone.isoformat() if gone > self.published else None
        return announced(self.titles.get(number, ""))


@dataclass(frozen=True, slots=True)
class Difference:
    """From one edition to another. retitled: number -> both titles."""

    added: Mapping[str, str]
    removed: Mapping[str, str]
    retitled: Mapping[str, tuple[str, str]]


def difference(before: Edition, after: Edition) -> Difference:
    """Of what stands in each on the day it was published: a number that an edition retires later stands in it still."""
    stood, stands = before.standing(), after.standing()
    return Difference(
        {number: title for number, title in stands.items() if number not in stood},
        {number: title for number, title in stood.items() if number not in stands},
        {
            number: (stood[number], title)
            for number, title in stands.items()
            if number in stood and stood[number] != title
        },
    )


@dataclass(frozen=True, slots=True)
class Local:
    """A number of an authority's own, inside one of KL's groups; in force from `since` until before `until`."""

    authority: str
    number: str
    title: str
    since: date
    until: date | None = None


@dataclass(init=False)
class Mapped:
    """What a case's classification comes to: kept beside the original.

    rule: the mapping rule, the successor, or both, by which it came to the number.
    announced: when the number is to be gone, as its edition announces it.
    """

    number: str
    facet: str | None
    edition: date
    rule: str | None
    announced: str | None

    def __init__(
        self, number: str, facet: str | None, edition: date, rule: str | None = None, announced: str | None = None
    ) -> None:
        self.number = number
        self.facet = facet
        self.edition = edition
        self.rule = rule
        self.announced = announced


_Case = tuple[str, str, str | None, str | None, str | None, int]


@dataclass(frozen=True, slots=True)
class KleBook:
    """Every known edition of subjects and of facets, oldest first; the rules; the authorities' own numbers."""

    editions: tuple[Edition, ...] = ()
    facets: tuple[Edition, ...] = ()
    rules: Rules = field(default_factory=Rules)
    local: tuple[Local, ...] = ()
    _dates: tuple[date, ...] = field(init=False, repr=False)
    _turns: tuple[date, ...] = field(init=False, repr=False)
    _own: dict[tuple[str, str], list[Local]] = field(init=False, repr=False, compare=False)
    _named: frozenset[str] = field(init=False, repr=False, compare=False)
    _mapped: dict[_Case, Mapped] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises ValueError when the editions are not in order."""
        own: dict[tuple[str, str], list[Local]] = {}
        for one in self.local:
            own.setdefault((one.authority, one.number), []).append(one)
        object.__setattr__(self, "_dates", _in_order(self.editions))
        _in_order(self.facets)
        object.__setattr__(self, "_turns", tuple(sorted(set(self._days()))))
        object.__setattr__(self, "_own", own)
        named = [name for rule in self.rules.listed for name in (rule.authority, rule.system)]
        object.__setattr__(self, "_named", frozenset([*named, *(authority for authority, _ in own)]))
        object.__setattr__(self, "_mapped", {})

    def in_force(self, on: date) -> Edition | None:
        """The edition a case of that date is judged by; before the first known, the first."""
        if not self.editions:
            return None
        return self.editions[max(0, bisect_right(self._dates, on) - 1)]

    def title(self, number: str, authority: str | None = None) -> str | None:
        """The newest title the number has had, be it among the authority's own."""
        for edition in reversed(self.editions):
            if (title := edition.titles.get(number)) is not None:
                return title
        own = () if authority is None else self._own.get((authority, number), ())
        return max(own, key=lambda one: one.since).title if own else None

    def announced(self, on: date) -> dict[str, str]:
        """Number -> when it is to be gone, of all that the edition in force on that day announces."""
        edition = self.in_force(on)
        if edition is None:
            return {}
        told = {number: edition.announced(number) for number in edition.titles}
        return {number: when for number, when in told.items() if when is not None}

    def map(self, authority: str, system: str, classification: Mapping[str, str | None], on: date) -> Mapped | Rejected:
        """Judge a case's classification against the rules and the edition in force on its date."""
        # Of all days between two turns one says it all, and so does one of all senders that nothing names. Only what
        # maps is remembered: there is no end to what does not.
        whose = authority if authority in self._named else ""
        of = system if system in self._named else ""
        number, facet, local = classification.get("kle"), classification.get("facet"), classification.get("local_code")
        case = (whose, of, number, facet, local, bisect_right(self._turns, on))
        mapped = self._mapped.get(case)
        if mapped is None:
            judged = self._judge(authority, system, number, facet, local, on)
            if isinstance(judged, Rejected):
                return judged
            if len(self._mapped) >= MOST_MAPPED:
                self._mapped.clear()
            self._mapped[case] = mapped = judged
        return mapped

    def _judge(
        self, authority: str, system: str, number: str | None, facet: str | None, local: str | None, on: date
    ) -> Mapped | Rejected:
        if number is not None and not is_number(number):
            return Rejected(Code.KLE_MALFORMED, "/classification/kle", "not of the form NN.NN.NN")
        if number is None and local is None:
            return Rejected(Code.MANDATORY_MISSING, "/classification", "neither a KLE number nor a local code")
        rule = self.rules.winner(authority, system, number, local, on)
        if rule is None and number is None:
            return Rejected(Code.UNMAPPED_LOCAL_CODE, "/classification/local_code", "no rule maps this local code")
        pointer = "/classification/local_code" if number is None else "/classification/kle"
        wanted = rule.number if rule is not None else number or ""
        edition = self.in_force(on)
        if edition is None:
            return Rejected(Code.KLE_UNKNOWN, pointer, "no edition is known")
        told = facet if rule is None or rule.facet is None else rule.facet
        if (flaw := self._facet_flaw(told, on)) is not None:
            return flaw
        came = self._followed(authority, wanted, edition, on)
        if isinstance(came, Code):
            gone = f"{wanted} is gone in the edition of {edition.published}, without one successor"
            unknown = f"{wanted} is not in the edition of {edition.published}"
            return Rejected(came, pointer, gone if came is Code.KLE_RETIRED else unknown)
        by = [] if rule is None else [rule.name]
        if came != wanted:
            by.append(f"successor of {wanted}")
        return Mapped(came, told, edition.published, "; ".join(by) or None, edition.announced(came))

    def _followed(self, authority: str, number: str, edition: Edition, on: date) -> str | Code:
        """The number that stands on that day: itself, or its only successor, or that one's."""
        met = [number]
        while not edition.holds(number, on) and not self._is_own(authority, number, on):
            successors = self._successors(number, edition.published)
            if not successors and len(met) == 1 and not self._was_known(number, edition.published):
                return Code.KLE_UNKNOWN
            if len(successors) != 1:
                return Code.KLE_RETIRED
            (number,) = successors
            if number in met:
                return Code.KLE_RETIRED
            met.append(number)
        return number

    def _successors(self, number: str, until: date) -> frozenset[str]:
        """What any edition up to that one has put in the number's place."""
        told = [e.successors[number] for e in self.editions if e.published <= until and number in e.successors]
        return frozenset[str]().union(*told)

    def _was_known(self, number: str, until: date) -> bool:
        return any(number in edition.titles for edition in self.editions if edition.published <= until)

    def _is_own(self, authority: str, number: str, on: date) -> bool:
        return any(
            one.since <= on and (one.until is None or on < one.until) for one in self._own.get((authority, number), ())
        )

    def _facet_flaw(self, facet: str | None, on: date) -> Rejected | None:
        """Facets are judged by the newest list of that day; where there is none, by their form alone."""
        if facet is None:
            return None
        if not is_facet(facet):
            return Rejected(Code.FACET_UNKNOWN, "/classification/facet", "not of the form G01")
        known = [listed for listed in self.facets if listed.published <= on]
        if known and not known[-1].holds(facet, on):
            listed = known[-1].published
            return Rejected(Code.FACET_UNKNOWN, "/classification/facet", f"{facet} is not a facet of {listed}")
        return None

    def _days(self) -> Iterator[date]:
        """Every day on which anything that a mapping depends on may become another."""
        for edition in (*self.editions, *self.facets):
            yield edition.published
            yield from edition.retired.values()
        for one in self.local:
            yield one.since
            if one.until is not None:
                yield one.until
        yield from self.rules.turns()


def _in_order(editions: tuple[Edition, ...]) -> tuple[date, ...]:
    dates = tuple(edition.published for edition in editions)
    if list(dates) != sorted(set(dates)):
        raise ValueError("editions must be in order of their dates")
    return dates
