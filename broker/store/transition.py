"""How one version of an agreement may follow another, and who may put it. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from broker.domain.agreement import AgreementState
from broker.domain.case import SENSITIVITY
from broker.domain.kle import Patterns

Body = Mapping[str, Any]

WAY: Final = (
    AgreementState.DRAFT,
    AgreementState.SIGNED,
    AgreementState.CLARIFIED,
    AgreementState.MAPPED,
    AgreementState.CONNECTED,
    AgreementState.COMPLIANT,
    AgreementState.RESTRICTED,
    AgreementState.FULL,
)
CLOSED: Final = frozenset({AgreementState.SUSPENDED, AgreementState.ENDED})
_ANY_TIME: Final = CLOSED | {AgreementState.DISPENSATION}
_SAID_OF_IT: Final = frozenset({"state", "reason", "signed_by", "signed_at", "override"})


def follows(before: AgreementState | None, after: AgreementState) -> bool:
    """Whether the step is on the way: one forward, any back, or beside it; from beside it only by override."""
    if after in _ANY_TIME or before is after:
        return True
    if before is None:
        return after is WAY[0]
    return before in WAY and WAY.index(after) <= WAY.index(before) + 1


def only_closes(before: Body | None, after: Body) -> bool:
    """Whether nothing happens but that an agreement is suspended or ended: all that an operator may do."""
    if before is None or after["state"] not in CLOSED or before["state"] == AgreementState.ENDED:
        return False
    return all(before.get(field) == after.get(field) for field in (before.keys() | after.keys()) - _SAID_OF_IT)


def narrows(before: Body | None, after: Body) -> bool:
    """Whether somebody may see or send less than before; in doubt it does."""
    if before is None:
        return False
    return (
        _rank(after["state"]) < _rank(before["state"])
        or not _within(before["kle"], after["kle"])
        or SENSITIVITY[after["sensitivity"]] < SENSITIVITY[before["sensitivity"]]
        or str(after["from_date"]) > str(before["from_date"])
        or _ends(after) < _ends(before)
        or before.get("restricted") != after.get("restricted")
    )


def _rank(state: str) -> int:
    return WAY.index(AgreementState(state)) if state in WAY else -1


def _within(inner: Iterable[str], outer: Iterable[str]) -> bool:
    """A pattern is a prefix: it lies within another that begins it."""
    wide = Patterns.of(outer).prefixes
    return all(prefix.startswith(wide) for prefix in Patterns.of(inner).prefixes)


def _ends(body: Body) -> str:
    return str(body.get("to_date") or "9999-12-31")
