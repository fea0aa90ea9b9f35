"""Which elements of a payload's resources nothing here reads. Pure; names only, never a value."""

from collections import Counter
from typing import Final

from connectors.payload import Model, unknown_fields
from connectors.standards.klgateway.payloads import Citizen, Completed, Condition, Planned

_MODELS: Final[dict[str, Model]] = {
    "CarePlan": Planned,
    "Patient": Citizen,
    "Condition": Condition,
    "Procedure": Completed,
}
# Read where a bundle is taken apart, without a model.
_READ: Final = frozenset(
    [
        "resourceType",
        "subject",
        "basedOn",
        "contained",
        "verificationStatus",
        "activity.detail.reasonReference",
        "activity.detail.status",
    ]
)


def unknown(payload: object) -> Counter[str]:
    """By the kind of the resource: `CarePlan.note`."""
    found: Counter[str] = Counter()
    for part in payload.values() if isinstance(payload, dict) else ():
        for one in part if isinstance(part, list) else [part]:
            resource = one.get("resource") if isinstance(one, dict) else None
            kind = resource.get("resourceType") if isinstance(resource, dict) else None
            if isinstance(kind, str) and kind in _MODELS:
                names = unknown_fields(resource, _MODELS[kind])
                found.update({f"{kind}.{name}": count for name, count in names.items() if name not in _READ})
    return found
