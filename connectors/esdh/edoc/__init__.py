"""eDoc, a case system that is polled over SOAP."""

from broker.intake.connector import Connector
from connectors import inexpressible
from connectors.esdh.edoc.client import poller
from connectors.esdh.edoc.payloads import CaseFile
from connectors.esdh.edoc.translate import split, translate
from connectors.payload import unknown_fields
from connectors.unread import refusing

NOTES = """\
Known [read in public code]: one address, each operation with one XML document as a text in and one out; an ErrorCode
inside an answer of status 200; namespaces that change between operations; codes that are numbers of the system's own
lists; a search that tells of new cases and of new documents, and of no other change.
Assumed: the criterion for "changed since", that TimeStamp is the last change, the names of status, dates, security code
and participants; how GetDocumentList answers, so documents are read only when told to. No deletion is told of.
connectors/README.md has the list.
Auth: NTLM."""

CONNECTOR = Connector(
    "edoc",
    "esdh",
    ("application/xml", "text/xml"),
    split,
    refusing(translate),
    notes=NOTES,
    settings={
        "states": "CaseFileStatusCode -> state",
        "sensitivity": "SecurityCode -> level; a code without a row is refused",
        "primary_codes": "PrimaryCode -> its text, which begins with the KLE number; where there is no row: local code",
        "handling_codes": "HandlingCodeId -> its text, which begins with the facet",
        "participant_types": "CaseParticipantType -> PRIMARY, SECONDARY, BENEFIT_RECIPIENT or NONE",
    },
    poller=poller,
    unknown=lambda payload: unknown_fields(payload, CaseFile),
    cannot={
        inexpressible.REMOVAL: inexpressible.NEVER_SAYS_GONE,
        inexpressible.CONFIDENTIAL_TITLE: inexpressible.ONE_TITLE,
        inexpressible.STRICTER_DOCUMENT: inexpressible.NO_LEVELS,
        inexpressible.RESTRICTION: inexpressible.NOBODY_NAMED,
    },
)
