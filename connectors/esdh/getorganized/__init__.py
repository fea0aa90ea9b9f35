"""GetOrganized, a case system on SharePoint that is polled."""

from broker.intake.connector import Connector
from connectors import inexpressible
from connectors.esdh.getorganized.client import poller
from connectors.esdh.getorganized.payloads import Shown
from connectors.esdh.getorganized.translate import split, translate
from connectors.payload import unknown_fields
from connectors.unread import refusing

NOTES = """\
Known [read in public code]: FindCases with a filter and a place to start; metadata as attributes of a row of XML inside
JSON; local times without a zone; ;# in references and in the contact; folders of citizens that are made as cases are.
Assumed: that a hit carries the time of its last change, what the statuses but one mean, that a case has one contact,
how documents stand beside the case. No change feed and no deletion is told of: the poller walks through all cases.
connectors/README.md has the list.
Auth: NTLM."""

CONNECTOR = Connector(
    "getorganized",
    "esdh",
    ("application/json",),
    split,
    refusing(translate),
    notes=NOTES,
    settings={
        "states": "ows_CaseStatus -> state",
        "sensitivity": "ows_CaseCategory -> level; with this table, a category without a row is refused",
        "link_template": "an address with {CaseID} in it",
    },
    poller=poller,
    unknown=lambda payload: unknown_fields(payload, Shown),
    cannot={
        inexpressible.REMOVAL: inexpressible.NEVER_SAYS_GONE,
        inexpressible.CONFIDENTIAL_TITLE: inexpressible.ONE_TITLE,
        inexpressible.STRICTER_DOCUMENT: inexpressible.NO_LEVELS,
        inexpressible.RESTRICTION: inexpressible.NOBODY_NAMED,
        inexpressible.SEVERAL_PARTIES: inexpressible.ONLY_PRIMARY,
    },
)
