"""Bodies that several vendors' payloads come in. Pure."""

from collections.abc import Sequence

import orjson

from ops.demo.sample import Form, Sending


def in_a_list(system: str) -> Form:
    """A list in JSON."""
    return Form(f"/v1/events/{system}", "application/json", _array)


def _array(batch: Sequence[Sending]) -> bytes:
    return orjson.dumps([sending.payload for sending in batch])
