"""How one version of an agreement may follow another, who may put it, and what it must show. Pure.

Only the municipality signs, widens and un-suspends. An operator narrows, and nothing else. The system itself says that
an event has come through and that a dispensation is over: neither lets anything in.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final

from broker.domain.agreement import ACCEPTING, AgreementState
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
BESIDE: Final = (AgreementState.ENDED, AgreementState.SUSPENDED, AgreementState.DISPENSATION)
"""In their order: what is ended is lowest."""
_RANK: Final = {state: rank for rank, state in enumerate((*BESIDE, *WAY))}
_SAID_OF_IT: Final = frozenset({"state", "reason", "override", "overrides"})
_NARROWABLE: Final = frozenset({"kle", "sensitivity", "from_date", "to_date", "restricted"})


class Who(StrEnum):
    """On whose behalf a version is put."""

    MUNICIPALITY = "municipality"
    OPERATOR = "operator"
    SYSTEM = "system"


class Why(StrEnum):
    """What stands against a step; all but the first can be overridden by the municipality, and that is told."""

    NOT_YOURS = "not_yours"
    NOT_NEXT = "not_next"
    UNSIGNED = "unsigned"
    UNCLARIFIED = "unclarified"
    UNMAPPED = "unmapped"
    NOT_CONNECTED = "not_connected"
    NOT_COMPLIANT = "not_compliant"
    NO_END = "no_end"


@dataclass(frozen=True, slots=True)
class Past:
    """What lies behind an agreement.

    reached: the last state on the way that it had. unmapped: codes without a number in the newest mapping check, None
    when there was no check. passed: whether the newest compliance run was.
    """

    reached: AgreementState | None = None
    unmapped: int | None = None
    passed: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """The version may be put. overrides: what stood against it, had the municipality not said override."""

    narrows: bool
    widens: bool
    overrides: Why | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The version may not be put; `detail` is for people."""

    why: Why
    detail: str


def step(before: Body | None, after: Body, past: Past, who: Who, on: date) -> Step | Refused:
    """Judge a new version of a sender agreement, put on that day. `override` is read from it."""
    if (refused := _not_yours(before, after, past, who, on)) is not None:
        return refused
    flaw = _flaw(before, after, past, who, on)
    if flaw is not None and not after.get("override"):
        return flaw
    return Step(narrows(before, after), widens(before, after), None if flaw is None else flaw.why)


def reader_step(before: Body | None, after: Body, who: Who) -> Step | Refused:
    """The same of a reader agreement: no steps are asked of it, it is in force when it is FULL."""
    refused = _not_yours(before, after, Past(), who, date.max)
    return Step(narrows(before, after), widens(before, after)) if refused is None else refused


def lapsed(body: Body, past: Past) -> dict[str, Any]:
    """What a dispensation is when it is over: where it stood before, but never where anything is taken."""
    stood = min(past.reached or WAY[0], AgreementState.COMPLIANT, key=_RANK.__getitem__)
    return {**body, "state": str(stood), "reason": "the dispensation is over"}


def follows(before: AgreementState | None, after: AgreementState, reached: AgreementState | None) -> bool:
    """Whether the step is on the way: one forward, any back, or beside it; from beside it to no more than was reached.

    What has ended begins anew.
    """
    if before is None or before is AgreementState.ENDED:
        return after is WAY[0] or after is before
    if before is after or after in BESIDE:
        return True
    if before in BESIDE:
        return _RANK[after] <= _RANK[reached or WAY[0]]
    return _RANK[after] <= _RANK[before] + 1


def narrows(before: Body | None, after: Body) -> bool:
    """Whether somebody may see or send less than before; in doubt it does."""
    if before is None:
        return False
    return (
        _rank(after) < _rank(before)
        or not _within(before["kle"], after["kle"])
        or SENSITIVITY[after["sensitivity"]] < SENSITIVITY[before["sensitivity"]]
        or str(after["from_date"]) > str(before["from_date"])
        or _ends(after) < _ends(before)
        or before.get("restricted") != after.get("restricted")
    )


def widens(before: Body | None, after: Body) -> bool:
    """Whether something may be seen or sent that might not before; in doubt it does."""
    if before is None:
        return True
    return _rank(after) > _rank(before) or _wider_terms(before, after) or _less_restricted(before, after)


def accepts(body: Body | None) -> bool:
    """Whether anything comes in by it."""
    return body is not None and AgreementState(body["state"]) in ACCEPTING


def _not_yours(before: Body | None, after: Body, past: Past, who: Who, on: date) -> Refused | None:
    match who:
        case Who.MUNICIPALITY:
            return None
        case Who.OPERATOR:
            dispensed = after["state"] == AgreementState.DISPENSATION and before != after
            narrower = before is not None and not dispensed and not widens(before, after)
            if narrower and _same(before or {}, after, _SAID_OF_IT | _NARROWABLE):
                return None
            return Refused(Why.NOT_YOURS, "an operator may narrow an agreement, and change nothing else of it")
        case Who.SYSTEM:
            if before is not None and _by_itself(before, after, past, on) and _same(before, after, _SAID_OF_IT):
                return None
            return Refused(Why.NOT_YOURS, "nothing happens to an agreement by itself but that an event comes through")


def _by_itself(before: Body, after: Body, past: Past, on: date) -> bool:
    if before["state"] == AgreementState.MAPPED:
        return bool(after["state"] == AgreementState.CONNECTED)
    over = before["state"] == AgreementState.DISPENSATION and str(before.get("dispensation_until")) <= on.isoformat()
    return over and bool(after["state"] == lapsed(before, past)["state"])


def _flaw(before: Body | None, after: Body, past: Past, who: Who, on: date) -> Refused | None:
    stood, comes = None if before is None else AgreementState(before["state"]), AgreementState(after["state"])
    if not follows(stood, comes, past.reached):
        return Refused(Why.NOT_NEXT, f"{comes} does not follow {stood or 'nothing'}; say override to skip steps")
    if comes is AgreementState.DISPENSATION and str(after.get("dispensation_until") or "") <= on.isoformat():
        return Refused(Why.NO_END, "a dispensation needs a dispensation_until that lies ahead")
    at = stood if stood in WAY else past.reached
    further = at is None or _RANK[comes] > _RANK[at]
    if comes in BESIDE or not (further or (before is not None and _wider_terms(before, after))):
        return None
    for state, refused in _lacking(after, past, who, further=further):
        if _RANK[state] <= _RANK[comes]:
            return refused
    return None


def _lacking(after: Body, past: Past, who: Who, *, further: bool) -> Iterable[tuple[AgreementState, Refused]]:
    """What a state asks for that is not there, in the order of the way."""
    if not (after.get("signed_by") and after.get("signed_at")):
        yield AgreementState.SIGNED, Refused(Why.UNSIGNED, "signed_by and signed_at say who signed it, and when")
    clarified = [pattern for said in after.get("clarification") or () for pattern in said["kle"]]
    if not _within(after["kle"], clarified):
        detail = "clarification says for every KLE area what a case is, its primary party and its states"
        yield AgreementState.CLARIFIED, Refused(Why.UNCLARIFIED, detail)
    if past.unmapped != 0:
        found = "there was none" if past.unmapped is None else f"{past.unmapped} codes are unmapped"
        yield AgreementState.MAPPED, Refused(Why.UNMAPPED, f"a mapping check without unmapped codes: {found}")
    if further and after["state"] == AgreementState.CONNECTED and who is not Who.SYSTEM:
        yield AgreementState.CONNECTED, Refused(Why.NOT_CONNECTED, "the first event that comes through connects it")
    if not past.passed:
        yield AgreementState.COMPLIANT, Refused(Why.NOT_COMPLIANT, "a compliance run that was passed comes first")


def _wider_terms(before: Body, after: Body) -> bool:
    return (
        not _within(after["kle"], before["kle"])
        or SENSITIVITY[after["sensitivity"]] > SENSITIVITY[before["sensitivity"]]
        or str(after["from_date"]) < str(before["from_date"])
        or _ends(after) > _ends(before)
    )


def _less_restricted(before: Body, after: Body) -> bool:
    """Of an agreement that was not restricted, and comes to be, any restriction takes less."""
    was, comes = before.get("restricted") or {}, after.get("restricted") or {}
    if was == comes or (after["state"] == AgreementState.RESTRICTED and before["state"] == AgreementState.FULL):
        return False
    within = _within(comes.get("kle", ()), was.get("kle", ()))
    return not (within and set(comes.get("citizens", ())) <= set(was.get("citizens", ())))


def _same(before: Body, after: Body, but: frozenset[str]) -> bool:
    return all(before.get(name) == after.get(name) for name in (before.keys() | after.keys()) - but)


def _rank(body: Body) -> int:
    return _RANK[AgreementState(body["state"])]


def _within(inner: Iterable[str], outer: Iterable[str]) -> bool:
    """A pattern is a prefix: it lies within another that begins it."""
    wide = Patterns.of(outer).prefixes
    return all(prefix.startswith(wide) for prefix in Patterns.of(inner).prefixes)


def _ends(body: Body) -> str:
    return str(body.get("to_date") or "9999-12-31")
