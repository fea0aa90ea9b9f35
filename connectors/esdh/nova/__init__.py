"""KMD Nova, a case system that is polled."""

from broker.intake.connector import Connector
from connectors import inexpressible
from connectors.esdh.nova.client import poller
from connectors.esdh.nova.payloads import Case, Deleted
from connectors.esdh.nova.translate import split, translate
from connectors.payload import unknown_fields
from connectors.unread import refusing

NOTES = """\
Known [read in public code]: the case as GetList shows it (nested) and as Import takes it (flat); six states; four
levels; six kinds of identification; three ways to name a caseworker or a unit; GetList is a query sent with PUT whose
body names the fields wanted, with 1 to 500 rows.
The documents of one case at an address of their own, each with its level.
Assumed: that GetList takes the search page's UpdateDatePeriod and shows updateDate, that a new document changes it, the
message for a deleted case, that SærligFølsomme is VIP_SAGER. connectors/README.md has the list.
Auth: OAuth2 client credentials of a Keycloak realm, scope client."""

CONNECTOR = Connector(
    "nova",
    "esdh",
    ("application/json",),
    split,
    refusing(translate),
    notes=NOTES,
    settings={
        "states": "progressState -> state",
        "sensitivity": "sensitivity -> level",
        "parents": "more words in partyRoleName that mean a parent",
        "link_template": "an address with {uuid} in it",
        "security_units": "securityUnit -> principal ids; one without a row is refused",
    },
    poller=poller,
    unknown=lambda payload: unknown_fields(payload, Case, Deleted),
    cannot={
        inexpressible.CONFIDENTIAL_TITLE: inexpressible.ONE_TITLE,
    },
)
