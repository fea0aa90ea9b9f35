"""Judging one case event: does an agreement cover it, is it well made, what does its classification mean. Pure.

Every test looks at this event alone, so the verdict does not depend on what came before it.
"""

from dataclasses import dataclass
from datetime import date
from typing import cast

from broker.domain.agreement import (
    AgreementState,
    Delimitation,
    Facts,
    Outside,
    SenderAgreement,
    day_of,
    gate,
    outside,
    wanted,
)
from broker.domain.case import SENSITIVITY, SENSITIVITY_UNSAID, CaseEvent
from broker.domain.entry import PRIMARY, newest_step
from broker.domain.form import group_flaw, head_flaw, is_web, items_of
from broker.domain.identity import has_cpr
from broker.domain.kle import Mapped
from broker.domain.outcome import Code, Delimited, Rejected, Warned, WarningCode


@dataclass(init=False)
class Classified:
    """An event that may be kept. `event` carries its derived classification and cleaned texts.

    emptied: texts of it must not be kept.
    """

    event: CaseEvent
    agreement_version: int
    warnings: tuple[Warned, ...]
    emptied: bool

    def __init__(
        self,
        event: CaseEvent,
        agreement_version: int,
        warnings: tuple[Warned, ...] = (),
        emptied: bool = False,  # noqa: FBT001, FBT002 - as the other values of the hot path
    ) -> None:
        self.event = event
        self.agreement_version = agreement_version
        self.warnings = warnings
        self.emptied = emptied


Verdict = Classified | Delimited | Rejected


def judge(event: CaseEvent, facts: Facts, at: int) -> Verdict:
    """The whole judgement: the same at intake and, under the revision lock, in the worker.

    Args:
        at: when it was received, microseconds since 1970, UTC.
    """
    agreement = gate(event, facts)
    if isinstance(agreement, Rejected):
        return agreement
    verdict = classify(event, agreement, facts, at)
    if isinstance(verdict, Rejected) and verdict.covered and not _covered(event, agreement):
        return Rejected(verdict.code, verdict.pointer, verdict.detail, covered=False)
    return verdict


def classify(event: CaseEvent, agreement: SenderAgreement, facts: Facts, at: int) -> Verdict:
    """Judge an event whose sender has an open agreement."""
    if (flaw := head_flaw(event, at)) is not None:
        return flaw
    if event["change"] == "REMOVED":
        return Classified(event, agreement.version)
    on = case_date(event)
    mapped: Mapped | None = None
    if (classification := event.get("classification")) is not None:
        result = facts.kle.map(event["authority"], event["system"], classification, on)
        if isinstance(result, Rejected):
            return result
        mapped = result
    if (refused := _outside(event, agreement, mapped, on)) is not None:
        return refused
    if (flaw := group_flaw(event)) is not None:
        return flaw
    if _delimited(event, facts.delimitations.get(event["authority"], ()), mapped, on):
        return Delimited()
    cleaned, warnings = _without_cpr(event)
    if warnings and agreement.refuse_title_cpr:
        return Rejected(Code.TITLE_HAS_CPR, warnings[0].pointer, "a civil registration number stands in the text")
    cleaned, dropped = _with_web_links(cleaned)
    warnings += dropped
    if mapped is not None and classification is not None:
        cleaned = cast(
            "CaseEvent",
            {
                **cleaned,
                "classification": {
                    "kle": mapped.number,
                    "facet": mapped.facet,
                    "original": dict(classification),
                    "rule": mapped.rule,
                    "edition": mapped.edition.isoformat(),
                    "on": on.isoformat(),
                },
            },
        )
    return Classified(cleaned, agreement.version, warnings + _announced(mapped), bool(warnings))


def _announced(mapped: Mapped | None) -> tuple[Warned, ...]:
    if mapped is None or mapped.announced is None:
        return ()
    detail = f"{mapped.number} is to be gone: {mapped.announced}"
    return (Warned(WarningCode.KLE_ANNOUNCED_RETIRED, "/classification/kle", detail),)


def _covered(event: CaseEvent, agreement: SenderAgreement) -> bool:
    """Whether what cannot be used is at least shown to be covered: only then may its bytes be kept."""
    number = (event.get("classification") or {}).get("kle")
    return agreement.state is AgreementState.FULL and (number is None or agreement.kle.covers(number))


def case_date(event: CaseEvent) -> date:
    """The date a case is judged by: when it was created, else when it was registered."""
    properties = event.get("properties")
    return day_of(event["registered_at"] if properties is None else properties["created_at"])


def _outside(event: CaseEvent, agreement: SenderAgreement, mapped: Mapped | None, on: date) -> Rejected | None:
    primary: list[str] = []
    if agreement.state is AgreementState.RESTRICTED:
        primary = [p["id"] for p in items_of(event, "parties") if p["role"] == PRIMARY and p["id_type"] == "CPR"]
    number = None if mapped is None else mapped.number
    which = outside(agreement, on, _level(event), number, primary)
    if which is None:
        return None
    pointer, detail = {
        Outside.FROM_DATE: ("/properties/created_at", f"cases from {agreement.from_date} on"),
        Outside.SENSITIVITY: ("/access/sensitivity", "above the agreement's ceiling"),
        Outside.KLE: ("/classification/kle", f"the agreement does not name {number}"),
        # Where test citizens are named, it is the party that is none of them.
        Outside.RESTRICTED: (
            "/parties" if agreement.restricted_citizens else "/classification/kle",
            "the agreement is still restricted to what it names",
        ),
    }[which]
    return Rejected(Code.OUTSIDE_AGREEMENT, pointer, detail, covered=False)


def _level(event: CaseEvent) -> int | None:
    """The highest level that the event names for the case or any document of it; None when it names none."""
    access = event.get("access")
    levels = [SENSITIVITY.get(item["sensitivity"], 0) for item in items_of(event, "journal") if item.get("sensitivity")]
    if access is not None:
        level = access.get("sensitivity")
        levels.append(SENSITIVITY_UNSAID if level is None else SENSITIVITY.get(level, 0))
    return max(levels, default=None)


def _delimited(event: CaseEvent, choices: tuple[Delimitation, ...], mapped: Mapped | None, on: date) -> bool:
    """Whether the municipality has said what it wants, and this is not in it."""
    if not choices or mapped is None:
        return False
    return not wanted(choices, mapped.number, on, newest_step(items_of(event, "progress")))


def _without_cpr(event: CaseEvent) -> tuple[CaseEvent, tuple[Warned, ...]]:
    """Texts in which a CPR number stands are emptied; an empty title is shown as the KLE title."""
    # Nearly every event is done with here: one search over all of its texts.
    if not has_cpr("\n".join(_texts(event))):
        return event, ()
    warnings: list[Warned] = []
    properties = event.get("properties")
    if properties is not None:
        for name in ("title", "user_key", "link"):
            text = properties.get(name)
            if text is not None and has_cpr(text):
                properties = {**properties, name: None if name == "link" else ""}
                warnings.append(_replaced(f"/properties/{name}"))
    journal = event.get("journal")
    if journal is not None and any(has_cpr(f"{item['title']} {item.get('link') or ''}") for item in journal["items"]):
        items = []
        for index, item in enumerate(journal["items"]):
            for name in ("title", "link"):
                if has_cpr(item.get(name) or ""):
                    item = {**item, name: None if name == "link" else ""}  # noqa: PLW2901 - the cleaned one
                    warnings.append(_replaced(f"/journal/items/{index}/{name}"))
            items.append(item)
        journal = {"complete": journal["complete"], "items": items}
    if not warnings:
        return event, ()
    return cast("CaseEvent", {**event, "properties": properties, "journal": journal}), tuple(warnings)


def _texts(event: CaseEvent) -> list[str]:
    texts = []
    properties = event.get("properties")
    if properties is not None:
        texts = [properties["title"], properties["user_key"], properties.get("link") or ""]
    for item in items_of(event, "journal"):
        texts.append(item["title"])
        texts.append(item.get("link") or "")
    return texts


def _with_web_links(event: CaseEvent) -> tuple[CaseEvent, tuple[Warned, ...]]:
    """Links that are no http or https addresses are left out and told: a case is as true without, so none is lost."""
    properties, journal = event.get("properties"), event.get("journal")
    warnings: list[Warned] = []
    if properties is not None and not is_web(properties.get("link")):
        properties = {**properties, "link": None}
        warnings.append(_dropped("/properties/link"))
    if journal is not None and not all(is_web(item.get("link")) for item in journal["items"]):
        items = []
        for index, item in enumerate(journal["items"]):
            if not is_web(item.get("link")):
                item = {**item, "link": None}  # noqa: PLW2901 - the cleaned one
                warnings.append(_dropped(f"/journal/items/{index}/link"))
            items.append(item)
        journal = {"complete": journal["complete"], "items": items}
    if not warnings:
        return event, ()
    return cast("CaseEvent", {**event, "properties": properties, "journal": journal}), tuple(warnings)


def _replaced(pointer: str) -> Warned:
    return Warned(WarningCode.TITLE_REPLACED, pointer, "a civil registration number stood in the text")


def _dropped(pointer: str) -> Warned:
    return Warned(WarningCode.TITLE_REPLACED, pointer, "left out: not an http or https address")
