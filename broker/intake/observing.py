"""What has come from one sender since a moment, and what became of it: from the log, the outcomes and the rejections.

The events are read where the workers read them, and leave as judgements only: ids, codes, counts.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, cast

from broker.domain.case import CaseEvent
from broker.domain.compliance import Observed
from broker.domain.outcome import read_verdict
from broker.store import compliance as store
from broker.store.compliance import Connection, Outcomes, Refusal
from broker.stream.framing import Decoder, Undecodable
from broker.stream.tail import tail
from broker.stream.topics import CASE_EVENTS

Place = tuple[int, int]
POLL_MS: Final = 500


async def observe(
    connection: Connection, kafka: Mapping[str, Any], sender: tuple[str, str], since: datetime
) -> list[Observed]:
    """In the order of the log, what the intake refused after it; `sender` is (authority, system).

    Raises one of `tail.AWAY`.
    """
    stretches = await store.outcomes(connection, CASE_EVENTS.name, since)
    refused = await store.refusals(connection, *sender, since)
    places = {(one.partition, one.log_offset): one for one in refused if not one.at_intake}
    log = await _log(kafka, sender, stretches)
    seen = [_observed(event, verdict, places.get(place)) for place, event, verdict in log]
    return seen + [Observed(one.event_id, None, "rejected", one.code, one.pointer) for one in refused if one.at_intake]


def _observed(event: CaseEvent, verdict: int, refusal: Any) -> Observed:
    status, code = read_verdict(verdict)
    why: Refusal | None = refusal
    return Observed(event["event_id"], event, status, code, "" if why is None else why.pointer)


async def _log(
    kafka: Mapping[str, Any], sender: tuple[str, str], stretches: Sequence[Outcomes]
) -> list[tuple[Place, CaseEvent, int]]:
    """The sender's events that have a verdict, in the order of each partition."""
    if not stretches:
        return []
    verdicts = _Verdicts(stretches)
    decoder, found = Decoder("case_event", lambda _: None), list[tuple[Place, CaseEvent, int]]()
    async with tail(kafka, [CASE_EVENTS]) as reading:
        first, ends = await reading.bounds(CASE_EVENTS)
        begins = [max(first[p], verdicts.begins(p, ends[p])) for p in range(CASE_EVENTS.partitions)]
        reading.begin(CASE_EVENTS, begins)
        while any(at < end for at, end in zip(await reading.reached(CASE_EVENTS), ends, strict=True)):
            for record in await reading.poll(POLL_MS):
                verdict = verdicts.at(record.partition, record.offset)
                if not verdict or record.value is None:
                    continue
                try:
                    event = cast("CaseEvent", decoder.decode(record.value))
                except Undecodable:
                    continue
                if (event["authority"], event["system"]) == sender:
                    found.append(((record.partition, record.offset), event, verdict))
    return found


class _Verdicts:
    """Looked up by place: however many senders there are, no more is held than the database gave."""

    def __init__(self, stretches: Sequence[Outcomes]) -> None:
        self._of: dict[int, list[Outcomes]] = defaultdict(list)
        for one in stretches:
            self._of[one.partition].append(one)
        self._firsts = {partition: [one.first_offset for one in listed] for partition, listed in self._of.items()}

    def begins(self, partition: int, otherwise: int) -> int:
        return self._firsts[partition][0] if partition in self._firsts else otherwise

    def at(self, partition: int, offset: int) -> int:
        """The byte; 0 where there is none."""
        index = bisect_right(self._firsts.get(partition, []), offset) - 1
        if index < 0:
            return 0
        one = self._of[partition][index]
        return one.verdicts[offset - one.first_offset] if offset < one.next_offset else 0
