"""SF1470 v6: the national case and document index's own service, for whoever delivers to it already."""

from broker.intake.connector import Connector
from connectors.inexpressible import DOCUMENTS_APART, STRICTER_DOCUMENT
from connectors.standards.sf1470.requests import split
from connectors.standards.sf1470.service import SERVICE
from connectors.standards.sf1470.translate import translate

NOTES = """\
Known [read in the standard and its guidance]: the operations importer, opdater, fjern and fremsoeg with their elements;
TransactionUUID; StandardRetur; Virkning; the obligation rules OB1 to OB5; eight UUIDs of roles; both spellings of an
owner's CVR number.
Assumed: kasser as an operation, decision classes and properties among the relations, what a search shows, what becomes
of a document in the request of a case. connectors/README.md has the list.
Auth: a bearer token, or a client certificate that a proxy has checked, at POST /sf1470/v6 for any system; security
headers in the envelope are read by nobody."""

CONNECTOR = Connector(
    "sf1470",
    "standard",
    ("text/xml", "application/xml"),
    split,
    translate,
    notes=NOTES,
    settings={
        "roles": "UUID of a role -> its name as in mapping.py; relations in a role without a row are refused",
        "display_classes": "UUID or BrugervendtNoegle of a Visningsklasse -> false: does not hide",
        "link_template": "an address with {UUID} in it",
    },
    service=SERVICE,
    cannot={STRICTER_DOCUMENT: DOCUMENTS_APART},
)
