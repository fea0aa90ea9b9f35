"""eDoc's case -> the canonical event. Pure; `translate` never raises, whatever comes.

A body is what a search answers: `Root` with `CaseFileSearchResult` elements. Pointers lead into one of these, as names.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from broker.domain.case import CaseEvent, ItemGroup
from broker.domain.identity import has_cpr
from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Source
from broker.intake.xml import Element, local_name, parse
from connectors import event as canonical
from connectors.configuration import state_of, table
from connectors.esdh.edoc import mapping
from connectors.esdh.edoc.payloads import CaseDocument, CaseFile, Participants
from connectors.flaws import pointer
from connectors.sharepoint import facet, kle_number

# A list of one is a list, so that a pointer into it is the same.
_LISTS: Final = frozenset({"CaseFileParticipant", "Document"})
_PARTIES: Final = frozenset({"CaseFileParticipants"})
_LONGEST_CODE: Final = 40
# A case can be closed on the day it arose, and of closing only the day be known. Microseconds.
_A_DAY: Final = 24 * 3_600_000_000


def split(body: bytes) -> Sequence[object] | Rejected:
    """The cases in a search's answer. An answer can say that the call has failed, and looks well otherwise."""
    root = parse(body)
    if isinstance(root, Rejected):
        return root
    if next(root.iter("{*}ErrorCode"), None) is not None:
        return Rejected(Code.MALFORMED_PAYLOAD, "/ErrorCode", "an answer that does not say that the call has failed")
    found = [_value(case) for case in root.iter("{*}CaseFileSearchResult")]
    if not found and next(root.iter("{*}CaseFilesSearchResult"), None) is None:
        return Rejected(Code.MALFORMED_PAYLOAD, "", "a CaseFilesSearchResult")
    return found


def translate(payload: object, source: Source) -> Sequence[CaseEvent] | Rejected:
    """One case -> one event."""
    return canonical.translated(
        payload, lambda case, digest: _registration(CaseFile.model_validate(case), source, digest), _PARTIES
    )


def _value(element: Element) -> dict[str, Any] | str | None:
    """Elements as an object of their names, without namespaces; a text; None for an empty one."""
    if not len(element):
        return (element.text or "").strip() or None
    found: dict[str, list[Any]] = {}
    for child in element:
        found.setdefault(local_name(child), []).append(_value(child))
    return {name: many if name in _LISTS or len(many) > 1 else many[0] for name, many in found.items()}


def _registration(case: CaseFile, source: Source, digest: str) -> CaseEvent | Rejected:
    state = state_of(case.CaseFileStatusCode, source.config, mapping.STATES)
    if state is None:
        detail = "no mapping of this status; put it in the configuration"
        return Rejected(Code.STATE_UNKNOWN, "/CaseFileStatusCode", detail)
    # Only of closing is the time known; another state began with the last change at the latest.
    since = ("ClosedDate", case.ClosedDate) if state == "AFSLUTTET" else ("TimeStamp", case.TimeStamp)
    progress = canonical.progress(state, case.CreationDate, since[1], f"/{since[0]}", within=_A_DAY)
    if isinstance(progress, Rejected):
        return progress
    classification = _classification(case, source.config)
    if isinstance(classification, Rejected):
        return classification
    level = canonical.sensitivity(case.SecurityCode, source.config, "/SecurityCode")
    if isinstance(level, Rejected):
        return level
    key = canonical.case_id(source, case.CaseFileIdentifier)
    people = _parties(case.CaseFileParticipants, key, source.config)
    if isinstance(people, Rejected):
        return people
    event = canonical.envelope(source, key, case.TimeStamp, digest)
    event["properties"] = {
        "user_key": case.SequenceNumber or case.CaseSerialNumber or case.CaseFileIdentifier,
        "title": case.TitleText,
        "created_at": case.CreationDate,
        "local_status": case.CaseFileStatusCode,
        "link": None if case.Links is None else case.Links.OpenCaseFile,
    }
    event["access"] = {"sensitivity": level, "hidden_from_citizen": False}
    event["classification"] = classification
    event["progress"] = progress
    event["parties"] = people
    event["actors"] = canonical.complete(
        [
            *canonical.actor("PRIMARY_HANDLER", case.CaseFileManagerReference),
            *canonical.actor("RESPONSIBLE", case.OrganisationReference),
        ]
    )
    if "Documents" in case.model_fields_set:
        event["journal"] = _journal(case)
    return event


def _classification(case: CaseFile, config: Mapping[str, Any]) -> dict[str, Any] | Rejected:
    """The codes are numbers of the system's own lists: what no table knows is a local code, for the broker's rules."""
    code = _said(case.PrimaryCode, config, "primary_codes")
    handling = case.HandlingCodeId
    found: dict[str, Any] = {"facet": None if handling is None else facet(_said(handling, config, "handling_codes"))}
    if (number := kle_number(code)) is not None:
        return {"kle": number, **found}
    if len(code) > _LONGEST_CODE or has_cpr(code):
        return Rejected(Code.KLE_MALFORMED, "/PrimaryCode", "a KLE number, or a number of the list PrimaryCodeTree")
    return {"kle": None, **found, "local_code": code}


def _said(code: str, config: Mapping[str, Any], name: str) -> str:
    meant = table(config, name).get(code)
    return meant if isinstance(meant, str) else code


def _parties(listed: Participants | None, key: str, config: Mapping[str, Any]) -> ItemGroup | Rejected:
    """No list says that there is nobody: a search shows all that it was asked for."""
    named: list[canonical.Named] = []
    own = {str(word).strip().lower(): role for word, role in table(config, "participant_types").items()}
    for index, one in enumerate(listed.CaseFileParticipant if listed is not None else ()):
        at = pointer("CaseFileParticipants", "CaseFileParticipant", index)
        word = one.CaseParticipantType.strip().lower()
        match own.get(word) or mapping.ROLES.get(word):
            case "PRIMARY" | "SECONDARY" | "BENEFIT_RECIPIENT" as role:
                named.extend(
                    canonical.Named(role, number, one.Name, f"{at}/{name}")
                    for name, number in _numbers(one.PersonCivilRegistrationIdentifier, one.CVRnumberIdentifier)
                )
            case mapping.NONE:
                continue
            case _:
                detail = "no mapping of this type; put it in the configuration"
                return Rejected(Code.PARTY_MALFORMED, f"{at}/CaseParticipantType", detail)
    return canonical.parties(key, named)


def _numbers(person: str | None, firm: str | None) -> Iterator[tuple[str, str]]:
    if person is not None:
        yield "PersonCivilRegistrationIdentifier", person
    if firm is not None:
        yield "CVRnumberIdentifier", firm


def _journal(case: CaseFile) -> ItemGroup:
    """All there is; that a document has a date is not known: without one the case's last change stands in."""

    def item(one: CaseDocument) -> dict[str, Any]:
        at = case.TimeStamp if one.DocumentDate is None else one.DocumentDate
        return canonical.document(one.DocumentIdentifier, one.TitleText, at)

    listed = () if case.Documents is None else case.Documents.Document
    return canonical.complete({one.DocumentIdentifier: item(one) for one in listed}.values())
