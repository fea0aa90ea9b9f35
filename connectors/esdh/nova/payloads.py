"""Nova's case in the vendor's words, as it is read (nested) and as it is written (flat). Pure.

What is not named here is dropped at the door: note texts, contact information and descriptions never become values
in this process.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel

from connectors.payload import Payload
from connectors.times import MaybeMoment, Moment


def _unwrapped(name: str) -> BeforeValidator:
    """Where it is read, a list or word stands in an object under the same name; where it is written, by itself."""
    return BeforeValidator(lambda said: said.get(name) if isinstance(said, dict) else said)


def _text(said: Any) -> Any:
    """Keys come as numbers from some operations and as texts from others."""
    return str(said) if isinstance(said, int) and not isinstance(said, bool) and abs(said) < 1 << 63 else said


class NovaObject(Payload):
    """Nova's names: theirs in camelCase, ours in snake_case."""

    model_config = ConfigDict(alias_generator=to_camel)


Key = Annotated[str | None, BeforeValidator(_text)]


class Common(NovaObject):
    """`transactionId` is the caller's of this one message, and tells nothing of the case."""

    uuid: str


class Attributes(NovaObject):
    """`updateDate`: when the case last changed."""

    title: str
    case_date: Moment
    user_friendly_case_number: str | None = None
    update_date: MaybeMoment = None


class State(NovaObject):
    """Where it is read; where it is written it is the progress state alone."""

    progress_state: str
    title: str | None = None
    from_date: MaybeMoment = None


def _state(said: Any) -> Any:
    return {"progressState": said} if isinstance(said, str) else said


class Coded(NovaObject):
    """A KLE number or facet."""

    code: str


class Classification(NovaObject):
    """KLE subject and facet."""

    kle_number: Coded
    proceeding_facet: Coded | None = None


class Party(NovaObject):
    """`partyRoleName`: what the party is to the case, in words."""

    identification_type: str
    identification: str | None = None
    participant_role: str
    name: str | None = None
    party_role_name: str | None = None


class Identity(NovaObject):
    """Of a person (`novaUserId`, `racfId`), a unit (`novaUnitId`, `administrativeUnitId`) or either (`fkUuid`)."""

    nova_user_id: Key = None
    racf_id: Key = None
    nova_unit_id: Key = None
    administrative_unit_id: Key = None
    fk_uuid: Key = None
    full_name: str | None = None

    @property
    def key(self) -> str | None:
        """The one that lasts longest first."""
        return self.nova_user_id or self.fk_uuid or self.nova_unit_id or self.racf_id or self.administrative_unit_id


class Holder(NovaObject):
    """A caseworker or department: one of the three."""

    ksp_identity: Identity | None = None
    los_identity: Identity | None = None
    fk_org_identity: Identity | None = None

    @property
    def identity(self) -> Identity | None:
        """A person before a unit."""
        return self.ksp_identity or self.los_identity or self.fk_org_identity


class Document(NovaObject):
    """A document's metadata, where somebody has laid them in."""

    document_uuid: str
    title: str
    document_date: Moment
    sensitivity: str | None = None


class NoteAttributes(NovaObject):
    """A note's heading; the note itself, base64 with or without padding, stays where it is."""

    title: str
    journal_note_date: MaybeMoment = None
    created_time: MaybeMoment = None


class Note(NovaObject):
    """A journal note."""

    uuid: str
    journal_note_attributes: NoteAttributes


class Case(NovaObject):
    """One case."""

    common: Common
    case_attributes: Attributes
    state: Annotated[State, BeforeValidator(_state)]
    case_classification: Classification
    sensitivity: Annotated[str | None, _unwrapped("sensitivity")] = None
    case_parties: tuple[Party, ...] | None = None
    caseworker: Holder | None = None
    responsible_department: Holder | None = None
    security_unit: Holder | None = None
    documents: Annotated[tuple[Document, ...] | None, _unwrapped("documents")] = None
    journal_notes: Annotated[tuple[Note, ...] | None, _unwrapped("journalNotes")] = None


class Deleted(NovaObject):
    """A case that is gone: our own addition, the vendor publishes no such message."""

    deleted: object = None
    common: Common
    deleted_time: MaybeMoment = None
    delete_reason: str | None = None
