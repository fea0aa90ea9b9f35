"""eDoc's words -> the index's. Data only; what a municipality says in its configuration comes first.

Evidence, at each row: [R] read in public code, [I] inferred from it, [-] nothing found, our assumption.
"""

from typing import Final

# CaseFileStatusCode, in lower case -> fremdrift. The list `CaseFileStatus` is known [R], its values are not; those of
# FESD, which eDoc's names come from, stand here. Config `states` adds and overrides.
STATES: Final = {
    "b": "OPSTAAET",  # [I] "under behandling" in another FESD system: no more than open
    "a": "AFSLUTTET",  # [I] "afsluttet" there
    "under behandling": "OPSTAAET",  # [-]
    "oplyst": "OPLYST",  # [-] the index's own word
    "afgjort": "AFGJORT",  # [-] the index's own word
    "afsluttet": "AFSLUTTET",  # [-] the index's own word
}

# CaseParticipantType, in lower case -> role; NONE: does not leave. The list is known [R], its values are not.
NONE: Final = "NONE"
ROLES: Final = {
    "primær part": "PRIMARY",  # [-]
    "sekundær part": "SECONDARY",  # [-]
    "part": "SECONDARY",  # [-]
    "mor": NONE,  # [-] parents' numbers never leave
    "far": NONE,  # [-]
    "forælder": NONE,  # [-]
}
