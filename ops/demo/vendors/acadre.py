"""Acadre's cases as its SOAP service shows them, with their contacts; a tenth are children's. Pure."""

from datetime import datetime
from typing import Any, Final

from ops.demo.lives import CLOSED, Life, Vendor, Wrong, moment
from ops.demo.vendors.pushing import in_a_list
from ops.demo.world import COPENHAGEN, ODENSE, accepted

_EACH_CHILD: Final = 10


def _payload(life: Life) -> dict[str, Any]:
    contact = f"{life.identity[:-4]}c001"
    childs = life.number % _EACH_CHILD == 0
    case: dict[str, Any] = {
        "CaseFileIdentifier": str(life.number),
        "Year": str(life.created.year),
        "CaseFileSequenceNumber": str(life.number),
        "CreationDate": moment(life.created)[:10],
        # The child's number is the title, and its name the other one: so Acadre has it.
        "CaseFileTitleText": life.citizen if childs else life.title,
        "TitleUnofficialIndicator": "false",
        "CaseFileManagerReference": str(800 + life.handler),
        "CaseFileNumberIdentifier": f"{life.created.year % 100}/{life.number}",
        "CaseFileLatestUpdateDate": moment(life.changed)[:10],
        "CaseFileStatusCode": "A" if life.stage == CLOSED else "B",
        "CaseFileTypeCode": "BUSAG" if childs else "BGSAG",
        "AccessCode": "BN" if childs else "BO",
        "AdministrativeUnit": [{"AdministrativeUnitReference": life.unit}],
        "Classification": {
            "Category": [
                {"Principle": "KL Koder", "Literal": life.kle},
                {"Principle": "Facetter", "Literal": "G01"},
            ]
        },
        "Party": [{"ContactReference": contact.upper(), "IsPrimary": "true"}],
    }
    if childs:
        case["TitleAlternativeText"] = life.name
    if life.stage == CLOSED:
        case["ClosedDate"] = moment(life.since)[:10]
    person = {
        "@type": "PersonType3",
        "GUID": contact,
        "PersonCivilRegistrationIdentifier": f"{life.citizen[:6]}-{life.citizen[6:]}",
        "PersonNameForAddressingName": life.name,
    }
    return {"CaseFile": case, "ContactObject": [person], "LastChangedDate": moment(life.changed)}


def _removed(life: Life, at: datetime) -> dict[str, Any]:
    return {"CaseFileIdentifier": str(life.number), "Deleted": True, "DeletedDate": moment(at)}


VENDOR: Final = Vendor(
    "acadre",
    "Acadre, cases",
    3,
    {ODENSE: 3, COPENHAGEN: 2},
    accepted,
    {},
    in_a_list("acadre"),
    _payload,
    _removed,
    (
        Wrong(authority=ODENSE, kle="02.34.02", expect="delimited"),
        Wrong(lambda payload, _: payload["CaseFile"].update(CaseFileStatusCode="S")),  # state_unknown
        Wrong(lambda payload, _: payload["CaseFile"].update(AccessCode="ZZ")),  # sensitivity_unknown
        Wrong(lambda payload, _: payload.update(ContactObject=[])),  # mandatory_missing: the party's contact
        Wrong(lambda payload, _: payload["CaseFile"].update(CaseFileStatusCode="A", ClosedDate="2019-05-01")),
    ),
)
