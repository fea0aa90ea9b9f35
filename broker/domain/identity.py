"""Who and what things are: civil registration numbers, organisation numbers, case keys. Pure."""

import re
import uuid
from typing import Final, NamedTuple

# The sending systems of the contract; a municipality with several of one kind names them `system:instance`.
SYSTEMS: Final = frozenset(
    [
        "acadre",
        "sbsys",
        "nova",
        "edoc",
        "getorganized",
        "workpoint",
        "vitae",
        "sensum",
        "nexus",
        "modulus",
        "cura",
        "domus",
        "sf1470",
        "klgateway",
    ]
)
_INSTANCE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
# ASCII: a digit of another script is no digit of a register.
_CPR = re.compile(r"(?:0[1-9]|[12]\d|3[01]|6[1-9]|[78]\d|9[01])(?:0[1-9]|1[0-2])\d{6}", re.ASCII)
_CPR_IN_TEXT = re.compile(rf"(?<![0-9A-Za-z]){_CPR.pattern[:-5]}\d{{2}}[- ]?\d{{4}}(?![0-9A-Za-z])", re.ASCII)
_CVR = re.compile(r"[1-9]\d{7}", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

EVENT_NAMESPACE: Final = uuid.UUID("5f0c2f0a-6a0e-5d5e-9a55-2b3f3f2a9d11")


class EntryKey(NamedTuple):
    """One case as one sender knows it: nobody else can touch it."""

    authority: str
    system: str
    case_id: str

    def __str__(self) -> str:
        """The key in overview topics."""
        return f"{self.authority}/{self.system}/{self.case_id}"


def is_system(name: str) -> bool:
    """Whether `name` is `system` or `system:instance` of a known system."""
    base, colon, instance = name.partition(":")
    return base in SYSTEMS and (not colon or _INSTANCE.fullmatch(instance) is not None)


def is_cpr(text: str) -> bool:
    """Ten digits that begin with a date, day + 60 for administrative numbers.

    Modulus 11 is not asked for: numbers without it are issued since 2007. Source: the CPR office.
    """
    return _CPR.fullmatch(text) is not None


def is_cvr(text: str) -> bool:
    """Eight digits; the check digit is not asked for, test organisations lack it."""
    return _CVR.fullmatch(text) is not None


def is_uuid(text: str) -> bool:
    """A UUID in its canonical lower-case form."""
    return _UUID.fullmatch(text) is not None


def has_cpr(text: str) -> bool:
    """Whether something that reads as a CPR number stands in the text, with or without hyphen."""
    return _CPR_IN_TEXT.search(text) is not None


def without_cpr(text: str) -> str:
    """The text with everything that reads as a CPR number masked: for details shown to people."""
    return _CPR_IN_TEXT.sub("<cpr>", text)


def cpr_numbers(text: str) -> set[str]:
    """Everything in the text that reads as a CPR number, without hyphens."""
    return {found.replace("-", "").replace(" ", "") for found in _CPR_IN_TEXT.findall(text)}


def vendor_event_id(system: str, authority: str, local_id: str, registered_at: int, content_hash: str) -> str:
    """The same registration polled twice is the same event.

    Args:
        registered_at: microseconds since 1970, UTC.
        content_hash: of the vendor's payload, hexadecimal.
    """
    return str(uuid.uuid5(EVENT_NAMESPACE, f"{system}|{authority}|{local_id}|{registered_at}|{content_hash}"))
