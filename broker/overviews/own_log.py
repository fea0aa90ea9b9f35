"""What a citizen is told of who has looked: in plain Danish, grouped, newest first. Pure.

Who read is named by authority, unit and role; by name only where every one of the reader's authorities says so.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final
from zoneinfo import ZoneInfo

from broker.overviews.shown import text

COPENHAGEN: Final = ZoneInfo("Europe/Copenhagen")
ROLES: Final[Mapping[str, str]] = {
    "employee": "Medarbejder",
    "control": "Kontrolmedarbejder",
    "citizen": "En borger eller repræsentant",
    "auditor": "Medarbejder, der fører tilsyn",
    "operator": "Driftsmedarbejder",
    "vendor": "Leverandør",
    "consent": "Medarbejder, der registrerer samtykke",
    "onboarding": "Medarbejder",
}
WHERE: Final[Mapping[str, str]] = {
    "sapa": "medarbejdernes sagsoverblik",
    "borgerblikket": "borgernes eget overblik",
    "hoi": "overblikket for den helhedsorienterede indsats",
    "hok": "overblikket for den helhedsorienterede kontrol",
    "access-log": "loggen over opslag",
    "explain": "forklaringen på, hvem der må se hvad",
    "dossier": "svaret på en anmodning om indsigt",
    "rejections": "en oplysning, der ikke kunne tages ind",
}


@dataclass(frozen=True, slots=True)
class Look:
    """One row of the log. names: of the reader's authorities; may_name: whether they let the reader be named."""

    id: int
    at: datetime
    reader: Mapping[str, Any]
    overview: str
    purpose: str | None
    decision: str
    cases: Sequence[str]
    names: Sequence[str]
    may_name: bool

    @property
    def day(self) -> str:
        """By the Danish clock."""
        return self.at.astimezone(COPENHAGEN).date().isoformat()

    def group(self, own: str) -> tuple[Any, ...]:
        """What a citizen cannot, or need not, tell apart."""
        said = self.reader
        name = said.get("name") if self.may_name else None
        place = said.get("role"), tuple(self.names), said.get("unit"), name, said.get("subject") == own
        return self.day, *place, self.overview, self.purpose, self.decision


def told(looks: Iterable[Look], own: str) -> list[dict[str, Any]]:
    """One line for what is alike; `own`: how the log names the citizen as a reader."""
    listed = sorted(looks, key=lambda look: str(look.group(own)))
    groups = [_line(list(alike), own) for _, alike in groupby(listed, lambda look: look.group(own))]
    return sorted(groups, key=lambda line: (line["last_at"], line["text"]), reverse=True)


def _line(alike: Sequence[Look], own: str) -> dict[str, Any]:
    """One group, the parts of its sentence beside it."""
    look = alike[0]
    said, moments = look.reader, [one.at for one in alike]
    itself = said.get("role") == "citizen" and said.get("subject") == own
    parts = {
        "day": look.day,
        "role": said.get("role"),
        "authority": ", ".join(look.names) or None,
        "unit": said.get("unit") or None,
        "name": (said.get("name") or None) if look.may_name else None,
        "overview": look.overview,
        "purpose": look.purpose,
        "permitted": look.decision == "permit",
        "times": len(alike),
        # Of what was not shown it is not told how many there are.
        "cases": len({case for one in alike for case in one.cases}) if look.decision == "permit" else 0,
        "first_at": text(min(moments)),
        "last_at": text(max(moments)),
    }
    return {**parts, "text": _sentence(parts, itself=itself)}


def _sentence(parts: Mapping[str, Any], *, itself: bool) -> str:
    role = "Du" if itself else ROLES.get(parts["role"] or "", "En bruger")
    who = f"{role} ({parts['name']})" if parts["name"] else role
    place = f" i {parts['authority']}" if parts["authority"] else ""
    unit = f", {parts['unit']}" if parts["unit"] else ""
    where = WHERE.get(parts["overview"], parts["overview"])
    number = parts["cases"]
    seen = "slog dig op" if not number else f"så {number} af dine sager" if number > 1 else "så 1 af dine sager"
    what = seen if parts["permitted"] else "slog dig op, men fik intet vist"
    times = f" ({parts['times']} gange)" if parts["times"] > 1 else ""
    why = f" Formål: {parts['purpose']}." if parts["purpose"] else ""
    return f"{who}{place}{unit} {what} i {where}{times}.{why}"
