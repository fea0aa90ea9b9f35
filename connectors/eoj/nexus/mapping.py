"""KMD Nexus's words -> the index's. Data only; what a municipality says in its configuration comes first.

Evidence, at each row: [R] read in public code, [I] inferred from it, [-] nothing found, our assumption.
"""

from typing import Final

# workflowState.name of a grant, in lower case -> fremdrift. The words [R]; a municipality makes its own. The meanings:
STATES: Final = {
    "ansøgt": "OPSTAAET",  # [I]
    "bevilliget": "AFGJORT",  # [I]
    "afgjort": "AFGJORT",  # [I]
    "planlagt, ikke bestilt": "AFGJORT",  # [I] granted, and nobody is asked to deliver yet
    "bestilt": "AFGJORT",  # [I]
    "anvist": "AFGJORT",  # [I]
    "tildelt": "AFGJORT",  # [I]
    "iværksat": "AFGJORT",  # [I]
    "etableret": "AFGJORT",  # [I]
    "aktiv": "AFGJORT",  # [I]
    "ændret": "AFGJORT",  # [I]
    "fremtidigt ændret": "AFGJORT",  # [I]
    "afsluttet": "AFSLUTTET",  # [I]
    "annulleret": "AFSLUTTET",  # [I]
    "afslået": "AFSLUTTET",  # [I]
}
REMOVED: Final = frozenset({"fjernet"})  # [-] the field removedDate is [R]; that its state is called so is not

# pathwayStatus, in lower case -> fremdrift.
PATHWAY_STATES: Final = {
    "active": "OPSTAAET",  # [R] the word; [I] no more is known than that it is open
    "closed": "AFSLUTTET",  # [-] a pathway can be closed [R]; the word is not known
}

# A grant's dates, by the element's type [R all names]; the first that is there. What they mean: [I].
REQUESTED: Final = ("workflowRequestedDate", "entryDate")
APPROVED: Final = ("workflowApprovedDate", "orderedDate", "plannedDate")
ENDED: Final = ("cancelledDate", "rejectedDate", "renouncedDate", "removedDate", "basketGrantEndDate")

# patientIdentifier.type -> kind of number. Nexus's own word is `cpr` [R]; others are replacement numbers [I].
CPR_TYPE: Final = "cpr"
NOBODY: Final = frozenset({"", "0000000000"})  # [I] as other systems write that a number is not known

SENSITIVITY: Final = "FOELSOMME_PERSONOPLYSNINGER"  # [I] who receives care, and which, concerns health

PATHWAY_CODE: Final = "forløbstype"
"""Before the number of a pathway's type in `local_code`."""
WITHDRAWN_CONDITIONS: Final = frozenset({"pcentredinerror", "pcenteredinerror"})  # [-] only `PCActive` is [R]
