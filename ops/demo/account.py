"""The demo's books: each event that was sent counts once, by what its receipt says. Pure."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from broker.domain.outcome import STATUSES
from ops.demo.sample import Sender

SHOWN: Final = 3
_MOST_SURPRISES: Final = 10


@dataclass(frozen=True, slots=True)
class Delivery:
    """A batch that the intake has answered.

    expect: (index in the request, status or "" where it is not certain) of each event.
    again: it was sent more than once, so some of it may be duplicates.
    """

    sender: Sender
    expect: Sequence[tuple[int, str]]
    receipt_id: str
    rejected: Sequence[Mapping[str, Any]]
    warnings: Sequence[Mapping[str, Any]]
    again: bool


@dataclass(slots=True)
class Account:
    """Sent and decided, for each sender; and the codes that were met."""

    sent: Counter[Sender] = field(default_factory=Counter)
    outcomes: defaultdict[Sender, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    codes: Counter[str] = field(default_factory=Counter)
    rejections: dict[str, tuple[Sender, Mapping[str, Any]]] = field(default_factory=dict)
    surprises: list[str] = field(default_factory=list)

    @property
    def total(self) -> Counter[str]:
        """Over all senders."""
        return sum(self.outcomes.values(), Counter())

    @property
    def decided(self) -> int:
        """How many have a verdict."""
        return sum(self.total[status] for status in STATUSES)

    @property
    def undecided(self) -> int:
        """How many have none yet."""
        return self.sent.total() - self.decided

    @property
    def balances(self) -> bool:
        """Whether every event is accounted for, each as was to be expected."""
        return self.undecided == 0 and not self.surprises

    def delivered(self, delivery: Delivery) -> None:
        """Remember what a vendor is told: the first rejection of each of the first few codes, every warning's code."""
        self.codes.update(warning["code"] for warning in delivery.warnings)
        for told in delivery.rejected:
            if len(self.rejections) < SHOWN and told["code"] not in self.rejections:
                self.rejections[told["code"]] = delivery.sender, told

    def settle(self, delivery: Delivery, events: Sequence[Mapping[str, Any]]) -> None:
        """Book a receipt in which nothing is pending any more."""
        self.codes.update(event["code"] for event in events if event.get("code"))
        found: defaultdict[int, list[str]] = defaultdict(list)
        for event in events:
            found[event["index"]].append(event["status"])
        for index, expect in delivery.expect:
            self._book(delivery, index, expect, found.pop(index, []))
        if found:
            self._surprise(f"receipt {delivery.receipt_id} tells of {len(found)} payloads that were not sent")

    def _book(self, delivery: Delivery, index: int, expect: str, statuses: list[str]) -> None:
        match statuses:
            case [status] if status in STATUSES:
                self.outcomes[delivery.sender][status] += 1
                if expect and status != expect and not delivery.again:
                    self._surprise(f"receipt {delivery.receipt_id}, {index}: {status}, expected {expect}")
            case _:
                said = ", ".join(statuses) or "nothing"
                self._surprise(f"receipt {delivery.receipt_id}, {index}: one verdict was expected, it says {said}")

    def _surprise(self, what: str) -> None:
        if len(self.surprises) < _MOST_SURPRISES:
            self.surprises.append(what)


def summary(account: Account, seconds: float) -> dict[str, Any]:
    """The last line of `demo --json`."""
    total = account.total
    counts = {status: total[status] for status in STATUSES}
    return {"event": "summary", "sent": account.sent.total(), **counts, "seconds": round(seconds, 3)}
