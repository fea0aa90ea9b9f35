"""SBSYS (SBSIP), a case system that is polled."""

from broker.intake.connector import Connector
from connectors import inexpressible
from connectors.esdh.sbsys.client import poller
from connectors.esdh.sbsys.payloads import Sag, SlettetSag
from connectors.esdh.sbsys.translate import split, translate
from connectors.payload import unknown_fields
from connectors.unread import refusing

NOTES = """\
Known [read in public code]: the case as GET api/sag/{id} shows it; POST api/sag/search; the municipality's own words
for statuses; no four-step sensitivity; 000000-0000 for nobody; parents' numbers on persons; doubled keys.
Assumed: the search's words for "changed since", the message for a deleted case, documents inside the case, what the
default statuses and ErBeskyttet mean. connectors/README.md has the list.
Auth: OAuth2 client credentials."""

CONNECTOR = Connector(
    "sbsys",
    "esdh",
    ("application/json",),
    split,
    refusing(translate),
    notes=NOTES,
    settings={
        "states": "SagsStatus.Navn -> state",
        "link_template": "an address with {Id} or {SagIdentity} in it",
        "unprotected_is_confidential": "true: ErBeskyttet false means FORTROLIGE_PERSONOPLYSNINGER",
        "security_sets": "SecuritySetId -> principal ids; a set without a row is refused",
    },
    poller=poller,
    unknown=lambda payload: unknown_fields(payload, Sag, SlettetSag),
    cannot={
        inexpressible.CONFIDENTIAL_TITLE: inexpressible.ONE_TITLE,
        inexpressible.STRICTER_DOCUMENT: inexpressible.NO_LEVELS,
    },
)
