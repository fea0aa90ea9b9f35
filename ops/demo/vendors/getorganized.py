"""GetOrganized's cases: attributes of a row of XML inside JSON, `;#` in references, times without a zone. Pure."""

from collections.abc import Sequence
from typing import Final
from xml.sax.saxutils import quoteattr

import orjson

from ops.demo.lives import CLOSED, Life, Vendor, Wrong, local
from ops.demo.sample import Form, Sending
from ops.demo.world import AARHUS, COPENHAGEN, accepted

_STATES: Final = ("Åben", "Under behandling", "Afgjort", "Lukket")


def _payload(life: Life) -> dict[str, str]:
    """Attribute -> text."""
    return {
        "CaseID": f"EMN-{life.created.year}-{life.number:06}",
        "Title": life.title,
        "CaseStatus": _STATES[life.stage],
        "CaseCategory": "Åben for alle",
        "CaseOwner": f"{life.handler};#Sagsbehandler {life.handler} (az{life.handler:05})",
        "Afdeling": f"{900 + life.handler % 5};#{life.unit}",
        "KLENummer": f"318;#{life.kle} {life.title}",
        "Facet": "18;#G01 Generelle sager",
        "Modtaget": str(local(life.created)),
        "Lukket": str(local(life.since)) if life.stage == CLOSED else "",
        "LastModifiedDate": str(local(life.changed)),
        "CCMContactData": f"{life.name};#{life.number};#{life.citizen};#;#",
        "CCMContactData_CPR": life.citizen,
    }


def _body(batch: Sequence[Sending]) -> bytes:
    return orjson.dumps([{"Metadata": _row(sending.payload), "Attributes": None} for sending in batch])


def _row(case: dict[str, str]) -> str:
    attributes = " ".join(f"ows_{name}={quoteattr(text)}" for name, text in case.items())
    return f'<z:row xmlns:z="#RowsetSchema" {attributes}/>'


VENDOR: Final = Vendor(
    "getorganized",
    "GetOrganized, cases",
    3,
    {AARHUS: 3, COPENHAGEN: 1},
    accepted,
    {
        "states": {"Under behandling": "OPLYST", "Afgjort": "AFGJORT"},
        "sensitivity": {"Åben for alle": "FORTROLIGE_PERSONOPLYSNINGER"},
    },
    Form("/v1/events/getorganized", "application/json", _body),
    _payload,
    None,
    (
        Wrong(authority=AARHUS, kle="82.06.00"),  # outside_agreement
        Wrong(lambda payload, _: payload.update(KLENummer="")),  # mandatory_missing
        Wrong(lambda payload, _: payload.update(KLENummer="318;#27.36")),  # kle_malformed
        Wrong(lambda payload, _: payload.update(CaseStatus="Parkeret")),  # state_unknown
        Wrong(lambda payload, _: payload.update(CCMContactData_CPR="0101455001")),  # party_malformed: they disagree
        Wrong(lambda payload, _: payload.update(CaseCategory="Lukket kreds")),  # sensitivity_unknown
    ),
)
