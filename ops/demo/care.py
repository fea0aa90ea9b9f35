"""A seeded stream of constructed care deliveries, as FHIR bundles in the gateway's shape, good and bad. Pure.

The citizens are those of the case stream of the same seed, so that a search finds both; see `payloads` for their
numbers. The same seed gives the same stream.
"""

import random
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from ops.demo import world
from ops.demo.payloads import citizens as people_of
from ops.demo.world import AARHUS, COPENHAGEN, ODENSE

SYSTEM: Final = "klgateway"
# The gateway, and the vendors who speak its shape: which municipalities' care comes from it, in which proportion.
SYSTEMS: Final = {
    SYSTEM: {AARHUS: 5, ODENSE: 3, COPENHAGEN: 2},
    "cura": {AARHUS: 2, COPENHAGEN: 1},
    "domus": {COPENHAGEN: 1},
    "modulus": {AARHUS: 1, ODENSE: 1},
    "vitae": {ODENSE: 1},
}
_START: Final = datetime(2024, 1, 1, tzinfo=UTC)
_STEP: Final = timedelta(seconds=7)
_FSIII: Final = "urn:oid:1.2.208.176.2.21"
_CPR: Final = "urn:oid:1.2.208.176.1.2"
_ECPR: Final = "urn:oid:1.2.208.176.1.6.1.1"
_SOR: Final = "urn:oid:1.2.208.176.1.1"
# Codes that belong to no organisation: 999 begins none.
SOR: Final = {AARHUS: "999000000016001", ODENSE: "999000000016002", COPENHAGEN: "999000000016003"}
_INTERVENTIONS: Final = (
    ("H1.1", "Personlig hygiejne", "27.36.04"),
    ("H1.8", "Rengøring", "27.36.04"),
    ("H1.11", "Madservice", "27.36.04"),
    ("H3.2", "Afløsning i hjemmet", "27.36.08"),
)
_CONDITIONS: Final = (("J1.1", "Vaske sig"), ("J2.1", "Lave husligt arbejde"), ("I1.1", "Personlig pleje"))
_STATUSES: Final = ("draft", "active", "on-hold", "active", "completed")


class Delivery(NamedTuple):
    """One bundle with who sends it.

    expect: for each planned intervention, in the bundle's order, its status, where that is certain when deliveries
    arrive in the stream's order.
    """

    authority: str
    bundle: dict[str, Any]
    expect: tuple[str, ...]


class Citizen(NamedTuple):
    """Who receives care, and from which municipality."""

    identity: str
    number: str
    authority: str


@dataclass(slots=True)
class Plan:
    """What the municipality knows of one planned intervention."""

    citizen: Citizen
    identity: str
    intervention: int
    granted: datetime
    condition: dict[str, Any]
    changed: datetime
    status: int = 0
    sent: list[dict[str, Any]] = field(default_factory=list)


def configuration() -> dict[str, Any]:
    """What the connector must be told: whose the codes of organisations are, and the interventions' KLE numbers."""
    return {
        "sor": {code: authority for authority, code in SOR.items()},
        "kle": {code: {"kle": number, "facet": "G01"} for code, _, number in _INTERVENTIONS},
    }


def agreements() -> list[dict[str, Any]]:
    """Those who deliver have agreed to the same of these systems as of their case system."""
    agreed = {one["authority"]: one for one in world.agreements()}
    return [{**agreed[cvr], "system": system} for system, authorities in SYSTEMS.items() for cvr in authorities]


def stream(seed: int, citizens: int, events: int, start: datetime = _START, system: str = SYSTEM) -> Iterator[Delivery]:
    """Deliveries with exactly `events` planned interventions, about at most so many citizens."""
    people = people_of(seed, 2 * citizens)[: max(citizens, 1)]
    care = _Care(random.Random(f"{system} {seed}"), people, start, SYSTEMS[system])  # noqa: S311
    while events > 0:
        care.now += _STEP
        delivery = care.next(events)
        events -= len(delivery.expect)
        yield delivery


class _Care:
    """The municipalities' care as it is now."""

    def __init__(
        self, rng: random.Random, numbers: tuple[str, ...], start: datetime, authorities: Mapping[str, int]
    ) -> None:
        self.rng = rng
        self._authorities = authorities
        self.now = start
        self.live: list[Plan] = []
        self.citizens = [self._citizen(number.replace("-", "")) for number in numbers]

    def next(self, room: int) -> Delivery:
        """One bundle with at most so many planned interventions."""
        draw = self.rng.random()
        if draw < 0.03:  # noqa: PLR2004 - the share whose citizen is wrong
            return self.rng.choice(_WRONG_CITIZENS)(self)
        if draw < 0.05:  # noqa: PLR2004 - the share withdrawn before it was ever seen
            return self._withdrawn(self.plan(self.rng.choice(self.citizens)))
        if draw < 0.45 or not self.live:  # noqa: PLR2004
            return self._opened(room)
        index = self.rng.randrange(len(self.live))
        plan = self.live[index]
        if draw < 0.50:  # noqa: PLR2004
            return self._delivery(plan.citizen, [(plan.sent[0], "stale")], late=True)
        if draw < 0.55:  # noqa: PLR2004
            return self._delivery(plan.citizen, [(plan.sent[0], "duplicate")], plan.sent[1:])
        if draw < 0.58:  # noqa: PLR2004
            self.live[index] = self.live[-1]
            self.live.pop()
            return self._withdrawn(plan)
        return self._changed(plan, room)

    def plan(self, citizen: Citizen) -> Plan:
        """A new one, not yet heard of."""
        code, name = self.rng.choice(_CONDITIONS)
        granted = self.now - timedelta(seconds=self.rng.randrange(60, 86_400 * 365))
        condition = {
            "resourceType": "Condition",
            "id": self._uuid(),
            "meta": {"lastUpdated": _text(granted)},
            "clinicalStatus": {"coding": [{"code": "active"}]},
            "verificationStatus": {"coding": [{"code": "confirmed"}]},
            "code": {"coding": [{"system": _FSIII, "code": code, "display": name}]},
            "subject": {"reference": f"Patient/{citizen.identity}"},
            "recordedDate": granted.date().isoformat(),
        }
        intervention = self.rng.randrange(len(_INTERVENTIONS))
        return Plan(citizen, self._uuid(), intervention, granted, condition, self.now)

    def _opened(self, room: int) -> Delivery:
        citizen = self.rng.choice(self.citizens)
        plans = [self.plan(citizen) for _ in range(min(room, self.rng.choice((1, 1, 2))))]
        for plan in plans:
            plan.sent = [_resource(plan), plan.condition]
        self.live.extend(plans)
        resources = [(plan.sent[0], "indexed") for plan in plans]
        return self._delivery(citizen, resources, [plan.condition for plan in plans])

    def _changed(self, plan: Plan, room: int) -> Delivery:
        plan.changed = self.now + timedelta(seconds=3)
        plan.status = min(plan.status + 1, len(_STATUSES) - 1)
        plan.sent = [_resource(plan), plan.condition]
        resources = [(plan.sent[0], "indexed")]
        draw = self.rng.random()
        if draw < 0.3:  # noqa: PLR2004 - the share with something done
            plan.sent.append(self._done(plan))
        elif draw < 0.45 and room > 1:  # noqa: PLR2004 - the share with a bad one beside it
            wrong = _resource(self.plan(plan.citizen))
            self.rng.choice(_WRONG_PLANS)(wrong)
            resources.append((wrong, "rejected"))
        return self._delivery(plan.citizen, resources, plan.sent[1:])

    def _withdrawn(self, plan: Plan) -> Delivery:
        plan.changed = max(self.now, plan.changed) + timedelta(seconds=1)
        resource = {**_resource(plan), "status": "entered-in-error"}
        return self._delivery(plan.citizen, [(resource, "indexed")])

    def _done(self, plan: Plan) -> dict[str, Any]:
        return {
            "resourceType": "Procedure",
            "id": self._uuid(),
            "meta": {"lastUpdated": _text(plan.changed)},
            "status": "completed",
            "code": {"coding": [{"system": _FSIII, "code": _INTERVENTIONS[plan.intervention][0]}]},
            "subject": {"reference": f"Patient/{plan.citizen.identity}"},
            "performedDateTime": _text(plan.changed),
        }

    def _delivery(
        self,
        citizen: Citizen,
        plans: list[tuple[dict[str, Any], str]],
        others: list[dict[str, Any]] | None = None,
        *,
        late: bool = False,
    ) -> Delivery:
        listed = [_before(plan) if late else plan for plan, _ in plans]
        bundle = self.bundle([patient(citizen), *listed, *(others or [])])
        return Delivery(citizen.authority, bundle, tuple(expect for _, expect in plans))

    def bundle(self, resources: list[dict[str, Any]]) -> dict[str, Any]:
        """Of one citizen, as it is delivered."""
        entries = [{"fullUrl": f"https://eoj.example/fhir/{_name(one)}", "resource": one} for one in resources]
        return {"resourceType": "Bundle", "type": "collection", "timestamp": _text(self.now), "entry": entries}

    def _citizen(self, number: str) -> Citizen:
        if self.rng.random() < 0.02:  # noqa: PLR2004 - the share with a replacement number
            number = f"{number[:7]}{self.rng.choice('ABCD')}{self.rng.choice('EFGH')}{number[9]}"
        authority = self.rng.choices(list(self._authorities), list(self._authorities.values()))[0]
        return Citizen(self._uuid(), number, authority)

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))


def patient(citizen: Citizen) -> dict[str, Any]:
    """The citizen, with nothing but the number and who keeps the record."""
    system = _CPR if citizen.number.isdecimal() else _ECPR
    return {
        "resourceType": "Patient",
        "id": citizen.identity,
        "identifier": [{"use": "official", "system": system, "value": citizen.number}],
        "active": True,
        "managingOrganization": {
            "identifier": {"use": "official", "system": _SOR, "value": SOR[citizen.authority]},
        },
        "deceasedBoolean": False,
    }


def _resource(plan: Plan) -> dict[str, Any]:
    code, name, _ = _INTERVENTIONS[plan.intervention]
    status = _STATUSES[plan.status]
    period = {"start": plan.granted.date().isoformat()}
    if status == "completed":
        period["end"] = plan.changed.date().isoformat()
    detail = {
        "code": {"coding": [{"system": _FSIII, "code": code, "display": name}]},
        "status": "in-progress",
        "reasonReference": [{"reference": _name(plan.condition)}],
    }
    return {
        "resourceType": "CarePlan",
        "id": plan.identity,
        "meta": {"lastUpdated": _text(plan.changed)},
        "status": status,
        "intent": "plan",
        "subject": {"reference": f"Patient/{plan.citizen.identity}"},
        "period": period,
        "activity": [{"detail": detail}],
    }


def _before(plan: dict[str, Any]) -> dict[str, Any]:
    """What it looked like a moment before, never sent until now."""
    stored = datetime.fromisoformat(plan["meta"]["lastUpdated"]) - timedelta(milliseconds=1)
    return {**plan, "meta": {"lastUpdated": _text(stored)}, "status": "draft"}


def _name(resource: dict[str, Any]) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _with_citizen(changes: Callable[[dict[str, Any]], object]) -> Callable[[_Care], Delivery]:
    def delivery(care: _Care) -> Delivery:
        plan = care.plan(care.rng.choice(care.citizens))
        citizen = patient(plan.citizen)
        changes(citizen)
        return Delivery(plan.citizen.authority, care.bundle([citizen, _resource(plan)]), ("rejected",))

    return delivery


_WRONG_PLANS: Final[tuple[Callable[[dict[str, Any]], object], ...]] = (
    lambda plan: plan.pop("period"),  # mandatory_missing
    lambda plan: plan.update(status="unknown"),  # state_unknown
    lambda plan: plan["activity"][0]["detail"]["code"]["coding"][0].update(code="G1.39"),  # unmapped_local_code
    lambda plan: plan["meta"].update(lastUpdated="2024-03-19T10:00:00"),  # schema_violation: no zone
    lambda plan: plan["meta"].update(lastUpdated="2199-01-01T00:00:00Z"),  # registered_in_future
    lambda plan: plan.update(status="completed", period={**plan["period"], "end": "2019-05-01"}),  # virkning_overlap
    lambda plan: plan.update(intent="proposal"),  # schema_violation
)
_WRONG_CITIZENS: Final = (
    _with_citizen(lambda citizen: citizen.update(id="another")),  # mandatory_missing: the reference leads nowhere
    _with_citizen(lambda citizen: citizen["managingOrganization"]["identifier"].update(value="999000000016999")),
    _with_citizen(lambda citizen: citizen["identifier"][0].update(system=_CPR, value="3913455001")),  # party_malformed
    _with_citizen(lambda citizen: citizen["identifier"][0].update(system="https://eoj.example/numbers")),
    _with_citizen(lambda citizen: citizen.update(meta={"security": [{"system": "local", "code": "?"}]})),
)
