"""How each system's pieces become the body of a request: its address, its media type, its words. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import orjson

from ops.demo import canonical, care, world
from ops.demo.sample import Sending


class Form(NamedTuple):
    """Where a system's bodies go, and how they are made."""

    path: str
    media_type: str
    body: Callable[[Sequence[Sending]], bytes]


def _array(batch: Sequence[Sending]) -> bytes:
    return orjson.dumps([sending.payload for sending in batch])


def _bundle(batch: Sequence[Sending]) -> bytes:
    """One delivery of many bundles."""
    entries = [{"resource": sending.payload} for sending in batch]
    return orjson.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries})


def _lines(batch: Sequence[Sending]) -> bytes:
    return b"\n".join(sending.payload for sending in batch)


FORMS: Final[Mapping[str, Form]] = {
    world.SYSTEM: Form(f"/v1/events/{world.SYSTEM}", "application/json", _array),
    care.SYSTEM: Form(f"/v1/events/{care.SYSTEM}", "application/fhir+json", _bundle),
    canonical.SYSTEM: Form("/v1/case-events", "application/x-ndjson", _lines),
}
