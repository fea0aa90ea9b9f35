"""WorkPoint 365, a case system on SharePoint that tells of changes by webhook."""

from broker.intake.connector import Connector
from connectors import inexpressible
from connectors.esdh.workpoint.client import poller
from connectors.esdh.workpoint.payloads import Deletion, Registration
from connectors.esdh.workpoint.receiver import application
from connectors.esdh.workpoint.translate import split, translate
from connectors.payload import unknown_fields
from connectors.unread import refusing

NOTES = """\
Known [read in public code]: an item is read by its business module and its number, and is a list of field values; the
names of the triggers; bodies of webhooks signed with HMAC-SHA256. Stages, and every column that matters, are each
customer's own. receiver.py takes the webhooks at an address of its own and writes what they tell to a directory; the
poller fetches those items as they are now.
Assumed: that the hosted service signs as the public fork does, what a notification calls trigger, module and item, the
path of an item. A notification that never came is not found out. connectors/README.md has the list.
Auth: client credentials of Azure AD; a signature on each webhook."""

CONNECTOR = Connector(
    "workpoint",
    "esdh",
    ("application/json",),
    split,
    refusing(translate),
    notes=NOTES,
    settings={
        "modules": "BusinessModuleId -> columns: our meaning -> the internal name of the column; others are refused",
        "states": "a stage's title -> state",
        "sensitivity": "the level column's value -> level",
        "link_template": "an address with {BusinessModuleId} and {ID} in it",
    },
    poller=poller,
    receiver=application,
    unknown=lambda payload: unknown_fields(payload, Registration, Deletion),
    tells_changes_only=True,
    cannot={
        inexpressible.CONFIDENTIAL_TITLE: inexpressible.ONE_TITLE,
        inexpressible.STRICTER_DOCUMENT: inexpressible.NO_LEVELS,
        inexpressible.RESTRICTION: inexpressible.NOBODY_NAMED,
    },
)
