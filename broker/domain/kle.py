"""KLE, the municipalities' subject classification: patterns, editions, and what a code maps to. Pure."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from broker.domain.outcome import Code, Rejected

_NUMBER = re.compile(r"\d\d\.\d\d\.\d\d", re.ASCII)
_FACET = re.compile(r"[A-ZÆØÅ]\d\d", re.ASCII)
_LONGEST = len("NN.NN.NN")
_PATTERN = re.compile(r"N\*|\d\d\.(\*|\d\*|\d\d\.(\*|\d\*|\d\d))", re.ASCII)


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


@dataclass(frozen=True, slots=True)
class Edition:
    """One published edition: number -> title."""

    published: date
    titles: Mapping[str, str]


@dataclass(init=False)
class Mapped:
    """What a case's classification comes to: kept beside the original."""

    number: str
    facet: str | None
    edition: date
    rule: str | None

    def __init__(self, number: str, facet: str | None, edition: date, rule: str | None = None) -> None:
        self.number = number
        self.facet = facet
        self.edition = edition
        self.rule = rule


@dataclass(frozen=True, slots=True)
class KleBook:
    """Every known edition, oldest first."""

    editions: tuple[Edition, ...] = ()
    _dates: tuple[date, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Raises ValueError when the editions are not in order."""
        dates = tuple(edition.published for edition in self.editions)
        if list(dates) != sorted(set(dates)):
            raise ValueError("editions must be in order of their dates")
        object.__setattr__(self, "_dates", dates)

    def in_force(self, on: date) -> Edition | None:
        """The edition a case of that date is judged by; before the first known, the first."""
        if not self.editions:
            return None
        return self.editions[max(0, bisect_right(self._dates, on) - 1)]

    def title(self, number: str) -> str | None:
        """The newest title the number has had."""
        for edition in reversed(self.editions):
            if (title := edition.titles.get(number)) is not None:
                return title
        return None

    def map(self, classification: Mapping[str, str | None], on: date) -> Mapped | Rejected:
        """Judge a case's classification against the edition in force on its date."""
        number, facet = classification.get("kle"), classification.get("facet")
        if number is None:
            local = classification.get("local_code")
            if local is None:
                return Rejected(Code.MANDATORY_MISSING, "/classification", "neither a KLE number nor a local code")
            return Rejected(Code.UNMAPPED_LOCAL_CODE, "/classification/local_code", "no rule maps this local code")
        edition = self.in_force(on)
        known = edition is not None and number in edition.titles
        if not known and _NUMBER.fullmatch(number) is None:
            return Rejected(Code.KLE_MALFORMED, "/classification/kle", "not of the form NN.NN.NN")
        if facet is not None and _FACET.fullmatch(facet) is None:
            return Rejected(Code.FACET_UNKNOWN, "/classification/facet", "not of the form G01")
        if known and edition is not None:
            return Mapped(number, facet, edition.published)
        if edition is not None and self._was_known(number, edition.published):
            return Rejected(
                Code.KLE_RETIRED, "/classification/kle", f"{number} is gone in the edition of {edition.published}"
            )
        return Rejected(Code.KLE_UNKNOWN, "/classification/kle", f"{number} is in no edition in force on {on}")

    def _was_known(self, number: str, before: date) -> bool:
        return any(number in edition.titles for edition in self.editions if edition.published < before)
