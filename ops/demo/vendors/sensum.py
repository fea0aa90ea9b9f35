"""Sensum's extracts: a table with semicolons, dates with the day first, one intervention a row. Pure."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from ops.demo.lives import CLOSED, Life, Vendor, Wrong, local
from ops.demo.sample import Form, Sending
from ops.demo.world import AARHUS, ODENSE

_PARAGRAPHS: Final = {"27.57.08": ("SEL § 108", "Længerevarende botilbud"), "27.54.00": ("SEL § 103", "Beskæftigelse")}
_STATES: Final = ("Ansøgt", "Under behandling", "Godkendt", "Ophørt")
_COLUMNS: Final = (
    "SagId",
    "IndsatsId",
    "BorgerCPR",
    "SagNavn",
    "SagType",
    "Status",
    "AfdelingNavn",
    "MedarbejderFornavn",
    "MedarbejderEfternavn",
    "IndsatsStartDato",
    "IndsatsSlutDato",
    "IndsatsStatus",
    "IndsatsParagraf",
    "LeverandørIndsats",
    "UdtrukketTidspunkt",
)


def _payload(life: Life) -> dict[str, str]:
    paragraph, name = _PARAGRAPHS[life.kle]
    return {
        "SagId": str(life.number),
        "IndsatsId": "1",
        "BorgerCPR": f"{life.citizen[:6]}-{life.citizen[6:]}",
        "SagNavn": f"{life.name} - støtte",
        "SagType": "Voksen",
        "Status": "Aktiv",
        "AfdelingNavn": life.unit,
        "MedarbejderFornavn": "Sagsbehandler",
        "MedarbejderEfternavn": str(life.handler),
        "IndsatsStartDato": _day(life.created),
        "IndsatsSlutDato": _day(life.since) if life.stage == CLOSED else "",
        "IndsatsStatus": _STATES[life.stage],
        "IndsatsParagraf": paragraph,
        "LeverandørIndsats": name,
        "UdtrukketTidspunkt": local(life.changed).strftime("%d-%m-%Y %H:%M:%S"),
    }


def _day(at: datetime) -> str:
    return local(at).strftime("%d-%m-%Y")


def _body(batch: Sequence[Sending]) -> bytes:
    """A file whose first line names the columns."""
    file = io.StringIO(newline="")
    table = csv.writer(file, delimiter=";")
    table.writerow(_COLUMNS)
    table.writerows([sending.payload[name] for name in _COLUMNS if name in sending.payload] for sending in batch)
    return file.getvalue().encode("utf-8-sig")


VENDOR: Final = Vendor(
    "sensum",
    "Sensum, care",
    3,
    {AARHUS: 2, ODENSE: 3},
    lambda _: tuple(_PARAGRAPHS),
    {"kle": {paragraph: {"kle": number, "facet": "G01"} for number, (paragraph, _) in _PARAGRAPHS.items()}},
    Form("/v1/events/sensum", "text/csv", _body),
    _payload,
    None,
    (
        Wrong(lambda payload, _: payload.pop("SagType")),  # malformed_payload: a cell short
        Wrong(lambda payload, _: payload.update(IndsatsStatus="Parkeret")),  # state_unknown
        Wrong(lambda payload, _: payload.update(IndsatsParagraf="SEL § 99")),  # unmapped_local_code
        Wrong(lambda payload, _: payload.update(BorgerCPR="391345-5001")),  # party_malformed
        Wrong(lambda payload, _: payload.update(IndsatsStartDato="1/5-24")),  # schema_violation
        Wrong(lambda payload, _: payload.update(IndsatsSlutDato="01-05-2019")),  # virkning_overlap
    ),
)
