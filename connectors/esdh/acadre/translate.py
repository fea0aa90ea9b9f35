"""Acadre's case -> the canonical event. Pure; `translate` never raises, whatever comes.

Details of a rejection name what was expected, never what was sent.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from broker.domain.case import SENSITIVITY, CaseEvent, ItemGroup
from broker.domain.identity import without_cpr
from broker.domain.outcome import Code, Rejected
from broker.intake.connector import Source
from connectors.configuration import state_of, table, words
from connectors.esdh.acadre import mapping, soap
from connectors.esdh.acadre.case import AcadreCase, of_pwi, of_pws
from connectors.esdh.acadre.payloads import Deleted, PwiCase, PwsCase
from connectors.event import (
    case_id,
    complete,
    envelope,
    parties,
    progress,
    security_profile,
    sensitivity,
    translated,
)
from connectors.flaws import pointer
from connectors.payload import listed
from connectors.person import item_id

_PARTIES: Final = frozenset({"ContactObject", "Parties"})
_MARKUP: Final = (b"<", b"\xff\xfe", b"\xfe\xff", b"\0<")
_BOM: Final = b"\xef\xbb\xbf"
_KLE: Final = re.compile(r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}(?![0-9.])")
_DAY: Final = 86_400_000_000  # microseconds; the closing date is a day


def split(body: bytes) -> Sequence[object] | Rejected:
    """XML: one case as SOAP shows it, or several in `Cases`. JSON: one case as REST shows it, or a list."""
    if body.removeprefix(_BOM).lstrip().startswith(_MARKUP):
        return soap.cases(body)
    return listed(body, "a case or a list of cases")


def translate(payload: object, source: Source) -> Sequence[CaseEvent] | Rejected:
    """One case -> one event."""
    return translated(payload, lambda case, digest: _event(case, source, digest), _PARTIES)


def _event(payload: Mapping[str, Any], source: Source, digest: str) -> CaseEvent | Rejected:
    if payload.get("Deleted") is True or payload.get("DeletedDate") is not None:
        return _removal(Deleted.model_validate(payload), source, digest)
    if "CaseFile" not in payload:
        return _registration(of_pwi(PwiCase.model_validate(payload), source.config), source, digest)
    read = PwsCase.model_validate(payload)
    case = of_pws(read, source.config)
    if isinstance(case, Rejected):
        return case
    event = _registration(case, source, digest)
    if not isinstance(event, Rejected) and (read.memo is not None or read.document_output is not None):
        journal = _journal(read, source.config)
        if isinstance(journal, Rejected):
            return journal
        event["journal"] = journal
    return event


def _removal(case: Deleted, source: Source, digest: str) -> CaseEvent | Rejected:
    if case.deleted_date is None:
        return Rejected(Code.MANDATORY_MISSING, "/DeletedDate", "when it was deleted")
    key = case_id(source, case.case_file_identifier)
    event = envelope(source, key, case.deleted_date, digest, "REMOVED")
    event["removal_reason"] = mapping.REMOVAL_REASONS.get(case.deleted_reason or "", mapping.REMOVAL_UNSAID)
    return event


def _registration(case: AcadreCase, source: Source, digest: str) -> CaseEvent | Rejected:
    config = source.config
    event = envelope(source, case_id(source, case.identifier), case.changed, digest)
    classification = _classification(case, config)
    if isinstance(classification, Rejected):
        return classification
    steps = _progress(case, config)
    if isinstance(steps, Rejected):
        return steps
    level = sensitivity(case.access_code, config, case.where.access, mapping.ACCESS_CODES)
    if isinstance(level, Rejected):
        return level
    people = None if case.named is None else parties(event["case_id"], case.named)
    if isinstance(people, Rejected):
        return people
    profile = security_profile(case.access_code, config, "access_groups", case.where.access)
    if isinstance(profile, Rejected):
        return profile
    event["properties"] = _properties(case, config)
    event["access"] = {"sensitivity": _at_least_a_childs(level, case), "hidden_from_citizen": False}
    event["classification"] = classification
    event["progress"] = steps
    event["actors"] = complete(case.actors)
    if people is not None:
        event["parties"] = people
    if profile is not None:
        event["security_profile"] = profile
    return event


def _properties(case: AcadreCase, config: Mapping[str, Any]) -> dict[str, Any]:
    title, confidential = _titles(case, config)
    properties: dict[str, Any] = {
        "user_key": case.number,
        "title": title,
        "created_at": case.created,
        "local_status": case.local_status,
    }
    if confidential:
        # The broker looks for CPR numbers in the title only.
        properties["confidential_title"] = without_cpr(confidential)
    template = config.get("link_template")
    if isinstance(template, str):
        properties["link"] = template.replace("{Id}", case.identifier)
    return properties


def _titles(case: AcadreCase, config: Mapping[str, Any]) -> tuple[str, str | None]:
    """The public one and the confidential one; an empty title is shown as the KLE number's.

    Which of an unofficial title and its alternative is for the public is known nowhere: neither, unless configured.
    """
    if case.is_childs:
        return "", case.alternative
    if case.unofficial:
        public = case.alternative if config.get("alternative_title_is_public") is True else None
        return public or "", case.title
    return case.title, None if case.alternative == case.title else case.alternative


def _classification(case: AcadreCase, config: Mapping[str, Any]) -> dict[str, Any] | Rejected:
    principles = table(config, "principles")
    kle = _literal(case, words(principles, "kle", mapping.KLE))
    if not kle:
        return Rejected(Code.MANDATORY_MISSING, case.where.classification, "a category of the KLE principle")
    found = _KLE.search(kle)
    return {
        "kle": kle if found is None else found.group(),
        "facet": _literal(case, words(principles, "facet", mapping.FACET)) or None,
    }


def _literal(case: AcadreCase, principles: frozenset[str]) -> str | None:
    of = (one.literal.strip() for one in case.categories if one.principle.strip().lower() in principles)
    return next(of, None)


def _progress(case: AcadreCase, config: Mapping[str, Any]) -> ItemGroup | Rejected:
    state = state_of(case.status, config, mapping.STATES) or ("AFSLUTTET" if case.is_closed else None)
    if state is None:
        return Rejected(
            Code.STATE_UNKNOWN, case.where.status, "no mapping of this status code; put it in the configuration"
        )
    if state != "AFSLUTTET":
        # Since when a case is in a state of one's own is not shown; not from before it arose.
        return progress(state, case.created, case.created, case.where.status)
    return progress(state, case.created, case.closed, case.where.closed, within=_DAY)


def _at_least_a_childs(level: str | None, case: AcadreCase) -> str | None:
    if case.is_childs and level is not None and SENSITIVITY[level] < SENSITIVITY[mapping.CHILDS]:
        return mapping.CHILDS
    return level


def _journal(read: PwsCase, config: Mapping[str, Any]) -> ItemGroup | Rejected:
    """Complete only when both lists came; a case read without them says nothing of its journal."""
    items: dict[str, dict[str, Any]] = {}
    for entry in _entries(read):
        level = sensitivity(entry.access_code, config, entry.where, mapping.ACCESS_CODES)
        if isinstance(level, Rejected):
            return level
        key = item_id(entry.kind, entry.key)
        items[key] = {
            "item_id": key,
            "kind": entry.kind,
            "title": entry.title,
            "registered_at": entry.at,
            "sensitivity": level,
        }
    both = read.memo is not None and read.document_output is not None
    return {"complete": both, "items": list(items.values())}


class Entry(NamedTuple):
    """A document or a note, as its list shows it."""

    kind: str
    key: str
    title: str
    at: int
    access_code: str | None
    where: str


def _entries(read: PwsCase) -> Iterator[Entry]:
    for index, one in enumerate(read.document_output or ()):
        document, record = one.document, one.record
        where = pointer("DocumentOutput", index, "Record", "AccessCode")
        yield Entry(
            "DOCUMENT",
            document.document_identifier,
            document.document_title_text,
            record.registration_date,
            record.access_code,
            where,
        )
    for index, memo in enumerate(read.memo or ()):
        where = pointer("Memo", index, "AccessCode")
        yield Entry("NOTE", memo.memo_identifier, memo.memo_title_text, memo.memo_event_date, memo.access_code, where)
