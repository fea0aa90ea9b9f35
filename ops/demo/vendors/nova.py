"""KMD Nova's cases as its list shows them. Pure."""

from datetime import datetime
from typing import Any, Final

from ops.demo.lives import Life, Vendor, Wrong, moment
from ops.demo.vendors.pushing import in_a_list
from ops.demo.world import AARHUS, COPENHAGEN, RANDERS, accepted

_STATES: Final = ("Opstaaet", "Oplyst", "Bestilt", "Afsluttet")


def _payload(life: Life) -> dict[str, Any]:
    unit = {"losIdentity": {"administrativeUnitId": 818485, "fullName": life.unit, "userKey": life.unit[:3].upper()}}
    return {
        "common": {"uuid": life.identity},
        "caseAttributes": {
            "title": life.title,
            "userFriendlyCaseNumber": f"S{life.created.year}-{life.number}",
            "caseDate": moment(life.created),
            "updateDate": moment(life.changed),
        },
        "state": {"progressState": _STATES[life.stage], "activeCode": "Aktiv", "fromDate": moment(life.since)},
        "sensitivity": {"sensitivity": "Følsomme" if life.number % 2 else "Fortrolige"},
        "caseClassification": {"kleNumber": {"code": life.kle}, "proceedingFacet": {"code": "G01"}},
        "caseParties": [
            {
                "index": life.identity,
                "identificationType": "CprNummer",
                "identification": life.citizen,
                "participantRole": "Primær",
                "name": life.name,
            }
        ],
        "caseworker": {"kspIdentity": {"racfId": f"AZX{life.handler:04}", "fullName": f"Sagsbehandler {life.handler}"}},
        "responsibleDepartment": unit,
        "numberOfDocuments": life.version,
    }


def _removed(life: Life, at: datetime) -> dict[str, Any]:
    return {"common": {"uuid": life.identity}, "deleted": True, "deletedTime": moment(at)}


VENDOR: Final = Vendor(
    "nova",
    "KMD Nova, cases",
    4,
    {AARHUS: 3, COPENHAGEN: 2},
    accepted,
    {},
    in_a_list("nova"),
    _payload,
    _removed,
    (
        Wrong(authority=RANDERS, kle="27.36.04"),  # suspended
        Wrong(authority=AARHUS, kle="27.99.99"),  # kle_unknown
        Wrong(lambda payload, _: payload["state"].update(progressState="SatPåPause")),  # state_unknown
        Wrong(lambda payload, _: payload["caseParties"][0].update(identificationType="Pas")),  # party_unknown_type
        Wrong(lambda payload, _: payload["caseParties"][0].update(identification="3913455001")),  # party_malformed
        Wrong(lambda payload, _: payload["sensitivity"].update(sensitivity="Hemmelig")),  # sensitivity_unknown
        Wrong(lambda payload, _: payload["common"].update(uuid="S2024-1")),  # schema_violation
    ),
)
