"""The shape of the whole country, for coverage: who has which system, and how far each has come.

98 municipalities with 124 case systems and 123 care systems from six vendors each. The demo's own six are counted with
one of each kind; the other 92 are constructed, with numbers that no organisation and no municipality has. How many each
vendor has is not public: the shares are made up, and so is every state. Pure but for `onboard`.
"""

import random
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Final

import httpx

from broker.security import Issuer
from ops.embedded.errors import EmbeddedError

MUNICIPALITIES: Final = 92
CASE_SYSTEMS: Final = {"sbsys": 36, "acadre": 30, "getorganized": 18, "nova": 12, "workpoint": 12, "edoc": 10}
CARE_SYSTEMS: Final = {"nexus": 50, "cura": 35, "vitae": 14, "sensum": 10, "modulus": 4, "domus": 4}
_CASE_AREAS: Final = ["02.*", "05.*", "32.45.04"]
_CARE_AREAS: Final = ["27.*", "29.*"]
_STATES: Final = {
    "FULL": 34, "RESTRICTED": 14, "COMPLIANT": 8, "CONNECTED": 8, "MAPPED": 8, "CLARIFIED": 8, "SIGNED": 6, "DRAFT": 6,
    "DISPENSATION": 6, "SUSPENDED": 1, "ENDED": 1,
}  # fmt: skip
"""In hundredths."""
_A_YEAR: Final = timedelta(days=365)


def authorities() -> list[dict[str, Any]]:
    """The 92, and Udbetaling Danmark."""
    municipalities = [
        {
            "cvr": _cvr(number),
            "municipality_code": f"9{number:03}",
            "kind": "MUNICIPALITY",
            "name": f"Demokommune {number:02}",
            "valid_from": "2007-01-01",
        }
        for number in range(1, MUNICIPALITIES + 1)
    ]
    return [*municipalities, {"cvr": "33236252", "kind": "UDK", "name": "Udbetaling Danmark"}]


def agreements(on: date, seed: int = 1) -> list[dict[str, Any]]:
    """One for each system; dispensations end within a year after `on`."""
    rng = random.Random(f"landscape {seed}")  # noqa: S311 - reproducible on purpose
    dealt = [
        (authority, system, areas)
        for shares, areas in ((CASE_SYSTEMS, _CASE_AREAS), (CARE_SYSTEMS, _CARE_AREAS))
        for authority, system in _dealt(shares, rng)
    ]
    states = rng.choices(list(_STATES), list(_STATES.values()), k=len(dealt))
    return [
        {
            "authority": authority,
            "system": system,
            "state": state,
            "kle": areas,
            "sensitivity": "FOELSOMME_PERSONOPLYSNINGER",
            "from_date": "2020-01-01",
            "restricted": {"kle": areas[:1] if state == "RESTRICTED" else [], "citizens": []},
            "dispensation_until": (on + rng.random() * _A_YEAR + timedelta(days=1)).isoformat()
            if state == "DISPENSATION"
            else None,
            "signed_by": None if state == "DRAFT" else "Demo",
            "signed_at": None if state == "DRAFT" else "2024-01-01T00:00:00Z",
            "reason": "Demo: goes straight to this state",
            "override": True,
        }
        for (authority, system, areas), state in zip(dealt, states, strict=True)
    ]


async def onboard(http: httpx.AsyncClient, issuer: Issuer, on: date) -> None:
    """Put all of it over HTTP. Raises EmbeddedError."""
    listed = authorities()
    own = {"sub": "demo-landscape", "role": "onboarding", "authorities": [one["cvr"] for one in listed]}
    headers = {"Authorization": f"Bearer {issuer.issue(own, 600)}"}
    for path, body in (("/v1/authorities", listed), ("/v1/agreements", agreements(on))):
        answer = await http.put(path, headers=headers, json=body, timeout=60)
        if answer.is_error:
            raise EmbeddedError(f"landscape: PUT {path} was answered {answer.status_code}: {answer.text[:300]}")


def _dealt(shares: dict[str, int], rng: random.Random) -> Iterator[tuple[str, str]]:
    """(authority, system): everybody gets one, and some a second one of another vendor."""
    deck = [system for system, number in shares.items() for _ in range(number)]
    rng.shuffle(deck)
    having = {_cvr(number): deck.pop() for number in range(1, MUNICIPALITIES + 1)}
    yield from having.items()
    without = list(having)
    for system in deck:
        second = next(authority for authority in without if having[authority] != system)
        without.remove(second)
        yield second, system


def _cvr(number: int) -> str:
    return f"990000{number:02}"
