"""One case, whichever of Acadre's two services showed it: what both say, with pointers into what was sent. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from broker.domain.outcome import Code, Rejected
from connectors.configuration import words
from connectors.esdh.acadre import mapping
from connectors.esdh.acadre.payloads import Category, Contact, PwiCase, PwiParty, PwsCase
from connectors.event import Named, actor
from connectors.flaws import pointer


@dataclass(frozen=True, slots=True)
class Where:
    """Pointers of what can be wrong with a case."""

    status: str
    closed: str
    access: str
    classification: str


@dataclass(frozen=True, slots=True)
class AcadreCase:
    """Times in microseconds since 1970, UTC. `alternative`: the other title; `unofficial`: the title is not public.

    `named`: None where the service does not say who is on the case.
    """

    identifier: str
    number: str
    changed: int
    created: int
    closed: int | None
    status: str
    local_status: str
    is_closed: bool
    is_childs: bool
    title: str
    alternative: str | None
    unofficial: bool
    access_code: str | None
    categories: tuple[Category, ...]
    named: tuple[Named, ...] | None
    actors: tuple[dict[str, Any], ...]
    where: Where


def of_pws(read: PwsCase, config: Mapping[str, Any]) -> AcadreCase | Rejected:
    """As SOAP shows it. Its dates are days: without `LastChangedDate` two changes of one day have no order."""
    case = read.case_file
    is_childs = _is_childs(case.case_file_type_code, config) or case.type == "BUCaseFileType"
    named = _referred(read, config, is_childs=is_childs)
    if isinstance(named, Rejected):
        return named
    days = (read.last_changed_date, case.case_file_latest_update_date, case.creation_date)
    return AcadreCase(
        identifier=case.case_file_identifier,
        number=case.case_file_number_identifier
        or _number(case.year, case.case_file_sequence_number)
        or case.case_file_identifier,
        changed=next(day for day in days if day is not None),
        created=case.creation_date,
        closed=case.closed_date,
        status=case.case_file_status_code,
        local_status=case.case_file_status_code,
        is_closed=False,
        is_childs=is_childs,
        title=case.case_file_title_text,
        alternative=case.title_alternative_text,
        unofficial=case.title_unofficial_indicator is True,
        access_code=case.access_code,
        categories=case.classification.category,
        named=named,
        actors=(
            *actor("PRIMARY_HANDLER", case.case_file_manager_reference),
            # One is responsible: the first.
            *(
                one
                for unit in case.administrative_unit[:1]
                for one in actor("RESPONSIBLE", unit.administrative_unit_reference)
            ),
        ),
        where=Where(
            "/CaseFile/CaseFileStatusCode", "/CaseFile/ClosedDate", "/CaseFile/AccessCode", "/CaseFile/Classification"
        ),
    )


def of_pwi(case: PwiCase, config: Mapping[str, Any]) -> AcadreCase:
    """As REST shows it."""
    kind, unit = case.case_type, case.responsible_unit
    is_childs = kind is not None and (kind.is_child_youth is True or _is_childs(kind.literal, config))
    return AcadreCase(
        identifier=case.id,
        number=_number(case.year, case.sequence_number) or case.id,
        changed=case.last_changed_date,
        created=case.case_date,
        closed=case.closed_date,
        status=case.status.literal,
        local_status=case.status.description or case.status.literal,
        is_closed=case.status.is_closed is True,
        is_childs=is_childs,
        title=case.title,
        alternative=case.description,
        unofficial=False,
        access_code=case.access_code,
        categories=case.classification.category,
        named=None if case.parties is None else tuple(_shown(case.parties, config, is_childs=is_childs)),
        actors=(
            *actor("PRIMARY_HANDLER", case.responsible_user_id, case.responsible_user_name),
            *(() if unit is None else actor("RESPONSIBLE", unit.id, unit.name)),
        ),
        where=Where("/Status/Literal", "/ClosedDate", "/AccessCode", "/Classification"),
    )


def _is_childs(type_code: str | None, config: Mapping[str, Any]) -> bool:
    return (type_code or "").strip().lower() in words(config, "child_case_types", mapping.CHILD_CASES)


def _number(year: str | None, sequence: str | None) -> str | None:
    """As people write it: the year's last two digits, and the number within it."""
    return f"{year[-2:]}/{sequence}" if year and sequence else None


def _referred(read: PwsCase, config: Mapping[str, Any], *, is_childs: bool) -> tuple[Named, ...] | Rejected:
    """Of each party the contact that it refers to; who it is stands there."""
    contacts = {contact.guid.lower(): (index, contact) for index, contact in enumerate(read.contact_object)}
    parents = words(config, "parents", mapping.PARENTS)
    named = []
    for index, party in enumerate(read.case_file.party):
        at, contact = contacts.get(party.contact_reference.lower(), (0, None))
        if not party.is_primary and (
            (party.party_relation_type_literal or "").strip().lower() in parents
            or (is_childs and (contact is None or contact.kind == "PersonType"))
        ):
            continue
        if contact is None:
            where = pointer("CaseFile", "Party", index, "ContactReference")
            return Rejected(Code.MANDATORY_MISSING, where, "the contact that it refers to is not among them")
        kind = mapping.CONTACTS.get(contact.kind)
        if kind is not None:
            field, number = _number_of(contact, kind)
            where = pointer("ContactObject", at, field)
            role = "PRIMARY" if party.is_primary else "SECONDARY"
            named.append(Named(role, number or "", contact.name, where, kind))
    return tuple(named)


def _number_of(contact: Contact, kind: str) -> tuple[str, str | None]:
    match kind:
        case "CPR":
            return "PersonCivilRegistrationIdentifier", contact.person_civil_registration_identifier
        case "CVR":
            return "CVRnumberIdentifier", contact.cvr_number_identifier
        case "PNR":
            return "ProductionUnitIdentifier", contact.production_unit_identifier
        case _:
            return "PropertyNumber", contact.property_number


def _shown(listed: Sequence[PwiParty], config: Mapping[str, Any], *, is_childs: bool) -> Iterator[Named]:
    """A number tells itself what it is: what the contact's type is, stands in a number that nothing explains."""
    parents = words(config, "parents", mapping.PARENTS)
    for index, party in enumerate(listed):
        relation = (party.party_relation_type or "").strip().lower()
        # On a child's case the others may be the parents, and a number may be theirs.
        if party.is_primary or not (is_childs or relation in parents):
            role = "PRIMARY" if party.is_primary else "SECONDARY"
            where = pointer("Parties", index, "Contact", "ContactIdentity")
            yield Named(role, party.contact.contact_identity or "", party.contact.display_name, where)
