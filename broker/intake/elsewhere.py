"""Cases that come from one system of an authority while the index holds them from another: taken in, and told. Pure."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace

from broker.domain.agreement import Facts
from broker.domain.case import CaseEvent, key_of
from broker.domain.identity import EntryKey
from broker.domain.outcome import Warned, WarningCode
from broker.intake.verdicts import Accepted, Judged, sent


def elsewhere(judged: Sequence[Judged], facts: Facts) -> list[EntryKey]:
    """Under which keys the cases that are registered here would stand from the authority's other systems."""
    systems: dict[str, list[str]] = defaultdict(list)
    for authority, system in facts.senders:
        systems[authority].append(system)
    coming = {key_of(event) for one in judged if (event := _registered(one)) is not None}
    return [key._replace(system=other) for key in coming for other in systems[key.authority] if other != key.system]


def warned(judged: Sequence[Judged], standing: Collection[EntryKey]) -> list[Judged]:
    """The same, where these stand in the index."""
    systems: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key in sorted(standing):
        systems[key.authority, key.case_id].append(key.system)
    return [_warned(one, systems) for one in judged] if systems else list(judged)


def _warned(one: Judged, systems: dict[tuple[str, str], list[str]]) -> Judged:
    event = _registered(one)
    others = [] if event is None else systems.get((event["authority"], event["case_id"]), [])
    if not others or not isinstance(one.verdict, Accepted):
        return one
    why = f"the index holds this case from {', '.join(others)}, too: one of them removes it, replaced_by the other"
    told = Warned(WarningCode.SAME_CASE_OTHER_SYSTEM, sent(one.offer, "/case_id"), why)
    return replace(one, verdict=replace(one.verdict, warnings=(*one.verdict.warnings, told)))


def _registered(one: Judged) -> CaseEvent | None:
    """The case event that is taken in and registers something; one that removes its case mends what is warned of."""
    event = one.verdict.event if isinstance(one.verdict, Accepted) else None
    return event if event is not None and "case_id" in event and event["change"] == "REGISTERED" else None
