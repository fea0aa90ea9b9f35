"""The first event of a source whose agreement waits for it: it is refused, and shows that the way is open. Pure."""

from collections.abc import Iterable
from dataclasses import replace

from broker.domain.agreement import AgreementState, Facts
from broker.domain.classify import Classified, judge
from broker.domain.outcome import Code, Rejected
from broker.intake.verdicts import Judged


def comes_through(judged: Iterable[Judged], facts: Facts, at: int) -> set[tuple[str, str]]:
    """(authority, system) of MAPPED agreements by which an event would be taken in, were they open."""
    through: set[tuple[str, str]] = set()
    for one in judged:
        event, verdict = one.offer.event, one.verdict
        if not isinstance(verdict, Rejected) or verdict.code is not Code.NO_AGREEMENT or isinstance(event, Rejected):
            continue
        source = event["authority"], event["system"]
        agreement = facts.senders.get(source)
        if agreement is None or agreement.state is not AgreementState.MAPPED or source in through:
            continue
        if "case_id" in event:
            opened = replace(facts, senders={source: replace(agreement, state=AgreementState.FULL)})
            if isinstance(judge(event, opened, at), Classified):
                through.add(source)
    return through
