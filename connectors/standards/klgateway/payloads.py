"""FHIR R4 resources, as far as the gateway's profiles use them and the index needs them. Pure.

What is not named here is dropped at the door: names, addresses, notes and observations never become values.
"""

import re
from typing import Annotated, Final

from pydantic import BeforeValidator, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from connectors.payload import Payload
from connectors.times import micros, midnight

_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_ZONE: Final = re.compile(r"(?:Z|[+-]\d\d:\d\d)\Z", re.ASCII)


def instant(value: object) -> int:
    """Instants order versions, so a zone is not guessed; FHIR demands one."""
    try:
        if isinstance(value, str) and _ZONE.search(value):
            return micros(value)
    except ValueError:
        pass
    raise PydanticCustomError("zoned", "an instant")


def begun(value: object) -> int:
    """A day begins at midnight in Denmark. FHIR demands a zone with a time; without one it is Danish all the same."""
    return _moment(value, 0)


def ended(value: object) -> int:
    """A period that ends on a day ends with it. Source: FHIR R4, Period.end is inclusive."""
    return _moment(value, 1)


def _moment(value: object, days_later: int) -> int:
    try:
        if isinstance(value, str) and _DAY.fullmatch(value):
            return midnight(value, days_later)
        return micros(value)
    except ValueError:
        raise PydanticCustomError("day", "a day or a time") from None


Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9\-.]{1,64}$")]
Instant = Annotated[int, BeforeValidator(instant)]
Begun = Annotated[int, BeforeValidator(begun)]
Ended = Annotated[int, BeforeValidator(ended)]


class Element(Payload):
    """FHIR's names: theirs in camelCase, ours in snake_case."""

    model_config = ConfigDict(alias_generator=to_camel)


class Coding(Element):
    """A code of a system; `display` is the code's name, no free text."""

    system: str | None = None
    code: str | None = None
    display: str | None = None


class Concept(Element):
    """The same meaning in one or more code systems."""

    coding: tuple[Coding, ...] = ()


class Identifier(Element):
    """A number of a register."""

    system: str | None = None
    value: str | None = None
    use: str | None = None


class Meta(Element):
    """When this version was stored, where a resource is carried along with another."""

    last_updated: Instant | None = None
    security: tuple[Coding, ...] = ()


class VersionedMeta(Meta):
    """When this version was stored, where everything rests on it."""

    last_updated: Instant


class Organization(Element):
    """A reference that names its organisation by number."""

    identifier: Identifier


class Citizen(Element):
    """Patient."""

    identifier: tuple[Identifier, ...]
    managing_organization: Organization
    meta: Meta = Meta()


class Keeper(Element):
    """Patient, where only who keeps the record matters."""

    managing_organization: Organization


class Period(Element):
    """`start`: when it was granted. `end`: the first moment after it."""

    start: Begun
    end: Ended | None = None


class Detail(Element):
    """What is to be done."""

    code: Concept


class Activity(Element):
    """The one intervention of a plan."""

    detail: Detail


class Planned(Element):
    """CarePlan."""

    id: Id
    meta: VersionedMeta
    status: str
    intent: str
    period: Period
    activity: tuple[Activity, ...]


class Withdrawn(Element):
    """A resource entered in error: nothing else in it counts."""

    id: Id
    meta: VersionedMeta


class WithdrawnNote(Element):
    """The same of a resource that stands with a plan."""

    id: Id
    meta: Meta = Meta()


class Condition(Element):
    """Condition: a reason for an intervention."""

    id: Id
    recorded_date: Begun
    code: Concept
    meta: Meta = Meta()


class Completed(Element):
    """Procedure: an intervention that was carried out."""

    id: Id
    performed_date_time: Begun
    code: Concept
    status: str
    meta: Meta = Meta()
