"""What a vendor shows before its system is let in: numbered requirements, each judged from what has come. Pure.

A requirement is a scenario to send in a test period. Its `attempts` are the events that look like it, each with what is
still wrong with it; one without a flaw meets it. What a system has no words for is said so: that is no pass.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from broker.domain.agreement import CLOSED
from broker.domain.case import SENSITIVITY, SENSITIVITY_UNSAID, CaseEvent
from broker.domain.entry import PRIMARY, newest_step
from broker.domain.form import items_of
from broker.domain.identity import has_cpr
from broker.domain.outcome import Code

Verdict = Literal["met", "unmet", "not_sent", "not_expressible"]


@dataclass(frozen=True, slots=True)
class Observed:
    """One event as it came, in the order of its case, and what became of it.

    event: None where it was refused before it could be read, or its bytes may not be kept.
    status: one of the outcomes, or `pending`.
    """

    event_id: str | None
    event: CaseEvent | None
    status: str
    code: str | None = None
    pointer: str = ""


Attempts = Callable[[Sequence[Observed]], Iterator[tuple[Observed, str | None]]]


@dataclass(frozen=True, slots=True)
class Requirement:
    """What to send, what must come of it, and what to do where it does not. attempts: see the module."""

    number: str
    title: str
    sends: str
    expected: str
    mend: str
    attempts: Attempts


@dataclass(frozen=True, slots=True)
class Result:
    """One requirement, judged. evidence: ids of events that met it, or of the attempts that did not."""

    number: str
    title: str
    verdict: Verdict
    sends: str
    expected: str
    came: str
    mend: str | None
    evidence: list[str] = field(default_factory=list)


_SHOWN: Final = 3
_TWO: Final = 2


def judge(observed: Sequence[Observed], cannot: Mapping[str, str]) -> list[Result]:
    """Every requirement in order. `cannot`: numbers that the system has no words for -> why."""
    return [_result(one, observed, cannot.get(one.number)) for one in REQUIREMENTS]


def passed(results: Sequence[Result]) -> bool:
    """Whether all that the system can say has been shown."""
    return all(one.verdict in ("met", "not_expressible") for one in results)


def _result(one: Requirement, observed: Sequence[Observed], why_not: str | None) -> Result:
    attempts = list(one.attempts(observed))
    good = [attempt for attempt, flaw in attempts if flaw is None]
    flaws = [flaw for _, flaw in attempts if flaw is not None]
    verdict: Verdict
    if good:
        verdict, came = "met", f"{len(good)} of {len(attempts)} as expected"
    elif why_not is not None:
        verdict, came = "not_expressible", why_not
    elif attempts:
        verdict, came = "unmet", f"{len(attempts)}, but {flaws[0]}"
    else:
        verdict, came = "not_sent", "nothing of this kind"
    shown = good or [attempt for attempt, _ in attempts]
    evidence = [attempt.event_id for attempt in shown[:_SHOWN] if attempt.event_id is not None]
    mend = one.mend if verdict in ("unmet", "not_sent") else None
    return Result(one.number, one.title, verdict, one.sends, one.expected, came, mend, evidence)


def _not_indexed(one: Observed) -> str | None:
    if one.status == "indexed":
        return None if one.code is None else f"it is {one.code}: mandatory groups are missing"
    where = f" at {one.pointer}" if one.pointer else ""
    return f"it was {one.status}" + (f" with {one.code}{where}" if one.code else "")


def _registered(
    looks_like: Callable[[CaseEvent], bool], flaw: Callable[[CaseEvent], str | None] = lambda _: None
) -> Attempts:
    """Registrations that look like it; indexed, and without the flaw."""

    def attempts(observed: Sequence[Observed]) -> Iterator[tuple[Observed, str | None]]:
        for one in observed:
            if one.event is not None and one.event["change"] == "REGISTERED" and looks_like(one.event):
                yield one, _not_indexed(one) or flaw(one.event)

    return attempts


def _refused(*codes: Code) -> Attempts:
    """Refused with one of the codes; that is what was to be shown."""

    def attempts(observed: Sequence[Observed]) -> Iterator[tuple[Observed, str | None]]:
        for one in observed:
            if one.status == "rejected" and one.code in codes:
                yield one, None

    return attempts


def _has_history(event: CaseEvent) -> bool:
    return len(items_of(event, "progress")) >= _TWO


def _history_flaw(event: CaseEvent) -> str | None:
    progress = event.get("progress")
    steps = sorted(items_of(event, "progress"), key=lambda step: int(step["effective_from"]))
    if progress is not None and not progress["complete"]:
        return "the history is not said to be complete"
    if steps[0]["state"] != "OPSTAAET":
        return "it does not begin with OPSTAAET"
    ends = [step.get("effective_to") for step in steps[:-1]]
    if ends != [step["effective_from"] for step in steps[1:]]:
        return "a state ends where no other begins"
    return None


def _changes(observed: Sequence[Observed]) -> Iterator[tuple[Observed, str | None]]:
    for one, newest in _known(observed):
        if one.event is not None and one.event["change"] == "REGISTERED" and one.event["registered_at"] > newest:
            yield one, _not_indexed(one) if one.status != "indexed" else None


def _late(observed: Sequence[Observed]) -> Iterator[tuple[Observed, str | None]]:
    seen = {id(one) for one, _ in _doubled(observed)}
    for one, newest in _known(observed):
        if one.event is not None and one.event["registered_at"] < newest and id(one) not in seen:
            yield one, None if one.status == "stale" else f"it was {one.status}"


def _known(observed: Sequence[Observed]) -> Iterator[tuple[Observed, int]]:
    """Events of cases that came before, each with the newest registration until then."""
    newest: dict[str, int] = {}
    for one in observed:
        if one.event is None or one.status in ("rejected", "delimited"):
            continue
        case_id, at = one.event["case_id"], one.event["registered_at"]
        if case_id in newest:
            yield one, newest[case_id]
        newest[case_id] = max(at, newest.get(case_id, at))


def _doubled(observed: Sequence[Observed]) -> Iterator[tuple[Observed, str | None]]:
    seen: dict[tuple[str, int], set[str]] = {}
    for one in observed:
        if one.event is None or one.status in ("rejected", "delimited"):
            continue
        event = one.event
        ids = seen.setdefault((event["case_id"], event["registered_at"]), set())
        if event["event_id"] in ids:
            yield one, None if one.status in ("duplicate", "stale") else f"it was {one.status}"
        elif ids:
            yield one, "the same registration came under another event id"
        ids.add(event["event_id"])


def _removals(observed: Sequence[Observed]) -> Iterator[tuple[Observed, str | None]]:
    for one, _ in _known(observed):
        if one.event is not None and one.event["change"] == "REMOVED":
            yield one, _not_indexed(one)


def _title_with_cpr(observed: Sequence[Observed]) -> Iterator[tuple[Observed, str | None]]:
    for one in observed:
        if one.status == "rejected" and one.code == Code.TITLE_HAS_CPR:
            yield one, None
        elif one.event is not None and has_cpr(_properties(one.event).get("title") or ""):
            yield one, _not_indexed(one)


def _confidential_flaw(event: CaseEvent) -> str | None:
    properties = _properties(event)
    if str(properties["confidential_title"]) in str(properties["title"]):
        return "the public title says what the confidential one does"
    return None


def _properties(event: CaseEvent) -> Mapping[str, Any]:
    return event.get("properties") or {}


def _has(group: str, name: str, *values: str) -> Callable[[CaseEvent], bool]:
    return lambda event: any(item[name] in values for item in items_of(event, group))


def _has_stricter_document(event: CaseEvent) -> bool:
    said = (event.get("access") or {}).get("sensitivity")
    own = SENSITIVITY_UNSAID if said is None else SENSITIVITY.get(said, 0)
    return any(SENSITIVITY.get(item.get("sensitivity") or "", 0) > own for item in items_of(event, "journal"))


REQUIREMENTS: Final[tuple[Requirement, ...]] = (
    Requirement(
        "R1",
        "Creation with its whole history of states",
        "A case that has passed through at least two states.",
        "Indexed, with every state since OPSTAAET and no gap between them.",
        "Send every state with its dates, from OPSTAAET on, each ending where the next begins.",
        _registered(_has_history, _history_flaw),
    ),
    Requirement(
        "R2",
        "Change",
        "A case that was sent before, changed, with the newer time of registration.",
        "Indexed.",
        "Give each change the time at which it was registered, later than the one before.",
        _changes,
    ),
    Requirement(
        "R3",
        "Late",
        "An older registration of a case after a newer one.",
        "Stale: the newer one stands.",
        "Keep the time of registration as it was; the time of sending is none.",
        _late,
    ),
    Requirement(
        "R4",
        "Doubled",
        "The same registration twice.",
        "A duplicate: nothing changes.",
        "Send the same content with the same time and id again.",
        _doubled,
    ),
    Requirement(
        "R5",
        "Removal",
        "A case that was sent before, and has left the system.",
        "Indexed as removed.",
        "Send a removal when a case is deleted, disposed of or merged.",
        _removals,
    ),
    Requirement(
        "R6",
        "A wrong civil registration number",
        "A constructed case whose party has a number that is none.",
        "Rejected with party_malformed; the rejection is read.",
        "Do not correct or leave out a wrong number before sending: the rejection is how it is found.",
        _refused(Code.PARTY_MALFORMED),
    ),
    Requirement(
        "R7",
        "A retired KLE number",
        "A case with a number that is gone from the edition of its date, and has no single successor.",
        "Rejected with kle_retired.",
        "Send the number that the case has in the system.",
        _refused(Code.KLE_RETIRED),
    ),
    Requirement(
        "R8",
        "An unknown KLE number or local code",
        "A case with a number, or a local code, that no edition and no rule knows.",
        "Rejected with kle_unknown, kle_malformed or unmapped_local_code.",
        "Send the number or code that the case has in the system.",
        _refused(Code.KLE_UNKNOWN, Code.KLE_MALFORMED, Code.UNMAPPED_LOCAL_CODE),
    ),
    Requirement(
        "R9",
        "A confidential title",
        "A case with a title for the public and one that is not.",
        "Indexed, and the public title does not contain the other.",
        "Send the title that may be read as title, and the other as the confidential one.",
        _registered(lambda event: bool(_properties(event).get("confidential_title")), _confidential_flaw),
    ),
    Requirement(
        "R10",
        "No primary party",
        "A case about nobody, such as a building case.",
        "Indexed.",
        "Send cases without a person too; do not make one up.",
        _registered(lambda event: bool(_properties(event)) and not _has("parties", "role", PRIMARY)(event)),
    ),
    Requirement(
        "R11",
        "A document more sensitive than its case",
        "A case with a document whose level is higher than its own.",
        "Indexed, each with its own level.",
        "Send each document's own level.",
        _registered(_has_stricter_document),
    ),
    Requirement(
        "R12",
        "A civil registration number in a title",
        "A constructed case with such a number in its title.",
        "Indexed under the KLE title with the warning title_replaced, or rejected with title_has_cpr.",
        "Send the title as it stands.",
        _title_with_cpr,
    ),
    Requirement(
        "R13",
        "Closing",
        "A case that is closed.",
        "Indexed, and AFSLUTTET is its newest state.",
        "Send the case when it is closed, with the date.",
        _registered(lambda event: newest_step(items_of(event, "progress")) == CLOSED),
    ),
    Requirement(
        "R14",
        "Sensitivity",
        "A case whose level is said.",
        "Indexed with that level.",
        "Send the level of each case; what says none counts as sensitive.",
        _registered(lambda event: bool((event.get("access") or {}).get("sensitivity"))),
    ),
    Requirement(
        "R15",
        "Restricted to named persons or groups",
        "A case that only some employees may see.",
        "Indexed with its security profile.",
        "Send who may see it, and put the mapping of groups in the configuration.",
        _registered(lambda event: bool(items_of(event, "security_profile"))),
    ),
    Requirement(
        "R16",
        "Who is responsible",
        "A case with its responsible unit or handler.",
        "Indexed with the actor.",
        "Send the responsible unit or the handler.",
        _registered(_has("actors", "role", "RESPONSIBLE", "PRIMARY_HANDLER", "HANDLER")),
    ),
    Requirement(
        "R17",
        "Several parties",
        "A case with a primary party and others.",
        "Indexed with each in its role.",
        "Send every party with its role.",
        _registered(
            lambda event: (
                _has("parties", "role", PRIMARY)(event)
                and _has("parties", "role", "SECONDARY", "BENEFIT_RECIPIENT")(event)
            )
        ),
    ),
    Requirement(
        "R18",
        "What cannot be read",
        "A payload that lacks something mandatory, or is not of the documented form.",
        "Rejected with malformed_payload, schema_violation, mandatory_missing or state_unknown.",
        "Send one on purpose, and show that the receipt's rejection is read and acted upon.",
        _refused(Code.MALFORMED_PAYLOAD, Code.SCHEMA_VIOLATION, Code.MANDATORY_MISSING, Code.STATE_UNKNOWN),
    ),
)
