"""GetOrganized's words -> the index's. Data only; what a municipality says in its configuration comes first.

Evidence, at each row: [R] read in public code, [I] inferred from it, [-] nothing found, our assumption.
"""

from typing import Final

# ows_CaseStatus, in lower case -> fremdrift. Config `states` adds and overrides.
STATES: Final = {
    "åben": "OPSTAAET",  # [R] the name; [I] the meaning: no more is known than that it is open
    "genåbnet": "OPSTAAET",  # [-] the operation OpenCase is known [R], its word is not
    "lukket": "AFSLUTTET",  # [I] the attribute ows_Lukket [R] has the time of it
    "afsluttet": "AFSLUTTET",  # [-] the standard's own word
}

# ows_CaseCategory, in lower case, of what is no case: the folder that a citizen's cases lie in.
FOLDERS: Final = frozenset({"borgermappe"})  # [R] the word; its title is a number and a name [R]
