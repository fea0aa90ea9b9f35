"""What a change of KLE brings in: cases that were left out before, and of which nothing was kept. Pure.

Numbers are looked at, not cases: those that the change touches, on one day of every stretch in which nothing turns, and
once for all senders that have no rule and no own number for them.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import InitVar, dataclass, field
from datetime import date, timedelta
from itertools import pairwise, product, takewhile
from typing import Final, NamedTuple

from broker.domain.agreement import (
    ACCEPTING,
    CLOSED,
    AgreementState,
    Delimitation,
    Facts,
    SenderAgreement,
    outside,
    wanted,
)
from broker.domain.kle import Edition, KleBook, Local, Mapped, Patterns
from broker.domain.kle_rules import ANY, Rule

MOST: Final = 50
"""Numbers that are asked for one by one; of more, their main groups are."""
_DIGITS: Final = 6
_NUMBER: Final = len("NN.NN.NN")


class Brought(NamedTuple):
    """A source that has to be asked again. kle: patterns of the numbers that its cases come to now."""

    authority: str
    system: str
    kle: tuple[str, ...]


class _Source(NamedTuple):
    """What a source may call a case: a number or a local code. prefix: of all the numbers that this one stands for."""

    number: str | None
    code: str | None
    prefix: str | None


class _Move(NamedTuple):
    """What cases from `since` on and from before `until` came to before.

    unmapped: where they came to nothing, the prefix of the number that they had; None for a local code.
    """

    before: str | None
    unmapped: str | None
    since: date
    until: date


def brought_in(known: Facts, changed: KleBook, today: date) -> list[Brought]:
    """Every open source of which cases lead into the index by the changed book, and led out of it before.

    Not those of which the bytes were kept: they wait at the rejections desk. Cases from a day that lies ahead there
    are none of.
    """
    change, moves, found = _Change(known.kle, changed, today), dict[tuple[str, str], dict[str, set[_Move]]](), []
    for (authority, system), agreement in sorted(known.senders.items()):
        if agreement.state not in ACCEPTING:
            continue
        whose = authority if authority in change.named else "", system if system in change.named else ""
        if whose not in moves:
            moves[whose] = change.moves(*whose)
        choices = known.delimitations.get(authority, ())
        numbers = {
            number
            for number, led in moves[whose].items()
            if agreement.kle.covers(number) and any(_lets_in(number, move, agreement, choices) for move in led)
        }
        if numbers:
            found.append(Brought(authority, system, _patterns(numbers, agreement)))
    return found


def _patterns(numbers: set[str], agreement: SenderAgreement) -> tuple[str, ...]:
    if len(numbers) <= MOST:
        return tuple(sorted(numbers))
    groups = Patterns.of({f"{number[:2]}.*" for number in numbers})
    return tuple(sorted(set(groups.both(agreement.kle).patterns())))


def _lets_in(number: str, move: _Move, agreement: SenderAgreement, choices: tuple[Delimitation, ...]) -> bool:
    """Whether there is such a case that is in by this number, and was neither in before nor kept to be mended."""
    if agreement.state is AgreementState.FULL:
        if move.before is None:
            # As `classify.judge` has it: the bytes of what maps to nothing were kept.
            if move.unmapped is None or agreement.kle.covers(move.unmapped):
                return False
        elif not choices and agreement.kle.covers(move.before):
            return False
    begins = (agreement.from_date, *(choice.from_date for choice in choices))
    days = {move.since, *(day for day in begins if move.since < day < move.until)}
    whose = {frozenset[str](), agreement.restricted_citizens}

    def inside(number: str, on: date, state: str | None, primary: Iterable[str]) -> bool:
        return outside(agreement, on, None, number, primary) is None and wanted(choices, number, on, state)

    return any(
        inside(number, *case) and not (move.before is not None and inside(move.before, *case))
        for case in product(days, (None, CLOSED), whose)
    )


@dataclass(slots=True)
class _Change:
    """From one book to another. touched: numbers that an edition may make stand, or be followed, otherwise.

    rules, own: that stand in one of the two alone. stretches: of days, from the first on which any of it makes a
    difference to today, in which nothing turns; closed-open.
    """

    before: KleBook
    after: KleBook
    today: InitVar[date]
    named: set[str] = field(init=False)
    rules: set[Rule] = field(init=False)
    own: set[Local] = field(init=False)
    touched: set[str] = field(init=False)
    stretches: list[tuple[date, date]] = field(init=False)
    _of_all: dict[_Source, list[tuple[str, _Move]]] = field(init=False, default_factory=dict)
    _all_rules: list[Rule] = field(init=False)
    _locals: set[Local] = field(init=False)
    _followed_by: Mapping[str, set[str]] = field(init=False)
    _listed: list[str] = field(init=False)

    def __post_init__(self, today: date) -> None:
        books = self.before, self.after
        self._all_rules = sorted({rule for book in books for rule in book.rules.listed}, key=lambda rule: rule.name)
        self._locals = {one for book in books for one in book.local}
        self.named = {one.authority for one in self._locals} | {
            name for rule in self._all_rules for name in (rule.authority, rule.system)
        }
        self.rules = {*self.before.rules.listed} ^ {*self.after.rules.listed}
        self.own = {*self.before.local} ^ {*self.after.local}
        self.touched, first = _touched(self.before, self.after)
        since = min([first, *(rule.since for rule in self.rules), *(one.since for one in self.own)])
        turns = {day for book in books for day in _turns(book) if since < day <= today}
        self.stretches = list(pairwise([since, *sorted(turns), today + timedelta(days=1)])) if since <= today else []
        editions = {id(edition): edition for book in books for edition in book.editions}.values()
        self._followed_by = _followed_by(editions)
        patterns = {rule.kle for rule in self._all_rules if rule.kle is not None and len(_prefix(rule)) == _NUMBER}
        named = {one.number for one in self._locals} | patterns
        told = (listed for edition in editions for listed in (edition.titles, edition.successors))
        self._listed = sorted(named.union(*told))

    def moves(self, authority: str, system: str) -> dict[str, set[_Move]]:
        """Number -> what comes to it now of all that this sender may call its cases, and came to something else."""
        found: dict[str, set[_Move]] = defaultdict(set)
        particular = self._particular(authority, system)
        for source in self._sources(authority, system) if self.stretches else ():
            if particular(source):
                moved = self._moved(source, authority, system)
            else:
                if source not in self._of_all:
                    self._of_all[source] = self._moved(source, "", "")
                moved = self._of_all[source]
            for number, move in moved:
                found[number].add(move)
        return found

    def _moved(self, source: _Source, authority: str, system: str) -> list[tuple[str, _Move]]:
        moved = []
        for since, until in self.stretches:
            was, now = (_came(book, authority, system, source, since) for book in (self.before, self.after))
            if now is not None and now != was:
                moved.append((now, _Move(was, source.prefix if was is None else None, since, until)))
        return moved

    def _particular(self, authority: str, system: str) -> Callable[[_Source], bool]:
        """Whether a source may come to something else for this sender than for others."""
        own = self._leading_to({one.number for one in self._locals if one.authority == authority})
        rules = [
            rule
            for rule in self._rules_of(authority, system)
            if rule.number in own or (rule.authority, rule.system) != (ANY, ANY)
        ]
        codes = {rule.local_code for rule in rules if rule.kle is None}
        prefixes = tuple(_prefix(rule) for rule in rules if rule.kle is not None)

        def particular(source: _Source) -> bool:
            if source.number is None:
                return source.code in codes
            return source.number in own or source.number.startswith(prefixes)

        return particular

    def _rules_of(self, authority: str, system: str) -> list[Rule]:
        return [one for one in self._all_rules if one.authority in (authority, ANY) and one.system in (system, ANY)]

    def _sources(self, authority: str, system: str) -> set[_Source]:
        """What it may call a case that the change may make come to something else."""
        own = {one.number for one in self.own if one.authority == authority}
        numbers = self._leading_to(self.touched | own)
        rules = self._rules_of(authority, system)
        patterns = {_prefix(rule) for rule in rules if rule.kle is not None}
        sources = {_Source(number, None, number) for number in numbers}
        for rule in rules:
            if rule not in self.rules and rule.number not in numbers:
                continue
            if rule.local_code is not None:
                sources.add(_Source(None, rule.local_code, None))
            else:
                sources |= self._matched(_prefix(rule), patterns)
        return sources

    def _leading_to(self, numbers: set[str]) -> set[str]:
        """These, and all that may be followed to them."""
        found, left = set(numbers), list(numbers)
        while left:
            came = self._followed_by.get(left.pop(), set()) - found
            found |= came
            left += came
        return found

    def _matched(self, prefix: str, patterns: set[str]) -> set[_Source]:
        """Every number that is listed anywhere, and one of those for each pattern that are not and it matches best."""
        begin = bisect_left(self._listed, prefix)
        within = takewhile(lambda number: number.startswith(prefix), self._listed[begin:])
        sources = {_Source(number, None, number) for number in within}
        for one in {prefix, *patterns}:
            if one.startswith(prefix) and len(one) < _NUMBER:
                longer = tuple(other for other in patterns if other != one and other.startswith(one))
                number = self._unlisted(one, longer)
                if number is not None:
                    sources.add(_Source(number, None, one))
        return sources

    def _unlisted(self, prefix: str, longer: tuple[str, ...]) -> str | None:
        begun = prefix.replace(".", "")
        missing = _DIGITS - len(begun)
        for rest in range(10**missing - 1, -1, -1):
            digits = f"{begun}{rest:0{missing}d}"
            number = f"{digits[:2]}.{digits[2:4]}.{digits[4:]}"
            place = bisect_left(self._listed, number)
            if self._listed[place : place + 1] != [number] and not number.startswith(longer):
                return number
        return None


def _came(book: KleBook, authority: str, system: str, source: _Source, on: date) -> str | None:
    mapped = book.map(authority, system, {"kle": source.number, "local_code": source.code}, on)
    return mapped.number if isinstance(mapped, Mapped) else None


def _prefix(rule: Rule) -> str:
    return Patterns.of([rule.kle or "N*"]).prefixes[0]


def _turns(book: KleBook) -> Iterator[date]:
    """Every day on which a mapping may become another."""
    for edition in (*book.editions, *book.facets):
        yield edition.published
        yield from edition.retired.values()
    for one in book.local:
        yield from (one.since,) if one.until is None else (one.since, one.until)
    yield from book.rules.turns()


def _touched(before: KleBook, after: KleBook) -> tuple[set[str], date]:
    """Numbers of which the editions say something else, and the first day on which they do."""
    touched, since = set[str](), date.max
    for on in sorted({date.min, *(edition.published for book in (before, after) for edition in book.editions)}):
        was, now = (_upto(book, on) for book in (before, after))
        if was == now:
            continue
        told = {number for number, _ in _successors(was).items() ^ _successors(now).items()}
        if was[-1:] != now[-1:]:
            (held, gone), (holds, goes) = ((one[-1].titles, one[-1].retired) if one else ({}, {}) for one in (was, now))
            told |= (held.keys() ^ holds.keys()) | {number for number, _ in gone.items() ^ goes.items()}
        if told:
            touched |= told
            since = min(since, on)
    return touched, since


def _upto(book: KleBook, on: date) -> tuple[Edition, ...]:
    """Up to the one that is in force on that day."""
    judging = book.in_force(on)
    return tuple(one for one in book.editions if judging is not None and one.published <= judging.published)


def _successors(editions: Iterable[Edition]) -> Mapping[str, frozenset[str]]:
    """Number -> what any of them has put in its place."""
    found: dict[str, frozenset[str]] = defaultdict(frozenset)
    for edition in editions:
        for number, by in edition.successors.items():
            found[number] |= by
    return found


def _followed_by(editions: Iterable[Edition]) -> Mapping[str, set[str]]:
    """Number -> those in whose place it has been put."""
    found: dict[str, set[str]] = defaultdict(set)
    for edition in editions:
        for number, successors in edition.successors.items():
            for successor in successors:
                found[successor].add(number)
    return found
