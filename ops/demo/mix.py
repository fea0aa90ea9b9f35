"""All senders' streams as one, each with its share of it. Pure."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any, Final

from ops.demo import canonical, care, lives, payloads, world
from ops.demo.payloads import STEP
from ops.demo.sample import Sender, Sending
from ops.demo.vendors import VENDORS

# Of a hundred events; the rest are SBSYS's.
_CARE: Final = {care.SYSTEM: 8, "cura": 2, "domus": 2, "modulus": 2, "vitae": 2}
_CANONICAL: Final = 2
_NOTES: Final = frozenset({"CarePlan", "Condition", "Procedure"})


def shares(events: int) -> dict[str, int]:
    """How many come from each system, together exactly so many.

    Where there is room at all, each system sends some, and each kind of canonical event comes once.
    """
    least = canonical.EACH_ONCE if events > 30 * canonical.EACH_ONCE else 0
    percent = _CARE | {vendor.system: vendor.share for vendor in VENDORS} | {canonical.SYSTEM: _CANONICAL}
    share = {system: max(least, events * part // 100) for system, part in percent.items()}
    return {world.SYSTEM: events - sum(share.values()), **share}


def senders() -> list[Sender]:
    """Everybody who sends, with an agreement or without."""
    return [
        *(Sender(world.SYSTEM, authority["cvr"]) for authority in world.authorities()),
        *(Sender(system, authority) for system, authorities in care.SYSTEMS.items() for authority in authorities),
        *(sender for vendor in VENDORS for sender in vendor.senders()),
        canonical.SENDER,
    ]


def stream(seed: int, events: int, end: datetime, asked: int = 0) -> Iterator[Sending]:
    """Exactly `events` events; the newest were registered a little before `end`. The citizens are the same in all.

    asked: how many events more there are, which SBSYS does not send.
    """
    share = shares(events + asked)
    share[world.SYSTEM] -= asked
    cases = max(1, share[world.SYSTEM] // 4)
    streams = [(total, _stream(system, seed, cases, total, end)) for system, total in share.items()]
    done = [0] * len(streams)
    for _ in range(events):
        # Whoever is furthest behind; a care delivery can hold several events.
        ratio, index = min((done[n] / total, n) for n, (total, _) in enumerate(streams) if total)
        if ratio >= 1:
            return
        sending = next(streams[index][1])
        done[index] += len(sending.expect)
        yield sending


def configuration() -> dict[str, Any]:
    """What the connectors must be told, by system."""
    return {system: care.configuration() for system in care.SYSTEMS} | {
        vendor.system: vendor.configuration for vendor in VENDORS if vendor.configuration
    }


def _stream(system: str, seed: int, cases: int, events: int, end: datetime) -> Iterator[Sending]:
    start = end - events * STEP
    if system == world.SYSTEM:
        return map(of_case, payloads.stream(seed, cases, events, start))
    if system == canonical.SYSTEM:
        return canonical.stream(seed, cases, events, start)
    if system in care.SYSTEMS:
        of = partial(of_care, system=system)
        return map(of, care.stream(seed, max(1, cases // 2), events, start, system))
    vendor = next(one for one in VENDORS if one.system == system)
    return lives.stream(vendor, seed, cases, events, lives.settled(start, end) - events * STEP)


def of_case(sample: payloads.Sample) -> Sending:
    """A case of SBSYS."""
    payload = sample.payload
    cases: tuple[tuple[str, str | None], ...] = ()
    if sample.expect == "indexed":
        citizen = None if payload.get("Slettet") else payload["PrimaryPart"]["CPRnummer"].replace("-", "")
        cases = ((payload["SagIdentity"], citizen),)
    return Sending(Sender(world.SYSTEM, sample.authority), payload, (sample.expect,), cases=cases)


def of_care(delivery: care.Delivery, system: str = care.SYSTEM) -> Sending:
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
    return Sending(Sender(system, delivery.authority), delivery.bundle, delivery.expect, places, tuple(cases))
