"""Where a search goes on: the place of the last entry shown, sealed to one search and its reader. Pure."""

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

from broker.domain.identity import is_uuid
from broker.store.search import Position
from broker.store.text import is_storable

SEAL_BYTES = 16


class BrokenCursorError(ValueError):
    """Not a cursor that was given out for this search and reader."""


def seal(position: Position, search: Any, key: bytes) -> str:
    """The cursor as text. `search` is whatever tells searches and readers apart, as JSON."""
    body = json.dumps([*position, _mac(position, search, key)], separators=(",", ":"))
    return base64.urlsafe_b64encode(body.encode()).decode().rstrip("=")


def unseal(cursor: str, search: Any, key: bytes) -> Position:
    """Raises BrokenCursorError."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        created_at, authority, system, case_id, mac = json.loads(base64.b64decode(padded, b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise BrokenCursorError("not a cursor") from None
    texts = (authority, system, case_id, mac)
    if (
        type(created_at) is not int
        or not all(isinstance(text, str) and is_storable(text) for text in texts)
        or not is_uuid(case_id)
    ):
        raise BrokenCursorError("not a cursor")
    position = Position(created_at, authority, system, case_id)
    if not hmac.compare_digest(mac.encode(), _mac(position, search, key).encode()):
        raise BrokenCursorError("made for another search")
    return position


def _mac(position: Position, search: Any, key: bytes) -> str:
    body = json.dumps([position, search], sort_keys=True).encode()
    return hmac.digest(key, b"cursor" + body, hashlib.sha256)[:SEAL_BYTES].hex()
