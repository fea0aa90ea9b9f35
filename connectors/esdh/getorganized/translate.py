"""GetOrganized's case -> the canonical event. Pure; `translate` never raises, whatever comes.

A payload is `{"Metadata": "<z:row …/>"}` as `/_goapi/Cases/Metadata/{id}` answers, with `Documents` beside it where
somebody has laid them in. `split` reads the XML, so pointers go on into its attributes: `/Metadata/ows_KLENummer`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from broker.domain.case import CaseEvent, ItemGroup
from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Source
from broker.intake.xml import local_name, parse
from connectors import event as canonical
from connectors.configuration import state_of, table
from connectors.esdh.getorganized import mapping
from connectors.esdh.getorganized.payloads import Case, Document
from connectors.flaws import pointer, rejection
from connectors.payload import listed
from connectors.sharepoint import facet, kle_number, lookups

_CONTACT_PARTS: Final = 5
_NO_ROW: Final = "a z:row in well-formed XML without a DTD"
_PARTIES: Final = frozenset({"ows_CCMContactData", "ows_CCMContactData_CPR"})


def split(body: bytes) -> Sequence[object] | Rejected:
    """One case's metadata, or a list of them. XML that cannot be read stays a text, for `translate` to refuse."""
    found = listed(body, "neither a case nor a list of cases")
    return found if isinstance(found, Rejected) else [_read(one) for one in found]


def translate(payload: object, source: Source) -> Sequence[CaseEvent] | Rejected:
    """One case -> one event; a citizen's folder -> none."""
    return canonical.translated(payload, lambda case, digest: _event(case, source, digest), _PARTIES, "/Metadata")


def _event(payload: Mapping[str, Any], source: Source, digest: str) -> CaseEvent | Rejected | None:
    row = payload.get("Metadata")
    if not isinstance(row, dict):
        return Rejected(Code.MALFORMED_PAYLOAD, "/Metadata", _NO_ROW)
    if is_folder(row):
        return None
    case = Case.model_validate(row)
    journal = _journal(payload.get("Documents"))
    if isinstance(journal, Rejected):
        return journal
    event = _registration(case, source, digest)
    if not isinstance(event, Rejected) and journal is not None:
        event["journal"] = journal
    return event


def is_folder(row: Mapping[str, Any]) -> bool:
    """A citizen's folder holds cases and is none; its title is a number and a name."""
    return str(row.get("ows_CaseCategory", "")).strip().lower() in mapping.FOLDERS


def attributes(text: object) -> dict[str, str] | None:
    """Of a `z:row`; None when it is none."""
    row = parse(text.encode(errors="replace")) if isinstance(text, str) else None
    if row is None or isinstance(row, Rejected) or local_name(row) != "row":
        return None
    return {str(name): str(value) for name, value in row.attrib.items()}


def _read(payload: object) -> object:
    """With the XML inside read, where it can be."""
    if not isinstance(payload, dict):
        return payload
    read = {**payload, "Metadata": attributes(payload.get("Metadata")) or payload.get("Metadata")}
    if isinstance(documents := payload.get("Documents"), list):
        read["Documents"] = [
            {**one, "Metadata": attributes(one.get("Metadata")) or one.get("Metadata")}
            if isinstance(one, dict)
            else one
            for one in documents
        ]
    return read


def _registration(case: Case, source: Source, digest: str) -> CaseEvent | Rejected:
    state = state_of(case.CaseStatus, source.config, mapping.STATES)
    if state is None:
        return _flaw(Code.STATE_UNKNOWN, "CaseStatus", "no mapping of this status; put it in the configuration")
    created = case.Modtaget if case.Modtaget is not None else case.Created
    if created is None:
        return _flaw(Code.MANDATORY_MISSING, "Modtaget", "when the case arose")
    # Only of closing is the time known; a state of the municipality's own began with the last change at the latest.
    since = ("Lukket", case.Lukket) if state == "AFSLUTTET" else ("LastModifiedDate", case.LastModifiedDate)
    progress = canonical.progress(state, created, since[1], f"/Metadata/ows_{since[0]}")
    if isinstance(progress, Rejected):
        return progress
    number = kle_number(case.KLENummer)
    if number is None:
        code = Code.MANDATORY_MISSING if case.KLENummer is None else Code.KLE_MALFORMED
        return _flaw(code, "KLENummer", "one KLE number")
    key = canonical.case_id(source, case.CaseID)
    people = _parties(case, key)
    if isinstance(people, Rejected):
        return people
    level = _sensitivity(case, source.config)
    if isinstance(level, Rejected):
        return level
    # Seen in a real case: the time of closing is later than that of the last modification, which is the closing.
    at = case.LastModifiedDate if state != "AFSLUTTET" else max(case.LastModifiedDate, case.Lukket or 0)
    event = canonical.envelope(source, key, at, digest)
    event["properties"] = _properties(case, created, source.config)
    event["access"] = {"sensitivity": level, "hidden_from_citizen": False}
    event["classification"] = {"kle": number, "facet": facet(case.Facet)}
    event["progress"] = progress
    event["parties"] = people
    event["actors"] = canonical.complete(_actors(case))
    return event


def _properties(case: Case, created: int, config: Mapping[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "user_key": case.CaseID,
        "title": case.Title,
        "created_at": created,
        "local_status": case.CaseStatus,
    }
    if isinstance(template := config.get("link_template"), str):
        properties["link"] = template.replace("{CaseID}", case.CaseID)
    return properties


def _parties(case: Case, key: str) -> ItemGroup | Rejected:
    """`name;#contact;#number;#;#`, and the number a second time in an attribute of its own. They must agree."""
    name, number = None, ""
    if case.CCMContactData is not None:
        parts = case.CCMContactData.split(";#")
        if len(parts) != _CONTACT_PARTS:
            return _flaw(
                Code.PARTY_MALFORMED, "CCMContactData", "one contact: name, contact, number and two more parts"
            )
        name, number = parts[0] or None, parts[2].strip()
    again = (case.CCMContactData_CPR or "").strip()
    if number and again and number.replace("-", "") != again.replace("-", ""):
        return _flaw(Code.PARTY_MALFORMED, "CCMContactData_CPR", "the number that the contact has")
    where = "/Metadata/ows_CCMContactData" if number else "/Metadata/ows_CCMContactData_CPR"
    return canonical.parties(key, [canonical.Named("PRIMARY", number or again, name, where)])


def _sensitivity(case: Case, config: Mapping[str, Any]) -> str | Rejected | None:
    """No level is known in these metadata. Where a municipality maps the category to one, all must be mapped."""
    said = case.CaseCategory if table(config, "sensitivity") else None
    return canonical.sensitivity(said, config, "/Metadata/ows_CaseCategory")


def _actors(case: Case) -> Iterator[dict[str, Any]]:
    for role, value in (
        ("PRIMARY_HANDLER", case.CaseOwner),
        ("HANDLER", case.SupplerendeSagsbehandlere),
        ("RESPONSIBLE", case.Afdeling),
    ):
        unique = {one.id: one for one in lookups(value)}
        for one in unique.values():
            yield from canonical.actor(role, one.id, one.text)


def _journal(documents: object) -> ItemGroup | Rejected | None:
    """Nothing is said of the journal where nobody has laid documents in."""
    if documents is None:
        return None
    if not isinstance(documents, list):
        return Rejected(Code.SCHEMA_VIOLATION, "/Documents", "a list")
    items: dict[str, dict[str, Any]] = {}
    for index, one in enumerate(documents):
        where = pointer("Documents", index, "Metadata")
        row = one.get("Metadata") if isinstance(one, dict) else None
        if not isinstance(row, dict):
            return Rejected(Code.MALFORMED_PAYLOAD, where, _NO_ROW)
        try:
            document = Document.model_validate(row)
        except ValidationError as error:
            return rejection(error, at=where)
        items[document.DocID] = canonical.document(document.DocID, document.Title, document.Dato)
    return canonical.complete(items.values())


def _flaw(code: Code, attribute: str, detail: str) -> Rejected:
    return Rejected(code, f"/Metadata/ows_{attribute}", detail)
