"""Sensum's words -> the index's. Data only; what a municipality says in its configuration comes first.

Evidence, at each row: [R] read in public code, [I] inferred from it, [-] nothing found, our assumption.
"""

from typing import Final

# IndsatsStatus, else Status, in lower case -> fremdrift.
STATES: Final = {
    "godkendt": "AFGJORT",  # [R] the word; [I] the meaning
    "ansøgt": "OPSTAAET",  # [-]
    "under behandling": "OPLYST",  # [-]
    "bevilget": "AFGJORT",  # [-]
    "aktiv": "AFGJORT",  # [-]
    "afsluttet": "AFSLUTTET",  # [-]
    "ophørt": "AFSLUTTET",  # [-]
    "annulleret": "AFSLUTTET",  # [-]
    "afslået": "AFSLUTTET",  # [-]
}

SENSITIVITY: Final = "FOELSOMME_PERSONOPLYSNINGER"  # [I] who receives social support, and which, is sensitive
NOBODY: Final = frozenset({"", "0000000000"})  # [I] as other systems write that a number is not known

# What tells one row from another, and the file's own time, which the poller adds. All [-]: we ask for these columns.
KEY: Final = ("SagId", "IndsatsId", "YdelseNavn", "LeverandørNavn")
EXTRACTED: Final = "UdtrukketTidspunkt"
