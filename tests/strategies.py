"""Generated case events: few cases, few moments and few items, so that they collide."""

import uuid
from typing import Any

from hypothesis import strategies as st

from broker.domain.case import SENSITIVITY, STATES, CaseEvent, State, content_hash, said_by, stamp_of
from broker.domain.document import DocumentEvent
from broker.stream.framing import HEADER, encode

AUTHORITY = "55133018"
MOMENTS = st.integers(1_700_000_000_000_000, 1_700_000_000_000_005)
KLE = ("27.36.04", "27.35.08", "32.45.04")
CPRS = ("0101011234", "0202022345")
CASES = tuple(str(uuid.UUID(int=n)) for n in range(1, 4))


def grouped(items: st.SearchStrategy[dict[str, Any]], key: str = "item_id") -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"complete": st.booleans(), "items": st.lists(items, max_size=3, unique_by=lambda item: str(item[key]))}
    )


ITEM = {"item_id": st.sampled_from("abc"), "removed": st.booleans()}
TEXT = st.sampled_from(("ansøgning", "bevilling", "klage"))

PROPERTIES = st.fixed_dictionaries({"user_key": st.sampled_from(("S-1", "S-2")), "title": TEXT, "created_at": MOMENTS})
ACCESS = st.fixed_dictionaries(
    {"sensitivity": st.none() | st.sampled_from(tuple(SENSITIVITY)), "hidden_from_citizen": st.booleans()}
)
CLASSIFICATION = st.fixed_dictionaries({"kle": st.sampled_from(KLE), "facet": st.none() | st.just("G01")})
STEP = st.fixed_dictionaries({"state": st.sampled_from(STATES), "effective_from": MOMENTS})
FIRST_STEP = st.fixed_dictionaries({"state": st.just("OPSTAAET"), "effective_from": MOMENTS})
PROGRESS = st.builds(
    lambda complete, first, rest: {"complete": complete, "items": [first, *rest]},
    st.booleans(),
    FIRST_STEP,
    st.lists(STEP.filter(lambda step: step["state"] != "OPSTAAET"), max_size=2, unique_by=lambda step: step["state"]),
)
PARTY = st.fixed_dictionaries(
    {**ITEM, "role": st.sampled_from(("PRIMARY", "SECONDARY")), "id_type": st.just("CPR"), "id": st.sampled_from(CPRS)}
)
ACTOR = st.fixed_dictionaries(
    {**ITEM, "role": st.just("RESPONSIBLE"), "id": st.sampled_from("xy"), "name": st.none() | TEXT}
)
JOURNAL = st.fixed_dictionaries(
    {**ITEM, "kind": st.sampled_from(("DOCUMENT", "NOTE")), "title": TEXT, "registered_at": MOMENTS}
)
PRINCIPAL = st.fixed_dictionaries({**ITEM, "principal_id": st.sampled_from(("p1", "p2"))})


@st.composite
def events(draw: st.DrawFn) -> CaseEvent:
    """One event that a FULL agreement over everything accepts."""
    said: dict[str, Any] = {
        "event_id": str(uuid.UUID(int=draw(st.integers(1, 6)))),
        "system": "sbsys",
        "authority": AUTHORITY,
        "case_id": draw(st.sampled_from(CASES)),
        "registered_at": draw(MOMENTS),
        "sequence": draw(st.none() | st.integers(-1, 1)),
        "change": "REGISTERED",
    }
    if draw(st.integers(0, 9)) == 0:
        return {**said, "change": "REMOVED", "removal_reason": "LEFT_INDEX"}  # type: ignore[typeddict-item]
    groups = {
        "properties": draw(st.none() | PROPERTIES),
        "access": draw(st.none() | ACCESS),
        "classification": draw(st.none() | CLASSIFICATION),
        "progress": draw(st.none() | PROGRESS),
        "parties": draw(st.none() | grouped(PARTY)),
        "actors": draw(st.none() | grouped(ACTOR)),
        "journal": draw(st.none() | grouped(JOURNAL)),
        "security_profile": draw(st.none() | grouped(PRINCIPAL)),
    }
    if all(group is None for group in groups.values()):
        groups["access"] = {"sensitivity": None, "hidden_from_citizen": False}
    return {**said, **groups}  # type: ignore[typeddict-item]


def stated(event: CaseEvent) -> State:
    """What the event says, with the stamp the worker would give it."""
    return said_by(event, stamp_of(event, content_hash(encode("case_event", event)[HEADER.size :])), event["event_id"])


SYSTEM = "sbsys"
DOCUMENT = str(uuid.UUID(int=0xD0))


@st.composite
def document_events(draw: st.DrawFn) -> DocumentEvent:
    """One registration that a FULL agreement over everything accepts; of few documents, so that they collide."""
    return {
        "event_id": str(uuid.UUID(int=draw(st.integers(1, 6)))),
        "system": SYSTEM,
        "authority": AUTHORITY,
        "document_id": draw(st.sampled_from((DOCUMENT, CASES[0], CASES[1]))),
        "registered_at": draw(MOMENTS),
        "sequence": draw(st.none() | st.integers(-1, 1)),
        "title": draw(st.none() | TEXT),
        "confidential_title": draw(st.none() | TEXT),
        "type": draw(st.none() | TEXT),
        "letter_date": draw(st.none() | st.dates().map(str)),
        "sensitivity": draw(st.none() | st.sampled_from(tuple(SENSITIVITY))),
        "removed": draw(st.booleans()),
    }
