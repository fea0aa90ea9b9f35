"""KL Gateway's words -> the index's. Data only; what a municipality says in its configuration comes first.

Evidence, at each row: [R] read in a published profile or standard, [I] inferred from it, [-] nothing found, assumed.
"""

from typing import Final

CPR_SYSTEM: Final = "urn:oid:1.2.208.176.1.2"  # [R] dk-core
SOR_SYSTEM: Final = "urn:oid:1.2.208.176.1.1"  # [R] dk-core
# Replacement numbers: national [R], and the regions' own, one identifier a region below this one [R]. The gateway's
# citizen may not have them [R]; who sends care to an index of cases must be able to.
ECPR_SYSTEM: Final = "urn:oid:1.2.208.176.1.6.1.1"
REGIONAL_ECPR_SYSTEM: Final = "urn:oid:1.2.208.176.1.6.1.3"

# Where the national code of an intervention stands.
NATIONAL_CODES: Final = (
    "urn:oid:1.2.208.176.2.21",  # FSIII [R] the profile's level 2
    "urn:oid:1.2.208.176.2.22",  # FFB [I] the social area's own system, in the same place
)
LOCAL_CODES: Final = "http://fhir.kl.dk/gateway/CodeSystem/LocallyDefinedInterventions"  # [R] the profile's level 3

WITHDRAWN: Final = "entered-in-error"  # [R] the same word in CarePlan, its activity, Condition and Procedure

# CarePlan.status -> fremdrift. The words [R], all of R4's; the meanings as noted. Config `states` adds and overrides.
STATES: Final = {
    "draft": "OPSTAAET",  # [I] asked for, not granted
    "active": "AFGJORT",  # [I] period.start is when it was granted [R]: it has been decided
    "on-hold": "AFGJORT",  # [I] still granted; the index has no state for a pause
    "revoked": "AFSLUTTET",  # [I]
    "completed": "AFSLUTTET",  # [I]
    # "unknown" is allowed [R] and says nothing: refused, unless the configuration knows better.
}
DONE: Final = "completed"  # [R] what a completed intervention is, when it is not withdrawn

SENSITIVITY: Final = "FOELSOMME_PERSONOPLYSNINGER"  # [I] who receives care, and which, concerns health
# meta.security (`system|code`) -> følsomhed; a lower level than the above lowers nothing. Config `security_labels`
# adds and overrides; a label in neither is refused, because unknown must not read as open.
CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
LABELS: Final = {
    f"{CONFIDENTIALITY}|U": "IKKE_FORTROLIGE_DATA",  # [R] unrestricted
    f"{CONFIDENTIALITY}|L": "FORTROLIGE_PERSONOPLYSNINGER",  # [I] low
    f"{CONFIDENTIALITY}|M": "FORTROLIGE_PERSONOPLYSNINGER",  # [I] moderate
    f"{CONFIDENTIALITY}|N": "FOELSOMME_PERSONOPLYSNINGER",  # [I] normal, for health care
    f"{CONFIDENTIALITY}|R": "FOELSOMME_PERSONOPLYSNINGER",  # [I] restricted
    f"{CONFIDENTIALITY}|V": "VIP_SAGER",  # [I] very restricted
}

# What a note in the journal is called when its code came without a name.
CONDITION: Final = "Tilstand"
COMPLETED: Final = "Leveret indsats"
