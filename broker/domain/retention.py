"""How long a closed case is kept, as KLE says it of its number. Pure."""

import re
from dataclasses import dataclass
from typing import Final

from broker.domain.case import State
from broker.domain.entry import steps_in_order

CLOSED: Final = "AFSLUTTET"
PRESERVATION: Final = ("K", "K5", "K10", "B", "tom")
# Days, as KL writes it; months and years, as the schema allows. Nothing that no calendar holds.
_DURATION: Final = re.compile(r"P(?=\d)(\d{1,3}Y)?(\d{1,4}M)?(\d{1,5}D)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Retention:
    """Of one number. Source: KLE's XML schema 2.0.

    preservation: under the archives act: `B` is kept for posterity, `K` may be disposed of, `K5` and `K10` so many
    years after closing (advice, no duty), `tom` was never said. deletion: under the data-protection rules: how long
    after closing personal data are kept, an ISO 8601 duration; None: KLE states none.
    """

    preservation: str | None = None
    deletion: str | None = None


def retention(preservation: str, deletion: str) -> Retention | None:
    """As the elements say it; None when both are empty. Raises ValueError, which says what is not of its form."""
    if preservation not in ("", *PRESERVATION):
        raise ValueError(f"BevaringJaevnfoerArkivloven is none of {', '.join(PRESERVATION)}")
    if deletion and not _DURATION.fullmatch(deletion):
        raise ValueError("SletningJaevnfoerPersondataloven is no duration in days, months or years")
    return Retention(preservation or None, deletion or None) if preservation or deletion else None


def closed_at(state: State) -> int | None:
    """When the case was closed, microseconds since 1970, UTC; None when it is not: the step that began last counts."""
    steps = steps_in_order(state)
    if not steps or steps[-1]["state"] != CLOSED:
        return None
    at: int = steps[-1]["effective_from"]
    return at
