"""References as the standard writes them -> numbers of the index. Pure."""

import re
from typing import Final, NamedTuple

from broker.domain.identity import has_cpr, is_cvr
from connectors.person import bare, id_type

# `cvr` is seen in real messages, `cvr-nr` in the standard's own examples [R].
_CVR: Final = re.compile(r"urn:oio:cvr(?:-nr|-nummer)?:(.*)", re.IGNORECASE)
_CPR: Final = re.compile(r"urn:oio:cpr(?:-nr|-nummer)?:(.*)", re.IGNORECASE)
_PNR: Final = re.compile(r"urn:oio:p-?nr:([0-9]{10})", re.IGNORECASE | re.ASCII)
_BFE: Final = re.compile(r"urn:oio:ejendom:bfe(?:-nr)?:([0-9]{1,10})", re.IGNORECASE | re.ASCII)
_ESR: Final = re.compile(r"urn:oio:esr:ejendom:([0-9]{3,4})-([0-9]{1,7})", re.IGNORECASE | re.ASCII)
_OTHER: Final = re.compile(r"urn:oio:[a-z0-9:._-]{1,200}", re.IGNORECASE | re.ASCII)
_NOBODY: Final = "0000000000"


class Party(NamedTuple):
    """A number and its kind, as the index has them."""

    id_type: str
    id: str


NOBODY: Final = Party("", "")
"""A number that stands for no party."""


def cvr_of(urn: str | None) -> str | None:
    """The CVR number that a URN names, in either spelling."""
    found = _CVR.fullmatch(urn or "")
    number = None if found is None else bare(found[1])
    return number if number is not None and is_cvr(number) else None


def party_of(urn: str) -> Party | None:
    """Who is meant; None when it is no reference to a party."""
    if (found := _CPR.fullmatch(urn)) is not None:
        number = bare(found[1])
        kind = id_type(number)
        if number == _NOBODY:
            return NOBODY
        return None if kind is None else Party(kind, number)
    if _CVR.fullmatch(urn) is not None:
        number = cvr_of(urn) or ""
        return Party("CVR", number) if number else None
    if (found := _PNR.fullmatch(urn)) is not None:
        return Party("PNR", found[1])
    if _OTHER.fullmatch(urn) is not None and not has_cpr(urn):
        return Party("URN", urn.lower())
    return None


def property_of(urn: str) -> Party | None:
    """A real property, where the reference is to one."""
    if (found := _BFE.fullmatch(urn)) is not None:
        return Party("BFE", found[1])
    found = _ESR.fullmatch(urn)
    return None if found is None else Party("ESR", found[1] + found[2])
