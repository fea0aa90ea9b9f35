"""KMD Nexus's objects as its HATEOAS interface shows them, in the vendor's words. Pure.

One payload is one grant or one pathway, with what it takes to tell of it: the poller lays together what Nexus has
under several addresses. What is not named here is dropped at the door: names, addresses, descriptions, schemas and
everything behind a link never become values.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from connectors.payload import Payload as Plain
from connectors.times import MaybeTime, Time, micros


def day_or_time(value: object) -> int | None:
    """A grant's date; a day alone begins at midnight in Denmark."""
    if value is None:
        return None
    return micros(f"{value}T00:00:00" if isinstance(value, str) and len(value) == len("2024-03-18") else value)


MaybeDate = Annotated[int | None, BeforeValidator(day_or_time)]
# Nexus numbers its objects from 1, as its programming language does.
Number = Annotated[int, Field(ge=0, lt=1 << 63)]


class Payload(Plain):
    """Nexus's names: theirs in camelCase, ours in snake_case."""

    model_config = ConfigDict(alias_generator=to_camel)


class PatientIdentifier(Payload):
    """`type` is `cpr`, or another kind of number."""

    identifier: str
    type: str | None = None


class Patient(Payload):
    """The citizen."""

    patient_identifier: PatientIdentifier


class Pathway(Payload):
    """A reference to a pathway, as the citizen's view shows it."""

    name: str
    patient_pathway_id: Number
    pathway_type_id: Number | None = None
    date: MaybeTime = None
    pathway_status: str | None = None


class Named(Payload):
    """Of which only the name counts: a state, a supplier."""

    name: str


class Paragraph(Payload):
    """What in the law a grant rests on; `name` is the law."""

    name: str
    section: str


class KleNumber(Payload):
    """`name` is the number."""

    name: str


class Municipality(Payload):
    """Its code has three digits here."""

    municipality_code: str


class CatalogGrant(Payload):
    """KL's intervention of FSIII."""

    code: str | None = None


class Element(Payload):
    """One field of a grant; `type` says which of the others holds its value."""

    type: str
    date: MaybeDate = None
    paragraph: Paragraph | None = None
    supplier: Named | None = None
    municipality: Municipality | None = None
    kl_catalog_grant: CatalogGrant | None = None
    kle_number: KleNumber | None = None
    action_facet: KleNumber | None = None


class GrantIdentifier(Payload):
    """Of its numbers, the one that is the citizen's own."""

    patient_grant_id: Number


class Grant(Payload):
    """An intervention that was asked for or granted."""

    name: str
    identifier: GrantIdentifier
    workflow_state: Named
    version: Number
    current_elements: tuple[Element, ...] = ()

    def element(self, kind: str) -> Element | None:
        """The field of that type."""
        return next((one for one in self.current_elements if one.type == kind), None)

    def first(self, *kinds: str) -> int | None:
        """The date of the first of those fields that has one."""
        dates = (one.date for kind in kinds if (one := self.element(kind)) is not None)
        return next((date for date in dates if date is not None), None)


class ConditionState(Payload):
    """Where a condition stands."""

    code: str | None = None


class Condition(Payload):
    """A condition of the citizen; it belongs to no pathway."""

    id: Number
    name: str
    state: ConditionState | None = None
    kl_mapping_code: str | None = None
    date: MaybeTime = None


class Record(Payload):
    """What the poller lays together. `read_at` is ours: Nexus publishes no time of a change."""

    read_at: Time
    patient: Patient
    pathway: Pathway
    grant: Grant | None = None
    conditions: tuple[Condition, ...] | None = None


def is_removed(payload: Mapping[str, Any]) -> bool:
    """Our own addition: a supplier's job, or a reconciliation, tells that an object is gone."""
    return payload.get("removed") is True


class GonePathway(Payload):
    """Which one."""

    patient_pathway_id: Number


class GoneGrant(Payload):
    """Which one."""

    identifier: GrantIdentifier


class Gone(Payload):
    """An object that Nexus no longer has."""

    read_at: Time
    removed: object = None
    pathway: GonePathway | None = None
    grant: GoneGrant | None = None
