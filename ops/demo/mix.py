"""All senders' streams as one, each with its share of it. Pure."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from ops.demo import canonical, care, payloads, world
from ops.demo.payloads import STEP
from ops.demo.sample import Sender, Sending

_CARE: Final = 18  # of a hundred events
_CANONICAL: Final = 2
_NOTES: Final = frozenset({"CarePlan", "Condition", "Procedure"})


class Shares(NamedTuple):
    """How many events come from whom."""

    cases: int
    care: int
    canonical: int


def shares(events: int) -> Shares:
    """Together exactly so many; where there is room at all, each kind of canonical event comes once."""
    lines = max(canonical.EACH_ONCE, events * _CANONICAL // 100) if events > 10 * canonical.EACH_ONCE else 0
    plans = events * _CARE // 100
    return Shares(events - plans - lines, plans, lines)


def senders() -> list[Sender]:
    """Everybody who sends, with an agreement or without."""
    return [
        *(Sender(world.SYSTEM, authority["cvr"]) for authority in world.authorities()),
        *(Sender(care.SYSTEM, authority) for authority in care.SOR),
        canonical.SENDER,
    ]


def stream(seed: int, events: int, end: datetime) -> Iterator[Sending]:
    """Exactly `events` events; the newest were registered a little before `end`. The citizens are the same in all."""
    share = shares(events)
    cases = max(1, share.cases // 4)
    streams = [
        (share.cases, map(of_case, payloads.stream(seed, cases, share.cases, end - share.cases * STEP))),
        (share.care, map(of_care, care.stream(seed, max(1, cases // 2), share.care, end - share.care * STEP))),
        (share.canonical, canonical.stream(seed, cases, share.canonical, end - share.canonical * STEP)),
    ]
    done = [0] * len(streams)
    for _ in range(events):
        # Whoever is furthest behind; a care delivery can hold several events.
        ratio, index = min((done[n] / total, n) for n, (total, _) in enumerate(streams) if total)
        if ratio >= 1:
            return
        sending = next(streams[index][1])
        done[index] += len(sending.expect)
        yield sending


def of_case(sample: payloads.Sample) -> Sending:
    """A case of SBSYS."""
    payload = sample.payload
    cases: tuple[tuple[str, str | None], ...] = ()
    if sample.expect == "indexed":
        citizen = None if payload.get("Slettet") else payload["PrimaryPart"]["CPRnummer"].replace("-", "")
        cases = ((payload["SagIdentity"], citizen),)
    return Sending(Sender(world.SYSTEM, sample.authority), payload, (sample.expect,), cases=cases)


def of_care(delivery: care.Delivery) -> Sending:
    """A bundle: its planned interventions are the events; its notes are judged too, and come after them."""
    resources = [entry["resource"] for entry in delivery.bundle["entry"]]
    citizen = resources[0]["identifier"][0]["value"]
    plans = [one for one in resources if one["resourceType"] == "CarePlan"]
    cases = [
        (plan["id"], None if plan["status"] == "entered-in-error" else citizen)
        for plan, expect in zip(plans, delivery.expect, strict=True)
        if expect == "indexed"
    ]
    places = sum(one["resourceType"] in _NOTES for one in resources)
    return Sending(Sender(care.SYSTEM, delivery.authority), delivery.bundle, delivery.expect, places, tuple(cases))
