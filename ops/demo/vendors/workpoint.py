"""WorkPoint's items: a list of field values whose columns are each customer's own. Pure."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from ops.demo.lives import Life, Vendor, Wrong, moment
from ops.demo.vendors.pushing import in_a_list
from ops.demo.world import AARHUS, ESBJERG, ODENSE, accepted

_MODULE: Final = "6f1c2f0a-6a0e-4d5e-9a55-2b3f3f2a9d11"
_STAGES: Final = ("Opstået", "Visitation", "Afgjort", "Afsluttet")
_COLUMNS: Final = {
    "number": "wpCaseNumber",
    "kle": "wpKLE",
    "facet": "wpFacet",
    "status_since": "wpStageDate",
    "sensitivity": "wpLevel",
    "handler": "wpResponsible",
    "unit": "wpDepartment",
    "parties": [{"role": "PRIMARY", "number": "wpCPR", "name": "wpCitizen"}],
}


def _payload(life: Life) -> dict[str, Any]:
    values = {
        "Title": life.title,
        "wpCaseNumber": f"S-{life.created.year}-{life.number}",
        "wpStage": _STAGES[life.stage],
        "wpStageDate": _stored(life.since),
        "wpKLE": f"27;#{life.kle} {life.title}",
        "wpFacet": "G01 Generelle sager",
        "Created": _stored(life.created),
        "Modified": _stored(life.changed),
        "wpLevel": "Fortrolig",
        "wpCPR": f"{life.citizen[:6]}-{life.citizen[6:]}",
        "wpCitizen": life.name,
        "wpResponsible": f"{life.handler};#Sagsbehandler {life.handler}",
        "wpDepartment": life.unit,
    }
    fields = [{"InternalFieldName": name, "Value": value, "TextValue": value} for name, value in values.items()]
    return {"BusinessModuleId": _MODULE, "Item": {"ID": life.number, "IsEntity": True, "FieldValues": fields}}


def _stored(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _removed(life: Life, at: datetime) -> dict[str, Any]:
    return {"BusinessModuleId": _MODULE, "ID": life.number, "Trigger": "EntityDeleted", "At": moment(at)}


def _says(**texts: str) -> Callable[[dict[str, Any], Life], None]:
    def spoil(payload: dict[str, Any], _: Life) -> None:
        for field in payload["Item"]["FieldValues"]:
            if (text := texts.get(field["InternalFieldName"])) is not None:
                field.update(Value=text, TextValue=text)

    return spoil


VENDOR: Final = Vendor(
    "workpoint",
    "WorkPoint, cases",
    3,
    {AARHUS: 2, ODENSE: 1},
    accepted,
    {
        "modules": {_MODULE: {"columns": _COLUMNS}},
        "states": {"Visitation": "OPLYST"},
        "sensitivity": {"Fortrolig": "FORTROLIGE_PERSONOPLYSNINGER", "Særligt beskyttet": "VIP_SAGER"},
    },
    in_a_list("workpoint"),
    _payload,
    _removed,
    (
        Wrong(_says(wpLevel="Særligt beskyttet"), authority=ESBJERG, kle="27.36.04"),  # outside_agreement: the ceiling
        Wrong(lambda payload, _: payload.update(BusinessModuleId="6f1c2f0a-6a0e-4d5e-9a55-2b3f3f2a9d99")),  # schema
        Wrong(_says(wpStage="Parkeret")),  # state_unknown
        Wrong(_says(wpCPR="391345-5001")),  # party_malformed
        Wrong(_says(wpKLE="27")),  # kle_malformed
        Wrong(_says(wpStage="Afgjort", wpStageDate="2019-05-01T12:00:00Z")),  # virkning_overlap
    ),
)
