"""Mapping rules: from a KLE number or a local code to a number, by authority, system and date. Pure.

Of the rules that match, the most specific wins, in this order: one that names the authority; one that names the system;
the longest pattern. A rule for a local code is for what has no number. No two rules that are alike in all of this are
ever in force on one day, so there is always one winner, and the order in which rules were put does not matter.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

ANY: Final = "*"
_LONGEST: Final = 8
"""Characters of a number; a pattern is a prefix of one."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule, in force from `since` until before `until`. It matches either `kle`, a pattern, or `local_code`.

    number, facet: what it comes to; without a facet the case keeps its own.
    """

    authority: str
    system: str
    kle: str | None
    local_code: str | None
    number: str
    facet: str | None
    since: date
    until: date | None = None

    @property
    def name(self) -> str:
        """Told with every entry that it maps; the same for the same rule in every version of its set."""
        matched = f"kle:{self.kle}" if self.local_code is None else f"local_code:{self.local_code}"
        return f"{self.authority}/{self.system}/{matched}@{self.since}"

    def in_force(self, on: date) -> bool:
        """On that day."""
        return self.since <= on and (self.until is None or on < self.until)

    def meets(self, other: "Rule") -> bool:
        """Whether there is a day on which both are in force."""
        return (self.until is None or other.since < self.until) and (other.until is None or self.since < other.until)


_Match = tuple[str, str, bool, str]
"""Authority, system, whether the text is a local code, the text: a pattern as its prefix."""


def ties(rules: Sequence[Rule]) -> list[tuple[int, int]]:
    """The places of every two rules that are equally specific, match the same, and are in force on one day."""
    alike: dict[_Match, list[int]] = defaultdict(list)
    found = []
    for place, rule in enumerate(rules):
        of = alike[_match(rule)]
        found += [(other, place) for other in of if rules[other].meets(rule)]
        of.append(place)
    return found


@dataclass(frozen=True, slots=True)
class Rules:
    """Every rule, ready to be asked."""

    listed: tuple[Rule, ...] = ()
    _by_match: dict[_Match, list[Rule]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raises ValueError when two of them tie."""
        if ties(self.listed):
            raise ValueError("two rules tie")
        by_match: dict[_Match, list[Rule]] = defaultdict(list)
        for rule in self.listed:
            by_match[_match(rule)].append(rule)
        object.__setattr__(self, "_by_match", dict(by_match))

    def turns(self) -> Iterable[date]:
        """The days on which one comes into force or goes out of it."""
        for rule in self.listed:
            yield rule.since
            if rule.until is not None:
                yield rule.until

    def winner(self, authority: str, system: str, number: str | None, local_code: str | None, on: date) -> Rule | None:
        """The one that says what a case comes to; None when none does.

        Args:
            number: of the form NN.NN.NN; `local_code` is asked for only where there is none.
        """
        if not self._by_match:
            return None
        local = number is None
        texts = [number[:length] for length in range(_LONGEST, -1, -1)] if number is not None else [local_code or ""]
        for whose in (authority, ANY):
            for of in (system, ANY):
                for text in texts:
                    for rule in self._by_match.get((whose, of, local, text), ()):
                        if rule.in_force(on):
                            return rule
        return None


def _match(rule: Rule) -> _Match:
    if rule.local_code is not None:
        return rule.authority, rule.system, True, rule.local_code
    pattern = rule.kle or ""
    return rule.authority, rule.system, False, "" if pattern == "N*" else pattern.rstrip("*")
