"""WorkPoint's list item, in the vendor's words. Pure; knows nothing of the canonical event.

`ListItem` and `FieldValue` with these members are read in public code; `BusinessModuleId` beside the item, and the
message of a deletion, are the poller's own: an item does not say which module it is of.
"""

from connectors.payload import Payload
from connectors.times import MaybeTime, Time


class FieldValue(Payload):
    """A column of one item: `Value` as the list stores it, `TextValue` as people read it."""

    InternalFieldName: str
    Value: object = None
    TextValue: str | None = None


class ListItem(Payload):
    """One case. UniqueId is left out: what tells of a deletion knows the number only."""

    ID: int
    FieldValues: tuple[FieldValue, ...]


class Registration(Payload):
    """An item as it was fetched."""

    BusinessModuleId: str
    Item: ListItem


class Deletion(Payload):
    """An item that was told of as deleted, and was then not found. `At`: when that was told."""

    Trigger: object = None
    BusinessModuleId: str
    ID: int
    At: Time


class Case(Payload):
    """What the configuration says that the columns mean: ours, by the meanings' names."""

    title: str
    status: str
    created: Time
    changed: Time
    status_since: MaybeTime = None
    number: str | None = None
    kle: str | None = None
    facet: str | None = None
    local_code: str | None = None
    sensitivity: str | None = None
    handler: str | None = None
    unit: str | None = None
