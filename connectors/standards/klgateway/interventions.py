"""What a planned intervention says of its case: what it is called, what it is, how far it has come. Pure."""

from collections.abc import Mapping
from typing import Any

from broker.domain.outcome import Code, Rejected
from connectors.configuration import state_of, table
from connectors.standards.klgateway import mapping
from connectors.standards.klgateway.payloads import Coding, Concept, Planned

_CODING = "/activity/0/detail/code/coding"


def flaw(planned: Planned, at: str) -> Rejected | None:
    """What makes it no planned intervention in the profile's sense."""
    if planned.intent != "plan":
        return Rejected(Code.SCHEMA_VIOLATION, f"{at}/intent", "plan")
    if len(planned.activity) != 1:
        # Two interventions under one id would be two cases of which one hides the other.
        return Rejected(Code.SCHEMA_VIOLATION, f"{at}/activity", "exactly one activity")
    if national(planned.activity[0].detail.code) is None:
        return Rejected(Code.MANDATORY_MISSING, f"{at}{_CODING}", "a code of FSIII or FFB")
    return None


def properties(planned: Planned, config: Mapping[str, Any]) -> dict[str, Any]:
    """The profile has no title: the code's name, the municipality's own before the national; else KLE's."""
    code = planned.activity[0].detail.code
    return {
        "user_key": planned.id,
        "title": next((one.display for one in (local(code, config), national(code)) if one and one.display), ""),
        "created_at": planned.period.start,
        "local_status": planned.status,
    }


def classification(planned: Planned, config: Mapping[str, Any]) -> dict[str, Any]:
    """By the configuration's table `kle`: the municipality's own code first, then the national one.

    The code goes along, so that the broker's rules can say more; where there is no row, theirs is the only word.
    """
    code = planned.activity[0].detail.code
    rows = table(config, "kle")
    found = national(code)
    local_code = None if found is None else found.code
    for one in (local(code, config), found):
        row = None if one is None else rows.get(f"{one.system}|{one.code}", rows.get(one.code))
        if isinstance(row, Mapping) and isinstance(row.get("kle"), str):
            facet = row.get("facet")
            return {"kle": row["kle"], "facet": facet if isinstance(facet, str) else None, "local_code": local_code}
    return {"kle": None, "facet": None, "local_code": local_code}


def progress(planned: Planned, at: str, config: Mapping[str, Any]) -> list[dict[str, Any]] | Rejected:
    """The course from when it was granted: the profile knows no earlier time."""
    state = state_of(planned.status, config, mapping.STATES)
    if state is None:
        return Rejected(Code.STATE_UNKNOWN, f"{at}/status", "no mapping of this status; put it in the configuration")
    start, end = planned.period.start, planned.period.end
    if end is not None and end < start:
        return Rejected(Code.VIRKNING_OVERLAP, f"{at}/period/end", "it ends before it was granted")
    if state == "OPSTAAET":
        return [{"state": state, "effective_from": start}]
    arisen = {"state": "OPSTAAET", "effective_from": start, "effective_to": start}
    if state != "AFSLUTTET":
        return [arisen, {"state": state, "effective_from": start}]
    if end is None:
        return Rejected(Code.MANDATORY_MISSING, f"{at}/period/end", "when it was ended")
    granted = {"state": "AFGJORT", "effective_from": start, "effective_to": end}
    return [arisen, granted, {"state": state, "effective_from": end}]


def national(code: Concept) -> Coding | None:
    """The code that all municipalities share."""
    return next((one for one in code.coding if one.system in mapping.NATIONAL_CODES and one.code), None)


def local(code: Concept, config: Mapping[str, Any]) -> Coding | None:
    """The municipality's own code, below the national one: of KL's system for them, or of one in `local_codes`."""
    own = config.get("local_codes")
    systems = (mapping.LOCAL_CODES, *(own if isinstance(own, list | tuple) else ()))
    return next((one for one in code.coding if one.system in systems and one.code), None)
