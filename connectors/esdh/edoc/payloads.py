"""eDoc's case as a search shows it, in the vendor's words. Pure; knows nothing of the canonical event.

Names without their namespaces: those change from one operation to the next. What is not named here is dropped at the
door. [R] read in public code, [-] our assumption.
"""

from connectors.payload import Payload
from connectors.times import MaybeMoment, Moment, Time


class Participant(Payload):
    """Somebody on the case [-]; the list of types is known [R]."""

    CaseParticipantType: str
    PersonCivilRegistrationIdentifier: str | None = None
    CVRnumberIdentifier: str | None = None
    Name: str | None = None


class Participants(Payload):
    """The list's own element [-]."""

    CaseFileParticipant: tuple[Participant, ...] = ()


class CaseLinks(Payload):
    """Where a person opens the case [R]."""

    OpenCaseFile: str | None = None


class CaseDocument(Payload):
    """A document's metadata: the first two names [R]; their place in the case is ours, the date [-]."""

    DocumentIdentifier: str
    TitleText: str
    DocumentDate: MaybeMoment = None


class CaseDocuments(Payload):
    """The list's own element [-]."""

    Document: tuple[CaseDocument, ...] = ()


class CaseFile(Payload):
    """One case."""

    CaseFileIdentifier: str  # [R]
    TitleText: str  # [R]
    TimeStamp: Time  # [R] the name; [-] that it is the last change
    PrimaryCode: str  # [R] a number of the list PrimaryCodeTree, which holds KLE
    CaseFileStatusCode: str  # [-]
    CreationDate: Moment  # [-]
    HandlingCodeId: str | None = None  # [R] a number of the list HandlingCodeTree, which holds facets
    ClosedDate: MaybeMoment = None  # [-]
    SequenceNumber: str | None = None  # [R] the number that people use
    CaseSerialNumber: str | None = None  # [R]
    SecurityCode: str | None = None  # [-] the list SecurityCodeTree is known [R]
    CaseFileManagerReference: str | None = None  # [R]
    OrganisationReference: str | None = None  # [R]
    Links: CaseLinks | None = None
    CaseFileParticipants: Participants | None = None
    Documents: CaseDocuments | None = None
