"""The plain event: one whole registration, well made, with nothing unusual in it. Nearly every event is one. Pure.

The long way (`judge`, `said_by`, `entry_of`) can end in one way only for such an event, so it is spared: what counts is
read straight from the bytes (`broker.stream.glance`), let in here by the facts, and put in its row. Whatever is not
seen to be plain takes the long way, which is the oracle of this one.
"""

from datetime import date
from typing import Final, cast

from mypy_extensions import i64

from broker.domain.agreement import AgreementState, Delimitation, Facts, SenderAgreement, day_of, gate, wanted
from broker.domain.case import CaseEvent
from broker.domain.form import EARLIEST, FUTURE_TOLERANCE
from broker.domain.identity import EntryKey, is_cvr
from broker.domain.kle import Mapped
from broker.domain.outcome import Rejected

MILLISECOND: Final = 1_000


class Plain:
    """What is asked of a plain event. Times are microseconds since 1970, UTC.

    identity: the 16 bytes of the event's id.
    named: the highest level of sensitivity that it names for the case or any document, 0 when it names none;
    sensitivity: the case's own; hidden: from the citizen. state: the step of progress that began last.
    primary: the first primary party; others: the rest as `ROLE|REFERENCE`, primary ones first.
    """

    def __init__(self) -> None:
        self.authority = ""
        self.system = ""
        self.case_id = ""
        self.identity = b""
        self.registered_at: i64 = 0
        self.sequence: int | None = None
        self.created_at: i64 = 0
        self.named = 0
        self.sensitivity = 0
        self.hidden = False
        self.kle = ""
        self.facet: str | None = None
        self.local_code: str | None = None
        self.state = ""
        self.shape = 0
        self.primary: str | None = None
        self.others: list[str] = []
        self.principals: list[str] | None = None
        self.user_key = ""

    @property
    def classification(self) -> dict[str, str | None]:
        """As it was sent."""
        return {"kle": self.kle, "facet": self.facet, "local_code": self.local_code}

    @property
    def on(self) -> date:
        """The date that it is judged by."""
        return day_of(self.created_at)

    @property
    def key(self) -> EntryKey:
        """The entry that it is about."""
        return EntryKey(self.authority, self.system, self.case_id)


class Sender:
    """One that may send, and the newest that a batch has from it. `choices`: what its municipality wants."""

    def __init__(self, agreement: SenderAgreement, choices: tuple[Delimitation, ...]) -> None:
        self.agreement_version = agreement.version
        self.since: i64 = agreement.since
        self.sensitivity = agreement.sensitivity
        self.kle = agreement.kle
        self.choices = choices
        self.registered_at: i64 = EARLIEST
        self.received_ms: i64 = 0


class Meaning:
    """What a classification comes to. `lines`: agreement version -> how the judgement is kept, once that is written."""

    def __init__(self, mapped: Mapped) -> None:
        self.mapped = mapped
        self.lines: dict[int, bytes] = {}


class Admitted:
    """A plain event that is let in, by which version of its sender's agreement and with which meaning."""

    def __init__(self, plain: Plain, agreement_version: int, meaning: Meaning) -> None:
        self.plain = plain
        self.agreement_version = agreement_version
        self.meaning = meaning


class Door:
    """Lets plain events in by the facts, for one batch."""

    def __init__(self, facts: Facts) -> None:
        self.senders: dict[tuple[str, str], Sender | None] = {}
        self._meanings: dict[int, Meaning] = {}
        self._facts = facts

    def admit(self, plain: Plain, received_ms: i64) -> Admitted | None:
        """As `judge` would. None: take the long way."""
        name = plain.authority, plain.system
        if name not in self.senders:
            self.senders[name] = _sender(name[0], name[1], self._facts)
        sender = self.senders[name]
        if (
            sender is None
            or plain.registered_at > received_ms * MILLISECOND + FUTURE_TOLERANCE
            or plain.created_at < sender.since
            or plain.named > sender.sensitivity
        ):
            return None
        on = plain.on
        mapped = self._facts.kle.map(plain.authority, plain.system, plain.classification, on)
        if isinstance(mapped, Rejected) or not sender.kle.covers(mapped.number):
            return None
        if sender.choices and not wanted(sender.choices, mapped.number, on, plain.state):
            return None
        sender.registered_at = max(sender.registered_at, plain.registered_at)
        sender.received_ms = max(sender.received_ms, received_ms)
        # What maps is remembered by the book, so that one classification has one value.
        meaning = self._meanings.get(id(mapped))
        if meaning is None:
            meaning = self._meanings[id(mapped)] = Meaning(mapped)
        return Admitted(plain, sender.agreement_version, meaning)


def _sender(authority: str, system: str, facts: Facts) -> Sender | None:
    agreement = gate(cast("CaseEvent", {"authority": authority, "system": system}), facts)
    if isinstance(agreement, Rejected) or agreement.state is not AgreementState.FULL or not is_cvr(authority):
        return None
    return Sender(agreement, facts.delimitations.get(authority, ()))
