"""A small seeded stream of canonical events, one a line: the form for who has no connector. Pure.

It brings what the connectors' streams cannot: a line that is no JSON, another's name, a number that went out of use.
"""

import random
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from ops.demo import world
from ops.demo.payloads import STEP, citizens
from ops.demo.sample import Sender, Sending
from ops.demo.world import AARHUS

SYSTEM: Final = "acadre:arkiv"
SENDER: Final = Sender(SYSTEM, AARHUS)
RETIRED: Final = "27.48.04"
"""In the demo's first edition only."""
_HUGE: Final = 1024 * 1024 + 1
_HUGE_EACH: Final = 8
Event = dict[str, Any]


def agreements() -> list[dict[str, Any]]:
    """Aarhus lets it deliver, and wants no title mended."""
    agreed = next(one for one in world.agreements() if one["authority"] == AARHUS)
    return [{**agreed, "system": SYSTEM, "on_title_cpr": "REFUSE"}]


def stream(seed: int, cases: int, events: int, start: datetime) -> Iterator[Sending]:
    """Exactly so many lines, each kind in turn; the citizens are those of the case stream of that seed and size."""
    rng = random.Random(f"canonical {seed}")  # noqa: S311 - reproducible on purpose
    people = citizens(seed, cases)
    for number in range(events):
        turn, place = divmod(number, len(_KINDS))
        kind, expect = _KINDS[place]
        if kind is _too_large and turn % _HUGE_EACH:
            kind, expect = _good, "indexed"
        event = _event(rng, rng.choice(people).replace("-", ""), start + number * STEP)
        case = (event["case_id"], event["parties"][0]["id"])
        yield Sending(SENDER, kind(event), (expect,), cases=(case,) if kind is _good else ())


def _event(rng: random.Random, citizen: str, at: datetime) -> Event:
    case_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    created = _text(at - timedelta(days=1))
    return {
        "event_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
        "system": SYSTEM,
        "authority": AARHUS,
        "case_id": case_id,
        "registered_at": _text(at),
        "change": "REGISTERED",
        "properties": {"user_key": case_id[:8], "title": "Ansøgning om hjælpemidler", "created_at": created},
        "access": {"sensitivity": "FORTROLIGE_PERSONOPLYSNINGER"},
        "classification": {"kle": "27.60.04", "facet": "G01"},
        "progress": [{"state": "OPSTAAET", "effective_from": created}],
        "parties": [{"item_id": "p1", "role": "PRIMARY", "id_type": "CPR", "id": citizen}],
    }


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _good(event: Event) -> bytes:
    return orjson.dumps(event)


def _incomplete(event: Event) -> bytes:
    del event["progress"]
    return orjson.dumps(event)


def _malformed(event: Event) -> bytes:
    return orjson.dumps(event)[:-1]


def _too_large(event: Event) -> bytes:
    event["properties"]["local_status"] = "x" * _HUGE
    return orjson.dumps(event)


def _of_another(event: Event) -> bytes:
    return orjson.dumps({**event, "system": "nova"})


def _retired(event: Event) -> bytes:
    return orjson.dumps({**event, "classification": {"kle": RETIRED}})


def _half_a_history(event: Event) -> bytes:
    event["progress"][0]["state"] = "AFGJORT"
    return orjson.dumps(event)


def _title_with_cpr(event: Event) -> bytes:
    event["properties"]["title"] = f"{event['parties'][0]['id']} - ansøgning"
    return orjson.dumps(event)


_KINDS: Final[tuple[tuple[Callable[[Event], bytes], str], ...]] = (
    (_good, "indexed"),
    (_incomplete, "indexed"),
    (_malformed, "rejected"),  # malformed_payload
    (_of_another, "rejected"),  # system_mismatch
    (_good, "indexed"),
    (_retired, "rejected"),  # kle_retired
    (_half_a_history, "rejected"),  # state_history_incomplete
    (_good, "indexed"),
    (_title_with_cpr, "rejected"),  # title_has_cpr
    (_too_large, "rejected"),  # too_large
)
EACH_ONCE: Final = len(_KINDS)
"""So many events bring every kind."""
