"""A row of Sensum's extract -> the canonical event of its intervention. Pure; `translate` never raises.

Details of a rejection name what was expected, never what was sent.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from broker.domain.case import CaseEvent, ItemGroup
from broker.domain.identity import has_cpr, without_cpr
from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Source
from connectors import event as canonical
from connectors.configuration import state_of, table
from connectors.eoj.sensum import mapping
from connectors.eoj.sensum.payloads import COLUMNS, Row, renamed
from connectors.eoj.sensum.table import UNREAD
from connectors.flaws import pointer
from connectors.person import bare, id_type, item_id

_CASES: Final = uuid.UUID("0a7f7b0e-5b0d-5d0e-9a6e-2f6f3c1d8b57")
_PARTIES: Final = frozenset({"BorgerCPR"})
_UNREAD: Final = {
    "cells": "as many cells as the first line names columns",
    "line": "a line of a table, with cells of at most 128 KiB",
    "file": "a table in UTF-8, UTF-16 or Windows-1252 whose first line names each column once",
}


def translate(payload: object, source: Source) -> Sequence[CaseEvent] | Rejected:
    """One row -> one event."""
    columns = columns_of(source.config)

    def made(row: Mapping[str, Any], digest: str) -> CaseEvent | Rejected:
        if UNREAD in row:
            unread = row[UNREAD]
            return Rejected(Code.MALFORMED_PAYLOAD, "", _UNREAD.get(unread if isinstance(unread, str) else "", "a row"))
        return _case(Row.model_validate(renamed(row, columns)), source, digest)

    found = canonical.translated(payload, made, _PARTIES)
    return _in_their_words(found, columns) if isinstance(found, Rejected) else found


def columns_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Our name of each column -> the extract's."""
    own = table(config, "columns")
    return {name: str(own.get(name, name)) for name in COLUMNS}


def _in_their_words(flaw: Rejected, columns: Mapping[str, str]) -> Rejected:
    first, *rest = flaw.pointer.removeprefix("/").split("/")
    return replace(flaw, pointer=pointer(columns.get(first, first), *rest)) if first else flaw


def _case(row: Row, source: Source, digest: str) -> CaseEvent | Rejected:
    local = row.SagId if row.IndsatsId is None else f"{row.SagId}/{row.IndsatsId}"
    progress = _progress(row, source.config)
    if isinstance(progress, Rejected):
        return progress
    parties = _parties(row, local)
    if isinstance(parties, Rejected):
        return parties
    case_id = str(uuid.uuid5(_CASES, f"{source.authority}|{local}"))
    event = canonical.envelope(source, case_id, row.UdtrukketTidspunkt, digest)
    event["properties"] = _properties(row, local)
    event["access"] = {"sensitivity": mapping.SENSITIVITY, "hidden_from_citizen": False}
    event["classification"] = _classification(row, source.config)
    event["progress"] = progress
    event["parties"] = parties
    event["actors"] = canonical.complete(_actors(row))
    if row.YdelseNavn is not None:
        # Never complete: an intervention with several services stands in several rows.
        event["journal"] = {"complete": False, "items": [_service(row, local, row.YdelseNavn)]}
    return event


def _properties(row: Row, local: str) -> dict[str, Any]:
    """A case's own name may be the citizen's, so it is no public title."""
    return {
        "user_key": local,
        "title": row.LeverandoerIndsats or row.SagType or "",
        "confidential_title": row.SagNavn,
        "created_at": row.IndsatsStartDato,
        "local_status": row.IndsatsStatus or row.Status,
        "legal_basis": row.IndsatsParagraf,
    }


def _classification(row: Row, config: Mapping[str, Any]) -> dict[str, Any]:
    """By the configuration's table `kle`; where there is no row, the broker's rules have the only word."""
    local = row.IndsatsParagraf or row.SagType
    return canonical.by_code((local,), config, local)


def _progress(row: Row, config: Mapping[str, Any]) -> ItemGroup | Rejected:
    """An approved intervention whose last day was over when the file was made has ended, whatever its status says."""
    column, said = ("IndsatsStatus", row.IndsatsStatus) if row.IndsatsStatus is not None else ("Status", row.Status)
    if said is None:
        return Rejected(Code.MANDATORY_MISSING, "/IndsatsStatus", "the status of the intervention or the case")
    state = state_of(said, config, mapping.STATES)
    if state is None:
        return Rejected(Code.STATE_UNKNOWN, f"/{column}", "no mapping of this status; put it in the configuration")
    start, end = row.IndsatsStartDato, row.IndsatsSlutDato
    if end is not None and end < start:
        return Rejected(Code.VIRKNING_OVERLAP, "/IndsatsSlutDato", "it ends before it began")
    if state == "AFSLUTTET" and end is None:
        return Rejected(Code.MANDATORY_MISSING, "/IndsatsSlutDato", "when it ended")
    steps = [("OPSTAAET", start)]
    over = end is not None and (state == "AFSLUTTET" or (state == "AFGJORT" and end <= row.UdtrukketTidspunkt))
    if over and end is not None:
        steps += [("AFGJORT", start)] if state == "AFGJORT" else []
        steps.append(("AFSLUTTET", end))
    elif state != "OPSTAAET":
        steps.append((state, start))
    return canonical.complete(canonical.steps(steps))


def _parties(row: Row, local: str) -> ItemGroup | Rejected:
    if row.BorgerCPR is None:
        return Rejected(Code.MANDATORY_MISSING, "/BorgerCPR", "the citizen's number; zeros where there is none")
    number = bare(row.BorgerCPR)
    # A spreadsheet has dropped the zero that a number began with.
    number = number.zfill(10) if number.isdecimal() and len(number) == 9 else number  # noqa: PLR2004 - of ten digits
    if number in mapping.NOBODY:
        return canonical.complete([])
    kind = id_type(number)
    if kind is None:
        return Rejected(Code.PARTY_MALFORMED, "/BorgerCPR", "a CPR number or a replacement number")
    item = item_id(local, "PRIMARY", kind, number)
    return canonical.complete([{"item_id": item, "role": "PRIMARY", "id_type": kind, "id": number}])


def _actors(row: Row) -> Iterator[dict[str, Any]]:
    """Extracts have names only, so a name is also the identifier."""
    worker = " ".join(name for name in (row.MedarbejderFornavn, row.MedarbejderEfternavn) if name)
    for role, name in (
        ("RESPONSIBLE", row.AfdelingNavn),
        ("PRIMARY_HANDLER", worker),
        ("HANDLER", row.LeverandoerNavn),
    ):
        if name and not has_cpr(name):
            yield {"item_id": f"{role}:{name}", "role": role, "id": name, "name": name}


def _service(row: Row, local: str, name: str) -> dict[str, Any]:
    return {
        "item_id": item_id(local, "service", name),
        "kind": "NOTE",
        "title": without_cpr(name),
        "registered_at": row.IndsatsStartDato,
        "sensitivity": mapping.SENSITIVITY,
    }
