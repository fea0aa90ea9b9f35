"""Numbers of persons as vendors write them, and item ids that do not show them. Pure."""

import hashlib
import re
from typing import Final

from broker.domain.identity import is_cpr

# A replacement number begins with a date and ends with at least one letter: no CPR number, and kept apart from them.
_ECPR: Final = re.compile(r"[0-9]{6}(?=[0-9A-Z]*[A-Z])[0-9A-Z]{4}")


def bare(number: str) -> str:
    """Without hyphen and spaces, in capitals."""
    return re.sub(r"[\s-]", "", number).upper()


def id_type(number: str) -> str | None:
    """CPR or ECPR, by the form of the bare number."""
    if is_cpr(number):
        return "CPR"
    return "ECPR" if _ECPR.fullmatch(number) else None


def item_id(*local: str) -> str:
    """A digest behind a letter: stable for what it is made of, and never reads as a CPR number."""
    return f"p{hashlib.sha256('|'.join(local).encode()).hexdigest()[:31]}"
