"""The event behind a rejection, as people look at it: masked, or in the clear where the read is logged."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from broker.domain.entry import party_ref
from broker.domain.identity import EntryKey, cpr_numbers, is_uuid
from broker.domain.masking import masked
from broker.domain.policy import Role
from broker.overviews.reading import Connection, written
from broker.store.access_log import Access
from broker.stream.framing import Decoder, Undecodable
from broker.stream.topics import DOCUMENT_EVENTS

LOG: Final = "rejections"
BASIS: Final[Mapping[str, str]] = {Role.AUDITOR: "supervision"}
"""Others mend it."""
Kept = Mapping[str, Any]
"""`rejection_id`, `authority`, `system`, `topic` and `payload` of a rejection."""


def in_form(kept: Kept) -> Any:
    """Which fields there are, without a word of anybody; None: the event is not kept."""
    return None if kept["payload"] is None else masked(_content(kept))


async def in_clear(connection: Connection, reader: dict[str, Any], kept: Kept, purpose: str | None = None) -> Any:
    """The event itself, once the read is logged: also in the log of every person named in it. Raises NotLoggedError.

    Args:
        reader: who, as the log names them.
    """
    if kept["payload"] is None:
        return None
    content = _content(kept)
    text = content.decode("utf-8", "backslashreplace") if isinstance(content, bytes) else orjson.dumps(content).decode()
    access = Access(
        reader,
        LOG,
        "permit",
        f"rejection {kept['rejection_id']}" + (f": {purpose}" if purpose else ""),
        basis=BASIS.get(reader["role"], "mending"),
        cases=_cases(kept, content),
        shown={party_ref("CPR", number) for number in cpr_numbers(text)},
    )
    await written(connection, access)
    return text if isinstance(content, bytes) else content


async def denied(connection: Connection, reader: dict[str, Any], reason: str) -> None:
    """Somebody asked for an event that is not theirs to see, or not there. Raises NotLoggedError."""
    await written(connection, Access(reader, LOG, "deny", reason=reason))


def _content(kept: Kept) -> Any:
    """An event from the log decoded, JSON parsed, anything else as its bytes."""
    payload = bytes(kept["payload"])
    try:
        if kept["topic"] is None:
            return orjson.loads(payload)
        schema = "document_event" if kept["topic"] == DOCUMENT_EVENTS.name else "case_event"
        return Decoder(schema, lambda _: None).decode(payload)
    except (Undecodable, orjson.JSONDecodeError):
        return payload


def _cases(kept: Kept, content: Any) -> list[str]:
    case_id = content.get("case_id") if isinstance(content, dict) else None
    if not isinstance(case_id, str) or not is_uuid(case_id):
        return []
    return [str(EntryKey(kept["authority"], kept["system"], case_id))]
