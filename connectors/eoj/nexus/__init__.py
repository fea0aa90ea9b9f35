"""KMD Nexus, a care journal that is polled by following its links."""

from broker.intake.connector import Connector
from connectors import inexpressible
from connectors.eoj.nexus.client import poller
from connectors.eoj.nexus.payloads import Gone, Record
from connectors.eoj.nexus.translate import split, translate
from connectors.payload import unknown_fields
from connectors.unread import refusing

NOTES = """\
Known [read in public code]: OAuth2 client credentials; every address is a link (HATEOAS) from the root; a citizen is
found by POST patientDetailsSearch; views of a citizen, references to pathways and grants in a tree, a grant's fields
by type; conditions belong to the citizen; activity lists span citizens, in pages.
Not public: any change feed or push, the time of a change, deletions. So a municipality gives us an activity list with
the grants and pathways that are to be followed; what changes in it is read anew, and the time of reading is the time
of registration. KLE stands only in a grant's link to a KMD case; else the paragraph or the type of the pathway goes
out as the local code.
Auth: client credentials at iam.nexus.kmd.dk. One grant is one case; so is one pathway."""

CONNECTOR = Connector(
    "nexus",
    "eoj",
    ("application/json",),
    split,
    refusing(translate),
    notes=NOTES,
    settings={
        "kle": 'FSIII code, "law section" or "forløbstype N" -> {"kle", "facet"}; where there is no row: local code',
        "states": "a grant's or a pathway's own word -> state",
        "municipality_code": "four digits: grants that another municipality handles are refused",
    },
    poller=poller,
    unknown=lambda payload: unknown_fields(payload, Record, Gone),
    cannot={
        inexpressible.CONFIDENTIAL_TITLE: inexpressible.ONE_TITLE,
        inexpressible.STRICTER_DOCUMENT: inexpressible.ONE_LEVEL,
        inexpressible.RESTRICTION: inexpressible.NOBODY_NAMED,
        inexpressible.SEVERAL_PARTIES: inexpressible.ONLY_THE_CITIZEN,
    },
)
