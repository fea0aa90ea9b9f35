"""Acadre's case in the vendor's words: as its SOAP service (PWS) and as its REST service (PWI) shows it. Pure.

What is not named here is dropped at the door: addresses, birth dates, notes on children and custom fields never
become values in this process.
"""

import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_pascal

from connectors.payload import Payload
from connectors.times import MaybeMoment, Moment

_VERSION: Final = re.compile(r"[0-9]+\Z")


def _text(said: Any) -> Any:
    """Keys are numbers in JSON and texts in XML; of both the same case must come."""
    return str(said) if isinstance(said, int) and not isinstance(said, bool) and abs(said) < 1 << 63 else said


def _unsaid(said: Any) -> Any:
    """An element that is there and empty says nothing."""
    return None if said == "" else said


Key = Annotated[str, BeforeValidator(_text), StringConstraints(pattern=r"^[0-9]{1,18}$")]
MaybeKey = Annotated[str | None, BeforeValidator(_text)]
Said = Annotated[str | None, BeforeValidator(_unsaid)]
Flag = Annotated[bool | None, BeforeValidator(_unsaid)]


class AcadreObject(Payload):
    """Acadre's names: theirs in PascalCase, ours in snake_case."""

    model_config = ConfigDict(alias_generator=to_pascal)


class Category(AcadreObject):
    """One classification after one principle: KLE and facet stand in one list."""

    principle: str
    literal: str


class Classification(AcadreObject):
    """All of them."""

    category: tuple[Category, ...] = ()


class PartyReference(AcadreObject):
    """Who is on the case: a contact's GUID."""

    contact_reference: str
    is_primary: Flag = None
    party_relation_type_literal: Said = None


class AdministrativeUnit(AcadreObject):
    """A unit's key."""

    administrative_unit_reference: MaybeKey = None


class CaseFile(AcadreObject):
    """`CaseFileType3` and what it is built on. Its dates are days."""

    type: str = Field("", validation_alias="@type")
    case_file_identifier: Key
    case_file_title_text: str
    case_file_status_code: str
    creation_date: Moment
    classification: Classification
    case_file_number_identifier: Said = None
    year: MaybeKey = None
    case_file_sequence_number: MaybeKey = None
    title_unofficial_indicator: Flag = None
    title_alternative_text: Said = None
    case_file_type_code: Said = None
    access_code: Said = None
    case_file_manager_reference: MaybeKey = None
    closed_date: MaybeMoment = None
    case_file_latest_update_date: MaybeMoment = None
    party: tuple[PartyReference, ...] = ()
    administrative_unit: tuple[AdministrativeUnit, ...] = ()


class PersonName(AcadreObject):
    """A name in its parts."""

    person_given_name: tuple[str | None, ...] = ()
    person_middle_name: tuple[str | None, ...] = ()
    person_surname_name: tuple[str | None, ...] = ()


class Contact(AcadreObject):
    """A contact of any type; each type has its own number and name."""

    type: str = Field("", validation_alias="@type")
    guid: str = Field(validation_alias="GUID")
    person_civil_registration_identifier: Said = None
    cvr_number_identifier: Said = Field(None, validation_alias="CVRnumberIdentifier")
    production_unit_identifier: MaybeKey = None
    property_number: MaybeKey = None
    person_name_for_addressing_name: Said = None
    person_name_structure: Annotated[PersonName | None, BeforeValidator(_unsaid)] = None
    organization_name: Said = None
    organizational_unit_name: Said = None

    @property
    def kind(self) -> str:
        """The type without the version that is written at its end."""
        return _VERSION.sub("", self.type)

    @property
    def name(self) -> str | None:
        """As it is written on letters, else from its parts."""
        whole = self.person_name_for_addressing_name or self.organization_name or self.organizational_unit_name
        parts = self.person_name_structure
        if whole or parts is None:
            return whole
        return " ".join(
            part for part in (*parts.person_given_name, *parts.person_middle_name, *parts.person_surname_name) if part
        )


class Memo(AcadreObject):
    """A journal note's heading; the note itself is a file, and stays where it is."""

    memo_identifier: Key
    memo_title_text: str
    memo_event_date: Moment
    access_code: Said = None


class Document(AcadreObject):
    """A document's key and title."""

    document_identifier: Key
    document_title_text: str


class Record(AcadreObject):
    """The document's journal entry."""

    registration_date: Moment
    access_code: Said = None


class DocumentOutput(AcadreObject):
    """A document as the service shows it on its case."""

    document: Document
    record: Record


class PwsCase(AcadreObject):
    """What SOAP shows of one case. `LastChangedDate` is the list's word, which knows the time of day."""

    case_file: CaseFile
    contact_object: tuple[Contact, ...] = ()
    memo: tuple[Memo, ...] | None = None
    document_output: tuple[DocumentOutput, ...] | None = None
    last_changed_date: MaybeMoment = None


class CaseType(AcadreObject):
    """`IsChildYouth`: a child's case."""

    literal: str | None = None
    is_child_youth: bool | None = None


class Unit(AcadreObject):
    """A unit."""

    id: MaybeKey = None
    name: str | None = None


class Status(AcadreObject):
    """`IsClosed` is the same for every municipality, the literal need not be."""

    literal: str
    description: str | None = None
    is_closed: bool | None = None


class PwiContact(AcadreObject):
    """`ContactIdentity`: the number, whatever it is of."""

    contact_identity: str | None = None
    display_name: str | None = None


class PwiParty(AcadreObject):
    """Somebody on the case."""

    contact: PwiContact
    is_primary: bool | None = None
    party_relation_type: str | None = None


class PwiCase(AcadreObject):
    """What REST shows of one case."""

    id: Key
    title: str
    status: Status
    case_date: Moment
    last_changed_date: Moment
    classification: Classification
    sequence_number: MaybeKey = None
    year: MaybeKey = None
    description: str | None = None
    case_type: CaseType | None = None
    responsible_unit: Unit | None = None
    access_code: str | None = None
    responsible_user_id: MaybeKey = None
    responsible_user_name: str | None = None
    closed_date: MaybeMoment = None
    parties: tuple[PwiParty, ...] | None = None


class Deleted(AcadreObject):
    """A case that is gone: our own addition, the vendor publishes no such message."""

    deleted: object = None
    case_file_identifier: Key
    deleted_date: MaybeMoment = None
    deleted_reason: str | None = None
