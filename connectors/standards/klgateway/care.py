"""What in one bundle belongs together: a planned intervention, its citizen, its reasons, what was done of it. Pure.

Reads tolerantly and judges nothing; `translate` does.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from connectors.standards.klgateway.mapping import NATIONAL_CODES, WITHDRAWN
from connectors.standards.klgateway.references import Found, Shelf

_DAY: Final = len("2024-03-18")


# Plans times notes of one citizen in one bundle: what is withdrawn goes along with every plan.
_MOST: Final = 20_000


@dataclass(slots=True)
class Person:
    """What a bundle holds of one citizen."""

    plans: list[Found] = field(default_factory=list)
    notes: list[Found] = field(default_factory=list)
    withdrawn: list[Found] = field(default_factory=list)
    done: dict[str, list[Found]] = field(default_factory=dict)

    @property
    def crowded(self) -> bool:
        """Too much to hold every note against every plan."""
        return len(self.plans) * len(self.notes) > _MOST


@dataclass(slots=True)
class Care:
    """The resources of one bundle, and when it was put together."""

    delivered: str | None = None
    shelf: Shelf = field(default_factory=Shelf)
    plans: list[Found] = field(default_factory=list)
    conditions: list[Found] = field(default_factory=list)
    procedures: list[Found] = field(default_factory=list)
    _numbers: dict[str, bytes | None] = field(default_factory=dict)

    def put(self, found: Found) -> None:
        """Goals, observations and encounters are content, and stay where they are."""
        self.shelf.put(found)
        match found.resource["resourceType"]:
            case "CarePlan":
                self.plans.append(found)
            case "Condition":
                self.conditions.append(found)
            case "Procedure":
                self.procedures.append(found)

    def payloads(self) -> Iterator[dict[str, object]]:
        """The plans, each with what belongs to it; then what is judged by itself."""
        people = self._people()
        contained: list[Found] = []
        for plan in self.plans:
            payload: dict[str, object] = {"plan": plan.part}
            if self.delivered is not None and stored(plan.resource) is None:
                payload["delivered"] = self.delivered
            if (citizen := self._citizen(plan)) is not None:
                payload["citizen"] = citizen.part
            number = self._number(plan)
            if number is not None and not people[number].crowded:
                person = people[number]
                reasons = [one for one in self._reasons(plan) if self._number(one) == number]
                contained.extend(one for one in reasons if one.holder is not None)
                payload["conditions"] = [one.part for one in _once([*reasons, *person.withdrawn])]
                payload["procedures"] = [one.part for one in person.done.get(plan.at, ())]
            yield payload
        for note in (*self.conditions, *self.procedures, *contained):
            yield {"note": note.part}
        for person in people.values():
            if person.crowded:
                yield {"unread": {"at": person.notes[0].at, "expected": "fewer"}}

    def _people(self) -> dict[bytes, Person]:
        people: dict[bytes, Person] = {}
        for plan in self.plans:
            if (number := self._number(plan)) is not None:
                people.setdefault(number, Person()).plans.append(plan)
        for note in (*self.conditions, *self.procedures):
            if (number := self._number(note)) is not None:
                people.setdefault(number, Person()).notes.append(note)
        for person in people.values():
            if not person.crowded:
                self._place(person)
        return people

    def _place(self, person: Person) -> None:
        """What is withdrawn stands with every plan of its citizen, for it only removes; what was done, with one."""
        for note in person.notes:
            if is_withdrawn(note.resource):
                person.withdrawn.append(note)
            elif note.resource["resourceType"] == "Procedure":
                for plan in self._planned_by(note, person.plans):
                    person.done.setdefault(plan.at, []).append(note)

    def _citizen(self, found: Found) -> Found | None:
        return self.shelf.follow(found, found.resource.get("subject"), "Patient")

    def _number(self, found: Found) -> bytes | None:
        """Who it is about, by number: a citizen can stand in a bundle more than once."""
        citizen = self._citizen(found)
        if citizen is None:
            return None
        if citizen.at not in self._numbers:
            numbers = citizen.resource.get("identifier")
            self._numbers[citizen.at] = orjson.dumps(numbers) if numbers else None
        return self._numbers[citizen.at]

    def _reasons(self, plan: Found) -> list[Found]:
        named = (one for detail in _details(plan.resource) for one in _listed(detail, "reasonReference"))
        return _once(found for one in named if (found := self.shelf.follow(plan, one, "Condition")) is not None)

    def _planned_by(self, procedure: Found, plans: list[Found]) -> list[Found]:
        """The plan it names; else the only one of the same intervention that was in force on its day, else none."""
        references = _listed(procedure.resource, "basedOn")
        named = {found.at for one in references if (found := self.shelf.follow(procedure, one, "CarePlan")) is not None}
        if named:
            return [plan for plan in plans if plan.at in named]
        codes = _codes(procedure.resource)
        near = [plan for plan in plans if _in_force(plan.resource, procedure.resource)]
        for alike in (
            [plan for plan in near if _planned_codes(plan.resource) == codes],
            [plan for plan in near if _national(_planned_codes(plan.resource)) & codes],
        ):
            if len(alike) == 1:
                return alike
        return []


def is_withdrawn(resource: Mapping[str, Any]) -> bool:
    """Entered in error, in whichever place its kind says so."""
    if resource.get("status") == WITHDRAWN:
        return True
    verification = resource.get("verificationStatus")
    if isinstance(verification, dict):
        return any(coding.get("code") == WITHDRAWN for coding in _listed(verification, "coding"))
    details = _details(resource)
    return bool(details) and all(detail.get("status") == WITHDRAWN for detail in details)


def stored(resource: Mapping[str, Any]) -> object:
    """When this version of a resource was stored, as it is written."""
    meta = resource.get("meta")
    return meta.get("lastUpdated") if isinstance(meta, dict) else None


def _details(plan: Mapping[str, Any]) -> list[dict[str, Any]]:
    details = (activity.get("detail") for activity in _listed(plan, "activity"))
    return [detail for detail in details if isinstance(detail, dict)]


def _listed(resource: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    value = resource.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _codes(holder: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    code = holder.get("code")
    codings = _listed(code, "coding") if isinstance(code, dict) else []
    return frozenset(
        (one["system"], one["code"])
        for one in codings
        if isinstance(one.get("system"), str) and isinstance(one.get("code"), str)
    )


def _planned_codes(plan: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    details = _details(plan)
    return _codes(details[0]) if len(details) == 1 else frozenset()


def _national(codes: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    return frozenset(one for one in codes if one[0] in NATIONAL_CODES)


def _in_force(plan: Mapping[str, Any], procedure: Mapping[str, Any]) -> bool:
    """By the day as it is written: dates in ISO 8601 sort as they are."""
    period = plan.get("period")
    performed = procedure.get("performedDateTime")
    if not isinstance(period, dict) or not isinstance(performed, str):
        return False
    start, end = period.get("start"), period.get("end")
    if not isinstance(start, str) or start[:_DAY] > performed[:_DAY]:
        return False
    return not isinstance(end, str) or performed[:_DAY] <= end[:_DAY]


def _once(listed: Iterable[Found]) -> list[Found]:
    return list({one.at: one for one in listed}.values())
