"""What was firing when, and the table made of it. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from ops.drill.telling import Told

Labels = frozenset[tuple[str, str]]


@dataclass(slots=True)
class Firing:
    """One alert in Alertmanager from `began` to `ended` (monotonic seconds; None: still)."""

    name: str
    labels: Labels
    began: float
    ended: float | None = None

    def is_one_of(self, name: str, labels: Labels) -> bool:
        """Whether it is that alert, with at least these labels."""
        return self.name == name and labels <= self.labels


@dataclass(slots=True)
class History:
    """Firings of one Alertmanager, in order of their beginning."""

    firings: list[Firing] = field(default_factory=list)

    def see(self, at: float, now: Iterable[Labels]) -> None:
        """What Alertmanager has at this moment."""
        there = set(now)
        for firing in self.firings:
            if firing.ended is None and firing.labels not in there:
                firing.ended = at
        running = {firing.labels for firing in self.firings if firing.ended is None}
        self.firings += [
            Firing(dict(labels)["alertname"], labels, at) for labels in sorted(there - running, key=sorted)
        ]

    def first(self, name: str, labels: Labels, since: float) -> Firing | None:
        """The first such firing that began then or later."""
        return next((one for one in self.firings if one.began >= since and one.is_one_of(name, labels)), None)

    def last_end(self, name: str, labels: Labels, since: float, until: float = inf) -> float | None:
        """When the last such firing that began within ended; None while one is on, or there was none."""
        ends = [one.ended for one in self.firings if since <= one.began < until and one.is_one_of(name, labels)]
        return None if None in ends or not ends else max(end for end in ends if end is not None)

    def others(self, name: str, since: float, until: float) -> list[str]:
        """Names of other alerts that began within."""
        return sorted({one.name for one in self.firings if since <= one.began < until} - {name})


class Row(NamedTuple):
    """One fault. Seconds from the fault to firing, and from its undoing to the end; None: it did not."""

    fault: str
    alert: str
    factor: int
    fired: float | None
    resolved: float | None
    told: Sequence[str]
    others: Sequence[str]


def addressed(told: Iterable[Told], alert: str, since: float, until: float) -> list[str]:
    """Who was told of the alert within, and after how many seconds."""
    first: dict[str, float] = {}
    for one in told:
        if alert in one.alerts and not one.resolved and since <= one.at < until:
            first.setdefault(one.to, one.at - since)
    return [f"{to} ({seconds:.0f})" for to, seconds in first.items()]


def table(rows: Iterable[Row]) -> str:
    """Markdown."""
    lines = [
        "| fault | alert | durations divided by | s until firing | s until resolved | told (s) | told beside it |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        times = " | ".join("**never**" if one is None else f"{one:.0f}" for one in (row.fired, row.resolved))
        others = ", ".join(row.others) or "–"
        lines.append(
            f"| {row.fault} | {row.alert} | {row.factor} | {times} | {', '.join(row.told) or '–'} | {others} |"
        )
    return "\n".join(lines)
