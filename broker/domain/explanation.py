"""Why a reader may, or may not, see a case: the policy's own tests in order, with what each rests on. Pure.

There is no second set of rules here: the verdict is that of `judge`, which `decide` goes by.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from broker.domain.agreement import Facts
from broker.domain.entry import Entry
from broker.domain.policy import Overview, Query, judge


class Verdict(StrEnum):
    """Of a step, and of the whole. UNKNOWN: what would be needed to say is not kept."""

    PERMIT = "permit"
    DENY = "deny"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what was looked at, what it says, why, and the version of what it rests on. No personal data."""

    step: str
    verdict: Verdict
    because: str
    ref: str | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """The verdict and the steps that lead to it."""

    verdict: Verdict
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a case in the index came from. changed_since: after the moment that is asked about, so it is not that case.

    registered_since: likewise, what is registered of the persons that are asked about, consents and the like.

    rule: how the number was found from the original one, None when it was taken as it came.
    """

    event_id: str | None
    received_at: str
    kle_original: str | None
    kle_rule: str | None
    kle_edition: str | None
    agreement_version: int | None
    changed_since: bool
    registered_since: bool = False


HOLDS: Final = "holds"
REGISTERED: Final = "more has been registered of the citizen since; it is judged by what stands now"
CHANGED: Final = "the case has changed since; how it was then is not kept, so it is judged as it is now"


def explain(overview: Overview, entry: Entry, query: Query, facts: Facts, at: datetime, origin: Origin) -> Explanation:
    """Every step in order: where the case came from, then each test of the overview's row in the policy."""
    verdict = Verdict.PERMIT
    judged = []
    refs = _refs(overview, entry, facts)
    for name, reason in judge(overview, entry, query, facts, at):
        denied = reason is not None
        judged.append(Step(name, Verdict.DENY if denied else Verdict.PERMIT, str(reason or HOLDS), refs.get(name)))
        verdict = Verdict.DENY if denied else verdict
    if origin.changed_since or origin.registered_since:
        verdict = Verdict.UNKNOWN
    return Explanation(verdict, (*_origin(entry, origin), *judged))


def _origin(entry: Entry, origin: Origin) -> tuple[Step, ...]:
    there = Verdict.UNKNOWN if origin.changed_since else Verdict.PERMIT
    event = CHANGED if origin.changed_since else f"the newest registration was received {origin.received_at}"
    by = "as it came" if origin.kle_rule is None else f"by the rule {origin.kle_rule}"
    number = f"{entry.kle}, {by}, from {origin.kle_original}" if entry.kle else "the case has no number"
    mapped = Verdict.PERMIT if entry.kle else Verdict.DENY
    taken = f"taken in under version {origin.agreement_version} of the sender's agreement"
    return (
        Step("event", there, event, origin.event_id),
        Step("taken_in", there, taken, str(origin.agreement_version)),
        Step("kle", mapped if there is Verdict.PERMIT else there, number, origin.kle_edition),
        *([Step("register", Verdict.UNKNOWN, REGISTERED)] if origin.registered_since else ()),
    )


def _refs(overview: Overview, entry: Entry, facts: Facts) -> Mapping[str, str]:
    """What the tests rest on, by the name of the test."""
    key = entry.key
    sender = facts.senders.get((key.authority, key.system))
    readers = facts.readers.get((key.authority, overview.name), ())
    refs = {"role": f"policy {overview.name}: {overview.role}"}
    if sender is not None:
        refs["still_delivered"] = f"sender agreement version {sender.version}, {sender.state}"
    if readers:
        clients = ", ".join(sorted(f"{agreement.client} {agreement.state}" for agreement in readers))
        refs["joined"] = f"reader agreements: {clients}"
    return refs
