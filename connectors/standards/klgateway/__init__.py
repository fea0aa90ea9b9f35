"""KL Gateway: care as FHIR R4 bundles, the shape in which EOJ systems already deliver nationally."""

from broker.intake.connector import Connector
from connectors.standards.klgateway.bundle import split
from connectors.standards.klgateway.translate import translate
from connectors.standards.klgateway.unread import unknown
from connectors.standards.klgateway.vendor import CANNOT, MEDIA_TYPES, SETTINGS

NOTES = """\
Known [read in the published profiles]: one bundle for each citizen with planned and completed interventions,
conditions and more; FSIII codes, and the municipality's own below them; entered-in-error; the SOR code of the
organisation that keeps the record; stable ids; the bundle's time. Assumed: what the states mean for a case, which
case a completed intervention without a link belongs to, FFB codes in the place of FSIII's, security labels.
Auth: a bearer token of the vendor role. A planned intervention is a case; the rest are notes in its journal."""

CONNECTOR = Connector(
    "klgateway",
    "standard",
    MEDIA_TYPES,
    split,
    translate,
    notes=NOTES,
    settings=SETTINGS,
    unknown=unknown,
    cannot=CANNOT,
)
