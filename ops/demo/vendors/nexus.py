"""KMD Nexus's grants, each laid together with its citizen and pathway as the poller does. Pure."""

from datetime import datetime
from typing import Any, Final

from ops.demo.lives import CLOSED, Life, Vendor, Wrong, moment
from ops.demo.vendors.pushing import in_a_list
from ops.demo.world import AARHUS, COPENHAGEN

_GRANTS: Final = {
    "27.36.04": ("H1.1", "Personlig hygiejne", "§ 83"),
    "27.36.08": ("H3.2", "Afløsning i hjemmet", "§ 84"),
}
_STATES: Final = ("Ansøgt", "Bevilliget", "Bestilt", "Afsluttet")


def _payload(life: Life) -> dict[str, Any]:
    code, name, section = _GRANTS[life.kle]
    elements: list[dict[str, Any]] = [
        {"type": "paragraph", "paragraph": {"name": "Serviceloven", "section": section, "active": True}},
        {"type": "workflowRequestedDate", "date": moment(life.created)},
        {"type": "supplier", "supplier": {"id": life.handler, "name": life.unit}},
        {"type": "klMapping", "text": name, "klCatalogGrant": {"code": code, "name": name}},
    ]
    if life.stage > 0:
        elements.append({"type": "workflowApprovedDate", "date": moment(life.created)})
    if life.stage == CLOSED:
        elements.append({"type": "basketGrantEndDate", "date": moment(life.since)})
    return {
        "readAt": moment(life.changed),
        "patient": _patient(life),
        "pathway": {
            "type": "patientPathwayReference",
            "name": "Sundhedsfagligt grundforløb",
            "date": moment(life.created),
            "pathwayStatus": "ACTIVE",
            "patientPathwayId": 600_000 + life.number,
            "pathwayTypeId": 7,
        },
        "grant": {
            "name": f"{name} {section}",
            "identifier": {"patientGrantId": life.number, "catalogGrantId": 17},
            "version": life.version,
            "workflowState": {"id": 1400 + life.stage, "name": _STATES[life.stage]},
            "currentElements": elements,
        },
    }


def _patient(life: Life) -> dict[str, Any]:
    number = f"{life.citizen[:6]}-{life.citizen[6:]}"
    return {"patientIdentifier": {"type": "cpr", "identifier": number}, "fullName": life.name}


def _removed(life: Life, at: datetime) -> dict[str, Any]:
    return {"readAt": moment(at), "removed": True, "grant": {"identifier": {"patientGrantId": life.number}}}


VENDOR: Final = Vendor(
    "nexus",
    "KMD Nexus, care",
    3,
    {AARHUS: 3, COPENHAGEN: 2},
    lambda _: tuple(_GRANTS),
    {"kle": {code: {"kle": number, "facet": "G01"} for number, (code, *_) in _GRANTS.items()}},
    in_a_list("nexus"),
    _payload,
    _removed,
    (
        Wrong(lambda payload, _: payload["grant"]["workflowState"].update(name="Sat i bero")),  # state_unknown
        Wrong(lambda payload, _: payload["patient"]["patientIdentifier"].update(identifier="391345-5001")),
        Wrong(lambda payload, _: payload["grant"]["currentElements"].pop(3)),  # unmapped_local_code
        Wrong(lambda payload, _: payload["grant"]["currentElements"].pop(1)),  # mandatory_missing
        Wrong(lambda payload, _: payload["grant"].pop("version")),  # mandatory_missing
    ),
)
