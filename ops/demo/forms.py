"""How each system's pieces become the body of a request: its address, its media type, its words. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

import orjson

from ops.demo import canonical, care, world
from ops.demo.sample import Form, Sending
from ops.demo.vendors import VENDORS
from ops.demo.vendors.pushing import in_a_list


def _bundle(batch: Sequence[Sending]) -> bytes:
    """One delivery of many bundles."""
    entries = [{"resource": sending.payload} for sending in batch]
    return orjson.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries})


def _lines(batch: Sequence[Sending]) -> bytes:
    return b"\n".join(sending.payload for sending in batch)


FORMS: Final[Mapping[str, Form]] = {
    world.SYSTEM: in_a_list(world.SYSTEM),
    canonical.SYSTEM: Form("/v1/case-events", "application/x-ndjson", _lines),
    **{system: Form(f"/v1/events/{system}", "application/fhir+json", _bundle) for system in care.SYSTEMS},
    **{vendor.system: vendor.form for vendor in VENDORS},
}
