"""Nova's words -> the index's. Data only; what a municipality says in its configuration comes first.

Evidence, at each row: [R] read in public code, [I] inferred from it, [-] nothing found, our assumption.
Keys are in lower case.
"""

from typing import Final

# progressState -> fremdrift. All six words [R], every arrow [I]: six states become four.
STATES: Final = {
    "opstaaet": "OPSTAAET",
    "oplyst": "OPLYST",
    "afgjort": "AFGJORT",
    "bestilt": "AFGJORT",  # ordered: decided, and not yet carried out
    "udfoert": "AFGJORT",  # carried out, and not yet closed
    "afsluttet": "AFSLUTTET",
}

# sensitivity -> følsomhed. All four words [R].
SENSITIVITY: Final = {
    "ikkefortrolige": "IKKE_FORTROLIGE_DATA",  # [I] the names agree
    "fortrolige": "FORTROLIGE_PERSONOPLYSNINGER",  # [I] the names agree
    "følsomme": "FOELSOMME_PERSONOPLYSNINGER",  # [I] the names agree
    "særligfølsomme": "VIP_SAGER",  # [-] the only level above sensitive
}

# identificationType -> kind of number. All six words [R], every arrow [I].
PARTY_TYPES: Final = {
    "cprnummer": "CPR",
    "cvrnummer": "CVR",
    "pnummer": "PNR",
    "esrnummer": "ESR",
    "bfenummer": "BFE",
    "frit": "FREE",
}

PARTY_ROLES: Final = {
    "primær": "PRIMARY",  # [R] the word; [I] the arrow
    "sekundær": "SECONDARY",  # [R] the word; [I] the arrow
}

# partyRoleName of those who are on a case as somebody's parents, and do not leave. The field [R], its words [-].
# Config `parents` adds to them.
PARENTS: Final = frozenset({"mor", "far", "medmor", "forælder", "forældre", "forældremyndighedsindehaver"})

# deleteReason -> why a case left. The field itself is ours [-].
REMOVAL_REASONS: Final = {
    "Kassation": "DISPOSED",  # [-]
    "ForkertBorger": "WRONG_CITIZEN",  # [-]
}
REMOVAL_UNSAID: Final = "LEFT_INDEX"
