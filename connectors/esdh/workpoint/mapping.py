"""WorkPoint's words -> the index's. Data only; what a municipality says in its configuration comes first.

Evidence, at each row: [R] read in public code, [I] inferred from it, [-] nothing found, our assumption.
"""

from typing import Final

# What is looked for -> the column's internal name. Each module's own columns are configuration: `columns` adds and
# overrides. There is no default for a KLE number, a level or a person: those columns are each customer's own.
COLUMNS: Final = {
    "title": "Title",  # [R]
    "created": "Created",  # [I] SharePoint's own
    "changed": "Modified",  # [I] SharePoint's own
    "status": "wpStage",  # [-] stages are known [R], the name of their column is not
}

# A stage's title, in lower case -> fremdrift. Stages are each module's own: config `states` adds and overrides.
STATES: Final = {
    "opstået": "OPSTAAET",  # [-] the index's own word
    "oplyst": "OPLYST",  # [-] the index's own word
    "afgjort": "AFGJORT",  # [-] the index's own word
    "afsluttet": "AFSLUTTET",  # [-] the index's own word
}

# The trigger that tells of a case that is gone.
DELETED: Final = "EntityDeleted"  # [R]
REMOVAL_REASON: Final = "LEFT_INDEX"
