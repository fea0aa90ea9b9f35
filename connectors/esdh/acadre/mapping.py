"""Acadre's words -> the index's. Data only; what a municipality says in its configuration comes first.

Evidence, at each row: [R] read in public code, [I] inferred from it, [-] nothing found, our assumption.
Keys are in lower case.
"""

from typing import Final

# CaseFileStatusCode, Status.Literal -> fremdrift. `P` and `S` occur too [R]; what they mean was not found.
STATES: Final = {
    "b": "OPSTAAET",  # [R] under behandling; [I] no more is known than that it is open
    "a": "AFSLUTTET",  # [R] afsluttet
}

# AccessCode -> følsomhed: groups of those who have access, not a scale. The codes [R], every arrow [I] or less.
ACCESS_CODES: Final = {
    "bo": "FOELSOMME_PERSONOPLYSNINGER",  # [I] a citizen's case
    "bn": "FOELSOMME_PERSONOPLYSNINGER",  # [I] a child's case
    "pp": "FOELSOMME_PERSONOPLYSNINGER",  # [I] an agenda item about a person
    "lp": "FOELSOMME_PERSONOPLYSNINGER",  # [-] a closed agenda item
    "kk": "FORTROLIGE_PERSONOPLYSNINGER",  # [-] the municipality's code
}
CHILDS: Final = "FOELSOMME_PERSONOPLYSNINGER"  # [I] the least that a child's case has

# CaseFileTypeCode of a child's case: its title is the child's CPR number, its other title the child's name [R].
CHILD_CASES: Final = frozenset({"busag"})

# Classification.Category.Principle [R].
KLE: Final = frozenset({"kl koder"})
FACET: Final = frozenset({"facetter"})

# The contact's type in the schema -> kind of number [R], but for the property's number [I].
CONTACTS: Final = {
    "PersonType": "CPR",
    "OrganizationType": "CVR",
    "MunicipalityType": "CVR",
    "OrganizationalUnitType": "PNR",
    "PropertyType": "ESR",
}

# PartyRelationTypeLiteral of those who are on a case as somebody's parents, and do not leave. The field [R], its words
# [-]. On a child's case parents have no such word [R]: nobody but the child and organisations leaves.
PARENTS: Final = frozenset({"mor", "far", "medmor", "forælder", "forældre", "forældremyndighedsindehaver"})

# DeletedReason -> why a case left. The field itself is ours [-].
REMOVAL_REASONS: Final = {
    "Kassation": "DISPOSED",  # [-]
    "ForkertBorger": "WRONG_CITIZEN",  # [-]
}
REMOVAL_UNSAID: Final = "LEFT_INDEX"
