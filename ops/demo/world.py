"""Who has agreed to what in the demo: three municipalities that deliver, and three that show what is kept out. Pure.

The organisation numbers are the municipalities' public ones; what they have signed here is made up.
"""

import csv
from functools import cache
from importlib.resources import files
from typing import Any, Final

SYSTEM: Final = "sbsys"

AARHUS: Final = "55133018"  # FULL within six areas
ODENSE: Final = "35209115"  # FULL, and delimits itself to two areas
COPENHAGEN: Final = "64942212"  # RESTRICTED to a few numbers
AALBORG: Final = "29189420"  # no agreement
RANDERS: Final = "29189668"  # SUSPENDED
ESBJERG: Final = "29189803"  # FULL, with a ceiling below what SBSYS's cases need

_NAMES: Final = {
    AARHUS: ("Aarhus Kommune", "0751"),
    ODENSE: ("Odense Kommune", "0461"),
    COPENHAGEN: ("Københavns Kommune", "0101"),
    AALBORG: ("Aalborg Kommune", "0851"),
    RANDERS: ("Randers Kommune", "0730"),
    ESBJERG: ("Esbjerg Kommune", "0561"),
}
_SIGNED: Final = {"signed_by": "Demo", "signed_at": "2024-01-01T00:00:00.000000Z"}
_REASON: Final = "Demo: goes straight to this state"
_AREAS: Final = ["00.*", "05.*", "15.*", "17.*", "27.*", "32.*"]
_WANTED: Final = ["27.*", "32.*"]
_RESTRICTED: Final = ["27.36.*", "32.24.04"]


@cache
def kle() -> dict[str, str]:
    """The demo's edition: number -> title. Real numbers, our own short titles."""
    with files("ops.demo").joinpath("kle.csv").open(encoding="utf-8") as file:
        return {row["emnenr"]: row["titel"] for row in csv.DictReader(file)}


@cache
def accepted(authority: str) -> tuple[str, ...]:
    """The numbers under which a case of that authority is certain to be indexed."""
    patterns = {AARHUS: _AREAS, ODENSE: _WANTED, COPENHAGEN: _RESTRICTED}[authority]
    return tuple(number for number in kle() if number.startswith(tuple(pattern.rstrip("*") for pattern in patterns)))


def name_of(authority: str) -> str:
    """What people call it."""
    return _NAMES[authority][0]


def authorities() -> list[dict[str, Any]]:
    """All six, in the contract's shape."""
    return [
        {
            "cvr": cvr,
            "municipality_code": code,
            "sor": [],
            "kind": "MUNICIPALITY",
            "name": name,
            "valid_from": "2007-01-01",
            "valid_to": None,
            "successor": None,
        }
        for cvr, (name, code) in _NAMES.items()
    ]


def agreements() -> list[dict[str, Any]]:
    """The sender agreements: all but Aalborg's."""
    return [
        _agreement(AARHUS, "FULL", _AREAS),
        _agreement(ODENSE, "FULL", ["N*"]),
        _agreement(COPENHAGEN, "RESTRICTED", ["27.*", "32.*"], restricted=_RESTRICTED),
        _agreement(RANDERS, "SUSPENDED", ["N*"]),
        _agreement(ESBJERG, "FULL", ["N*"], sensitivity="FORTROLIGE_PERSONOPLYSNINGER"),
    ]


def delimitations() -> list[dict[str, Any]]:
    """Odense wants two areas in the index, from 2021 on."""
    return [{"authority": ODENSE, "kle": _WANTED, "from_date": "2021-01-01", "active_only": False}]


def reader_agreements() -> list[dict[str, Any]]:
    """The three that deliver have joined every overview."""
    return [
        {
            "authority": authority,
            "overview": overview,
            "client": "*",
            "state": "FULL",
            "kle": ["N*"],
            "sensitivity": "VIP_SAGER",
            "from_date": "2020-01-01",
            "to_date": None,
            "reason": _REASON,
            "override": True,
            **_SIGNED,
        }
        for authority in (AARHUS, ODENSE, COPENHAGEN)
        for overview in ("sapa", "borgerblikket", "hoi", "hok")
    ]


def _agreement(
    authority: str,
    state: str,
    areas: list[str],
    *,
    restricted: list[str] | None = None,
    sensitivity: str = "FOELSOMME_PERSONOPLYSNINGER",
) -> dict[str, Any]:
    return {
        "authority": authority,
        "system": SYSTEM,
        "state": state,
        "kle": areas,
        "sensitivity": sensitivity,
        "from_date": "2020-01-01",
        "restricted": {"kle": restricted or [], "citizens": []},
        "on_title_cpr": "KLE_TITLE",
        "dispensation_until": None,
        "reason": _REASON,
        "override": True,
        **_SIGNED,
    }
