"""Payloads in JSON: reading a body, the fields that a vendor's model names, a digest of the content. Pure."""

import hashlib
from typing import Final

import orjson
from pydantic import BaseModel, ConfigDict

from broker.domain.outcome import Code, Rejected

_BOM: Final = b"\xef\xbb\xbf"


class Payload(BaseModel):
    """Unknown fields are ignored: the vendor adds some with every release."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


def parsed(body: bytes) -> object | Rejected:
    """A body's JSON value. Of a doubled key the last stands; depth is bounded by the parser."""
    try:
        value: object = orjson.loads(body.removeprefix(_BOM))
    except orjson.JSONDecodeError:
        return Rejected(Code.MALFORMED_PAYLOAD, "", "not well-formed JSON in UTF-8")
    return value


def digest_of(payload: object) -> str | Rejected:
    """The content's SHA-256, whatever the order of its fields."""
    try:
        canonical = orjson.dumps(payload, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # No parser that we use yields such a value: half a surrogate pair, a number of thousands of digits.
        return Rejected(Code.MALFORMED_PAYLOAD, "", "not JSON, or nested too deep")
    return hashlib.sha256(canonical).hexdigest()
