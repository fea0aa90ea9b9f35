"""What can become of an event: a closed set of codes, each with its remedy. Pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Code(StrEnum):
    """Why an event was not taken in."""

    MALFORMED_PAYLOAD = "malformed_payload"
    SCHEMA_VIOLATION = "schema_violation"
    TOO_LARGE = "too_large"
    SYSTEM_MISMATCH = "system_mismatch"
    AUTHORITY_MISMATCH = "authority_mismatch"
    UNKNOWN_SYSTEM = "unknown_system"
    NO_AGREEMENT = "no_agreement"
    OUTSIDE_AGREEMENT = "outside_agreement"
    SUSPENDED = "suspended"
    KLE_MALFORMED = "kle_malformed"
    KLE_UNKNOWN = "kle_unknown"
    KLE_RETIRED = "kle_retired"
    UNMAPPED_LOCAL_CODE = "unmapped_local_code"
    FACET_UNKNOWN = "facet_unknown"
    MANDATORY_MISSING = "mandatory_missing"
    PARTY_MALFORMED = "party_malformed"
    PARTY_UNKNOWN_TYPE = "party_unknown_type"
    STATE_UNKNOWN = "state_unknown"
    STATE_HISTORY_INCOMPLETE = "state_history_incomplete"
    VIRKNING_OVERLAP = "virkning_overlap"
    SENSITIVITY_UNKNOWN = "sensitivity_unknown"
    REGISTERED_IN_FUTURE = "registered_in_future"
    TITLE_HAS_CPR = "title_has_cpr"
    DOCUMENT_ORPHAN = "document_orphan"
    CONSENT_MALFORMED = "consent_malformed"
    CONSENT_NOT_SPECIFIC = "consent_not_specific"
    CONSENT_AUTHORITY = "consent_authority"


REMEDY: Final[dict[Code, str]] = {
    Code.MALFORMED_PAYLOAD: "Send well-formed JSON or XML; to a topic, Avro in the registry's framing.",
    Code.SCHEMA_VIOLATION: "Make the field fit the published schema.",
    Code.TOO_LARGE: "Send at most 1 MiB an event; the index holds metadata and a link, never documents.",
    Code.SYSTEM_MISMATCH: "Send as the system that the token names.",
    Code.AUTHORITY_MISMATCH: "Send only for the authorities that the token names.",
    Code.UNKNOWN_SYSTEM: "Use the identifier of a known sending system, or `system:instance`.",
    Code.NO_AGREEMENT: "Ask the municipality to sign and open a service agreement for this system.",
    Code.OUTSIDE_AGREEMENT: "The service agreement does not cover this; ask for a wider one, or leave it out.",
    Code.SUSPENDED: "The service agreement is suspended; ask the municipality.",
    Code.KLE_MALFORMED: "Give the KLE number as NN.NN.NN.",
    Code.KLE_UNKNOWN: "Use a number of the KLE edition in force on the case's date.",
    Code.KLE_RETIRED: "The number is retired without one successor; reclassify the case, or ask for a mapping rule.",
    Code.UNMAPPED_LOCAL_CODE: "Ask for a mapping rule from the local code to a KLE number.",
    Code.FACET_UNKNOWN: "Give a facet of the list in force, a letter and two digits such as G01.",
    Code.MANDATORY_MISSING: "Send the missing part.",
    Code.PARTY_MALFORMED: "Correct the party's number or role.",
    Code.PARTY_UNKNOWN_TYPE: "Use one of CPR ECPR CVR PNR BFE ESR URN FREE.",
    Code.STATE_UNKNOWN: "Use one of OPSTAAET OPLYST AFGJORT AFSLUTTET.",
    Code.STATE_HISTORY_INCOMPLETE: "Send the whole course of states; OPSTAAET is never missing.",
    Code.VIRKNING_OVERLAP: "Let each period end before the next begins.",
    Code.SENSITIVITY_UNKNOWN: "Use one of the four levels, or ask for a mapping of the local level.",
    Code.REGISTERED_IN_FUTURE: "Correct the source's clock; the registration time lies in the future.",
    Code.TITLE_HAS_CPR: "Remove the civil registration number from the text.",
    Code.DOCUMENT_ORPHAN: "Send it again with a case that is taken in.",
    Code.CONSENT_MALFORMED: "Correct the consent, objection, power, effort or person event.",
    Code.CONSENT_NOT_SPECIFIC: "Name the areas and authorities that the consent covers.",
    Code.CONSENT_AUTHORITY: "Only the asking authority, or the citizen, may register it.",
}


class WarningCode(StrEnum):
    """Accepted, and yet the vendor should know."""

    TITLE_REPLACED = "title_replaced"
    KLE_ANNOUNCED_RETIRED = "kle_announced_retired"
    SAME_CASE_OTHER_SYSTEM = "same_case_other_system"


@dataclass(frozen=True, slots=True)
class Rejected:
    """Not taken in. `covered`: an agreement covers it, so its bytes may be kept for the vendor to mend."""

    code: Code
    pointer: str
    detail: str
    covered: bool = True

    @property
    def remedy(self) -> str:
        """What the sender can do about it."""
        return REMEDY[self.code]


@dataclass(frozen=True, slots=True)
class Delimited:
    """The municipality has chosen not to have this case in the index."""

    pointer: str = "/classification/kle"


@dataclass(frozen=True, slots=True)
class Warned:
    """Something was put right, or soon will be wrong."""

    code: WarningCode
    pointer: str
    detail: str


# One byte an event in the outcome rows: the position in this tuple. Append only, rows are kept.
VERDICTS: Final[tuple[str, ...]] = (
    "none",  # no event at that offset
    "indexed",
    "indexed:incomplete",  # changed a group while mandatory ones are still missing
    "stale",
    "duplicate",
    "delimited",
    *(f"rejected:{code}" for code in Code),
)
VERDICT_BYTE: Final[dict[str, int]] = {verdict: number for number, verdict in enumerate(VERDICTS)}
STATUSES: Final[tuple[str, ...]] = ("indexed", "stale", "duplicate", "delimited", "rejected")


def read_verdict(byte: int) -> tuple[str, str | None]:
    """(status, code) of one byte of an outcome row."""
    status, _, code = VERDICTS[byte].partition(":")
    return status, code or None
