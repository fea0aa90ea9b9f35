"""Why a reader may, or may not, see a case: the policy's own tests in order, with what each rests on. Pure.

There is no second set of rules here: the verdict is that of `judge`, which `decide` goes by.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from broker.domain.agreement import Facts
from broker.domain.entry import Entry
from broker.domain.policy import OF_THE_REGISTER, OF_THE_REQUEST, Overview, Query, judge


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
    """Where a case in the index came from, and what of the moment that is asked about is not kept.

    rule: how the number was found from the original one, None when it was taken as it came.
    changed_since: the case is not the one of then. joined_since: the persons' numbers are not those of then, and who
    had which is not kept. policy_known: the policy of then is the one that is judged by.
    """

    event_id: str | None
    received_at: str
    kle_original: str | None
    kle_rule: str | None
    kle_edition: str | None
    agreement_version: int | None
    changed_since: bool
    joined_since: bool = False
    policy_known: bool = True


HOLDS: Final = "holds"
JOINED: Final = "numbers have been joined to one person since; who had which then is not kept"
POLICY_UNKNOWN: Final = "which policy was in force then is not kept, so it is judged by the one of now"
CHANGED: Final = "the case has changed since; how it was then is not kept, so it is judged as it is now"


def explain(overview: Overview, entry: Entry, query: Query, facts: Facts, at: datetime, origin: Origin) -> Explanation:
    """Every step in order: where the case came from, then each test of the overview's row in the policy.

    A denial that does not rest on what is not kept stands, whatever that was: any deny wins.
    """
    refs = _refs(overview, entry, facts)
    judged = list(judge(overview, entry, query, facts, at))
    denials = {name for name, reason in judged if reason is not None}
    steps = [
        Step(name, Verdict.PERMIT if reason is None else Verdict.DENY, str(reason or HOLDS), refs.get(name))
        for name, reason in judged
    ]
    certain = denials & _certain(origin, denials)
    unknown = origin.changed_since or origin.joined_since or not origin.policy_known
    verdict = Verdict.DENY if certain else Verdict.UNKNOWN if unknown else Verdict.PERMIT
    return Explanation(verdict, (*_origin(entry, origin), *steps))


def _certain(origin: Origin, denials: AbstractSet[str]) -> AbstractSet[str]:
    """The tests whose denial stands."""
    if not origin.policy_known:
        return frozenset()
    if origin.joined_since:
        return OF_THE_REQUEST
    return OF_THE_REQUEST | OF_THE_REGISTER if origin.changed_since else denials


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
        *([Step("register", Verdict.UNKNOWN, JOINED)] if origin.joined_since else ()),
        *([] if origin.policy_known else [Step("policy", Verdict.UNKNOWN, POLICY_UNKNOWN)]),
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
