"""SBSYS's words -> the index's. Data only; what a municipality says in its configuration comes first.

Evidence, at each row: [R] read in public code, [I] inferred from it, [-] nothing found, our assumption.
"""

from typing import Final

# SagsStatus.Navn, in lower case -> fremdrift. Each municipality names its own: config `states` adds and overrides.
STATES: Final = {
    "opstået": "OPSTAAET",  # [R] the name; [I] the meaning
    "aktiv": "OPSTAAET",  # [R] the name; [I] the meaning: no more is known than that it is open
    "oplyst": "OPLYST",  # [-] the standard's own word
    "under behandling": "OPLYST",  # [-]
    "afgjort": "AFGJORT",  # [-] the standard's own word
    "afsluttet": "AFSLUTTET",  # [-] the standard's own word
}

# PrimaryPart.PartType -> which number identifies the part.
PART_TYPES: Final = {
    "Person": "CPR",  # [R]
    "Firma": "CVR",  # [R]
}

# ErBeskyttet -> følsomhed. SBSYS has no four-step scale in its payload [R]; what false means, config may say.
PROTECTED: Final = "FOELSOMME_PERSONOPLYSNINGER"  # [I] protected is at least sensitive
UNPROTECTED: Final = "FORTROLIGE_PERSONOPLYSNINGER"  # [-] only where config `unprotected_is_confidential` is true

# SletteAarsag -> why a case left. The field itself is ours [-].
REMOVAL_REASONS: Final = {
    "Kassation": "DISPOSED",  # [-]
    "ForkertBorger": "WRONG_CITIZEN",  # [-]
}
REMOVAL_UNSAID: Final = "LEFT_INDEX"
