"""What systems have no words for, of what a compliance run asks (`Connector.cannot`); said so, it is no pass. Pure."""

from typing import Final

REMOVAL: Final = "R5"
RETIRED_KLE: Final = "R7"
CONFIDENTIAL_TITLE: Final = "R9"
NO_PRIMARY_PARTY: Final = "R10"
STRICTER_DOCUMENT: Final = "R11"
RESTRICTION: Final = "R15"
SEVERAL_PARTIES: Final = "R17"

NEVER_SAYS_GONE: Final = "what is deleted is no longer delivered, and nothing says so: reconcile it"
KLE_FROM_CONFIGURATION: Final = "the number comes from the configuration; the system has codes of its own"
ONE_TITLE: Final = "a case has one title"
ALWAYS_A_CITIZEN: Final = "a delivery is about a citizen"
NO_LEVELS: Final = "a document has no level of its own"
DOCUMENTS_APART: Final = "a document and its level come as an event of their own, which this run does not look at"
ONE_LEVEL: Final = "care has one level, of cases and of what is in them"
NOBODY_NAMED: Final = "what it delivers does not say who alone may see a case"
ONLY_THE_CITIZEN: Final = "only the citizen is delivered"
ONLY_PRIMARY: Final = "contacts have no roles, so each is a primary party"
